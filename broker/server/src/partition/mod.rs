//! Partitions: the only place that opens a log.
//!
//! [`Partition`] guards one log with a short lock that is never held across an await; [`Partitions`] finds partitions by
//! topic and follows the metadata image; [`flush`] makes appends durable in rounds; [`waiters`] wakes whoever waits for an
//! offset; [`published`] shows where a partition stands to whoever only looks; [`recovery`] opens everything on start and closes it on shutdown.
//!
//! Invariants: an append happens on the task that received it; with `log.flush=sync` the high watermark never passes a
//! byte that is not on disk; every move of the high watermark, every deletion and every failure wakes all who wait.

pub(crate) mod flush;
mod published;
mod recovery;
mod registry;
mod topics;
mod waiters;

use std::ops::RangeTo;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tracing::error;
use weir_storage::{
    AppendError, AppendOrigin, AppendTimes, Appended, FileRange, Log, LogConfig, ReadError, TimestampAndOffset,
};
use weir_types::TopicPartition;

use crate::clock::now_ms;
use crate::config::settings::FlushPolicy;
use crate::metrics::TopicMetrics;
use flush::Flusher;
use published::Locked;
use waiters::Waiters;

pub(crate) use published::Published;
pub(crate) use recovery::{RecoverError, Recovered};
pub(crate) use registry::{Partitions, Topic};
pub(crate) use waiters::{Watch, Watcher};

/// One partition that this broker leads.
pub(crate) struct Partition {
    pub name: TopicPartition,
    state: Mutex<State>,
    published: Published,
    /// None if the log could not be opened.
    append_times: Option<Arc<AppendTimes>>,
    waiters: Waiters,
    flusher: Arc<Flusher>,
    pub(crate) metrics: Arc<TopicMetrics>,
}

struct State {
    log: LogState,
    leader_epoch: i32,
    /// Exclusive end of what consumers see.
    high_watermark: i64,
    flush: FlushProgress,
    /// Why the log could not be synced: what is not on disk by then will never be committed.
    sync_failure: Option<String>,
}

/// Where a partition stands with the flusher, which syncs it once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlushProgress {
    Idle,
    Queued,
    Syncing,
    /// Written to while it syncs: to be queued again.
    SyncingStale,
}

enum LogState {
    Open(Box<Log>),
    /// Could not be opened; the reason.
    Offline(String),
    /// Deleted, or closed by a shutdown.
    Gone,
}

/// Why a partition could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    #[error("the partition is deleted or closing")]
    Gone,
    #[error("the partition is offline: {0}")]
    Offline(String),
    #[error("the log could not be synced to disk: {0}")]
    SyncFailed(String),
    #[error("leader epoch {wanted} is older than the current {current}")]
    FencedLeaderEpoch { wanted: i32, current: i32 },
    #[error("leader epoch {wanted} is newer than the current {current}")]
    UnknownLeaderEpoch { wanted: i32, current: i32 },
    #[error("offset {offset} is outside {log_start_offset}..{end}")]
    OffsetOutOfRange { offset: i64, log_start_offset: i64, end: i64 },
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The offsets that describe a partition, taken at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub log_start_offset: i64,
    /// Exclusive end of what read_committed consumers see.
    pub last_stable_offset: i64,
    pub high_watermark: i64,
    pub log_end_offset: i64,
    pub leader_epoch: i32,
}

/// What a fetch found.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub offsets: Offsets,
    pub range: FileRange,
}

impl Partition {
    fn new(
        name: TopicPartition,
        leader_epoch: i32,
        log: Result<Log, String>,
        flusher: &Arc<Flusher>,
        metrics: Arc<TopicMetrics>,
    ) -> Arc<Self> {
        let high_watermark = match (&log, flusher.policy()) {
            (Ok(log), FlushPolicy::Os) => log.log_end_offset(),
            (Ok(log), FlushPolicy::Sync) => log.recovery_point().clamp(log.log_start_offset(), log.log_end_offset()),
            (Err(_), _) => 0,
        };
        let append_times = log.as_ref().ok().map(|log| Arc::clone(log.append_times()));
        let log = match log {
            Ok(log) => LogState::Open(Box::new(log)),
            Err(reason) => LogState::Offline(reason),
        };
        let state = State { log, leader_epoch, high_watermark, flush: FlushProgress::Idle, sync_failure: None };
        let partition = Arc::new(Self {
            name,
            state: Mutex::new(state),
            published: Published::default(),
            append_times,
            waiters: Waiters::default(),
            flusher: Arc::clone(flusher),
            metrics,
        });
        let mut state = partition.lock();
        partition.published.measure(&state);
        // What recovery kept may never have been synced: it becomes visible once it is.
        if flusher.policy() == FlushPolicy::Sync {
            partition.queue_flush(&mut state);
        }
        drop(state);
        partition
    }

    /// Appends batches as they came. With `log.flush=os` they are visible at once, else after the next flush round:
    /// await [`committed`] for `log_end_offset` before answering acks=all.
    pub(crate) fn append(
        self: &Arc<Self>,
        batches: BytesMut,
        origin: AppendOrigin,
    ) -> Result<Appended, PartitionError> {
        let timer = self.flusher.metrics().log_append_seconds.start_timer();
        let mut state = self.lock();
        let leader_epoch = state.leader_epoch;
        let now_ms = now_ms();
        let appended = state.open_log()?.append(batches, origin, leader_epoch, now_ms)?;
        if appended.duplicate {
            return Ok(appended);
        }
        let wakes = match self.flusher.policy() {
            FlushPolicy::Os => {
                state.high_watermark = appended.log_end_offset;
                true
            }
            FlushPolicy::Sync => {
                self.queue_flush(&mut state);
                false
            }
        };
        self.published.grown(appended.size_bytes);
        drop(state);
        timer.observe_duration();
        self.metrics.appended(appended.record_count, appended.size_bytes as u64);
        if wakes {
            self.waiters.wake_all();
        }
        Ok(appended)
    }

    /// Whole batches from the one that holds `offset`, up to what consumers may see. `is_first` batches come even if they
    /// are larger than `bytes_max` (KIP-74).
    pub(crate) fn read(&self, offset: i64, bytes_max: usize, at_least_one: bool) -> Result<Fetched, PartitionError> {
        let mut state = self.lock();
        let offsets = state.offsets()?;
        // Records past the high watermark exist, but a reader sees none of them yet.
        if offset < offsets.log_start_offset || offset > offsets.log_end_offset {
            return Err(PartitionError::OffsetOutOfRange {
                offset,
                log_start_offset: offsets.log_start_offset,
                end: offsets.log_end_offset,
            });
        }
        let upto = RangeTo { end: offsets.high_watermark };
        let range = state.open_log()?.read(offset, upto, bytes_max, at_least_one)?;
        Ok(Fetched { offsets, range })
    }

    /// Like [`Partition::read`], with the bytes themselves: for coordinators that replay their own topic.
    pub(crate) fn read_bytes(&self, offset: i64, bytes_max: usize) -> Result<(Bytes, i64), PartitionError> {
        let Fetched { range, .. } = self.read(offset, bytes_max, true)?;
        let mut bytes = vec![0; range.len];
        std::os::unix::fs::FileExt::read_exact_at(&*range.file, &mut bytes, range.position).map_err(ReadError::Io)?;
        let next_offset = if range.len == 0 { offset } else { range.next_offset };
        Ok((bytes.into(), next_offset))
    }

    /// Whether everything below `offset` is committed; an error once it can never be.
    pub(crate) fn is_committed(&self, offset: i64) -> Result<bool, PartitionError> {
        let state = self.lock();
        match (&state.log, &state.sync_failure) {
            _ if state.high_watermark >= offset => Ok(true),
            (LogState::Open(_), Some(reason)) => Err(PartitionError::SyncFailed(reason.clone())),
            (LogState::Open(_), None) => Ok(false),
            (LogState::Offline(reason), _) => Err(PartitionError::Offline(reason.clone())),
            (LogState::Gone, _) => Err(PartitionError::Gone),
        }
    }

    pub(crate) fn offsets(&self) -> Result<Offsets, PartitionError> {
        self.lock().offsets()
    }

    /// The current leader epoch, or why `wanted` (-1 for "any") is not it.
    pub(crate) fn check_leader_epoch(&self, wanted: i32) -> Result<i32, PartitionError> {
        let current = self.lock().leader_epoch;
        match wanted {
            wanted if wanted < 0 || wanted == current => Ok(current),
            wanted if wanted < current => Err(PartitionError::FencedLeaderEpoch { wanted, current }),
            wanted => Err(PartitionError::UnknownLeaderEpoch { wanted, current }),
        }
    }

    /// The first visible record at or after a timestamp.
    pub(crate) fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampAndOffset>, PartitionError> {
        let mut state = self.lock();
        let upto = RangeTo { end: state.high_watermark };
        Ok(state.open_log()?.offset_for_timestamp(timestamp, upto)?)
    }

    pub(crate) fn offset_of_max_timestamp(&self) -> Result<Option<TimestampAndOffset>, PartitionError> {
        let mut state = self.lock();
        let upto = RangeTo { end: state.high_watermark };
        Ok(state.open_log()?.offset_of_max_timestamp(upto)?)
    }

    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.lock().open_log().ok()?.epoch_at(offset)
    }

    pub(crate) fn epoch_end_offset(&self, leader_epoch: i32) -> Result<(i32, i64), PartitionError> {
        let mut state = self.lock();
        let current = state.leader_epoch;
        let log = state.open_log()?;
        // The log knows an epoch from its first record on.
        let has_no_record = leader_epoch == current && log.latest_epoch() != Some(current);
        Ok(if has_no_record { (current, log.log_end_offset()) } else { log.epoch_end_offset(leader_epoch) })
    }

    /// Deletes the records below `to`, or below the high watermark for `None`; answers the new log start offset.
    pub(crate) fn delete_records(&self, to: Option<i64>) -> Result<i64, PartitionError> {
        let mut state = self.lock();
        let offsets = state.offsets()?;
        let to = to.unwrap_or(offsets.high_watermark);
        if to < 0 || to > offsets.high_watermark {
            let (log_start_offset, end) = (offsets.log_start_offset, offsets.high_watermark);
            return Err(PartitionError::OffsetOutOfRange { offset: to, log_start_offset, end });
        }
        let log = state.open_log()?;
        if to > offsets.log_start_offset {
            log.advance_log_start_offset(to)?;
        }
        let log_start_offset = log.log_start_offset();
        drop(state);
        self.waiters.wake_all();
        Ok(log_start_offset)
    }

    /// Where it stands, without its lock.
    pub(crate) fn published(&self) -> &Published {
        &self.published
    }

    /// When its records were appended, without its lock; `None` if its log could not be opened.
    pub(crate) fn append_times(&self) -> Option<&AppendTimes> {
        self.append_times.as_deref()
    }

    pub(crate) fn set_config(&self, config: Arc<LogConfig>) {
        if let Ok(log) = self.lock().open_log() {
            log.set_config(config);
        }
    }

    /// Runs a background pass on the open log; `upto` is what the pass may touch: below the high watermark.
    pub(crate) fn pass<T>(&self, pass: impl FnOnce(&mut Log, RangeTo<i64>) -> T) -> Option<T> {
        let mut state = self.lock();
        let upto = RangeTo { end: state.high_watermark };
        let passed = pass(state.open_log().ok()?, upto);
        self.published.measure(&state);
        Some(passed)
    }

    /// Readers below the new start learn of it.
    pub(crate) fn log_start_moved(&self) {
        self.waiters.wake_all();
    }

    /// Takes the log away: from now on the partition is gone, and everybody who waits for it learns so.
    fn take_log(&self) -> Option<Log> {
        let taken = {
            let mut state = self.lock();
            let taken = std::mem::replace(&mut state.log, LogState::Gone);
            self.published.measure(&state);
            taken
        };
        self.waiters.wake_all();
        match taken {
            LogState::Open(log) => Some(*log),
            LogState::Offline(_) | LogState::Gone => None,
        }
    }

    /// Sees to it that what is dirty gets synced.
    fn queue_flush(self: &Arc<Self>, state: &mut State) {
        let LogState::Open(log) = &state.log else { return };
        if log.recovery_point() >= log.log_end_offset() {
            state.high_watermark = log.log_end_offset();
            return;
        }
        match state.flush {
            FlushProgress::Idle => {
                state.flush = FlushProgress::Queued;
                self.flusher.queue(Arc::clone(self));
            }
            FlushProgress::Syncing => state.flush = FlushProgress::SyncingStale,
            FlushProgress::Queued | FlushProgress::SyncingStale => {}
        }
    }

    /// Queues a flush that the topic's own flush.messages or flush.ms ask for.
    pub(crate) fn flush_if_due(self: &Arc<Self>) {
        let mut state = self.lock();
        if matches!(&state.log, LogState::Open(log) if log.is_flush_due(now_ms())) {
            self.queue_flush(&mut state);
        }
    }

    /// Syncs what is dirty and lets the high watermark follow. Called by the flusher, without the lock while it syncs.
    fn flush(self: &Arc<Self>) {
        let ticket = {
            let mut state = self.lock();
            match state.open_log().ok().and_then(|log| log.dirty()) {
                Some(ticket) => {
                    state.flush = FlushProgress::Syncing;
                    ticket
                }
                None => {
                    state.flush = FlushProgress::Idle;
                    return;
                }
            }
        };
        let synced = ticket.sync();
        let mut state = self.lock();
        let is_stale = state.flush == FlushProgress::SyncingStale;
        state.flush = FlushProgress::Idle;
        let policy = self.flusher.policy();
        if let Ok(log) = state.open_log() {
            match synced {
                Ok(()) => {
                    log.flushed(&ticket);
                    if policy == FlushPolicy::Sync {
                        state.high_watermark = state.high_watermark.max(ticket.log_end_offset());
                    }
                }
                Err(error) => {
                    error!(
                        topic = %self.name.topic, partition = self.name.partition, %error,
                        "cannot sync the log: the partition takes no more writes; check the disk, then restart the broker"
                    );
                    log.poison(error.to_string());
                    state.sync_failure = Some(error.to_string());
                }
            }
        }
        if is_stale && state.sync_failure.is_none() {
            self.queue_flush(&mut state);
        }
        drop(state);
        self.waiters.wake_all();
    }

    fn lock(&self) -> Locked<'_> {
        // A panic under the lock is a bug in the log; its partition goes on as the log's own checks allow.
        Locked { state: self.state.lock().unwrap_or_else(PoisonError::into_inner), published: &self.published }
    }
}

impl State {
    fn open_log(&mut self) -> Result<&mut Log, PartitionError> {
        match &mut self.log {
            LogState::Open(log) => Ok(log),
            LogState::Offline(reason) => Err(PartitionError::Offline(reason.clone())),
            LogState::Gone => Err(PartitionError::Gone),
        }
    }

    fn offsets(&mut self) -> Result<Offsets, PartitionError> {
        let (high_watermark, leader_epoch) = (self.high_watermark, self.leader_epoch);
        let log = self.open_log()?;
        Ok(Offsets {
            log_start_offset: log.log_start_offset(),
            last_stable_offset: high_watermark,
            high_watermark,
            log_end_offset: log.log_end_offset(),
            leader_epoch,
        })
    }
}

/// Waits until the high watermark has reached `offset`, or the partition cannot get there any more.
pub(crate) async fn committed(partition: &Arc<Partition>, offset: i64) -> Result<(), PartitionError> {
    let watcher = Watcher::default();
    let _watch = watcher.watch(partition);
    loop {
        if partition.is_committed(offset)? {
            return Ok(());
        }
        watcher.woken().await;
    }
}
