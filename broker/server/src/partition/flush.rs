//! Group commit: a few threads sync the partitions that were written since their last sync.
//!
//! While a partition syncs, further appends to it collect for its next sync, so that the number of syncs follows the
//! disk's speed and not the number of writes. Syncs of different files run side by side: a journaling file system commits
//! them together.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::Partition;
use crate::config::settings::FlushPolicy;
use crate::metrics::Metrics;

/// Syncs that run side by side. They wait for the disk, not for a processor; more than a disk can merge gain nothing.
const THREADS: usize = 4;

/// Shared by all partitions of a data folder.
pub(crate) struct Flusher {
    policy: FlushPolicy,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Each partition at most once, so no more entries than partitions.
    dirty: VecDeque<Arc<Partition>>,
    is_stopping: bool,
}

impl Flusher {
    pub(crate) fn start(policy: FlushPolicy, metrics: &Arc<Metrics>) -> std::io::Result<(Arc<Self>, FlusherThreads)> {
        let flusher =
            Arc::new(Self { policy, metrics: Arc::clone(metrics), queue: Mutex::default(), wake: Condvar::new() });
        let mut threads = FlusherThreads { flusher: Arc::clone(&flusher), handles: Vec::with_capacity(THREADS) };
        for index in 0..THREADS {
            let running = Arc::clone(&flusher);
            let builder = thread::Builder::new().name(format!("weir-flush-{index}"));
            threads.handles.push(builder.spawn(move || running.run())?);
        }
        Ok((flusher, threads))
    }

    pub(crate) fn policy(&self) -> FlushPolicy {
        self.policy
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn queue(&self, partition: Arc<Partition>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).dirty.push_back(partition);
        self.wake.notify_one();
    }

    fn run(&self) {
        while let Some(partition) = self.next() {
            let timer = self.metrics.log_flush_seconds.start_timer();
            partition.flush();
            timer.observe_duration();
        }
    }

    /// What has been dirty for longest, as soon as anything is; `None` once stopping and all is clean.
    fn next(&self) -> Option<Arc<Partition>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(partition) = queue.dirty.pop_front() {
                return Some(partition);
            }
            if queue.is_stopping {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Joined on shutdown, after the last append.
pub(crate) struct FlusherThreads {
    flusher: Arc<Flusher>,
    handles: Vec<thread::JoinHandle<()>>,
}

impl FlusherThreads {
    /// Flushes what is dirty and ends the threads.
    pub(crate) fn stop(self) {
        self.flusher.queue.lock().unwrap_or_else(PoisonError::into_inner).is_stopping = true;
        self.flusher.wake.notify_all();
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a flush thread has panicked");
            }
        }
    }
}
