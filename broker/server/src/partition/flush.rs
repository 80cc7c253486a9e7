//! Group commit: one thread syncs, round after round, every partition that was written since the last round.
//!
//! While a round runs, further appends collect for the next, so that the number of syncs follows the disk's speed and
//! not the number of writes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::Partition;
use crate::config::settings::FlushPolicy;
use crate::metrics::Metrics;

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
    dirty: Vec<Arc<Partition>>,
    is_stopping: bool,
}

impl Flusher {
    pub(crate) fn start(policy: FlushPolicy, metrics: &Arc<Metrics>) -> std::io::Result<(Arc<Self>, FlusherThread)> {
        let flusher =
            Arc::new(Self { policy, metrics: Arc::clone(metrics), queue: Mutex::default(), wake: Condvar::new() });
        let running = Arc::clone(&flusher);
        let handle = thread::Builder::new().name("weir-flush".to_owned()).spawn(move || running.run())?;
        Ok((Arc::clone(&flusher), FlusherThread { flusher, handle }))
    }

    pub(crate) fn policy(&self) -> FlushPolicy {
        self.policy
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn queue(&self, partition: Arc<Partition>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).dirty.push(partition);
        self.wake.notify_one();
    }

    fn run(&self) {
        while let Some(round) = self.next_round() {
            for partition in round {
                let timer = self.metrics.log_flush_seconds.start_timer();
                partition.flush();
                timer.observe_duration();
            }
        }
    }

    /// What is dirty, as soon as anything is; `None` once stopping and all is clean.
    fn next_round(&self) -> Option<Vec<Arc<Partition>>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while queue.dirty.is_empty() {
            if queue.is_stopping {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut queue.dirty))
    }
}

/// Joined on shutdown, after the last append.
pub(crate) struct FlusherThread {
    flusher: Arc<Flusher>,
    handle: thread::JoinHandle<()>,
}

impl FlusherThread {
    /// Flushes what is dirty and ends the thread.
    pub(crate) fn stop(self) {
        self.flusher.queue.lock().unwrap_or_else(PoisonError::into_inner).is_stopping = true;
        self.flusher.wake.notify_one();
        if self.handle.join().is_err() {
            tracing::error!("the flush thread has panicked");
        }
    }
}
