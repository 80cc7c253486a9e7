//! Faults for tests: the power goes at the n-th change to the disk, writes tear, the disk fills up, fsync fails.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};

use super::{Fs, Hook, Operation, Verdict};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// From the n-th change on (counted from 0) nothing reaches the disk any more; that change itself, if it is a
    /// write, gets only this share of its bytes down.
    Cut {
        at: usize,
        numerator: usize,
        denominator: usize,
    },
    /// Every write fails with ENOSPC, after this many of its bytes.
    DiskFull {
        after_bytes: usize,
    },
    /// Every sync fails with EIO.
    FailedSync,
}

pub(crate) struct Faults {
    state: Mutex<State>,
}

struct State {
    fault: Fault,
    changes: usize,
    /// Per inode, the length of the file when it was last synced.
    synced_bytes: HashMap<u64, u64>,
}

impl Faults {
    pub(crate) fn new(fault: Fault) -> (Arc<Faults>, Fs) {
        let state = State { fault, changes: 0, synced_bytes: HashMap::new() };
        let faults = Arc::new(Faults { state: Mutex::new(state) });
        (faults.clone(), Fs::with_hook(faults))
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    /// Changes to the disk so far, let through or not.
    pub(crate) fn changes(&self) -> usize {
        self.state.lock().unwrap().changes
    }

    /// How much of this file a power cut is sure to leave.
    pub(crate) fn synced_bytes(&self, file: &File) -> u64 {
        let inode = file.metadata().unwrap().ino();
        self.state.lock().unwrap().synced_bytes.get(&inode).copied().unwrap_or(0)
    }
}

impl Hook for Faults {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        let mut state = self.state.lock().unwrap();
        let index = state.changes;
        state.changes += 1;
        let verdict = match (state.fault, &operation) {
            (Fault::Cut { at, numerator, denominator }, Operation::Write(_, len)) if index == at => {
                Verdict::Tear(len * numerator / denominator, power_cut())
            }
            (Fault::Cut { at, .. }, _) if index >= at => Verdict::Fail(power_cut()),
            (Fault::DiskFull { after_bytes }, Operation::Write(_, len)) => {
                Verdict::Tear(after_bytes.min(*len), io::Error::from_raw_os_error(28))
            }
            (Fault::DiskFull { .. }, Operation::Create(_)) => Verdict::Fail(io::Error::from_raw_os_error(28)),
            (Fault::FailedSync, Operation::Sync(_)) => Verdict::Fail(io::Error::from_raw_os_error(5)),
            _ => Verdict::Proceed,
        };
        if let (Operation::Sync(file), Verdict::Proceed) = (&operation, &verdict) {
            let metadata = file.metadata().unwrap();
            state.synced_bytes.insert(metadata.ino(), metadata.len());
        }
        verdict
    }
}

fn power_cut() -> io::Error {
    io::Error::other("the power was cut")
}
