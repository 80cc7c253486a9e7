//! Finding a log on disk, or making an empty one.
//!
//! A log that was closed cleanly costs a handful of system calls and keeps no file open; one that was not is recovered
//! from its recovery point on (`recovery`).

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use weir_types::{TopicId, TopicPartition};

use super::append_times::AppendTimes;
use super::compaction::finish_swaps;
use super::flush::FlushState;
use super::{AppendError, Log, OpenError};
use crate::checkpoint;
use crate::config::LogConfig;
use crate::epochs::LeaderEpochs;
use crate::folder::{
    CLEANED, DELETED, Folder, INDEX, LEADER_EPOCH_CHECKPOINT, LOG, PARTITION_METADATA, SNAPSHOT, TIME_INDEX, file_name,
    names_in, parse_file_name,
};
use crate::fs::Fs;
use crate::producers::Producers;
use crate::segment::Segment;

/// What to open.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The partition's own folder, `<log dir>/<topic>-<partition>`. Made if it is not there.
    pub dir: PathBuf,
    pub partition: TopicPartition,
    pub topic_id: TopicId,
    pub config: Arc<LogConfig>,
    /// From the checkpoint; 0 if it has none.
    pub recovery_point: i64,
    pub log_start_offset: i64,
    /// Whether the data folder was shut down cleanly.
    pub clean: bool,
    pub now_ms: i64,
}

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of batches that were read and checked.
    pub scanned_bytes: u64,
    /// Bytes after the last whole batch that were cut off.
    pub cut_bytes: u64,
    /// Segments after a torn one that were dropped.
    pub dropped_segments: usize,
    /// What was wrong with the first bytes cut, and where.
    pub reason: Option<String>,
}

/// What is in the folder.
#[derive(Default)]
pub(super) struct Found {
    pub(super) segments: Vec<i64>,
    pub(super) snapshots: Vec<i64>,
    has_partition_metadata: bool,
}

impl Log {
    /// Opens the log, recovering it if need be; makes an empty one if there is none.
    pub fn open(options: OpenOptions) -> Result<(Log, RecoveryReport), OpenError> {
        Self::open_on(Fs::default(), options)
    }

    /// As [`Log::open`], on a file system that a test may have put faults into.
    pub fn open_on(fs: Fs, options: OpenOptions) -> Result<(Log, RecoveryReport), OpenError> {
        let path = options.dir.clone();
        let io = |source| OpenError::Io { path: path.clone(), source };
        let folder = Arc::new(Folder { fs, path: options.dir });
        let found = look_around(&folder).map_err(io)?;
        check_topic_id(&folder, &found, options.topic_id)?;
        let append_times = Arc::new(AppendTimes::new(Arc::clone(&folder)));
        let mut log = Log {
            segments: Vec::with_capacity(found.segments.len().max(1)),
            folder,
            partition: options.partition,
            topic_id: options.topic_id,
            config: options.config,
            log_start_offset: options.log_start_offset.max(0),
            log_end_offset: 0,
            recovery_point: options.recovery_point.max(0),
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
            snapshots: found.snapshots,
            recent: Default::default(),
            hints: Mutex::default(),
            append_times,
            flush: FlushState::default(),
            doomed: Vec::new(),
            cleaned_upto: 0,
            poisoned: None,
        };
        let mut report = RecoveryReport::default();
        log.load(&found.segments, options.clean, options.now_ms, &mut report).map_err(io)?;
        Ok((log, report))
    }

    fn load(&mut self, found: &[i64], is_clean: bool, now_ms: i64, report: &mut RecoveryReport) -> io::Result<()> {
        for &base_offset in found {
            let size = std::fs::metadata(self.folder.file(base_offset, LOG))?.len();
            self.segments.push(Segment::found(&self.folder, base_offset, size, &self.config));
        }
        let is_new = self.segments.is_empty();
        if is_new {
            self.begin_at(self.log_start_offset)?;
        } else {
            let changed_ms = self.active().changed_ms();
            self.append_times.load(changed_ms, self.config.checkpoint_interval_ms);
        }
        let epochs = checkpoint::read_epochs(&self.folder.named(LEADER_EPOCH_CHECKPOINT));
        let epochs_are_lost = epochs.is_err();
        self.epochs = LeaderEpochs::from_entries(epochs.unwrap_or_default());
        if !is_new {
            let is_whole = is_clean && self.find_end()?;
            if is_whole {
                // A clean close synced everything, whatever the checkpoint says.
                self.recovery_point = self.log_end_offset;
                self.estimate_append_times(self.segments.len());
            } else {
                self.recover(report)?;
            }
            self.active_mut().in_use_since_ms = Some(now_ms);
        }
        if self.log_end_offset < self.log_start_offset {
            // The log start was moved past everything that survived: nothing readable is left.
            self.drop_segments_from(0)?;
            self.begin_at(self.log_start_offset)?;
        }
        self.log_start_offset = self.log_start_offset.max(self.segments[0].base_offset());
        self.recovery_point = self.recovery_point.min(self.log_end_offset);
        self.append_times.truncate(self.log_end_offset);
        self.append_times.forget_before(self.log_start_offset);
        if epochs_are_lost {
            self.replay_epochs()?;
        }
        let changed = self.epochs.truncate_from_end(self.log_end_offset);
        if changed || epochs_are_lost {
            self.write_epochs();
        }
        self.load_producers(is_clean && report.reason.is_none(), now_ms)?;
        if !is_clean {
            // Whether the folder itself was synced since its files were made, nobody knows.
            self.flush.segment_created();
        }
        self.segments.iter().for_each(Segment::close_files);
        Ok(())
    }

    /// A single empty segment.
    pub(super) fn begin_at(&mut self, offset: i64) -> io::Result<()> {
        self.segments.push(Segment::create(&self.folder, offset, &self.config)?);
        self.flush.segment_created();
        self.log_end_offset = offset;
        self.recovery_point = offset;
        Ok(())
    }

    /// Renames the folder to `<topic>-<partition>.<id>-delete`: from then on the partition is gone, and its files go
    /// with [`crate::LogDir::remove_deleted`].
    pub fn delete(self) -> Result<(), AppendError> {
        let io = |error| AppendError::io(&self.partition, error);
        let id = uuid::Uuid::new_v4().simple();
        let to = self.folder.path.with_file_name(format!("{}.{id}-delete", self.partition));
        self.folder.fs.rename(&self.folder.path, &to).map_err(io)?;
        match self.folder.path.parent() {
            Some(parent) => self.folder.fs.sync_dir(parent).map_err(io),
            None => Ok(()),
        }
    }
}

/// Lists the folder, and finishes what a crash left half done.
fn look_around(folder: &Folder) -> io::Result<Found> {
    let mut found = Found::default();
    let mut names = match names_in(&folder.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.fs.create_dir(&folder.path)?;
            return Ok(found);
        }
        other => other?,
    };
    if finish_swaps(folder, &names)? {
        names = names_in(&folder.path)?;
    }
    let mut indexes = Vec::new();
    for name in names {
        if name.ends_with(DELETED) || name.ends_with(CLEANED) || name.ends_with(".tmp") {
            folder.fs.remove_file(&folder.named(&name))?;
        } else if name == PARTITION_METADATA {
            found.has_partition_metadata = true;
        } else {
            match parse_file_name(&name) {
                Some((offset, LOG)) => found.segments.push(offset),
                Some((offset, SNAPSHOT)) => found.snapshots.push(offset),
                Some((offset, suffix @ (INDEX | TIME_INDEX))) => indexes.push((offset, suffix.to_owned())),
                _ => {}
            }
        }
    }
    found.segments.sort_unstable();
    found.snapshots.sort_unstable();
    for (offset, suffix) in indexes {
        if found.segments.binary_search(&offset).is_err() {
            folder.fs.remove_file(&folder.named(&file_name(offset, &suffix)))?;
        }
    }
    Ok(found)
}

fn check_topic_id(folder: &Folder, found: &Found, expected: TopicId) -> Result<(), OpenError> {
    let path = folder.named(PARTITION_METADATA);
    let io = |source| OpenError::Io { path: path.clone(), source };
    let on_disk = match found.has_partition_metadata {
        true => checkpoint::read_topic_id(&path).map_err(io)?,
        false => None,
    };
    match on_disk {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(OpenError::OtherTopicId { path: folder.path.clone(), found, expected }),
        None => checkpoint::write_topic_id(&folder.fs, &path, expected).map_err(io),
    }
}
