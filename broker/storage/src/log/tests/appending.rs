//! Append and read on a healthy disk.

use bytes::BytesMut;
use weir_types::batch::{RecordBatch, RecordBatchBuilder, TimestampType};
use weir_types::compression::Compression;

use super::kit::*;
use crate::log::*;

#[test]
fn offsets_count_up_and_the_bytes_land_as_they_came() {
    let kit = Kit::new();
    let mut log = kit.create();
    let sent = batch(3);
    let first = append(&mut log, sent.clone()).unwrap();
    assert_eq!((first.base_offset, first.log_end_offset, first.record_count), (0, 3, 3));
    let second = append(&mut log, sent.clone()).unwrap();
    assert_eq!((second.base_offset, second.log_end_offset, second.duplicate), (3, 6, false));

    let range = log.read(3, ..i64::MAX, 1 << 20, true).unwrap();
    let got = bytes_of(&range);
    assert_eq!(got[16..], sent[16..], "everything past the leader epoch is the producer's");
    let stored = RecordBatch::parse(&got).unwrap();
    assert_eq!((stored.base_offset(), stored.leader_epoch()), (3, 3));
    assert_eq!((range.base_offset, range.next_offset), (3, 6));
}

#[test]
fn reads_give_whole_batches_below_the_bounds() {
    let kit = Kit::new();
    let mut log = kit.create();
    for _ in 0..200 {
        append(&mut log, batch(5)).unwrap();
    }
    let size = batch(5).len();
    for offset in [0, 3, 500, 501, 994, 999] {
        let first = offset / 5 * 5;
        let range = log.read(offset, ..1000, size * 3 + 1, false).unwrap();
        let expected: Vec<_> = (first..1000).step_by(5).take(3).map(|base| (base, base + 5)).collect();
        assert_eq!(batches_of(&range), expected, "from {offset}");
        assert_eq!(range.next_offset, expected.last().unwrap().1);
        assert_eq!(range.base_offset, first);
    }
    // A bound inside a batch leaves that batch out.
    let range = log.read(10, ..23, 1 << 20, true).unwrap();
    assert_eq!(batches_of(&range), [(10, 15), (15, 20)]);
    assert_eq!(range.next_offset, 20);
    assert_eq!(log.read(21, ..23, 1 << 20, true).unwrap().len, 0);
}

#[test]
fn a_batch_above_the_maximum_comes_alone_or_not_at_all() {
    let kit = Kit::new();
    let mut log = kit.create();
    append(&mut log, batch(50)).unwrap();
    append(&mut log, batch(50)).unwrap();
    assert_eq!(batches_of(&log.read(0, ..100, 10, true).unwrap()), [(0, 50)]);
    let none = log.read(0, ..100, 10, false).unwrap();
    assert_eq!((none.len, none.next_offset), (0, 0));
}

#[test]
fn at_the_end_there_is_nothing_and_past_it_an_error() {
    let kit = Kit::new();
    let mut log = kit.create();
    append(&mut log, batch(2)).unwrap();
    let range = log.read(2, ..i64::MAX, 100, true).unwrap();
    assert_eq!((range.len, range.next_offset), (0, 2));
    assert!(matches!(log.read(3, ..i64::MAX, 100, true), Err(ReadError::OffsetOutOfRange { offset: 3, .. })));
    assert!(log.read(-1, ..i64::MAX, 100, true).is_err());
}

#[test]
fn sequential_reads_cover_the_log_once_over_many_segments() {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 2_000;
    let mut log = kit.create();
    for n in 0..300 {
        append(&mut log, batch(1 + n % 4)).unwrap();
    }
    assert!(log.segment_count() > 10);
    for bytes_max in [1, 100, 333, 1 << 20] {
        let mut offset = 0;
        while offset < log.log_end_offset() {
            let range = log.read(offset, ..i64::MAX, bytes_max, true).unwrap();
            assert_eq!(range.base_offset, offset);
            assert_eq!(batches_of(&range).last().unwrap().1, range.next_offset);
            offset = range.next_offset;
        }
    }
    assert_eq!(everything(&log).len(), log.log_end_offset() as usize);
}

#[test]
fn bad_batches_are_refused_by_name() {
    let mut kit = Kit::new();
    kit.config.max_message_bytes = 500;
    let mut log = kit.create();
    let mut corrupt = batch(2);
    let last = corrupt.len() - 1;
    corrupt[last] ^= 1;
    assert!(matches!(append(&mut log, corrupt), Err(AppendError::Corrupt { .. })));
    let mut old = batch(2);
    old[16] = 1;
    assert!(matches!(append(&mut log, old), Err(AppendError::WrongMagic { magic: 1, .. })));
    let mut cut = batch(2);
    cut.truncate(70);
    assert!(matches!(append(&mut log, cut), Err(AppendError::Corrupt { .. })));
    assert!(matches!(append(&mut log, batch(100)), Err(AppendError::TooLarge { bytes_max: 500, .. })));
    let mut two = batch(1);
    two.extend_from_slice(&batch(1));
    assert!(matches!(append(&mut log, two), Err(AppendError::InvalidRecord { .. })));
    assert!(matches!(append(&mut log, BytesMut::new()), Err(AppendError::InvalidRecord { .. })));
    let mut control = RecordBatchBuilder::new(0).control();
    control.append(NOW, Some(&[0, 0, 0, 1]), None, &[]);
    assert!(matches!(append(&mut log, control.build().into()), Err(AppendError::InvalidRecord { .. })));
    let mut gap = RecordBatchBuilder::new(0);
    gap.append_at(4, NOW, None, None, &[]);
    assert!(matches!(append(&mut log, gap.build().into()), Err(AppendError::InvalidRecord { .. })));
    assert_eq!((log.log_end_offset(), log.size_bytes()), (0, 0));
}

#[test]
fn timestamps_stay_within_the_topics_bounds() {
    let mut kit = Kit::new();
    kit.config.message_timestamp_before_max_ms = 1000;
    let mut log = kit.create();
    for (timestamp, is_allowed) in
        [(NOW + 3_600_000, true), (NOW + 3_600_001, false), (NOW - 1000, true), (NOW - 1001, false), (-1, true)]
    {
        let appended = append(&mut log, batch_at(timestamp, 1));
        assert_eq!(appended.is_ok(), is_allowed, "{timestamp}: {appended:?}");
    }
    // An old record hides behind a new one.
    let mut builder = RecordBatchBuilder::new(0).compression(Compression::Lz4);
    builder.append(NOW, None, None, &[]);
    builder.append(NOW - 5000, None, None, &[]);
    assert!(matches!(append(&mut log, builder.build().into()), Err(AppendError::InvalidTimestamp { .. })));
}

#[test]
fn log_append_time_is_stamped_and_summed_anew() {
    let mut kit = Kit::new();
    kit.config.timestamp_type = TimestampType::LogAppendTime;
    let mut log = kit.create();
    let appended = append(&mut log, batch_at(5, 2)).unwrap();
    assert_eq!(appended.log_append_time, Some(NOW));
    assert!(everything(&log).iter().all(|(_, timestamp, _)| *timestamp == NOW));
}

#[test]
fn a_compacted_topic_wants_keys_even_inside_compressed_batches() {
    let mut kit = Kit::new();
    kit.config.cleanup_compact = true;
    let mut log = kit.create();
    append(&mut log, batch(2)).unwrap();
    let mut builder = RecordBatchBuilder::new(0).compression(Compression::Zstd);
    builder.append(NOW, Some(b"k"), None, &[]);
    builder.append(NOW, None, Some(b"v"), &[]);
    assert!(matches!(append(&mut log, builder.build().into()), Err(AppendError::InvalidRecord { .. })));
}

#[test]
fn a_repeated_batch_answers_its_old_offset_and_writes_nothing() {
    let kit = Kit::new();
    let mut log = kit.create();
    append(&mut log, sequenced(0, 0, 4)).unwrap();
    append(&mut log, sequenced(0, 4, 2)).unwrap();
    let size = log.size_bytes();
    let again = append(&mut log, sequenced(0, 0, 4)).unwrap();
    assert_eq!((again.base_offset, again.duplicate, log.size_bytes()), (0, true, size));
    let error = append(&mut log, sequenced(0, 7, 1)).unwrap_err();
    assert!(matches!(error, AppendError::OutOfOrderSequence { expected: 6, sequence: 7, .. }), "{error}");
    append(&mut log, sequenced(1, 0, 1)).unwrap();
    let error = append(&mut log, sequenced(0, 6, 1)).unwrap_err();
    assert!(matches!(error, AppendError::InvalidProducerEpoch { current_epoch: 1, .. }), "{error}");
}

#[test]
fn a_followers_log_is_the_leaders_log() {
    let (kit, other) = (Kit::new(), Kit::new());
    let mut leader = kit.create();
    append(&mut leader, batch(3)).unwrap();
    leader.append(batch(2), AppendOrigin::Client, 5, NOW).unwrap();
    let bytes = bytes_of(&leader.read(0, ..i64::MAX, 1 << 20, true).unwrap());
    let mut follower = other.create();
    follower.append(BytesMut::from(&bytes[..]), AppendOrigin::Replication, 9, NOW).unwrap();
    assert_eq!(bytes_of(&follower.read(0, ..i64::MAX, 1 << 20, true).unwrap()), bytes);
    assert_eq!(follower.epoch_end_offset(3), (3, 3));
    assert_eq!((follower.epoch_at(2), follower.epoch_at(3)), (Some(3), Some(5)));
    let again = follower.append(BytesMut::from(&bytes[..]), AppendOrigin::Replication, 9, NOW);
    assert!(matches!(again, Err(AppendError::OffsetMismatch { found: 0, log_end_offset: 5, .. })));
}

#[test]
fn segments_roll_by_size_time_and_a_full_index() {
    for (name, config) in [
        ("size", LogConfig { segment_bytes: 1_000, ..LogConfig::default() }),
        ("time", LogConfig { segment_ms: 1_000, ..LogConfig::default() }),
        ("index", LogConfig { index_interval_bytes: 1, segment_index_bytes: 24, ..LogConfig::default() }),
    ] {
        let mut kit = Kit::new();
        kit.config = config;
        let mut log = kit.create();
        for n in 0..20 {
            log.append(batch_at(NOW + n * 200, 3), AppendOrigin::Client, 0, NOW + n * 200).unwrap();
        }
        assert!((3..=20).contains(&log.segment_count()), "{name}: {}", log.segment_count());
        assert_eq!(everything(&log).len(), 60, "{name}");
    }
}

#[test]
fn append_times_tell_about_when() {
    let kit = Kit::new();
    let mut log = kit.create();
    log.append(batch(1), AppendOrigin::Client, 0, NOW).unwrap();
    log.append(batch(1), AppendOrigin::Client, 0, NOW + 5_000).unwrap();
    assert_eq!((log.append_times().at(0), log.append_times().at(1)), (Some(NOW), Some(NOW + 5_000)));
    assert_eq!(log.append_times().at(2), None);
}
