//! Offsets by timestamp.

use bytes::BytesMut;
use weir_types::batch::RecordBatchBuilder;
use weir_types::compression::Compression;

use super::kit::*;
use crate::log::*;
use crate::segment::TimestampAndOffset;

/// Timestamps that rise with some disorder, in compressed batches of three over many segments.
fn filled(kit: &Kit) -> Log {
    let mut log = kit.create();
    for n in 0..60i64 {
        let mut builder = RecordBatchBuilder::new(0).compression(Compression::Lz4);
        for k in 0..3 {
            builder.append(NOW + n * 10 - (n % 7) * 4 + k, Some(b"k"), Some(&[n as u8; 20]), &[]);
        }
        append(&mut log, BytesMut::from(&builder.build()[..])).unwrap();
    }
    log
}

fn agrees(log: &Log) {
    let mut all = everything(log);
    all.retain(|(offset, ..)| *offset >= log.log_start_offset());
    for upto in [0, 1, 90, 181] {
        let visible: Vec<_> = all.iter().filter(|(offset, ..)| *offset < upto).collect();
        for timestamp in (NOW - 40..NOW + 620).step_by(3) {
            let expected = visible
                .iter()
                .find(|(_, at, _)| *at >= timestamp)
                .map(|&&(offset, timestamp, _)| TimestampAndOffset { timestamp, offset });
            assert_eq!(log.offset_for_timestamp(timestamp, ..upto).unwrap(), expected, "{timestamp} below {upto}");
        }
        let largest = visible.iter().map(|(_, at, _)| *at).max();
        let found = log.offset_of_max_timestamp(..upto).unwrap();
        assert_eq!(found.map(|found| found.timestamp), largest, "largest below {upto}");
    }
}

#[test]
fn lookups_agree_with_reading_everything() {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 700;
    let mut log = filled(&kit);
    agrees(&log);
    log.advance_log_start_offset(50).unwrap();
    agrees(&log);
    let closed = log.close(NOW).unwrap();
    agrees(&kit.open(closed.recovery_point, true).0);
    agrees(&kit.open(0, false).0);
}

#[test]
fn a_log_without_timestamps_or_records_has_no_answer() {
    let kit = Kit::new();
    let mut log = kit.create();
    assert_eq!(log.offset_for_timestamp(0, ..10).unwrap(), None);
    assert_eq!(log.offset_of_max_timestamp(..10).unwrap(), None);
    append(&mut log, batch_at(-1, 2)).unwrap();
    assert_eq!(log.offset_for_timestamp(0, ..10).unwrap(), None);
    assert_eq!(log.offset_of_max_timestamp(..10).unwrap(), None);
}
