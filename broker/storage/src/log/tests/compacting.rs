//! Compaction: what stays, what goes, and a power cut at every step.

use std::collections::BTreeMap;
use std::fs;

use bytes::BytesMut;
use proptest::prelude::*;
use weir_types::batch::{RecordBatchBuilder, RecordBatches};
use weir_types::compression::Compression;

use super::kit::*;
use crate::compaction::{CompactionLimits, CompactionResult};
use crate::fs::faults::{Fault, Faults};
use crate::log::*;

fn kit() -> Kit {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 1_500;
    kit.config.cleanup_compact = true;
    kit.config.cleanup_delete = false;
    kit.config.min_cleanable_dirty_ratio = 0.0;
    kit
}

/// A record for `key`; `None` is a tombstone.
type Write = (u8, Option<u16>);

fn keyed(writes: &[Write], compression: Compression) -> BytesMut {
    let mut builder = RecordBatchBuilder::new(0).compression(compression);
    for (key, value) in writes {
        let value = value.map(|value| format!("value {value} padded to some length").into_bytes());
        builder.append(NOW, Some(&[*key]), value.as_deref(), &[]);
    }
    BytesMut::from(&builder.build()[..])
}

/// What a reader from the start ends up with, and the offsets that he saw.
fn state(log: &Log) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<i64>) {
    let (mut state, mut offsets) = (BTreeMap::new(), Vec::new());
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let range = log.read(offset, ..i64::MAX, 700, true).unwrap();
        assert!(range.next_offset > offset);
        let bytes = bytes_of(&range);
        for batch in RecordBatches::new(&bytes) {
            let batch = batch.unwrap();
            assert!(batch.crc_is_valid());
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                offsets.push(record.offset);
                match record.value {
                    Some(value) => state.insert(record.key.unwrap().to_vec(), value.to_vec()),
                    None => state.remove(record.key.unwrap()),
                };
            }
        }
        offset = range.next_offset;
    }
    assert!(offsets.is_sorted());
    (state, offsets)
}

fn compact_at(log: &mut Log, now_ms: i64) -> Option<CompactionResult> {
    let job = log.compaction_plan(now_ms, ..log.log_end_offset())?;
    Some(job.run(&CompactionLimits::default()).unwrap())
}

fn compact(log: &mut Log, now_ms: i64) {
    while let Some(result) = compact_at(log, now_ms) {
        log.install_compaction(result).unwrap();
    }
}

fn filled(log: &mut Log) {
    for n in 0..120u16 {
        let writes = [(n as u8 % 5, Some(n)), (n as u8 % 11 + 10, (!n.is_multiple_of(3)).then_some(n))];
        append(log, keyed(&writes, Compression::None)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_reader_ends_up_with_the_same_and_no_key_is_there_twice(
        batches in proptest::collection::vec(
            (proptest::collection::vec((0u8..12, proptest::option::weighted(0.8, any::<u16>())), 1..6), 0u8..5), 1..80),
    ) {
        let kit = kit();
        let mut log = kit.create();
        for (writes, codec) in &batches {
            append(&mut log, keyed(writes, Compression::from_code(*codec).unwrap())).unwrap();
        }
        log.roll_pass(i64::MAX).unwrap();
        let (before, offsets) = state(&log);
        compact(&mut log, NOW);
        let (after, kept) = state(&log);
        prop_assert_eq!(&after, &before);
        prop_assert!(kept.iter().all(|offset| offsets.contains(offset)));
        prop_assert!(kept.len() <= 12, "{} records for 12 keys", kept.len());
        // Every offset still leads to the batch that holds it or the next one there is.
        for offset in 0..log.log_end_offset() {
            log.read(offset, ..i64::MAX, 100, true).unwrap();
        }
        let size = log.size_bytes();
        drop(log);
        let (log, _) = kit.open(0, false);
        prop_assert_eq!(state(&log), (after, kept));
        prop_assert_eq!(log.size_bytes(), size);
    }
}

#[test]
fn small_survivors_are_merged_and_the_active_segment_is_left_alone() {
    let kit = kit();
    let mut log = kit.create();
    filled(&mut log);
    let (before, active) = (log.segment_count(), log.active().base_offset());
    assert!(before > 5);
    compact(&mut log, NOW);
    compact(&mut log, NOW);
    let bytes = bytes_of(&log.read(active, ..i64::MAX, 1 << 20, true).unwrap());
    assert!(RecordBatches::new(&bytes).all(|batch| batch.unwrap().record_count() == 2));
    append(&mut log, keyed(&[(1, Some(1))], Compression::None)).unwrap();
    log.roll_pass(i64::MAX).unwrap();
    compact(&mut log, NOW);
    assert!(log.segment_count() < before);
}

#[test]
fn tombstones_stay_for_their_time_and_then_go() {
    let mut kit = kit();
    kit.config.delete_retention_ms = 1_000;
    let mut log = kit.create();
    append(&mut log, keyed(&[(1, Some(1)), (2, Some(2))], Compression::None)).unwrap();
    append(&mut log, keyed(&[(1, None)], Compression::None)).unwrap();
    let mut pass = |now_ms: i64| {
        append(&mut log, keyed(&[(9, Some(9))], Compression::None)).unwrap();
        log.roll_pass(i64::MAX).unwrap();
        compact(&mut log, now_ms);
        state(&log).1
    };
    assert_eq!(pass(NOW), [1, 2, 3]);
    assert_eq!(pass(NOW + 999), [1, 2, 4]);
    assert_eq!(pass(NOW + 1_000), [1, 5]);
}

#[test]
fn a_power_cut_at_any_step_loses_and_revives_nothing() {
    for (numerator, denominator) in [(0, 1), (1, 2), (1, 1)] {
        for at in 0.. {
            let kit = kit();
            let mut log = kit.create();
            filled(&mut log);
            flush(&mut log);
            let recovery_point = log.recovery_point();
            let (before, _) = state(&log);
            let latest = latest_offsets(&log);
            drop(log);
            let (faults, fs) = Faults::new(Fault::None);
            let (mut log, _) = kit.open_on(fs, recovery_point).unwrap();
            let opened = faults.changes();
            faults.set(Fault::Cut { at: opened + at, numerator, denominator });
            if let Some(job) = log.compaction_plan(NOW, ..log.log_end_offset())
                && let Ok(result) = job.run(&CompactionLimits::default())
            {
                let _ = log.install_compaction(result);
            }
            let is_over = faults.changes() <= opened + at;
            drop(log);
            let (mut log, report) = kit.open(recovery_point, false);
            let place = format!("cut at change {at}, {numerator}/{denominator} written: {report:?}");
            assert_eq!(report.cut_bytes, 0, "{place}");
            assert_eq!(state(&log).0, before, "{place}");
            assert_eq!(latest_offsets(&log), latest, "{place}");
            assert!(fs::read_dir(kit.path()).unwrap().all(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                !name.ends_with(".swap") && !name.ends_with(".cleaned")
            }));
            append(&mut log, keyed(&[(1, Some(1))], Compression::None)).unwrap();
            compact(&mut log, NOW);
            if is_over {
                assert!(at > 15, "compaction must change the disk often");
                break;
            }
        }
    }
}

fn latest_offsets(log: &Log) -> BTreeMap<Vec<u8>, i64> {
    let mut latest = BTreeMap::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let range = log.read(offset, ..i64::MAX, 1 << 20, true).unwrap();
        for batch in RecordBatches::new(&bytes_of(&range)) {
            for record in &batch.unwrap().records().unwrap() {
                let record = record.unwrap();
                latest.insert(record.key.unwrap().to_vec(), record.offset);
            }
        }
        offset = range.next_offset;
    }
    latest
}

#[test]
fn a_result_is_dropped_when_the_log_changed_meanwhile() {
    let kit = kit();
    let mut log = kit.create();
    filled(&mut log);
    let result = compact_at(&mut log, NOW).unwrap();
    log.advance_log_start_offset(100).unwrap();
    log.retention_pass(NOW, ..log.log_end_offset()).unwrap();
    let before = state(&log);
    log.install_compaction(result).unwrap();
    assert_eq!(state(&log), before);
    compact(&mut log, NOW);
    assert_eq!(state(&log).0, before.0);
}

#[test]
fn appends_go_on_while_a_job_runs() {
    let kit = kit();
    let mut log = kit.create();
    filled(&mut log);
    let result = compact_at(&mut log, NOW).unwrap();
    filled(&mut log);
    let (before, _) = state(&log);
    log.install_compaction(result).unwrap();
    assert_eq!(state(&log).0, before);
}

#[test]
fn a_job_with_little_memory_cleans_a_part_and_the_next_goes_on() {
    let kit = kit();
    let mut log = kit.create();
    filled(&mut log);
    let (before, offsets) = state(&log);
    let mut jobs = 0;
    while let Some(job) = log.compaction_plan(NOW, ..log.log_end_offset()) {
        let result = job.run(&CompactionLimits { memory_bytes_max: 300 }).unwrap();
        log.install_compaction(result).unwrap();
        jobs += 1;
        assert!(jobs < 200, "each job must get further");
    }
    assert!(jobs > 1);
    let (after, kept) = state(&log);
    assert_eq!(after, before);
    assert!(kept.len() < offsets.len());
}

#[test]
fn a_producers_last_sequence_survives_though_its_records_do_not() {
    let kit = kit();
    let mut log = kit.create();
    let mut builder = RecordBatchBuilder::new(0).producer(42, 1, 7);
    builder.append(NOW, Some(&[1]), Some(b"old"), &[]);
    append(&mut log, BytesMut::from(&builder.build()[..])).unwrap();
    filled(&mut log);
    compact(&mut log, NOW);
    assert!(!state(&log).1.contains(&0));
    drop(log);
    for entry in fs::read_dir(kit.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            fs::remove_file(path).unwrap();
        }
    }
    let (log, _) = kit.open(0, false);
    assert_eq!(log.producer_states()[0].last_sequence, 7);
}

#[test]
fn nothing_is_planned_before_it_is_worth_it() {
    let mut kit = kit();
    kit.config.min_cleanable_dirty_ratio = 0.5;
    kit.config.min_compaction_lag_ms = 1_000;
    let mut log = kit.create();
    filled(&mut log);
    let end = log.log_end_offset();
    let closed = log.close(NOW).unwrap();
    let (mut log, _) = kit.open(closed.recovery_point, true);
    assert!(log.compaction_plan(NOW + 999, ..end).is_none());
    assert!(log.compaction_plan(NOW + 1_000, ..0).is_none());
    let result = log.compaction_plan(NOW + 1_000, ..end).unwrap().run(&CompactionLimits::default()).unwrap();
    assert!(result.bytes_after < result.bytes_before);
    log.install_compaction(result).unwrap();
    assert!(log.compaction_plan(NOW + 1_000, ..end).is_none());
    log.set_config(Arc::new(LogConfig { cleanup_compact: false, ..kit.config }));
    filled(&mut log);
    assert!(log.compaction_plan(NOW + 1_000, ..log.log_end_offset()).is_none());
}
