//! The cluster as the records say it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use weir_types::TopicId;

use super::record::{ConfigResource, MetadataRecord};

/// Cheap to clone: topics and settings are shared until they change.
#[derive(Debug, Clone, Default)]
pub struct MetadataImage {
    topics: BTreeMap<Arc<str>, Arc<TopicImage>>,
    names: HashMap<TopicId, Arc<str>>,
    configs: BTreeMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    next_producer_id: i64,
    partition_count: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    pub name: Arc<str>,
    pub id: TopicId,
    /// By partition index, without gaps.
    pub partitions: Vec<PartitionImage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    pub leader: i32,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
}

impl MetadataImage {
    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// Topics from `name` on, by name.
    pub fn topics_from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        self.topics
            .range::<str, _>((std::ops::Bound::Included(name), std::ops::Bound::Unbounded))
            .map(|(_, topic)| topic)
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(&id)?)
    }

    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The dynamic settings of a resource; empty when it has none.
    pub fn configs(&self, resource: &ConfigResource) -> Arc<BTreeMap<String, String>> {
        self.configs.get(resource).cloned().unwrap_or_default()
    }

    /// Every resource with dynamic settings.
    pub fn configured_resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.configs.keys()
    }

    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Applies one record. A record about a topic that is gone changes nothing.
    pub fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Topic { name, topic_id } => {
                let topic = TopicImage { name: Arc::clone(name), id: *topic_id, partitions: Vec::new() };
                self.names.insert(*topic_id, Arc::clone(name));
                self.topics.insert(Arc::clone(name), Arc::new(topic));
            }
            MetadataRecord::Partition { topic_id, partition, replicas, isr, leader, leader_epoch } => {
                let state = PartitionImage {
                    leader: *leader,
                    leader_epoch: *leader_epoch,
                    replicas: replicas.clone(),
                    isr: isr.clone(),
                };
                self.apply_partition(*topic_id, *partition, state);
            }
            MetadataRecord::BrokerStarted { broker } => self.begin_epochs(*broker),
            MetadataRecord::RemoveTopic { topic_id } => self.remove_topic(*topic_id),
            MetadataRecord::Config { resource, key, value } => self.apply_config(resource, key, value.as_deref()),
            MetadataRecord::ProducerIds { next_producer_id } => self.next_producer_id = *next_producer_id,
        }
    }

    fn apply_partition(&mut self, topic_id: TopicId, partition: i32, state: PartitionImage) {
        let Some(topic) = self.names.get(&topic_id).and_then(|name| self.topics.get_mut(name)) else { return };
        let partitions = &mut Arc::make_mut(topic).partitions;
        match partitions.get_mut(partition as usize) {
            Some(known) => *known = state,
            None => {
                assert_eq!(partition as usize, partitions.len(), "partitions of a topic are recorded without gaps");
                partitions.push(state);
                self.partition_count += 1;
            }
        }
    }

    fn begin_epochs(&mut self, broker: i32) {
        for topic in self.topics.values_mut() {
            let led = Arc::make_mut(topic).partitions.iter_mut().filter(|partition| partition.leader == broker);
            led.for_each(|partition| partition.leader_epoch += 1);
        }
    }

    fn remove_topic(&mut self, topic_id: TopicId) {
        let Some(name) = self.names.remove(&topic_id) else { return };
        if let Some(topic) = self.topics.remove(&name) {
            self.partition_count -= topic.partitions.len();
        }
        self.configs.remove(&ConfigResource::Topic(name));
    }

    fn apply_config(&mut self, resource: &ConfigResource, key: &str, value: Option<&str>) {
        let settings = self.configs.entry(resource.clone()).or_default();
        match value {
            Some(value) => {
                Arc::make_mut(settings).insert(key.to_owned(), value.to_owned());
            }
            None => {
                Arc::make_mut(settings).remove(key);
            }
        }
        if settings.is_empty() {
            self.configs.remove(resource);
        }
    }

    /// The records that rebuild this image from nothing.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = vec![MetadataRecord::ProducerIds { next_producer_id: self.next_producer_id }];
        for topic in self.topics.values() {
            records.push(MetadataRecord::Topic { name: Arc::clone(&topic.name), topic_id: topic.id });
            records.extend(topic.partitions.iter().zip(0..).map(|(state, partition)| MetadataRecord::Partition {
                topic_id: topic.id,
                partition,
                replicas: state.replicas.clone(),
                isr: state.isr.clone(),
                leader: state.leader,
                leader_epoch: state.leader_epoch,
            }));
        }
        for (resource, settings) in &self.configs {
            records.extend(settings.iter().map(|(key, value)| MetadataRecord::Config {
                resource: resource.clone(),
                key: key.clone(),
                value: Some(value.clone()),
            }));
        }
        records
    }
}
