//! Sources: from the outside world into topics.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::config::Config;
use crate::error::ConnectError;
use crate::record::{Header, Record};

/// What a source reads from (a file, a table), as Kafka Connect's REST shows it: a small JSON object.
pub type SourcePartition = Arc<Map<String, Json>>;
/// Where in a [`SourcePartition`] reading goes on, as Kafka Connect's REST shows it: a small JSON object.
pub type SourceOffset = Map<String, Json>;

/// Some records of one source partition, in order, and the offset that stands behind the last of them.
///
/// The worker commits `offset_after` once every record here and of all earlier batches of the same partition is
/// acknowledged by the broker (or dropped by a filter, or dead-lettered). `records` may be empty: then only the
/// offset moves. Without an `offset_after` the worker forgets the partition's offset, in the same order.
#[derive(Debug)]
pub struct SourceBatch {
    pub partition: SourcePartition,
    pub records: Vec<Record>,
    /// What the source cannot make a proper record of. `errors.tolerance` decides what becomes of it.
    pub rejected: Vec<RejectedRecord>,
    pub offset_after: Option<SourceOffset>,
}

/// A record as far as the source could make it, and what is wrong with it.
#[derive(Debug)]
pub struct RejectedRecord {
    pub record: Record,
    pub error: ConnectError,
}

/// A record that an earlier run of this connector produced and whose offset was not committed: found by the worker
/// at the end of the topic on start.
#[derive(Debug, Clone)]
pub struct DeliveredRecord {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub headers: Vec<Header>,
    pub value: Option<Bytes>,
}

/// What the worker gives a source task on start.
pub struct SourceContext {
    pub connector: Arc<str>,
    pub task_index: usize,
    pub config: Config,
    /// All committed offsets of this connector.
    pub offsets: Vec<(SourcePartition, SourceOffset)>,
}

/// One task of a source. Calls never overlap: the worker awaits each before the next.
#[async_trait]
pub trait SourceTask: Send {
    async fn start(&mut self, context: SourceContext) -> Result<(), ConnectError>;

    /// Called before the first [`SourceTask::poll`], perhaps several times, with the records that were delivered
    /// beyond the committed offsets, so that the task does not send them again. Their headers are as the task set
    /// them.
    fn recover(&mut self, delivered: &[DeliveredRecord]) -> Result<(), ConnectError>;

    /// Whether the offsets handed out so far cover all that was shown to [`SourceTask::recover`]. Until then those
    /// records are shown again after a crash, however far other source partitions have come. A task that keeps
    /// recovered records apart from its offsets must say so here.
    fn is_recovered(&self) -> bool {
        true
    }

    /// Waits for records, at most about a second, and gives what there is, perhaps nothing. Cancel safe: a call that
    /// is dropped loses nothing.
    async fn poll(&mut self) -> Result<Vec<SourceBatch>, ConnectError>;

    /// The offsets that were just made durable, for a source that must let go of something behind them.
    async fn committed(&mut self, _offsets: &[(SourcePartition, SourceOffset)]) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn stop(&mut self);
}
