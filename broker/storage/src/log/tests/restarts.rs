//! Closing and opening again, cleanly and not; tails torn at every byte.

use std::fs;

use super::kit::*;
use crate::log::*;

/// Small segments, several producers' batches, flushed up to the last three.
fn filled(kit: &Kit) -> Log {
    let mut log = kit.create();
    for n in 0..40 {
        append(&mut log, batch_at(NOW + n, 3)).unwrap();
        append(&mut log, sequenced(0, n as i32 * 2, 2)).unwrap();
    }
    flush(&mut log);
    for n in 40..43 {
        append(&mut log, batch_at(NOW + n, 2)).unwrap();
    }
    log
}

fn small_segments() -> Kit {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 3_000;
    kit
}

/// Without the append times: after a crash they are estimates.
fn files(kit: &Kit) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(kit.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "append-time-checkpoint")
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_clean_close_and_open_changes_nothing() {
    let kit = small_segments();
    let log = filled(&kit);
    let before = everything(&log);
    let closed = log.close(NOW).unwrap();
    assert_eq!((closed.recovery_point, closed.log_end_offset), (206, 206));
    let on_disk = files(&kit);
    // The recovery point of a lost checkpoint is 0: after a clean close nothing needs it.
    let (mut log, report) = kit.open(0, true);
    assert_eq!(report, RecoveryReport::default());
    assert_eq!(everything(&log), before);
    assert_eq!(log.recovery_point(), 206);
    assert_eq!(log.epoch_end_offset(3), (3, 206));
    assert!(append(&mut log, sequenced(0, 78, 2)).unwrap().duplicate);
    append(&mut log, sequenced(0, 80, 1)).unwrap();
    log.truncate_to(206).unwrap();
    drop(log);
    let (log, _) = kit.open(206, false);
    log.close(NOW).unwrap();
    assert_eq!(files(&kit), on_disk);
}

#[test]
fn what_a_crash_leaves_whole_is_whole_and_the_indexes_are_as_after_a_close() {
    let kit = small_segments();
    let log = filled(&kit);
    let (before, recovery_point) = (everything(&log), log.recovery_point());
    assert_eq!(recovery_point, 200);
    drop(log);
    let (log, report) = kit.open(recovery_point, false);
    assert_eq!((report.cut_bytes, report.reason.as_deref()), (0, None));
    assert_eq!(everything(&log), before);
    log.close(NOW).unwrap();
    let recovered = files(&kit);
    let other = small_segments();
    filled(&other).close(NOW).unwrap();
    let closed = files(&other);
    let logs_and_indexes = |files: Vec<(String, Vec<u8>)>| -> Vec<_> {
        files.into_iter().filter(|(name, _)| !name.ends_with("snapshot")).collect()
    };
    assert_eq!(logs_and_indexes(recovered), logs_and_indexes(closed));
}

#[test]
fn recovery_reads_from_the_recovery_point_only() {
    let kit = small_segments();
    let log = filled(&kit);
    let (recovery_point, size) = (log.recovery_point(), log.size_bytes());
    drop(log);
    let (_, report) = kit.open(recovery_point, false);
    assert!(report.scanned_bytes > 0 && report.scanned_bytes < size / 8, "{} of {size}", report.scanned_bytes);
}

/// The path and the length of the last segment's log.
fn tail(kit: &Kit) -> (PathBuf, usize) {
    let (name, bytes) = files(kit).into_iter().rfind(|(name, _)| name.ends_with(".log")).unwrap();
    (kit.path().join(name), bytes.len())
}

#[test]
fn a_tail_torn_at_any_byte_of_the_last_batch_is_cut_there() {
    let kit = small_segments();
    let log = filled(&kit);
    let whole = everything(&log);
    let recovery_point = log.recovery_point();
    drop(log);
    let (path, len) = tail(&kit);
    let original = fs::read(&path).unwrap();
    let last_batch = batch_at(NOW, 2).len();
    for cut in len - last_batch..len {
        fs::write(&path, &original[..cut]).unwrap();
        let (mut log, report) = kit.open(recovery_point, false);
        assert_eq!(log.log_end_offset(), 204, "cut at {cut}");
        assert_eq!(report.cut_bytes as usize, cut - (len - last_batch));
        assert_eq!(everything(&log), whole[..204]);
        append(&mut log, batch_at(NOW, 2)).unwrap();
        assert_eq!(everything(&log).len(), 206);
    }
}

#[test]
fn any_damaged_byte_of_the_last_batch_cuts_it_off() {
    let kit = small_segments();
    let log = filled(&kit);
    let whole = everything(&log);
    let recovery_point = log.recovery_point();
    drop(log);
    let (path, len) = tail(&kit);
    let original = fs::read(&path).unwrap();
    let start = len - batch_at(NOW, 2).len();
    for at in start..len {
        let mut damaged = original.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let (log, report) = kit.open(recovery_point, false);
        // The leader epoch is outside the sum, and a base offset that still rises cannot be told from a true one.
        let is_outside_the_sum = (12..16).contains(&(at - start)) || (at - start) < 8;
        if report.reason.is_none() {
            assert!(is_outside_the_sum, "byte {}", at - start);
        } else {
            assert_eq!(log.log_end_offset(), 204, "byte {}", at - start);
            assert_eq!(everything(&log), whole[..204]);
        }
    }
}

#[test]
fn segments_after_a_torn_one_are_dropped() {
    let kit = small_segments();
    let log = filled(&kit);
    let (whole, count) = (everything(&log), log.segment_count());
    drop(log);
    let names: Vec<_> = files(&kit).into_iter().filter(|(name, _)| name.ends_with(".log")).collect();
    let (name, bytes) = &names[1];
    fs::write(kit.path().join(name), &bytes[..bytes.len() - 1]).unwrap();
    let (log, report) = kit.open(0, false);
    assert_eq!(report.dropped_segments, count - 2);
    assert_eq!(log.segment_count(), 2);
    assert_eq!(everything(&log), whole[..log.log_end_offset() as usize]);
    assert!(report.reason.unwrap().contains(name.as_str()));
}

#[test]
fn lost_and_damaged_indexes_are_rebuilt() {
    let kit = small_segments();
    let log = filled(&kit);
    let whole = everything(&log);
    log.close(NOW).unwrap();
    let closed = files(&kit);
    for (name, bytes) in closed.iter().filter(|(name, _)| name.ends_with("index")) {
        let path = kit.path().join(name);
        fs::remove_file(&path).unwrap();
        assert_eq!(everything(&kit.open(0, false).0), whole, "without {name}");
        let mut damaged = bytes.clone();
        damaged.iter_mut().skip(3).step_by(5).for_each(|byte| *byte = 0xee);
        fs::write(&path, damaged).unwrap();
        assert_eq!(everything(&kit.open(0, false).0), whole, "with damaged {name}");
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn producers_are_remembered_after_a_crash_and_after_a_torn_snapshot() {
    let kit = small_segments();
    let log = filled(&kit);
    drop(log);
    for damage in [false, true] {
        if damage {
            for (name, bytes) in files(&kit).iter().filter(|(name, _)| name.ends_with("snapshot")) {
                fs::write(kit.path().join(name), &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let (mut log, _) = kit.open(0, false);
        let again = append(&mut log, sequenced(0, 78, 2)).unwrap();
        assert_eq!((again.duplicate, again.base_offset), (true, 198), "damaged: {damage}");
        assert!(append(&mut log, sequenced(0, 90, 2)).is_err());
    }
}

#[test]
fn a_damaged_epoch_checkpoint_is_rebuilt_from_the_log() {
    let kit = Kit::new();
    let mut log = kit.create();
    for epoch in [1, 4, 9] {
        log.append(batch(2), AppendOrigin::Client, epoch, NOW).unwrap();
    }
    let closed = log.close(NOW).unwrap();
    let path = kit.path().join("leader-epoch-checkpoint");
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n3\n1 0\n4 2\n9 4\n");
    fs::write(&path, "").unwrap();
    let (log, _) = kit.open(closed.recovery_point, true);
    assert_eq!((log.epoch_end_offset(1), log.epoch_end_offset(4), log.epoch_end_offset(9)), ((1, 2), (4, 4), (9, 6)));
    assert_eq!(fs::read_to_string(&path).unwrap(), "0\n3\n1 0\n4 2\n9 4\n");
}

#[test]
fn a_folder_of_an_older_topic_of_the_same_name_is_refused() {
    let kit = Kit::new();
    kit.create().close(NOW).unwrap();
    let options = OpenOptions { topic_id: TopicId([8; 16]), ..kit.options(0, true) };
    assert!(matches!(Log::open(options), Err(OpenError::OtherTopicId { .. })));
}

#[test]
fn an_idle_log_holds_no_file_open() {
    let kit = small_segments();
    let closed = filled(&kit).close(NOW).unwrap();
    let open_files = || {
        let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        links.filter(|target| target.starts_with(kit.dir.path())).count()
    };
    let (mut log, _) = kit.open(closed.recovery_point, true);
    assert_eq!(open_files(), 0);
    everything(&log);
    append(&mut log, batch(1)).unwrap();
    assert!(open_files() > 1);
    log.retention_pass(NOW, ..0).unwrap();
    log.retention_pass(NOW, ..0).unwrap();
    assert_eq!(open_files(), 0);
    append(&mut log, batch(1)).unwrap();
}
