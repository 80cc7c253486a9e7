//! The group coordinator: runs what `weir_control::groups` decides.
//!
//! Each partition of `__consumer_offsets` that this broker leads has a [`shard`]: the groups that hash to it, behind a
//! short lock, and a task that writes what they want written and keeps their timers. A request steps its shard on the
//! task that received it; the reply comes at once, or when the shard's task has made the records durable.
//!
//! Never: holds a shard's lock across an await; answers from a shard that has not read its partition to the end.

mod lag;
mod log;
mod metrics;
mod partitioner;
mod rest;
mod shard;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::Histogram;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_control::groups::{
    Commit, Event, Group, GroupConfig, GroupError, Join, JoinRefused, Joined, Leaver, Reply, RequestId, Sync, Synced,
};
use weir_types::TopicPartition;

pub(crate) use lag::GroupLags;
pub(crate) use log::{OffsetsLog, PartitionsLog};
pub(crate) use metrics::{add as add_metrics, families as metric_families};
pub(crate) use rest::{StartedLags, routes};
use shard::Shard;

/// Kafka's name for the topic that holds groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Partitions that are read at once when the broker starts: reading keeps a thread busy.
const LOADS_MAX: usize = 2;

type Outcomes = Result<Vec<Result<(), GroupError>>, GroupError>;

/// All groups that this broker coordinates.
pub(crate) struct Groups {
    log: Arc<dyn OffsetsLog>,
    config: GroupConfig,
    retention_check_interval: Duration,
    rebalance_seconds: Histogram,
    /// Empty until the topic exists. One per partition.
    shards: OnceLock<Vec<Arc<Shard>>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Groups {
    /// `retention_check_interval` is `offsets.retention.check.interval.ms`.
    pub(crate) fn new(
        log: Arc<dyn OffsetsLog>,
        config: GroupConfig,
        retention_check_interval: Duration,
        rebalance_seconds: Histogram,
    ) -> Self {
        Self {
            log,
            config,
            retention_check_interval,
            rebalance_seconds,
            shards: OnceLock::new(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// The topic exists: reads its partitions in the background and coordinates their groups as soon as each is read.
    /// Does nothing when it was opened before.
    pub(crate) fn open(&self, partition_count: usize) {
        let mut is_first = false;
        let shards = self.shards.get_or_init(|| {
            is_first = true;
            let shard = |index| Shard::new(index, self.config.clone(), self.rebalance_seconds.clone());
            (0..).take(partition_count).map(|index| Arc::new(shard(index))).collect()
        });
        if !is_first {
            return;
        }
        let loads = Arc::new(Semaphore::new(LOADS_MAX));
        for shard in shards {
            let (shard, log, loads) = (Arc::clone(shard), Arc::clone(&self.log), Arc::clone(&loads));
            let (shutdown, interval) = (self.shutdown.clone(), self.retention_check_interval);
            self.tasks.spawn(async move {
                if shard.load(&log, &loads).await {
                    shard.run(&log, interval, shutdown).await;
                }
            });
        }
    }

    /// Takes no more requests, writes what there is to write, and sends away whoever waits for other members.
    pub(crate) async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn shards(&self) -> &[Arc<Shard>] {
        self.shards.get().map_or(&[], Vec::as_slice)
    }

    fn shard(&self, group: &str) -> Result<&Arc<Shard>, GroupError> {
        let shards = self.shards();
        let index = partitioner::partition_of(group, shards.len()).ok_or(GroupError::NotCoordinator)?;
        Ok(&shards[index])
    }

    /// Whether the partition that would tell of the group is not read yet.
    fn is_loading(&self, group: &str) -> bool {
        self.shard(group).is_ok_and(|shard| shard.is_loading())
    }

    async fn ask<T>(
        &self,
        group: &Arc<str>,
        event: impl FnOnce(RequestId) -> Event,
        answer: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, GroupError> {
        let reply = self.shard(group)?.ask(event)?;
        // A dropped request: the shard's task has ended.
        let reply = reply.await.map_err(|_| GroupError::CoordinatorNotAvailable)?;
        let answer = answer(reply);
        debug_assert!(answer.is_some(), "each kind of request has its kind of reply");
        answer.ok_or(GroupError::CoordinatorNotAvailable)
    }

    pub(crate) async fn join(&self, join: Join) -> Result<Joined, JoinRefused> {
        let (group, member_id) = (Arc::clone(&join.group), Arc::clone(&join.member_id));
        let reply = self.ask(
            &group,
            |request| Event::Join { request, join },
            |reply| match reply {
                Reply::Join(result) => Some(result),
                _ => None,
            },
        );
        reply.await.unwrap_or_else(|error| Err(JoinRefused { error, member_id }))
    }

    pub(crate) async fn sync(&self, sync: Sync) -> Result<Synced, GroupError> {
        let group = Arc::clone(&sync.group);
        let reply = self.ask(
            &group,
            |request| Event::Sync { request, sync },
            |reply| match reply {
                Reply::Sync(result) => Some(result),
                _ => None,
            },
        );
        reply.await?
    }

    pub(crate) async fn heartbeat(
        &self,
        group: Arc<str>,
        member_id: Arc<str>,
        instance_id: Option<Arc<str>>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let id = Arc::clone(&group);
        let event = |request| Event::Heartbeat { request, group, member_id, instance_id, generation };
        let reply = self.ask(&id, event, |reply| match reply {
            Reply::Heartbeat(result) => Some(result),
            _ => None,
        });
        reply.await?
    }

    /// One result per leaver, in their order.
    pub(crate) async fn leave(&self, group: Arc<str>, leavers: Vec<Leaver>) -> Outcomes {
        let id = Arc::clone(&group);
        let reply = self.ask(
            &id,
            |request| Event::Leave { request, group, leavers },
            |reply| match reply {
                Reply::Leave(result) => Some(result),
                _ => None,
            },
        );
        reply.await?
    }

    /// Returns once the offsets are durable. One result per partition, in their order.
    pub(crate) async fn commit(&self, commit: Commit) -> Outcomes {
        let group = Arc::clone(&commit.group);
        let reply = self.ask(
            &group,
            |request| Event::Commit { request, commit },
            |reply| match reply {
                Reply::Commit(result) => Some(result),
                _ => None,
            },
        );
        reply.await?
    }

    pub(crate) async fn delete(&self, group: Arc<str>) -> Result<(), GroupError> {
        let id = Arc::clone(&group);
        let reply = self.ask(
            &id,
            |request| Event::DeleteGroup { request, group },
            |reply| match reply {
                Reply::DeleteGroup(result) => Some(result),
                _ => None,
            },
        );
        reply.await?
    }

    /// One result per partition, in their order.
    pub(crate) async fn delete_offsets(&self, group: Arc<str>, partitions: Vec<TopicPartition>) -> Outcomes {
        let id = Arc::clone(&group);
        let event = |request| Event::DeleteOffsets { request, group, partitions };
        let reply = self.ask(&id, event, |reply| match reply {
            Reply::DeleteOffsets(result) => Some(result),
            _ => None,
        });
        reply.await?
    }

    /// The topics are gone: so are the offsets that groups committed for them.
    pub(crate) fn topics_deleted(&self, topics: &[Arc<str>]) {
        for shard in self.shards() {
            shard.tell(Event::TopicsDeleted { topics: topics.to_vec() });
        }
    }

    /// Looks at one group, if it exists.
    pub(crate) fn read<T>(&self, group: &str, look: impl FnOnce(&Group) -> T) -> Result<Option<T>, GroupError> {
        self.shard(group)?.read(|coordinator| coordinator.group(group).map(look))
    }

    /// Looks at every group. An error when there are partitions not read yet.
    pub(crate) fn read_all(&self, mut look: impl FnMut(&Group)) -> Result<(), GroupError> {
        for shard in self.shards() {
            shard.read(|coordinator| coordinator.groups().for_each(&mut look))?;
        }
        Ok(())
    }

    /// The same, without those that are not read yet.
    pub(crate) fn read_loaded(&self, mut look: impl FnMut(&Group)) {
        for shard in self.shards() {
            // What is not loaded yet, or failed to load, has no groups to show.
            let _ = shard.read(|coordinator| coordinator.groups().for_each(&mut look));
        }
    }
}
