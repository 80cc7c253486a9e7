//! The threads that do the work. Weir has one pool of them for sockets and requests, where Kafka has two: both idle
//! ratios are of the same threads.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};

use super::{Bounds, Computed, Level, Rows, SERIES_MAX};

/// Ratios are over at least so long; who scrapes more often sees the last one again.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// Must be called in the runtime that serves requests.
pub(super) fn add(computed: &Computed) {
    let threads = Threads::current();
    computed.add(move || rows(Some(&threads)));
}

/// Of a process that computes nothing else. Must be called in the runtime that does its work.
pub(crate) fn alone() -> Computed {
    let computed = Computed::new(Bounds { level: Level::Cluster, series_max: SERIES_MAX });
    add(&computed);
    computed
}

/// All of them, empty.
pub(super) fn families(_: Bounds) -> Vec<Rows> {
    rows(None)
}

fn rows(threads: Option<&Threads>) -> Vec<Rows> {
    let of_threads = "Share of time that the threads which serve sockets and requests had nothing to do.";
    let mut network = Rows::gauge("weir_network_idle_ratio", &[], of_threads);
    let mut handler = Rows::gauge("weir_handler_idle_ratio", &[], of_threads);
    let mut workers = Rows::gauge("weir_runtime_workers", &[], "Threads that serve sockets and requests.");
    let mut busy = Rows::counter("weir_runtime_busy_seconds_total", &[], "Time that they worked, added up.");
    let mut tasks = Rows::gauge("weir_runtime_tasks", &[], "Tasks that live: connections, connectors, passes.");
    let mut queued = Rows::gauge("weir_runtime_queued_tasks", &[], "Tasks that wait for a thread.");
    if let Some(threads) = threads {
        let idle = threads.idle_ratio(Instant::now());
        for (rows, value) in [
            (&mut network, idle),
            (&mut handler, idle),
            (&mut workers, threads.metrics.num_workers() as f64),
            (&mut busy, threads.busy().as_secs_f64()),
            (&mut tasks, threads.metrics.num_alive_tasks() as f64),
            (&mut queued, threads.metrics.global_queue_depth() as f64),
        ] {
            rows.set(value);
        }
    }
    vec![network, handler, workers, busy, tasks, queued]
}

/// The threads of a runtime, and how much they had to do.
pub(super) struct Threads {
    metrics: RuntimeMetrics,
    seen: Mutex<Seen>,
}

/// When the ratio was last computed, and from what.
struct Seen {
    at: Instant,
    busy: Duration,
    idle_ratio: f64,
}

impl Threads {
    /// Those of the runtime in which this is called.
    pub(super) fn current() -> Self {
        Self::new(Handle::current().metrics())
    }

    fn new(metrics: RuntimeMetrics) -> Self {
        let seen = Seen { at: Instant::now(), busy: busy(&metrics), idle_ratio: 1.0 };
        Self { metrics, seen: Mutex::new(seen) }
    }

    fn busy(&self) -> Duration {
        busy(&self.metrics)
    }

    /// Since this was last asked.
    pub(super) fn idle_ratio(&self, now: Instant) -> f64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(seen.at);
        if elapsed >= WINDOW_MIN {
            let busy = self.busy();
            let worked = busy.saturating_sub(seen.busy).as_secs_f64();
            let could = elapsed.as_secs_f64() * self.metrics.num_workers() as f64;
            *seen = Seen { at: now, busy, idle_ratio: (1.0 - worked / could).clamp(0.0, 1.0) };
        }
        seen.idle_ratio
    }
}

fn busy(metrics: &RuntimeMetrics) -> Duration {
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_sleep_are_idle_and_threads_that_spin_are_not() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let threads = Threads::new(runtime.metrics());
        std::thread::sleep(Duration::from_millis(1100));
        assert!(threads.idle_ratio(Instant::now()) > 0.9);
        runtime.block_on(async {
            tokio::spawn(async {
                let end = Instant::now() + Duration::from_millis(1100);
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            })
            .await
            .unwrap();
        });
        // The thread accounts for its work when it goes to sleep.
        std::thread::sleep(Duration::from_millis(100));
        assert!(threads.idle_ratio(Instant::now()) < 0.5);
    }
}
