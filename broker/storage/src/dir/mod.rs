//! One data folder (an entry of `log.dirs`): who owns it, which partitions are in it, how far each was synced.
//!
//! | file | what |
//! |---|---|
//! | `.lock` | held by the process that uses the folder |
//! | `meta.properties` | `version=1`, `cluster.id`, `node.id`, `directory.id` |
//! | `recovery-point-offset-checkpoint` | up to where each log is surely on disk |
//! | `replication-offset-checkpoint` | each high watermark |
//! | `log-start-offset-checkpoint` | where DeleteRecords moved a log's start |
//! | `.kafka_cleanshutdown` | all logs were closed |
//!
//! Never opens a log: it says what is there.

mod properties;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_types::{TopicId, TopicPartition};

use crate::checkpoint;
use crate::folder::{PARTITION_METADATA, names_in};
use crate::fs::{Durability, Fs};
use properties::MetaProperties;

const LOCK: &str = ".lock";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
const DELETE_SUFFIX: &str = "-delete";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogDirError {
    #[error("{}: another process uses this data folder (its .lock is held): stop it, or choose another folder", path.display())]
    InUse { path: PathBuf },
    #[error("{}: belongs to node.id {found}, this broker is {expected}: set node.id={found}, or choose another folder", path.display())]
    OtherNode { path: PathBuf, found: i32, expected: i32 },
    #[error("{}: belongs to cluster {found}, this broker is of {expected}: choose another folder", path.display())]
    OtherCluster { path: PathBuf, found: String, expected: String },
    #[error("{}: version {found} was written by newer software; this one knows version {known}: use the newer one", path.display())]
    NewerVersion { path: PathBuf, found: i32, known: i32 },
    #[error("{}: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error("{}: {source}; log.dirs has to be a folder that can be written", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A partition folder that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPartition {
    pub dir: PathBuf,
    pub partition: TopicPartition,
    /// `None` if its `partition.metadata` is missing or unreadable.
    pub topic_id: Option<TopicId>,
    pub recovery_point: i64,
    pub log_start_offset: i64,
    pub high_watermark: Option<i64>,
}

/// Offsets to be kept over a restart, for every partition of the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoints {
    pub recovery_points: Vec<(TopicPartition, i64)>,
    pub high_watermarks: Vec<(TopicPartition, i64)>,
    pub log_start_offsets: Vec<(TopicPartition, i64)>,
}

/// The file system under the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUsage {
    pub total_bytes: u64,
    /// What is left to this process.
    pub free_bytes: u64,
}

/// A data folder, locked for this process as long as this lives.
pub struct LogDir {
    path: PathBuf,
    fs: Fs,
    properties: MetaProperties,
    was_clean_shutdown: bool,
    _lock: File,
}

impl LogDir {
    /// Takes the folder, making it if need be. `cluster_id` is what the configuration says; on first use without one, a
    /// new id is made.
    pub fn open(path: &Path, node_id: i32, cluster_id: Option<&str>) -> Result<LogDir, LogDirError> {
        Self::open_on(Fs::default(), path, node_id, cluster_id)
    }

    /// As [`LogDir::open`], on a file system that a test may have put faults into.
    pub fn open_on(fs: Fs, path: &Path, node_id: i32, cluster_id: Option<&str>) -> Result<LogDir, LogDirError> {
        let io = |source| LogDirError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(LogDirError::InUse { path: path.to_owned() }),
            Err(std::fs::TryLockError::Error(error)) => return Err(io(error)),
        }
        let properties = MetaProperties::load_or_create(&fs, path, node_id, cluster_id)?;
        let marker = path.join(CLEAN_SHUTDOWN);
        let was_clean_shutdown = marker.exists();
        if was_clean_shutdown {
            fs.remove_file(&marker).and_then(|()| fs.sync_dir(path)).map_err(io)?;
        }
        Ok(LogDir { path: path.to_owned(), fs, properties, was_clean_shutdown, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For the logs in it.
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Whether the disk answers and no write or sync in the folder has failed; a full disk is not a failed one. What failed
    /// stays so until the folder is opened anew.
    pub fn is_online(&self) -> bool {
        !self.fs.has_failed() && self.usage().is_ok()
    }

    /// 22 characters of url-safe base64.
    pub fn cluster_id(&self) -> &str {
        &self.properties.cluster_id
    }

    /// Identifies this folder among all of the cluster.
    pub fn directory_id(&self) -> TopicId {
        self.properties.directory_id
    }

    /// Whether all logs were closed before the last process ended. Asked of the marker that opening removed.
    pub fn was_clean_shutdown(&self) -> bool {
        self.was_clean_shutdown
    }

    /// Where the folder of `partition` is or will be.
    pub fn partition_path(&self, partition: &TopicPartition) -> PathBuf {
        self.path.join(partition.to_string())
    }

    /// The partitions that are there, sorted. Removes the rest of those that were deleted. A checkpoint that is
    /// unreadable is logged and counts as empty: recovery then starts at the log's start, which is slow and right.
    pub fn partitions(&self) -> Vec<FoundPartition> {
        if let Err(error) = self.remove_deleted() {
            tracing::warn!(path = %self.path.display(), %error, "deleted partitions are not removed yet");
        }
        let recovery_points = self.read_checkpoint(RECOVERY_POINTS);
        let high_watermarks = self.read_checkpoint(HIGH_WATERMARKS);
        let log_start_offsets = self.read_checkpoint(LOG_START_OFFSETS);
        let names = names_in(&self.path).unwrap_or_else(|error| {
            tracing::error!(path = %self.path.display(), %error, "the data folder cannot be listed");
            Vec::new()
        });
        let mut found: Vec<FoundPartition> = names
            .iter()
            .filter_map(|name| TopicPartition::parse_folder_name(name))
            .filter(|partition| self.partition_path(partition).is_dir())
            .map(|partition| {
                let dir = self.partition_path(&partition);
                let topic_id = checkpoint::read_topic_id(&dir.join(PARTITION_METADATA)).unwrap_or_default();
                FoundPartition {
                    topic_id,
                    dir,
                    recovery_point: recovery_points.get(&partition).copied().unwrap_or(0),
                    log_start_offset: log_start_offsets.get(&partition).copied().unwrap_or(0),
                    high_watermark: high_watermarks.get(&partition).copied(),
                    partition,
                }
            })
            .collect();
        found.sort_by(|a, b| a.partition.cmp(&b.partition));
        found
    }

    fn read_checkpoint(&self, name: &str) -> HashMap<TopicPartition, i64> {
        match checkpoint::read_offsets(&self.path.join(name)) {
            Ok(offsets) => offsets.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "a checkpoint is unreadable and counts as empty");
                HashMap::new()
            }
        }
    }

    /// Removes the folders of partitions that were deleted; how many.
    pub fn remove_deleted(&self) -> io::Result<usize> {
        let mut removed = 0;
        for name in names_in(&self.path)? {
            if name.ends_with(DELETE_SUFFIX) && TopicPartition::parse_folder_name(&name).is_none() {
                self.fs.remove_dir_all(&self.path.join(name))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Replaces the three checkpoints, each so that a crash leaves the old or the new one.
    pub fn write_checkpoints(&self, checkpoints: &Checkpoints) -> io::Result<()> {
        let write = |name, offsets| checkpoint::write_offsets(&self.fs, &self.path.join(name), offsets);
        write(RECOVERY_POINTS, &checkpoints.recovery_points)?;
        write(LOG_START_OFFSETS, &checkpoints.log_start_offsets)?;
        write(HIGH_WATERMARKS, &checkpoints.high_watermarks)
    }

    /// After every log was closed and the checkpoints were written.
    pub fn mark_clean_shutdown(&self) -> io::Result<()> {
        let contents = br#"{"version":0,"brokerEpoch":-1}"#;
        self.fs.replace(&self.path.join(CLEAN_SHUTDOWN), contents, Durability::Synced)
    }

    /// How long the disk under the folder has had something to do since the machine started; `None` where no one disk is
    /// under it, as in memory, or the kernel does not say.
    pub fn disk_busy(&self) -> Option<Duration> {
        let device = rustix::fs::stat(&self.path).ok()?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        busy(&std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?)
    }

    pub fn usage(&self) -> io::Result<DiskUsage> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok(DiskUsage { total_bytes: stat.f_blocks * stat.f_frsize, free_bytes: stat.f_bavail * stat.f_frsize })
    }
}

/// `io_ticks` of a disk's `stat` file, the tenth number: milliseconds (Documentation/block/stat.rst of Linux).
fn busy(stat: &str) -> Option<Duration> {
    stat.split_ascii_whitespace().nth(9)?.parse().ok().map(Duration::from_millis)
}
