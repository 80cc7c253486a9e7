//! The groups of one partition of `__consumer_offsets`: the state that requests step, and the task that writes for it.
//!
//! ```text
//! request ── step under the lock ──► reply at once
//!                  │
//!                  └► to_write ──► task: one append for all that has gathered, flushed ──► Appended ──► replies
//! ```
//!
//! While the task waits for the disk, requests go on stepping and what they want written gathers for the next round:
//! the slower the disk, the larger the rounds. What gathers is bounded by the requests in flight, of which each
//! connection has one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, OptionFuture};
use prometheus::Histogram;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use weir_control::groups::records::CoordinatorRecord;
use weir_control::groups::{
    AppendFailure, AppendId, Coordinator, Effect, Event, GroupConfig, GroupError, Now, Reply, RequestId,
};
use weir_types::batch::RecordBatchBuilder;

use super::log::{LoadError, OffsetsLog};
use crate::clock::now_ms;

/// Records are put together into batches up to this size; a record that is larger goes alone.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// What a record costs in a batch beyond its key and value, at most.
const RECORD_OVERHEAD_BYTES: usize = 32;

type Append = (AppendId, Vec<CoordinatorRecord>);
/// What became of a round of appends.
type Written = Vec<(AppendId, Result<(), AppendFailure>)>;

pub(super) struct Shard {
    index: i32,
    config: GroupConfig,
    rebalance_seconds: Histogram,
    core: Mutex<Core>,
    /// There is something to write, or an earlier deadline.
    changed: Notify,
    started: Instant,
}

struct Core {
    phase: Phase,
    coordinator: Coordinator,
    next_request: u64,
    waiting: HashMap<RequestId, oneshot::Sender<Reply>>,
    to_write: Vec<Append>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading,
    Serving,
    /// The partition could not be read, or the broker stops.
    Ended,
}

impl Shard {
    pub(super) fn new(index: i32, config: GroupConfig, rebalance_seconds: Histogram) -> Self {
        let core = Core {
            phase: Phase::Loading,
            coordinator: Coordinator::new(config.clone()),
            next_request: 0,
            waiting: HashMap::new(),
            to_write: Vec::new(),
        };
        Self {
            index,
            config,
            rebalance_seconds,
            core: Mutex::new(core),
            changed: Notify::new(),
            started: Instant::now(),
        }
    }

    /// A step never leaves the core half changed in a way that a later one could not live with.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> Result<MutexGuard<'_, Core>, GroupError> {
        let core = self.core();
        match core.phase {
            Phase::Serving => Ok(core),
            Phase::Loading => Err(GroupError::CoordinatorLoading),
            Phase::Ended => Err(GroupError::CoordinatorNotAvailable),
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        matches!(self.core().phase, Phase::Loading)
    }

    fn now(&self) -> Now {
        Now { monotonic: self.started.elapsed(), wall_ms: now_ms() }
    }

    /// Steps, and returns where the reply will come.
    pub(super) fn ask(&self, event: impl FnOnce(RequestId) -> Event) -> Result<oneshot::Receiver<Reply>, GroupError> {
        let mut core = self.serving()?;
        let request = RequestId(core.next_request);
        core.next_request += 1;
        let (sender, receiver) = oneshot::channel();
        core.waiting.insert(request, sender);
        self.step(&mut core, event(request));
        Ok(receiver)
    }

    /// Steps for an event that nobody waits for. A shard that is not serving has nothing to change: it reads it all.
    pub(super) fn tell(&self, event: Event) {
        if let Ok(mut core) = self.serving() {
            self.step(&mut core, event);
        }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Coordinator) -> T) -> Result<T, GroupError> {
        self.serving().map(|core| look(&core.coordinator))
    }

    fn step(&self, core: &mut Core, event: Event) {
        let deadline = core.coordinator.next_deadline();
        let had_work = !core.to_write.is_empty();
        for effect in core.coordinator.step(self.now(), event) {
            match effect {
                Effect::Reply { to, reply } => {
                    // A receiver that is gone is a connection that is gone.
                    if let Some(sender) = core.waiting.remove(&to) {
                        drop(sender.send(reply));
                    }
                }
                Effect::Rebalanced { took } => self.rebalance_seconds.observe(took.as_secs_f64()),
                Effect::Append { append, records } => core.to_write.push((append, records)),
            }
        }
        let has_new_work = !had_work && !core.to_write.is_empty();
        if has_new_work || core.coordinator.next_deadline() != deadline {
            self.changed.notify_one();
        }
    }

    /// Reads the partition to its end. False when that is not possible; then this shard serves no one.
    pub(super) async fn load(self: &Arc<Self>, log: &Arc<dyn OffsetsLog>, loads: &Semaphore) -> bool {
        let Ok(_permit) = loads.acquire().await else { return false };
        let (shard, log) = (Arc::clone(self), Arc::clone(log));
        let loaded = tokio::task::spawn_blocking(move || shard.load_blocking(&*log)).await;
        let error = match loaded {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.core().phase = Phase::Ended;
        tracing::error!(
            topic = super::OFFSETS_TOPIC,
            partition = self.index,
            error,
            "cannot read the groups of this partition: they have no coordinator until the broker is restarted"
        );
        false
    }

    /// Without the lock: requests that come meanwhile are told to come again.
    fn load_blocking(&self, log: &dyn OffsetsLog) -> Result<(), LoadError> {
        let mut coordinator = Coordinator::new(self.config.clone());
        log.replay(self.index, &mut |offset, key, value| {
            if let Err(error) = coordinator.replay(key, value) {
                let (topic, partition) = (super::OFFSETS_TOPIC, self.index);
                tracing::warn!(topic, partition, offset, %error, "skipped a record that is no group's and no offset's");
            }
        })?;
        coordinator.finish_loading(self.now());
        let mut core = self.core();
        core.coordinator = coordinator;
        core.phase = Phase::Serving;
        Ok(())
    }

    /// Writes and keeps time until the broker stops.
    pub(super) async fn run(&self, log: &Arc<dyn OffsetsLog>, retention_check: Duration, shutdown: CancellationToken) {
        let mut retention = interval_at(Instant::now() + retention_check, retention_check);
        retention.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round: OptionFuture<BoxFuture<'_, Written>> = None.into();
        let mut is_writing = false;
        loop {
            if !is_writing && let Some(appends) = self.take_appends() {
                round = Some(self.write(log, appends).boxed()).into();
                is_writing = true;
            }
            let deadline = self.core().coordinator.next_deadline();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(written) = &mut round, if is_writing => {
                    is_writing = false;
                    self.report(written);
                }
                () = self.changed.notified() => {}
                () = sleep_until(self.started + deadline.unwrap_or_default()), if deadline.is_some() => self.tell(Event::Tick),
                _ = retention.tick() => self.tell(Event::ExpireOffsets),
            }
        }
        self.core().phase = Phase::Ended;
        if is_writing && let Some(written) = round.await {
            self.report(written);
        }
        while let Some(appends) = self.take_appends() {
            let written = self.write(log, appends).await;
            self.report(written);
        }
        // Whoever still waits, for other members mostly, is told that there is no coordinator here.
        self.core().waiting.clear();
    }

    fn take_appends(&self) -> Option<Vec<Append>> {
        let mut core = self.core();
        (!core.to_write.is_empty()).then(|| std::mem::take(&mut core.to_write))
    }

    async fn write(&self, log: &Arc<dyn OffsetsLog>, appends: Vec<Append>) -> Written {
        let batches = into_batches(&appends, self.now().wall_ms);
        let mut written: Written = appends.iter().map(|(append, _)| (*append, Ok(()))).collect();
        let (spans, batches): (Vec<_>, Vec<_>) = batches.into_iter().map(|batch| (batch.appends, batch.bytes)).unzip();
        let outcomes = log.append(self.index, batches).await;
        for (span, outcome) in spans.into_iter().zip(outcomes) {
            if let Err(failure) = outcome {
                written[span].iter_mut().for_each(|(_, outcome)| *outcome = Err(failure));
            }
        }
        written
    }

    fn report(&self, written: Written) {
        let mut core = self.core();
        for (append, outcome) in written {
            let event = match outcome {
                Ok(()) => Event::Appended { append },
                Err(failure) => Event::AppendFailed { append, failure },
            };
            self.step(&mut core, event);
        }
    }
}

/// A batch and which of the appends have records in it.
struct Batch {
    bytes: Bytes,
    appends: std::ops::Range<usize>,
}

fn into_batches(appends: &[Append], now_ms: i64) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut builder = RecordBatchBuilder::new(0);
    let mut size_bytes = 0;
    let mut span = 0..0;
    for (index, (_, records)) in appends.iter().enumerate() {
        for record in records {
            let value = record.value.as_deref();
            let record_bytes = record.key.len() + value.map_or(0, <[u8]>::len) + RECORD_OVERHEAD_BYTES;
            if size_bytes > 0 && size_bytes + record_bytes > BATCH_BYTES_MAX {
                let full = std::mem::replace(&mut builder, RecordBatchBuilder::new(0));
                batches.push(Batch { bytes: full.build(), appends: span.clone() });
                size_bytes = 0;
            }
            if size_bytes == 0 {
                span.start = index;
            }
            span.end = index + 1;
            builder.append(now_ms, Some(&record.key), value, &[]);
            size_bytes += record_bytes;
        }
    }
    if size_bytes > 0 {
        batches.push(Batch { bytes: builder.build(), appends: span });
    }
    batches
}
