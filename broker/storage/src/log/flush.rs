//! Making appended bytes durable without holding the log: a ticket names the files, somebody syncs them, the log is
//! told. And the last flush of all, at close.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{AppendError, Log};
use crate::folder::{Folder, SNAPSHOT};
use crate::fs::Durability;
use crate::producers::encode_snapshot;

/// Producer snapshots kept per log: the latest, and one before it should a crash have torn that.
const SNAPSHOTS_KEPT: usize = 2;

/// What is not on the disk yet, in counters.
#[derive(Default)]
pub(super) struct FlushState {
    /// Segments made since the log was opened, and how many of those the folder's last sync covers.
    segments_created: u64,
    segments_created_synced: u64,
    /// Base offsets of segments that ended since the log was opened and whose indexes may not be on the disk.
    sealed: Vec<i64>,
    /// Rises with every truncation: a ticket from before one proves nothing about what was appended after it.
    truncations: u64,
    records: u64,
    since_ms: Option<i64>,
}

impl FlushState {
    pub(super) fn appended(&mut self, records: u64, now_ms: i64) {
        self.records += records;
        self.since_ms.get_or_insert(now_ms);
    }

    pub(super) fn segment_created(&mut self) {
        self.segments_created += 1;
    }

    pub(super) fn segment_sealed(&mut self, base_offset: i64) {
        self.sealed.push(base_offset);
    }

    /// Segments that are gone need no sync.
    pub(super) fn segments_dropped(&mut self, is_dropped: impl Fn(i64) -> bool) {
        self.sealed.retain(|&base_offset| !is_dropped(base_offset));
    }

    pub(super) fn truncated(&mut self) {
        self.truncations += 1;
    }
}

/// What must be synced so that everything below [`Self::log_end_offset`] is durable. Holds no part of the log: sync it
/// on any thread, then hand it to [`Log::flushed`], or [`Log::poison`] the log if it failed.
pub struct FlushTicket {
    folder: Arc<Folder>,
    active: Option<Arc<File>>,
    paths: Vec<PathBuf>,
    syncs_folder: bool,
    segments_created: u64,
    sealed: Vec<i64>,
    truncations: u64,
    records: u64,
    log_end_offset: i64,
}

impl FlushTicket {
    /// Returns once the disk has it all. A failure is final: what the disk has is unknown from then on.
    pub fn sync(&self) -> io::Result<()> {
        let fs = &self.folder.fs;
        for path in &self.paths {
            match fs.open(path) {
                // Retention or truncation took it meanwhile: nothing is left to make durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => fs.sync_data(&file?)?,
            }
        }
        if let Some(file) = &self.active {
            fs.sync_data(file)?;
        }
        if self.syncs_folder {
            fs.sync_dir(&self.folder.path)?;
            if let Some(parent) = self.folder.path.parent() {
                fs.sync_dir(parent)?;
            }
        }
        Ok(())
    }

    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }
}

/// What a closed log leaves to be written into the checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub recovery_point: i64,
    pub log_start_offset: i64,
    pub log_end_offset: i64,
}

impl Log {
    /// What must be synced to make everything appended so far durable; `None` if it is.
    pub fn dirty(&self) -> Option<FlushTicket> {
        if self.poisoned.is_some() || self.recovery_point >= self.log_end_offset {
            return None;
        }
        let last = self.segments.len() - 1;
        let first = self.segment_index(self.recovery_point);
        let is_unsynced =
            |index: usize| index >= first || self.flush.sealed.contains(&self.segments[index].base_offset());
        let mut paths: Vec<PathBuf> =
            (0..last).filter(|&index| is_unsynced(index)).flat_map(|index| self.segments[index].paths()).collect();
        let active = self.active().file().ok();
        if active.is_none() {
            paths.push(self.active().log_path());
        }
        Some(FlushTicket {
            folder: self.folder.clone(),
            active,
            paths,
            syncs_folder: self.flush.segments_created > self.flush.segments_created_synced,
            segments_created: self.flush.segments_created,
            sealed: self.flush.sealed.clone(),
            truncations: self.flush.truncations,
            records: self.flush.records,
            log_end_offset: self.log_end_offset,
        })
    }

    /// `ticket` was synced: the recovery point is at its end now.
    pub fn flushed(&mut self, ticket: &FlushTicket) {
        if self.poisoned.is_some() || ticket.truncations != self.flush.truncations {
            return;
        }
        self.recovery_point = self.recovery_point.max(ticket.log_end_offset);
        self.flush.segments_created_synced = self.flush.segments_created_synced.max(ticket.segments_created);
        self.flush.segments_dropped(|base_offset| ticket.sealed.contains(&base_offset));
        self.flush.records = self.flush.records.saturating_sub(ticket.records);
        self.flush.since_ms = None;
    }

    /// Whether the topic's own `flush.messages` or `flush.ms` ask for a flush now, whatever acknowledgements need.
    pub fn is_flush_due(&self, now_ms: i64) -> bool {
        let by_count = self.config.flush_messages.is_some_and(|messages| self.flush.records >= messages);
        let by_time = match (self.config.flush_ms, self.flush.since_ms) {
            (Some(ms), Some(since)) => now_ms.saturating_sub_unsigned(ms) >= since,
            _ => false,
        };
        by_count || by_time
    }

    /// Writes the producers as of the log's end. What it fails to write, recovery reads from the log.
    pub(super) fn write_snapshot(&mut self) {
        let offset = self.log_end_offset;
        let path = self.folder.file(offset, SNAPSHOT);
        let bytes = encode_snapshot(&self.producers);
        if let Err(error) = self.folder.fs.replace(&path, &bytes, Durability::PageCache) {
            tracing::warn!(partition = %self.partition, %error, "the producer snapshot is not written");
            return;
        }
        self.snapshots.retain(|&other| other != offset);
        self.snapshots.push(offset);
        while self.snapshots.len() > SNAPSHOTS_KEPT {
            let oldest = self.snapshots.remove(0);
            // One too many does no harm.
            let _ = self.folder.fs.remove_file(&self.folder.file(oldest, SNAPSHOT));
        }
    }

    /// The clean end: everything on disk, indexes whole, producers saved, reserved blocks given back.
    pub fn close(mut self, now_ms: i64) -> Result<Closed, AppendError> {
        self.check_healthy()?;
        let io = |error| AppendError::io(&self.partition, error);
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
        let last = self.segments.len() - 1;
        if self.recovery_point < self.log_end_offset || self.flush.segments_created > 0 {
            self.segments[last].seal().map_err(io)?;
            if self.config.preallocate {
                self.segments[last].trim().map_err(io)?;
            }
        }
        if let Some(ticket) = self.dirty() {
            ticket.sync().map_err(io)?;
            self.flushed(&ticket);
        }
        let has_current = self.snapshots.last() == Some(&self.log_end_offset);
        let has_something_to_say = !self.producers.is_empty() || !self.snapshots.is_empty();
        if has_something_to_say && !has_current {
            self.write_snapshot();
        }
        if let Err(error) = self.append_times.save() {
            tracing::warn!(partition = %self.partition, %error, "append-time-checkpoint is not written");
        }
        Ok(Closed {
            recovery_point: self.log_end_offset,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset,
        })
    }
}
