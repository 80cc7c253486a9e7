//! What goes on by itself while the broker runs: flushes and rolls by time, retention, compaction, checkpoints, looks at
//! the groups' lag.
//!
//! One loop calls passes; each pass goes over all partitions, holds a partition's lock only for a bounded piece of work,
//! and never runs beside itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};
use weir_repeats::Repeats;
use weir_storage::CompactionLimits;

use crate::api::Context;
use crate::clock::now_ms;
use crate::partition::Partition;

/// How often flush.ms and segment.ms are looked at.
const ROLL_INTERVAL: Duration = Duration::from_secs(1);

// A disk that is full makes every pass fail.
static NOT_ROLLED: Repeats = Repeats::new();
static NOT_DELETED: Repeats = Repeats::new();
static NOT_COMPACTED: Repeats = Repeats::new();

/// Runs passes when they are due, until `stop`.
pub(crate) async fn run(cx: Arc<Context>, stop: CancellationToken) {
    let mut due = Due::new(&cx);
    loop {
        tokio::select! {
            () = sleep_until(due.next()) => {}
            () = cx.lags.is_wanted() => due.lag = Instant::now(),
            () = stop.cancelled() => return,
        }
        let (pass_cx, mut passing) = (Arc::clone(&cx), due);
        let passed = tokio::task::spawn_blocking(move || {
            passing.pass(&pass_cx);
            passing
        });
        match passed.await {
            Ok(passed) => due = passed,
            Err(panic) => {
                // A pass that panics is a bug; the next one starts afresh.
                error!(%panic, "a background pass has panicked");
                due = Due::new(&cx);
            }
        }
    }
}

/// When each kind of pass is due next.
#[derive(Clone, Copy)]
struct Due {
    roll: Instant,
    retention: Instant,
    compaction: Instant,
    checkpoint: Instant,
    lag: Instant,
}

impl Due {
    fn new(cx: &Context) -> Self {
        let (now, settings) = (Instant::now(), cx.settings());
        Self {
            roll: now + ROLL_INTERVAL,
            retention: now + settings.retention_check_interval,
            compaction: now + settings.cleaner_backoff,
            checkpoint: now + settings.checkpoint_interval,
            lag: now,
        }
    }

    fn next(&self) -> Instant {
        self.roll.min(self.retention).min(self.compaction).min(self.checkpoint).min(self.lag)
    }

    fn pass(&mut self, cx: &Context) {
        let settings = cx.settings();
        let is_due = |due: &mut Instant, interval: Duration| {
            let is_due = Instant::now() >= *due;
            if is_due {
                *due = Instant::now() + interval;
            }
            is_due
        };
        if is_due(&mut self.roll, ROLL_INTERVAL) {
            for_each(cx, |partition| {
                partition.flush_if_due();
                roll(partition);
            });
            if let Err(error) = cx.partitions.remove_deleted_folders() {
                error!(%error, "cannot remove the folders of deleted partitions; the next start tries again");
            }
        }
        if is_due(&mut self.retention, settings.retention_check_interval) {
            let mut has_moved = false;
            for_each(cx, |partition| has_moved |= retain(partition));
            if has_moved {
                // Who has lost records is told before it has read on.
                self.lag = Instant::now();
            }
        }
        if is_due(&mut self.compaction, settings.cleaner_backoff) && settings.cleaner_enabled {
            let limits = CompactionLimits { memory_bytes_max: settings.cleaner_memory_bytes_max };
            for_each(cx, |partition| compact(cx, partition, &limits));
        }
        if is_due(&mut self.lag, cx.lags.look_interval()) {
            drop(cx.lags.look());
        }
        if is_due(&mut self.checkpoint, settings.checkpoint_interval)
            && let Err(error) = cx.partitions.write_checkpoints()
        {
            error!(%error, "cannot write checkpoints; recovery after a crash will take longer");
        }
    }
}

fn for_each(cx: &Context, mut pass: impl FnMut(&Arc<Partition>)) {
    for topic in cx.partitions.topics().iter() {
        topic.partitions.iter().for_each(&mut pass);
    }
}

fn roll(partition: &Arc<Partition>) {
    let (topic, index) = (&partition.name.topic, partition.name.partition);
    if let Some(Err(error)) = partition.pass(|log, _| log.roll_pass(now_ms()))
        && let Some(suppressed) = NOT_ROLLED.say(&partition.name)
    {
        error!(%topic, partition = index, %error, suppressed, "cannot roll a segment");
    }
}

/// Whether the log's start has moved.
fn retain(partition: &Arc<Partition>) -> bool {
    let mut has_moved = false;
    loop {
        match partition.pass(|log, upto| log.retention_pass(now_ms(), upto)) {
            Some(Ok(report)) => {
                let (by_time, by_size) = (report.deleted_bytes_by_time, report.deleted_bytes_by_size);
                partition.metrics.retention_deleted(by_time, by_size, report.deleted_bytes_below_start);
                has_moved |= report.deleted_segments > 0;
                if report.has_more {
                    continue;
                }
                if has_moved {
                    partition.log_start_moved();
                }
            }
            Some(Err(error)) => {
                if let Some(suppressed) = NOT_DELETED.say(&partition.name) {
                    let (topic, index) = (&partition.name.topic, partition.name.partition);
                    error!(%topic, partition = index, %error, suppressed, "cannot delete old segments");
                }
            }
            None => {}
        }
        return has_moved;
    }
}

/// Compacts a partition if that is worth doing. The work is done without the partition's lock.
fn compact(cx: &Context, partition: &Arc<Partition>, limits: &CompactionLimits) {
    let (topic, index) = (&partition.name.topic, partition.name.partition);
    let Some(Some(job)) = partition.pass(|log, upto| log.compaction_plan(now_ms(), upto)) else { return };
    let result = match job.run(limits) {
        Ok(result) => result,
        Err(error) => {
            if let Some(suppressed) = NOT_COMPACTED.say(&partition.name) {
                error!(%topic, partition = index, %error, suppressed, "cannot compact a log; it stays as it is");
            }
            return;
        }
    };
    let (bytes_before, bytes_after) = (result.bytes_before, result.bytes_after);
    match partition.pass(|log, _| log.install_compaction(result)) {
        Some(Ok(())) => {
            cx.metrics.compaction_runs.inc();
            debug!(%topic, partition = index, bytes_before, bytes_after, "log compacted");
        }
        Some(Err(error)) => error!(%topic, partition = index, %error, "cannot put a compacted log in place"),
        // Deleted meanwhile.
        None => {}
    }
}
