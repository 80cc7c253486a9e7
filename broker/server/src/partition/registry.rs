//! Finding partitions, and keeping them what the metadata image says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{error, info};
use weir_control::metadata::{ConfigResource, MetadataImage, PartitionImage, TopicImage};
use weir_protocol::produce::TopicRef;
use weir_storage::{Log, LogConfig, LogDir, OpenOptions};
use weir_types::{TopicId, TopicPartition};

use super::Partition;
use super::flush::Flusher;
use super::topics::Topics;
use crate::clock::now_ms;
use crate::config::Properties;
use crate::config::log::log_config;
use crate::metadata::Current;
use crate::metrics::{Metrics, TopicMetrics};

/// All partitions of this broker.
pub(crate) struct Partitions {
    pub(super) node_id: i32,
    pub(super) dir: LogDir,
    pub(super) flusher: Arc<Flusher>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) topics: Topics,
    /// Whether folders of deleted partitions are still on disk.
    pub(super) has_deleted_folders: AtomicBool,
}

/// A topic's partitions, by index.
pub(crate) struct Topic {
    pub name: Arc<str>,
    pub id: TopicId,
    pub partitions: Vec<Arc<Partition>>,
    pub metrics: Arc<TopicMetrics>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

impl Partitions {
    pub(crate) fn topic(&self, topic: &TopicRef) -> Option<Arc<Topic>> {
        match topic {
            TopicRef::Name(name) => self.topics.named(name),
            TopicRef::Id(id) => self.topics.with_id(TopicId(*id)),
        }
    }

    pub(crate) fn topic_named(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.named(name)
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.topics.named(topic)?.partition(partition).cloned()
    }

    /// Those of this moment.
    pub(crate) fn topics(&self) -> Arc<Vec<Arc<Topic>>> {
        self.topics.all()
    }

    pub(crate) fn dir(&self) -> &LogDir {
        &self.dir
    }

    /// Opens what an image has gained, deletes what it has lost, applies settings that changed.
    pub(crate) async fn follow(self: &Arc<Self>, file: &Properties, before: Arc<Current>, after: Arc<Current>) {
        let (partitions, file) = (Arc::clone(self), file.clone());
        let followed =
            tokio::task::spawn_blocking(move || partitions.follow_blocking(&file, &before.image, &after.image));
        if let Err(panic) = followed.await {
            std::panic::resume_unwind(panic.into_panic());
        }
    }

    fn follow_blocking(&self, file: &Properties, before: &MetadataImage, after: &MetadataImage) {
        for topic in before.topics().filter(|topic| after.topic_by_id(topic.id).is_none()) {
            self.delete(topic);
        }
        let same_broker = self.broker_configs(before) == self.broker_configs(after);
        for topic in after.topics() {
            let resource = ConfigResource::Topic(Arc::clone(&topic.name));
            let known = before.topic_by_id(topic.id);
            let is_same = known.is_some_and(|known| known.partitions.len() == topic.partitions.len());
            if is_same && same_broker && before.configs(&resource) == after.configs(&resource) {
                continue;
            }
            let config = Arc::new(log_config(file, self.node_id, after, &topic.name));
            if is_same {
                self.set_config(topic.id, &config);
            } else {
                self.open_new(topic, &config);
            }
        }
    }

    fn broker_configs(&self, image: &MetadataImage) -> impl PartialEq + use<> {
        (image.configs(&ConfigResource::Broker(self.node_id)), image.configs(&ConfigResource::BrokerDefault))
    }

    fn set_config(&self, id: TopicId, config: &Arc<LogConfig>) {
        if let Some(topic) = self.topic(&TopicRef::Id(id.0)) {
            topic.partitions.iter().for_each(|partition| partition.set_config(Arc::clone(config)));
        }
    }

    fn open_new(&self, image: &TopicImage, config: &Arc<LogConfig>) {
        let known = self.topic(&TopicRef::Id(image.id.0));
        let metrics = known.as_ref().map_or_else(|| self.metrics.topic(), |topic| Arc::clone(&topic.metrics));
        let mut partitions = known.map(|topic| topic.partitions.clone()).unwrap_or_default();
        for (index, state) in image.partitions.iter().enumerate().skip(partitions.len()) {
            let name = TopicPartition::new(Arc::clone(&image.name), index as i32);
            let origin = Origin { recovery_point: 0, log_start_offset: 0, is_clean: true };
            partitions.push(self.open(name, image.id, state, config, origin, &metrics));
        }
        let topic = Topic { name: Arc::clone(&image.name), id: image.id, partitions, metrics };
        self.topics.insert(&Arc::new(topic));
    }

    /// Opens one log. One that cannot be opened is offline, and says why to whoever asks for it.
    pub(super) fn open(
        &self,
        name: TopicPartition,
        topic_id: TopicId,
        state: &PartitionImage,
        config: &Arc<LogConfig>,
        origin: Origin,
        metrics: &Arc<TopicMetrics>,
    ) -> Arc<Partition> {
        let options = OpenOptions {
            dir: self.dir.partition_path(&name),
            partition: name.clone(),
            topic_id,
            config: Arc::clone(config),
            recovery_point: origin.recovery_point,
            log_start_offset: origin.log_start_offset,
            clean: origin.is_clean,
            now_ms: now_ms(),
        };
        let log = Log::open_on(self.dir.fs().clone(), options).map(|(log, _report)| log).map_err(|error| {
            error!(topic = %name.topic, partition = name.partition, %error, "partition is offline");
            error.to_string()
        });
        let metrics = self.metrics.partition(metrics);
        Partition::new(name, state.leader_epoch, log, &self.flusher, metrics)
    }

    /// Removes the folders of deleted partitions, apart from the deletion itself: removing gigabytes takes a while. Who
    /// still reads from them keeps the files that are open.
    pub(crate) fn remove_deleted_folders(&self) -> std::io::Result<()> {
        if self.has_deleted_folders.swap(false, Ordering::Relaxed) {
            self.dir.remove_deleted()?;
        }
        Ok(())
    }

    fn delete(&self, topic: &TopicImage) {
        let Some(removed) = self.topic(&TopicRef::Id(topic.id.0)) else { return };
        // While it can still be found, so that what it counted is never missing in a sum.
        removed.partitions.iter().for_each(|partition| self.metrics.forget(&partition.metrics));
        self.metrics.forget(&removed.metrics);
        self.topics.remove(topic.id);
        for partition in &removed.partitions {
            let Some(log) = partition.take_log() else { continue };
            if let Err(error) = log.delete() {
                error!(topic = %topic.name, partition = partition.name.partition, %error, "cannot delete a partition's files");
            }
        }
        self.has_deleted_folders.store(true, Ordering::Relaxed);
        info!(topic = %topic.name, partitions = removed.partitions.len(), "topic deleted");
    }
}

/// Where recovery of a log begins.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) recovery_point: i64,
    pub(super) log_start_offset: i64,
    pub(super) is_clean: bool,
}
