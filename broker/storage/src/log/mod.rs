//! The log of one partition: segments in offset order, the last of which is written.
//!
//! `open` finds or recovers it, `append` and `read` are the hot path, `flush` makes it durable, `retention` and
//! `truncate` take from its ends, `timestamps` answers by time.
//!
//! Invariants: there is always an active segment; `log_start_offset <= log_end_offset`; base offsets rise from batch
//! to batch over all segments. Never holds a lock of its own: whoever changes a log has it alone.

mod append;
mod append_times;
mod compaction;
mod errors;
mod flush;
mod late;
mod open;
mod read;
mod recovery;
mod retention;
#[cfg(test)]
mod tests;
mod timestamps;
mod truncate;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use weir_types::{TopicId, TopicPartition};

use crate::checkpoint;
use crate::config::LogConfig;
use crate::epochs::LeaderEpochs;
use crate::folder::{Folder, LEADER_EPOCH_CHECKPOINT};
use crate::producers::{ProducerState, Producers};
use crate::segment::{Place, Segment};

pub use append::{AppendOrigin, Appended};
pub use append_times::AppendTimes;
pub(crate) use append_times::Region;
pub use errors::{AppendError, OpenError, ReadError};
pub use flush::{Closed, FlushTicket};
pub use open::{OpenOptions, RecoveryReport};
pub use read::FileRange;
pub use retention::RetentionReport;

/// Batches at the end of the log whose places are remembered, so that reads near the end look nothing up.
const RECENT_BATCHES_MAX: usize = 64;
/// Readers whose next place is remembered.
const READ_HINTS_MAX: usize = 4;

/// The log of one partition. `&mut self` for whoever changes it.
pub struct Log {
    folder: Arc<Folder>,
    partition: TopicPartition,
    topic_id: TopicId,
    config: Arc<LogConfig>,
    /// Never empty; sorted; the last one is active.
    segments: Vec<Segment>,
    log_start_offset: i64,
    log_end_offset: i64,
    recovery_point: i64,
    epochs: LeaderEpochs,
    producers: Producers,
    /// Offsets of the producer snapshots on disk, rising.
    snapshots: Vec<i64>,
    recent: VecDeque<Place>,
    hints: Mutex<VecDeque<(i64, read::Hint)>>,
    append_times: Arc<AppendTimes>,
    flush: flush::FlushState,
    /// Renamed files, and when they may go.
    doomed: Vec<(i64, PathBuf)>,
    /// Compaction has seen everything before it, since this process opened the log.
    cleaned_upto: i64,
    poisoned: Option<String>,
}

impl Log {
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Acts from the next append or pass on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The first offset that can be read.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The offset that the next record gets.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    /// Everything before it is on the disk for sure.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Of all `.log` files.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::size_bytes).sum()
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// For `OffsetForLeaderEpoch`: the largest epoch at or below `leader_epoch` and the exclusive end of its records;
    /// `(-1, -1)` if the log knows no such epoch.
    pub fn epoch_end_offset(&self, leader_epoch: i32) -> (i32, i64) {
        self.epochs.end_offset(leader_epoch, self.log_end_offset)
    }

    /// The leader epoch of the last record.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.entries().last().map(|&(epoch, _)| epoch)
    }

    /// The leader epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.at(offset)
    }

    /// When its records were appended; can be asked without holding the log.
    pub fn append_times(&self) -> &Arc<AppendTimes> {
        &self.append_times
    }

    /// The idempotent producers that it remembers, in no order.
    pub fn producer_states(&self) -> Vec<ProducerState> {
        self.producers.states().collect()
    }

    /// How many they are.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Refuses every later append and flush: after a failed fsync nobody knows what the disk has. Reads go on.
    pub fn poison(&mut self, reason: String) {
        self.poisoned.get_or_insert(reason);
    }

    pub fn is_poisoned(&self) -> bool {
        self.poisoned.is_some()
    }

    fn check_healthy(&self) -> Result<(), AppendError> {
        match &self.poisoned {
            None => Ok(()),
            Some(reason) => Err(AppendError::Poisoned { partition: self.partition.clone(), reason: reason.clone() }),
        }
    }

    fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn active_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// The index of the segment in which `offset` would lie.
    fn segment_index(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1)
    }

    /// The exclusive end of the offsets that segment `index` may hold.
    fn segment_end_offset(&self, index: usize) -> i64 {
        self.segments.get(index + 1).map_or(self.log_end_offset, Segment::base_offset)
    }

    /// What a crash loses of it is found again in the batches, so a disk that is full does not matter here.
    fn write_epochs(&self) {
        let path = self.folder.named(LEADER_EPOCH_CHECKPOINT);
        if let Err(error) = checkpoint::write_epochs(&self.folder.fs, &path, self.epochs.entries()) {
            tracing::warn!(partition = %self.partition, %error, "leader-epoch-checkpoint is not written");
        }
    }

    /// Forgets what it knew about places, after bytes moved.
    fn forget_places(&mut self) {
        self.recent.clear();
        self.hints.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}
