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

/// Ten batches of one record, a second apart by the broker's clock, with a producer's clock that is a day late.
fn appended_over_ten_seconds(kit: &Kit) -> Log {
    let mut log = kit.create();
    for n in 0..10 {
        log.append(batch_at(NOW + n * 1000 - 86_400_000, 1), AppendOrigin::Client, 3, NOW + n * 1000).unwrap();
    }
    log
}

fn append_times(log: &Log) -> Vec<Option<i64>> {
    [0, 5, 9, 10].map(|offset| log.append_times().at(offset).map(|time| time - NOW)).into()
}

#[test]
fn append_times_are_the_brokers_and_survive_a_close() {
    let kit = Kit::new();
    let log = appended_over_ten_seconds(&kit);
    let expected = vec![Some(0), Some(5000), Some(9000), None];
    assert_eq!(append_times(&log), expected);
    log.close(NOW).unwrap();
    assert_eq!(append_times(&kit.open(0, true).0), expected);
}

#[test]
fn append_times_after_a_crash_lie_between_the_checkpoint_and_the_last_write() {
    let kit = Kit::new();
    let mut log = appended_over_ten_seconds(&kit);
    log.append_times().save().unwrap();
    // One that says when it came, one whose producer is a day late, one whose producer is 50 minutes ahead.
    for (offset, timestamp) in [(10, NOW + 20_000), (11, NOW - 86_400_000), (12, NOW + 3_000_000)] {
        assert_eq!(append(&mut log, batch_at(timestamp, 1)).unwrap().base_offset, offset);
    }
    let file = std::fs::File::options().write(true).open(kit.path().join("00000000000000000000.log")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(NOW as u64 + 30_000)).unwrap();
    drop(log);
    let (log, _) = kit.open(0, false);
    assert_eq!(append_times(&log), [Some(0), Some(5000), Some(9000), Some(20_000)]);
    assert_eq!(log.append_times().at(11), Some(NOW + 20_000));
    assert_eq!(log.append_times().at(12), Some(NOW + 30_000));
}

#[test]
fn append_times_of_a_folder_without_a_checkpoint_follow_the_segments_timestamps() {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 300;
    let mut log = kit.create();
    for n in 0..20 {
        log.append(batch_at(1_000_000 + n * 1000, 1), AppendOrigin::Client, 3, NOW).unwrap();
    }
    assert!(log.segment_count() > 3);
    log.close(NOW).unwrap();
    std::fs::remove_file(kit.path().join("append-time-checkpoint")).unwrap();
    // As if it had been made in its own time.
    let made = std::fs::File::options().write(true).open(kit.path().join("partition.metadata")).unwrap();
    made.set_modified(std::time::UNIX_EPOCH).unwrap();
    let (log, _) = kit.open(0, true);
    for offset in 0..20 {
        let off_by = log.append_times().at(offset).unwrap() - (1_000_000 + offset * 1000);
        // As long as a segment lasts.
        assert!(off_by.abs() <= 4000, "{offset} is off by {off_by} ms");
    }
}
