//! Sinks: from topics into the outside world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::Config;
use crate::error::ConnectError;
use crate::record::{Record, TopicPartition};

/// The next offset to read (exclusive end of what is done) per partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// A record read from a topic, after transforms. `origin` and `offset` are where it was read, whatever a transform
/// made of `record.topic`.
#[derive(Debug, Clone)]
pub struct SinkRecord {
    pub origin: TopicPartition,
    pub offset: i64,
    pub record: Record,
    /// As it was read, where transforms came in between: what a dead letter holds.
    pub original: Option<Box<Record>>,
}

/// Takes a record that the sink cannot write. Returns once the dead letter is acknowledged, or with an error when
/// `errors.tolerance=none`: then the task fails with it.
#[async_trait]
pub trait RecordReporter: Send + Sync {
    async fn report(&self, record: &SinkRecord, error: &ConnectError) -> Result<(), ConnectError>;
}

/// What the worker gives a sink task on start.
#[derive(Clone)]
pub struct SinkContext {
    pub connector: Arc<str>,
    pub task_index: usize,
    pub config: Config,
    pub reporter: Arc<dyn RecordReporter>,
}

/// One task of a sink. Calls never overlap: the worker awaits each before the next.
///
/// Offsets are contiguous per partition: a sink never says that an offset is done while an earlier record of that
/// partition is neither written nor reported.
#[async_trait]
pub trait SinkTask: Send {
    async fn start(&mut self, context: SinkContext) -> Result<(), ConnectError>;

    /// Partitions were assigned. A sink that keeps offsets with its data returns them: the worker seeks there. For
    /// partitions left out the group's committed offset counts.
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<Offsets, ConnectError>;

    /// Takes records, in offset order per partition; may write them or hold them until [`SinkTask::flush`]. On a
    /// retriable error the worker calls `flush` until it succeeds: the sink holds the records. `read_to` is how far
    /// the worker has read, also past records that a transform dropped: the sink counts those as done too.
    async fn put(&mut self, records: Vec<SinkRecord>, read_to: &Offsets) -> Result<(), ConnectError>;

    /// The longest that records may be held: the worker calls [`SinkTask::flush`] this long after the first
    /// [`SinkTask::put`] that was not flushed, however little came. `None` leaves it to the worker's own interval.
    fn linger(&self) -> Option<Duration> {
        None
    }

    /// Writes what is held and returns the offsets that are durable at the destination.
    async fn flush(&mut self) -> Result<Offsets, ConnectError>;

    /// Partitions were taken away, after a flush or, when they were lost, without one. What is held of them is
    /// dropped.
    async fn close(&mut self, partitions: &[TopicPartition]);

    /// Sets the offsets that the destination keeps, for `PATCH`/`DELETE …/offsets` (KIP-875): `None` forgets the
    /// partition's. Called on a task that was started but not opened. A sink that keeps none does nothing.
    async fn alter_offsets(&mut self, offsets: &BTreeMap<TopicPartition, Option<i64>>) -> Result<(), ConnectError>;

    async fn stop(&mut self);
}
