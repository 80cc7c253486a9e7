//! What tidies up while the broker runs: flushes and rolls by time, retention, checkpoints.
//!
//! One loop calls passes; each pass goes over all partitions, holds a partition's lock only for a bounded piece of work,
//! and never runs beside itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::api::Context;
use crate::clock::now_ms;
use crate::partition::Partition;

/// How often flush.ms and segment.ms are looked at.
const ROLL_INTERVAL: Duration = Duration::from_secs(1);

/// Runs passes when they are due, until `stop`.
pub(crate) async fn run(cx: Arc<Context>, stop: CancellationToken) {
    let mut due = Due::new(&cx);
    loop {
        tokio::select! {
            () = sleep_until(due.next()) => {}
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
    checkpoint: Instant,
}

impl Due {
    fn new(cx: &Context) -> Self {
        let (now, settings) = (Instant::now(), cx.settings());
        Self {
            roll: now + ROLL_INTERVAL,
            retention: now + settings.retention_check_interval,
            checkpoint: now + settings.checkpoint_interval,
        }
    }

    fn next(&self) -> Instant {
        self.roll.min(self.retention).min(self.checkpoint)
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
        }
        if is_due(&mut self.retention, settings.retention_check_interval) {
            for_each(cx, retain);
        }
        if is_due(&mut self.checkpoint, settings.checkpoint_interval)
            && let Err(error) = cx.partitions.write_checkpoints()
        {
            error!(%error, "cannot write checkpoints; recovery after a crash will take longer");
        }
    }
}

fn for_each(cx: &Context, pass: impl Fn(&Arc<Partition>)) {
    for topic in cx.partitions.topics() {
        topic.partitions.iter().for_each(&pass);
    }
}

fn roll(partition: &Arc<Partition>) {
    if let Some(Err(error)) = partition.pass(|log, _| log.roll_pass(now_ms())) {
        error!(topic = %partition.name.topic, partition = partition.name.partition, %error, "cannot roll a segment");
    }
}

fn retain(partition: &Arc<Partition>) {
    loop {
        match partition.pass(|log, upto| log.retention_pass(now_ms(), upto)) {
            Some(Ok(report)) => {
                partition.metrics.retention_deleted_bytes.inc_by(report.deleted_bytes);
                if report.has_more {
                    continue;
                }
                if report.deleted_segments > 0 {
                    partition.log_start_moved();
                }
            }
            Some(Err(error)) => {
                error!(topic = %partition.name.topic, partition = partition.name.partition, %error, "cannot delete old segments");
            }
            None => {}
        }
        return;
    }
}
