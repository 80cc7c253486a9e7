//! One error enum per operation on a log.

use std::io;
use std::path::PathBuf;

use weir_types::batch::BatchError;
use weir_types::{TopicId, TopicPartition};

use crate::fs::is_disk_full;

/// Why bytes were not appended, or another change was not made. The log is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("{partition}: corrupt batch: {reason}")]
    Corrupt { partition: TopicPartition, reason: String },
    #[error("{partition}: a batch of {size_bytes} bytes is larger than the {bytes_max} allowed")]
    TooLarge { partition: TopicPartition, size_bytes: usize, bytes_max: usize },
    #[error("{partition}: magic {magic} is not supported: only record batches of magic 2 are")]
    WrongMagic { partition: TopicPartition, magic: i8 },
    #[error("{partition}: timestamp {timestamp} is out of the range that the topic allows at {now_ms}")]
    InvalidTimestamp { partition: TopicPartition, timestamp: i64, now_ms: i64 },
    #[error("{partition}: invalid record: {reason}")]
    InvalidRecord { partition: TopicPartition, reason: String },
    #[error("{partition}: producer {producer_id} sent sequence {sequence}, expected {expected}")]
    OutOfOrderSequence { partition: TopicPartition, producer_id: i64, sequence: i32, expected: i32 },
    #[error("{partition}: producer {producer_id} has epoch {producer_epoch}, but {current_epoch} is current")]
    InvalidProducerEpoch { partition: TopicPartition, producer_id: i64, producer_epoch: i16, current_epoch: i16 },
    #[error("{partition}: a replicated batch starts at offset {found}, before the log's end {log_end_offset}")]
    OffsetMismatch { partition: TopicPartition, found: i64, log_end_offset: i64 },
    #[error("{partition}: offset {offset} is not in [{log_start_offset}, {log_end_offset}]")]
    OffsetOutOfRange { partition: TopicPartition, offset: i64, log_start_offset: i64, log_end_offset: i64 },
    #[error("{partition}: the disk is full: free space on it, or lower retention: {source}")]
    DiskFull { partition: TopicPartition, source: io::Error },
    #[error("{partition}: {source}")]
    Io { partition: TopicPartition, source: io::Error },
    #[error("{partition}: takes no more writes since an earlier failure: {reason}; check the disk, then restart")]
    Poisoned { partition: TopicPartition, reason: String },
}

impl AppendError {
    pub(super) fn io(partition: &TopicPartition, source: io::Error) -> AppendError {
        let partition = partition.clone();
        match is_disk_full(&source) {
            true => AppendError::DiskFull { partition, source },
            false => AppendError::Io { partition, source },
        }
    }

    pub(super) fn batch(partition: &TopicPartition, error: &BatchError) -> AppendError {
        let partition = partition.clone();
        match error {
            BatchError::WrongMagic { magic } => AppendError::WrongMagic { partition, magic: *magic },
            other => AppendError::Corrupt { partition, reason: other.to_string() },
        }
    }
}

/// Why a read was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset} is not in [{log_start_offset}, {log_end_offset}]")]
    OffsetOutOfRange { offset: i64, log_start_offset: i64, log_end_offset: i64 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{}: belongs to topic id {found}, not {expected}: it was left by an older topic of the same name", path.display())]
    OtherTopicId { path: PathBuf, found: TopicId, expected: TopicId },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}
