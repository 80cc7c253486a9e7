//! A partition on disk, byte-compatible with Kafka: segments, indexes, producer state, recovery, cleaner.
//!
//! Reading order: [`LogConfig`], [`LogDir`] (one data folder), [`Log`] (one partition: open, append, read, flush,
//! retention), then what they stand on: segments, indexes, leader epochs, producers, checkpoints, and the file system
//! in `fs`, through which every change to the disk goes.
//!
//! Invariants:
//! - No async runtime, no protocol, no cluster, no clock: the time is passed in.
//! - Never rebuilds a batch that a client sent: it writes base offset and leader epoch in place, and the bytes land as
//!   they came. (Compaction, which drops records, is the one that writes batches anew.)
//! - A read gives file ranges of whole batches and never decodes a record.
//! - What was appended is durable once a [`FlushTicket`] taken after it was synced; a failed sync poisons the log.

mod checkpoint;
mod compaction;
mod config;
mod dir;
mod epochs;
mod folder;
pub mod fs;
mod index;
mod log;
mod producers;
mod segment;
mod walk;

pub use compaction::{CompactionError, CompactionJob, CompactionLimits, CompactionResult};
pub use config::LogConfig;
pub use dir::{Checkpoints, DiskUsage, FoundPartition, LogDir, LogDirError};
pub use log::{
    AppendError, AppendOrigin, AppendTimes, Appended, Closed, FileRange, FlushTicket, Log, OpenError, OpenOptions,
    ReadError, RecoveryReport, RetentionReport,
};
pub use producers::ProducerState;
pub use segment::TimestampAndOffset;
