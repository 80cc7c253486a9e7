//! A cluster's brokers, found through any of them, each with one connection that is opened when first needed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FindCoordinatorRequest, GroupId, ListOffsetsRequest, MetadataRequest, MetadataResponse,
    OffsetFetchRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::connection::Connection;
use crate::error::{ClientError, check};
use crate::producer::Acks;

/// The newest versions that name topics instead of ids.
const PRODUCE_BY_NAME_MAX: i16 = 12;
const FETCH_BY_NAME_MAX: i16 = 12;
/// The newest versions with one group per request.
const FIND_COORDINATOR_SINGLE_MAX: i16 = 3;
pub(crate) const OFFSET_FETCH_MAX: i16 = 7;
const NO_NODE: i32 = -1;
const PRODUCE_LIMIT: Duration = Duration::from_secs(30);
const FETCH_PARTITION_BYTES: i32 = 1 << 20;
const FETCH_BYTES_MAX: i32 = 50 << 20;

/// How long what is being made may take: a topic's first leaders, a group's coordinator.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_secs(5);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// What stands for a time in a question for offsets: the first offset held, and the one that the next record gets.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// Partition → leader's node id, of one topic.
pub type TopicPartitions = BTreeMap<i32, i32>;

/// What a fetch found.
#[derive(Debug)]
pub struct Fetched {
    pub high_watermark: i64,
    pub log_start_offset: i64,
    /// Whole record batches; the first may begin before the offset asked for.
    pub batches: Bytes,
}

pub struct Client {
    bootstrap: Vec<String>,
    client_id: String,
    addresses: HashMap<i32, String>,
    connections: HashMap<i32, Connection>,
}

impl Client {
    /// Connects to the first of `host:port,…` that answers.
    pub async fn connect(bootstrap: &str, client_id: &str) -> Result<Self, ClientError> {
        let bootstrap: Vec<String> = bootstrap.split(',').map(|address| address.trim().to_owned()).collect();
        if let Some(bad) = bootstrap.iter().find(|address| !is_address(address)) {
            return Err(ClientError::Address(bad.clone()));
        }
        let mut client =
            Self { bootstrap, client_id: client_id.to_owned(), addresses: HashMap::new(), connections: HashMap::new() };
        client.any().await?;
        Ok(client)
    }

    /// Any broker; admin requests of a cluster of one go here.
    pub async fn any(&mut self) -> Result<&mut Connection, ClientError> {
        if let Some(node) = self.connections.keys().next().copied() {
            return self.node(node).await;
        }
        let mut last = ClientError::Address(String::new());
        for address in self.bootstrap.clone() {
            match Connection::open(&address, &self.client_id).await {
                Ok(connection) => {
                    self.connections.insert(NO_NODE, connection);
                    return self.node(NO_NODE).await;
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub async fn node(&mut self, node: i32) -> Result<&mut Connection, ClientError> {
        if !self.connections.contains_key(&node) {
            let address = self.addresses.get(&node).cloned();
            let address = address.ok_or_else(|| ClientError::Missing(format!("broker {node}")))?;
            self.connections.insert(node, Connection::open(&address, &self.client_id).await?);
        }
        self.connections.get_mut(&node).ok_or_else(|| ClientError::Missing(format!("broker {node}")))
    }

    /// Closes what is open, so that the next request connects anew.
    pub fn reset(&mut self) {
        self.connections.clear();
    }

    /// `None` is all topics. Never creates one.
    pub async fn metadata(&mut self, topics: Option<&[&str]>) -> Result<MetadataResponse, ClientError> {
        let named = |topic: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false);
        let answer = self.any().await?.request(&request).await?;
        for broker in &answer.brokers {
            self.addresses.insert(*broker.node_id, format!("{}:{}", broker.host, broker.port));
        }
        Ok(answer)
    }

    /// The partitions of an existing topic.
    pub async fn partitions(&mut self, topic: &str) -> Result<TopicPartitions, ClientError> {
        let answer = self.metadata(Some(&[topic])).await?;
        let found = answer.topics.first().ok_or_else(|| ClientError::Missing(format!("topic {topic}")))?;
        check(|| format!("topic {topic}"), found.error_code, None)?;
        Ok(found.partitions.iter().map(|p| (p.partition_index, *p.leader_id)).collect())
    }

    /// The partitions of a topic, which the broker may create (`auto.create.topics.enable`). Waits a little for a new
    /// topic's leaders.
    pub async fn partitions_or_create(&mut self, topic: &str) -> Result<TopicPartitions, ClientError> {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(true);
        self.any().await?.request(&request).await?;
        let give_up = Instant::now() + SETTLE_LIMIT;
        loop {
            match self.partitions(topic).await {
                Ok(partitions) if partitions.values().any(|leader| *leader < 0) => {
                    settle(give_up, || ClientError::Leaderless(format!("topic {topic}"))).await?;
                }
                Err(error) if is_settling(&error) => settle(give_up, || error).await?,
                result => return result,
            }
        }
    }

    /// The broker that coordinates a group. Waits a little while the cluster makes the topic that groups are kept in, and
    /// while the coordinator reads it.
    pub async fn coordinator(&mut self, group: &str) -> Result<&mut Connection, ClientError> {
        let give_up = Instant::now() + SETTLE_LIMIT;
        loop {
            match self.loaded_coordinator(group).await {
                Ok(node) => return self.node(node).await,
                Err(error) if is_settling(&error) => settle(give_up, || error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The node that coordinates a group, if it does so by now: asked for no offsets at all, it says whether it could.
    async fn loaded_coordinator(&mut self, group: &str) -> Result<i32, ClientError> {
        let subject = || format!("group {group}");
        let request = FindCoordinatorRequest::default().with_key(string(group));
        let (answer, _) = self.any().await?.request_up_to(&request, FIND_COORDINATOR_SINGLE_MAX).await?;
        check(subject, answer.error_code, answer.error_message.as_deref())?;
        let node = *answer.node_id;
        self.addresses.insert(node, format!("{}:{}", answer.host, answer.port));
        let nothing = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(Some(Vec::new()));
        let (answer, _) = self.node(node).await?.request_up_to(&nothing, OFFSET_FETCH_MAX).await?;
        check(subject, answer.error_code, None)?;
        Ok(node)
    }

    /// Each partition's offset for a timestamp in ms, with one request per leader.
    /// Partitions that have no leader now, or no record at or after that time, are not among them.
    pub async fn offsets(
        &mut self,
        topic: &str,
        leaders: &TopicPartitions,
        at: i64,
    ) -> Result<BTreeMap<i32, i64>, ClientError> {
        let mut offsets = BTreeMap::new();
        for (leader, partitions) in by_leader(leaders) {
            let wanted =
                |partition: i32| ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(at);
            let wanted = ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.into_iter().map(wanted).collect());
            let request = ListOffsetsRequest::default().with_replica_id(BrokerId(NO_NODE)).with_topics(vec![wanted]);
            let answer = self.node(leader).await?.request(&request).await?;
            for found in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                check(|| format!("{topic}-{}", found.partition_index), found.error_code, None)?;
                if found.offset >= 0 {
                    offsets.insert(found.partition_index, found.offset);
                }
            }
        }
        Ok(offsets)
    }

    /// What each partition that has a leader holds now.
    pub async fn held(
        &mut self,
        topic: &str,
        leaders: &TopicPartitions,
    ) -> Result<BTreeMap<i32, Range<i64>>, ClientError> {
        let starts = self.offsets(topic, leaders, EARLIEST).await?;
        let ends = self.offsets(topic, leaders, LATEST).await?;
        Ok(starts
            .into_iter()
            .filter_map(|(partition, start)| Some((partition, start..*ends.get(&partition)?)))
            .collect())
    }

    /// Appends one record batch with `acks=all`; gives its base offset.
    pub async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        leader: i32,
        batch: Bytes,
    ) -> Result<i64, ClientError> {
        let base_offset = self.send_batch(topic, partition, leader, Acks::All, batch).await?;
        base_offset.ok_or_else(|| ClientError::Missing(format!("the offset of a batch for {topic}-{partition}")))
    }

    /// Sends one record batch, once. With [`Acks::None`] nothing is known of it afterwards.
    pub(crate) async fn send_batch(
        &mut self,
        topic: &str,
        partition: i32,
        leader: i32,
        acks: Acks,
        batch: Bytes,
    ) -> Result<Option<i64>, ClientError> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let data = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
        let timeout_ms = i32::try_from(PRODUCE_LIMIT.as_millis()).unwrap_or(i32::MAX);
        let request =
            ProduceRequest::default().with_acks(acks.code()).with_timeout_ms(timeout_ms).with_topic_data(vec![data]);
        let connection = self.node(leader).await?;
        if acks == Acks::None {
            return connection.send_up_to(&request, PRODUCE_BY_NAME_MAX).await.map(|()| None);
        }
        let (answer, _) = connection.request_up_to(&request, PRODUCE_BY_NAME_MAX).await?;
        let done = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let done = done.ok_or_else(|| ClientError::Missing(format!("{topic}-{partition}")))?;
        check(|| format!("{topic}-{partition}"), done.error_code, done.error_message.as_deref())?;
        Ok(Some(done.base_offset))
    }

    /// Reads several partitions of one topic that share a leader, waiting up to `wait` for the first byte.
    pub async fn fetch(
        &mut self,
        topic: &str,
        leader: i32,
        offsets: &BTreeMap<i32, i64>,
        wait: Duration,
    ) -> Result<BTreeMap<i32, Fetched>, ClientError> {
        let wanted = |(partition, offset): (&i32, &i64)| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(FETCH_PARTITION_BYTES)
        };
        let partitions = offsets.iter().map(wanted).collect();
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(NO_NODE))
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES_MAX)
            .with_topics(vec![FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions)]);
        let (answer, _) = self.node(leader).await?.request_up_to(&request, FETCH_BY_NAME_MAX).await?;
        check(|| format!("fetch of {topic}"), answer.error_code, None)?;
        let mut fetched = BTreeMap::new();
        for part in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            check(|| format!("{topic}-{}", part.partition_index), part.error_code, None)?;
            let batches = part.records.unwrap_or_default();
            let (high_watermark, log_start_offset) = (part.high_watermark, part.log_start_offset);
            fetched.insert(part.partition_index, Fetched { high_watermark, log_start_offset, batches });
        }
        Ok(fetched)
    }
}

/// Leader → its partitions, without those that have none.
fn by_leader(leaders: &TopicPartitions) -> BTreeMap<i32, Vec<i32>> {
    let mut led: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in leaders.iter().filter(|(_, leader)| **leader >= 0) {
        led.entry(*leader).or_default().push(*partition);
    }
    led
}

/// Whether an error says that something is being made.
pub(crate) fn is_settling(error: &ClientError) -> bool {
    use ResponseError as E;
    matches!(
        error.kafka(),
        Some(E::UnknownTopicOrPartition | E::LeaderNotAvailable | E::CoordinatorNotAvailable)
            | Some(E::CoordinatorLoadInProgress | E::NotCoordinator)
    )
}

/// A pause before the same is asked again, or the error when it was asked for long enough.
pub(crate) async fn settle(give_up: Instant, error: impl FnOnce() -> ClientError) -> Result<(), ClientError> {
    if Instant::now() >= give_up {
        return Err(error());
    }
    tokio::time::sleep(SETTLE_PAUSE).await;
    Ok(())
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

pub fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(topic: &str) -> TopicName {
    TopicName(string(topic))
}

pub fn group_id(group: &str) -> GroupId {
    GroupId(string(group))
}
