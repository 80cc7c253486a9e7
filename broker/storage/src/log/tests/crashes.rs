//! The power goes at every single change to the disk; the disk fills up; fsync fails.

use std::fs::{self, File};

use super::kit::*;
use crate::fs::faults::{Fault, Faults};
use crate::log::*;

/// What a caller was told before the lights went out.
#[derive(Default)]
struct Told {
    appended: i64,
    durable: i64,
}

/// Appends, rolls, flushes and truncates until something fails.
fn work(log: &mut Log, told: &mut Told) -> Result<(), AppendError> {
    for n in 0..24 {
        told.appended = append(log, batch_at(NOW + n, 3))?.log_end_offset;
        if n % 5 == 4 {
            let ticket = log.dirty().unwrap();
            match ticket.sync() {
                Ok(()) => log.flushed(&ticket),
                Err(error) => log.poison(error.to_string()),
            }
            told.durable = log.recovery_point();
        }
    }
    log.roll_pass(i64::MAX)?;
    told.appended = append(log, batch(3))?.log_end_offset;
    Ok(())
}

fn kit() -> Kit {
    let mut kit = Kit::new();
    kit.config.segment_bytes = 900;
    kit
}

/// All that the workload would write, undisturbed.
fn undisturbed() -> Vec<(i64, i64, Vec<u8>)> {
    let kit = kit();
    let mut log = kit.create();
    work(&mut log, &mut Told::default()).unwrap();
    everything(&log)
}

/// Runs the workload against a power cut at each change to the disk and hands over what is left.
fn at_every_cut(check: impl Fn(&Kit, &Faults, &Told, &str)) {
    for (numerator, denominator) in [(0, 1), (1, 3), (1, 1)] {
        for at in 0.. {
            let kit = kit();
            let (faults, fs) = Faults::new(Fault::Cut { at, numerator, denominator });
            let mut told = Told::default();
            if let Ok((mut log, _)) = kit.open_on(fs, 0) {
                let _ = work(&mut log, &mut told);
            }
            if faults.changes() <= at {
                assert!(at > 50, "the workload must change the disk often");
                break;
            }
            check(&kit, &faults, &told, &format!("cut at change {at}, {numerator}/{denominator} of it written"));
        }
    }
}

#[test]
fn after_a_killed_process_everything_acknowledged_is_there() {
    let all = undisturbed();
    at_every_cut(|kit, _, told, place| {
        let (mut log, _) = kit.open(told.durable, false);
        let left = everything(&log);
        // A batch that reached the file whole may be there though nobody was told.
        assert!(left.len() as i64 >= told.appended, "{place}: {} of {}", left.len(), told.appended);
        assert_eq!(left, all[..left.len()], "{place}");
        append(&mut log, batch(1)).unwrap();
        assert_eq!(everything(&log).len(), left.len() + 1, "{place}");
    });
}

#[test]
fn after_a_power_cut_everything_flushed_is_there() {
    let all = undisturbed();
    at_every_cut(|kit, faults, told, place| {
        let Ok(entries) = fs::read_dir(kit.path()) else { return };
        for entry in entries {
            let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
            let kept = faults.synced_bytes(&file).min(file.metadata().unwrap().len());
            file.set_len(kept).unwrap();
        }
        // What the page cache held of the topic id is gone too: the server knows it from its own metadata.
        let _ = fs::remove_file(kit.path().join("partition.metadata"));
        let (log, _) = kit.open(told.durable, false);
        let left = everything(&log);
        assert!(left.len() as i64 >= told.durable, "{place}: {} of {}", left.len(), told.durable);
        assert_eq!(left, all[..left.len()], "{place}");
    });
}

#[test]
fn a_full_disk_refuses_writes_by_name_and_leaves_whole_batches() {
    for after_bytes in [0, 1, 61, 100] {
        let kit = kit();
        let (faults, fs) = Faults::new(Fault::None);
        let (mut log, _) = kit.open_on(fs, 0).unwrap();
        append(&mut log, batch(3)).unwrap();
        let size = log.size_bytes();
        faults.set(Fault::DiskFull { after_bytes });
        for _ in 0..30 {
            let error = append(&mut log, batch(3)).unwrap_err();
            assert!(matches!(error, AppendError::DiskFull { .. }), "{error}");
        }
        assert_eq!(everything(&log).len(), 3, "reading goes on");
        assert_eq!(fs::metadata(kit.path().join("00000000000000000000.log")).unwrap().len(), size);
        faults.set(Fault::None);
        for _ in 0..30 {
            append(&mut log, batch(3)).unwrap();
        }
        faults.set(Fault::DiskFull { after_bytes });
        log.advance_log_start_offset(60).unwrap();
        let report = log.retention_pass(NOW, ..log.log_end_offset()).unwrap();
        assert!(report.deleted_segments > 0, "deleting goes on");
        faults.set(Fault::None);
        append(&mut log, batch(3)).unwrap();
        assert_eq!(everything(&log).len(), 36);
    }
}

#[test]
fn a_roll_on_a_full_disk_leaves_the_log_as_it_was() {
    let kit = kit();
    let (faults, fs) = Faults::new(Fault::None);
    let (mut log, _) = kit.open_on(fs, 0).unwrap();
    while log.size_bytes() + batch(3).len() as u64 <= 900 {
        append(&mut log, batch(3)).unwrap();
    }
    let before = everything(&log);
    faults.set(Fault::DiskFull { after_bytes: 5 });
    assert!(matches!(append(&mut log, batch(3)), Err(AppendError::DiskFull { .. })));
    assert_eq!((log.segment_count(), everything(&log)), (1, before.clone()));
    let (reopened, _) = kit.open(0, false);
    assert_eq!(everything(&reopened), before);
    faults.set(Fault::None);
    append(&mut log, batch(3)).unwrap();
    assert_eq!(log.segment_count(), 2);
}

#[test]
fn a_failed_fsync_poisons_the_log_for_writes_only() {
    let kit = kit();
    let (faults, fs) = Faults::new(Fault::None);
    let (mut log, _) = kit.open_on(fs, 0).unwrap();
    append(&mut log, batch(3)).unwrap();
    let ticket = log.dirty().unwrap();
    faults.set(Fault::FailedSync);
    let error = ticket.sync().unwrap_err();
    log.poison(error.to_string());
    faults.set(Fault::None);
    assert!(matches!(append(&mut log, batch(3)), Err(AppendError::Poisoned { .. })));
    assert!(log.dirty().is_none());
    log.flushed(&ticket);
    assert_eq!(log.recovery_point(), 0, "a sync that failed is never believed");
    assert_eq!(everything(&log).len(), 3);
    assert!(log.close(NOW).is_err());
}

#[test]
fn the_indexes_of_a_segment_that_ended_are_synced_though_its_records_were_before() {
    let kit = kit();
    let (faults, fs) = Faults::new(Fault::None);
    let (mut log, _) = kit.open_on(fs, 0).unwrap();
    while log.segment_count() < 3 {
        append(&mut log, batch(3)).unwrap();
        flush(&mut log);
    }
    for name in ["00000000000000000000.index", "00000000000000000000.timeindex"] {
        let file = File::open(kit.path().join(name)).unwrap();
        let len = file.metadata().unwrap().len();
        assert!(len > 0 && faults.synced_bytes(&file) == len, "{name}");
    }
}
