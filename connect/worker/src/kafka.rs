//! The worker's way to a cluster: librdkafka clients, made in one place.
//!
//! Every function here that talks to a broker blocks: call it on a blocking thread.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::client_log::ClientLog;
use crate::client_traffic::TOLD_EVERY_MS;

/// How long an administrative request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How long a broker may be silent while a topic is read to its end.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// Replicas of a topic that the worker creates: the broker's default.
const BROKER_DEFAULT_REPLICAS: i32 = -1;

/// What went wrong between the worker and the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{bootstrap}: {what}: {source}")]
    Client { bootstrap: String, what: String, source: Box<KafkaError> },
    #[error("{bootstrap}: {what}: no answer within {SILENCE_LIMIT:?}")]
    Silent { bootstrap: String, what: String },
}

/// A cluster, by its bootstrap servers.
#[derive(Debug, Clone)]
pub struct Cluster {
    bootstrap: String,
    log: ClientLog,
}

impl Cluster {
    pub fn new(bootstrap: impl Into<String>) -> Self {
        let bootstrap = bootstrap.into();
        Self { log: ClientLog::new(&bootstrap), bootstrap }
    }

    /// Where every client of the cluster reports to.
    pub(crate) fn log(&self) -> ClientLog {
        self.log.clone()
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub fn error(&self, what: impl Into<String>) -> impl FnOnce(KafkaError) -> ClusterError {
        let (bootstrap, what) = (self.bootstrap.clone(), what.into());
        move |source| ClusterError::Client { bootstrap, what, source: Box::new(source) }
    }

    /// Settings that every client shares, with `overrides` on top.
    pub fn config(&self, client_id: &str, overrides: &IndexMap<String, String>) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", client_id);
        // A broker that restarts is back within a second: look often, it costs nothing.
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("topic.metadata.refresh.interval.ms", "30000").set("allow.auto.create.topics", "true");
        config.set("statistics.interval.ms", TOLD_EVERY_MS).set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in overrides {
            config.set(key, value);
        }
        config
    }

    /// Creates a topic unless it exists.
    pub async fn ensure_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), ClusterError> {
        let what = format!("creating topic {name}");
        let config = self.config("weir-connect-admin", &IndexMap::new());
        let admin = AdminClient::from_config_and_context(&config, self.log()).map_err(self.error(&what))?;
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(BROKER_DEFAULT_REPLICAS));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().request_timeout(Some(REQUEST_LIMIT));
        let created = admin.create_topics([&topic], &options).await.map_err(self.error(&what))?;
        match created.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(self.error(what)(KafkaError::AdminOp(code)))
            }
            _ => Ok(()),
        }
    }

    fn reader(&self, what: &str) -> Result<BaseConsumer<ClientLog>, ClusterError> {
        let mut config = self.config("weir-connect-reader", &IndexMap::new());
        config.set("group.id", "weir-connect-reader").set("enable.auto.commit", "false");
        config.set("allow.auto.create.topics", "false").set("auto.offset.reset", "earliest");
        config.create_with_context(self.log()).map_err(self.error(what))
    }

    /// The cluster's id, if it tells it.
    pub fn cluster_id(&self) -> Option<String> {
        let reader = self.reader("asking for the cluster's id").ok()?;
        reader.client().fetch_cluster_id(REQUEST_LIMIT)
    }

    /// Partition → (first offset, end offset); empty when the topic does not exist.
    pub fn watermarks(&self, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, ClusterError> {
        let what = format!("offsets of topic {topic}");
        let reader = self.reader(&what)?;
        let metadata = reader.fetch_metadata(Some(topic), REQUEST_LIMIT).map_err(self.error(&what))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        let mut watermarks = BTreeMap::new();
        for partition in found.map_or(&[][..], |found| found.partitions()) {
            let both = reader.fetch_watermarks(topic, partition.id(), REQUEST_LIMIT).map_err(self.error(&what))?;
            watermarks.insert(partition.id(), both);
        }
        Ok(watermarks)
    }

    /// Reads a topic from `from` (or its beginning, for partitions left out) to the end it has now, and hands each
    /// record to `each`, in order per partition.
    pub fn read_to_end(
        &self,
        topic: &str,
        from: &BTreeMap<i32, i64>,
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), ClusterError> {
        let what = format!("reading topic {topic}");
        let mut left = BTreeMap::new();
        let mut assignment = TopicPartitionList::new();
        for (partition, (start, end)) in self.watermarks(topic)? {
            let first = from.get(&partition).copied().unwrap_or(start).max(start);
            if first < end {
                let offset = Offset::Offset(first);
                assignment.add_partition_offset(topic, partition, offset).map_err(self.error(&what))?;
                left.insert(partition, end);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let mut config = self.config("weir-connect-reader", &IndexMap::new());
        config.set("group.id", "weir-connect-reader").set("enable.auto.commit", "false");
        // The end of a partition may lie behind records that compaction removed: only this event tells.
        config.set("enable.partition.eof", "true");
        let reader: BaseConsumer<ClientLog> = config.create_with_context(self.log()).map_err(self.error(&what))?;
        reader.assign(&assignment).map_err(self.error(&what))?;
        while !left.is_empty() {
            match reader.poll(SILENCE_LIMIT) {
                None => return Err(ClusterError::Silent { bootstrap: self.bootstrap.clone(), what }),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition);
                }
                Some(Err(source)) => return Err(self.error(what)(source)),
                Some(Ok(message)) => {
                    each(&message);
                    if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                        left.remove(&message.partition());
                    }
                }
            }
        }
        Ok(())
    }
}
