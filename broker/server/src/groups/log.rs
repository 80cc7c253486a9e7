//! Where a shard's records go and come from: the partitions of `__consumer_offsets`.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use tokio::runtime::Handle;
use weir_control::groups::AppendFailure;
use weir_repeats::Repeats;
use weir_storage::{AppendError, AppendOrigin};
use weir_types::batch::{BatchError, RecordBatches};

use super::OFFSETS_TOPIC;
use crate::partition::{Partition, PartitionError, Partitions, committed};

/// Bytes read at once when a partition is loaded.
const LOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

static NOT_WRITTEN: Repeats = Repeats::new();

/// Why a partition could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("the partition is not there")]
    Missing,
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// Takes a record's offset, key and value.
pub(crate) type Replay<'a> = dyn FnMut(i64, &[u8], Option<&[u8]>) + 'a;

/// The partitions of `__consumer_offsets`, as the shards need them. A trait so that a shard can be tested beside a disk
/// that is slow or fails.
pub(crate) trait OffsetsLog: Send + Sync + 'static {
    /// Appends the batches in this order. Returns once they are durable, with what became of each.
    fn append(&self, partition: i32, batches: Vec<Bytes>) -> BoxFuture<'_, Vec<Result<(), AppendFailure>>>;

    /// Hands every record of the partition to `replay`, oldest first. Blocks while it reads.
    fn replay(&self, partition: i32, replay: &mut Replay<'_>) -> Result<(), LoadError>;
}

/// The broker's own partitions.
pub(crate) struct PartitionsLog {
    partitions: Arc<Partitions>,
}

impl PartitionsLog {
    pub(crate) fn new(partitions: Arc<Partitions>) -> Self {
        Self { partitions }
    }
}

impl OffsetsLog for PartitionsLog {
    fn append(&self, index: i32, batches: Vec<Bytes>) -> BoxFuture<'_, Vec<Result<(), AppendFailure>>> {
        async move {
            let Some(partition) = self.partitions.partition(OFFSETS_TOPIC, index) else {
                return batches.iter().map(|_| Err(AppendFailure::NotLeader)).collect();
            };
            // All are written before the first flush is waited for: one round makes them durable.
            let appended: Vec<_> =
                batches.into_iter().map(|batch| partition.append(batch.into(), AppendOrigin::Coordinator)).collect();
            let mut outcomes = Vec::with_capacity(appended.len());
            for appended in appended {
                let outcome = match appended {
                    Ok(appended) => committed(&partition, appended.log_end_offset).await,
                    Err(error) => Err(error),
                };
                outcomes.push(outcome.map_err(|error| failure(&partition, &error)));
            }
            outcomes
        }
        .boxed()
    }

    fn replay(&self, index: i32, replay: &mut Replay<'_>) -> Result<(), LoadError> {
        let partition = self.partitions.partition(OFFSETS_TOPIC, index).ok_or(LoadError::Missing)?;
        let offsets = partition.offsets()?;
        // After a crash the end of the log is there to read once it is synced.
        Handle::current().block_on(committed(&partition, offsets.log_end_offset))?;
        let mut offset = offsets.log_start_offset;
        loop {
            let (bytes, next_offset) = partition.read_bytes(offset, LOAD_BYTES_MAX)?;
            if next_offset <= offset {
                return Ok(());
            }
            replay_batches(&bytes, replay)?;
            offset = next_offset;
        }
    }
}

/// Logged here, where it is known: the groups only learn what to tell their clients. What is too large is a client's doing, and
/// counted where that is answered.
fn failure(partition: &Partition, error: &PartitionError) -> AppendFailure {
    let failure = match error {
        PartitionError::Gone => AppendFailure::NotLeader,
        PartitionError::Append(AppendError::TooLarge { .. }) => AppendFailure::TooLarge,
        _ => AppendFailure::Unavailable,
    };
    let (topic, index) = (OFFSETS_TOPIC, partition.name.partition);
    if failure == AppendFailure::TooLarge {
        tracing::debug!(topic, partition = index, %error, "group records were not written");
    } else if let Some(suppressed) = NOT_WRITTEN.say(index) {
        tracing::error!(topic, partition = index, %error, suppressed, "group records were not written");
    }
    failure
}

/// Hands every record of these whole batches to `replay`.
pub(super) fn replay_batches(bytes: &[u8], replay: &mut Replay<'_>) -> Result<(), LoadError> {
    for batch in RecordBatches::new(bytes) {
        let batch = batch?;
        if batch.is_control() {
            continue;
        }
        for record in &batch.records()? {
            let record = record?;
            replay(record.offset, record.key.unwrap_or_default(), record.value);
        }
    }
    Ok(())
}
