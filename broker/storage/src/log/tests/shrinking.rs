//! Retention, DeleteRecords, truncation, deletion.

use std::fs;

use super::kit::*;
use crate::log::*;

/// Ten batches of three a second apart, four or so to a segment.
fn filled(kit: &Kit) -> Log {
    let mut log = kit.create();
    for n in 0..20 {
        append(&mut log, batch_at(NOW + n * 1_000, 3)).unwrap();
    }
    log
}

fn kit() -> Kit {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 500;
    kit.config.retention_ms = None;
    kit
}

#[test]
fn retention_by_time_takes_whole_segments_below_the_high_watermark() {
    let mut kit = kit();
    kit.config.retention_ms = Some(5_000);
    let mut log = filled(&kit);
    let segments = log.segment_count();
    assert_eq!(log.retention_pass(NOW + 15_000, ..0).unwrap().deleted_segments, 0);
    let report = log.retention_pass(NOW + 15_000, ..60).unwrap();
    assert!(report.deleted_segments > 0);
    assert_eq!(log.segment_count(), segments - report.deleted_segments);
    let first = everything(&log)[0].clone();
    assert_eq!(first.0, log.log_start_offset());
    let oldest_kept = log.read(log.log_start_offset(), ..60, 1 << 20, true).unwrap();
    let last_kept = everything(&log).iter().find(|r| r.0 == oldest_kept.next_offset - 1).unwrap().1;
    assert!(last_kept >= NOW + 10_000);
    assert!(matches!(log.read(0, ..60, 100, true), Err(ReadError::OffsetOutOfRange { .. })));
}

#[test]
fn everything_may_expire_and_the_log_goes_on() {
    let mut kit = kit();
    kit.config.retention_ms = Some(5_000);
    let mut log = filled(&kit);
    while log.retention_pass(NOW + 100_000, ..60).unwrap().has_more {}
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.size_bytes()), (60, 60, 0));
    append(&mut log, batch(1)).unwrap();
    let closed = log.close(NOW).unwrap();
    let (log, _) = kit.open(closed.recovery_point, true);
    assert_eq!((log.log_start_offset(), everything(&log).len()), (60, 1));
}

#[test]
fn retention_by_size_leaves_at_least_that_much() {
    let mut kit = kit();
    kit.config.retention_bytes = Some(1_000);
    let mut log = filled(&kit);
    log.retention_pass(NOW, ..60).unwrap();
    assert!((1_000..1_500).contains(&log.size_bytes()), "{}", log.size_bytes());
}

#[test]
fn deleted_files_go_after_their_delay() {
    let mut kit = kit();
    kit.config.retention_bytes = Some(0);
    kit.config.file_delete_delay_ms = 1_000;
    let mut log = filled(&kit);
    let held = log.read(0, ..60, 1 << 20, true).unwrap();
    log.retention_pass(NOW, ..60).unwrap();
    let deleted = || {
        fs::read_dir(kit.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".deleted"))
            .count()
    };
    assert!(deleted() > 0);
    log.retention_pass(NOW + 999, ..60).unwrap();
    assert!(deleted() > 0);
    log.retention_pass(NOW + 1_000, ..60).unwrap();
    assert_eq!(deleted(), 0);
    assert!(!batches_of(&held).is_empty(), "who still reads it, can");
}

#[test]
fn delete_records_moves_the_start_and_survives_through_its_checkpoint() {
    let kit = kit();
    let mut log = filled(&kit);
    assert!(log.advance_log_start_offset(61).is_err());
    log.advance_log_start_offset(31).unwrap();
    assert_eq!(log.log_start_offset(), 31);
    assert!(log.read(30, ..60, 100, true).is_err());
    assert_eq!(log.read(31, ..60, 1 << 20, true).unwrap().base_offset, 30, "the batch that holds it comes whole");
    log.retention_pass(NOW, ..60).unwrap();
    assert!(log.segment_count() < 8);
    assert_eq!(log.log_start_offset(), 31);
    log.close(NOW).unwrap();
    let options = OpenOptions { log_start_offset: 31, ..kit.options(60, true) };
    assert_eq!(Log::open(options).unwrap().0.log_start_offset(), 31);
}

#[test]
fn truncation_drops_batches_segments_and_what_was_remembered_of_them() {
    let kit = kit();
    let mut log = filled(&kit);
    log.append(sequenced(0, 0, 2), AppendOrigin::Client, 8, NOW).unwrap();
    log.append(sequenced(0, 2, 2), AppendOrigin::Client, 8, NOW).unwrap();
    let before = everything(&log);
    flush(&mut log);
    log.truncate_to(63).unwrap();
    assert_eq!(log.log_end_offset(), 62, "the batch that held it went whole");
    assert_eq!(log.recovery_point(), 62);
    assert_eq!(everything(&log), before[..62]);
    assert!(!append(&mut log, sequenced(0, 2, 1)).unwrap().duplicate);
    log.truncate_to(17).unwrap();
    assert_eq!((log.log_end_offset(), log.epoch_end_offset(3)), (15, (3, 15)));
    assert!(log.producer_states().is_empty());
    append(&mut log, batch(1)).unwrap();
    drop(log);
    let (log, _) = kit.open(0, false);
    assert_eq!(everything(&log).len(), 16);
}

#[test]
fn a_ticket_from_before_a_truncation_proves_nothing() {
    let kit = kit();
    let mut log = filled(&kit);
    let ticket = log.dirty().unwrap();
    ticket.sync().unwrap();
    log.truncate_to(30).unwrap();
    for _ in 0..10 {
        append(&mut log, batch(3)).unwrap();
    }
    log.flushed(&ticket);
    assert_eq!(log.recovery_point(), 0);
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_with_the_next_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = crate::LogDir::open(dir.path(), 1, None).unwrap();
    let kit = kit();
    let options = OpenOptions { dir: dir.path().join("orders-0"), ..kit.options(0, true) };
    let (mut log, _) = Log::open(options).unwrap();
    append(&mut log, batch(1)).unwrap();
    log.delete().unwrap();
    assert!(!dir.path().join("orders-0").exists());
    assert_eq!(log_dir.remove_deleted().unwrap(), 1);
    assert!(log_dir.partitions().is_empty());
}

#[test]
fn an_idle_segment_rolls_by_the_clock() {
    let mut kit = Kit::new();
    kit.config.segment_ms = 1_000;
    let mut log = kit.create();
    log.roll_pass(NOW + 50_000).unwrap();
    append(&mut log, batch(1)).unwrap();
    log.roll_pass(NOW + 1_000).unwrap();
    assert_eq!(log.segment_count(), 1);
    log.roll_pass(NOW + 1_001).unwrap();
    assert_eq!(log.segment_count(), 2);
}

#[test]
fn records_from_long_ago_do_not_make_a_busy_segment_old() {
    let kit = Kit::new();
    let mut log = kit.create();
    for n in 0..10 {
        append(&mut log, batch_at(1_000 + n, 1)).unwrap();
        log.roll_pass(NOW + n).unwrap();
    }
    assert_eq!(log.segment_count(), 1);
}

#[test]
fn a_lost_time_index_does_not_make_a_segment_old() {
    let mut kit = kit();
    kit.config.retention_ms = Some(50_000);
    let closed = filled(&kit).close(NOW).unwrap();
    for entry in fs::read_dir(kit.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "timeindex") {
            fs::remove_file(path).unwrap();
        }
    }
    let (mut log, _) = kit.open(closed.recovery_point, true);
    assert_eq!(log.retention_pass(NOW + 40_000, ..60).unwrap().deleted_segments, 0);
}
