//! A broker to test, and a client that sends exactly the bytes it is told to.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_broker::{Broker, BrokerConfig, Property, start};
use weir_storage::fs::Fs;
use weir_types::batch::{RecordBatchBuilder, RecordBatches};

/// Longer than anything here takes; a test that waits so long has found a lost wake-up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct TestBroker {
    pub(crate) broker: Broker,
    pub(crate) folder: TempDir,
}

impl TestBroker {
    pub(crate) async fn start(properties: &[(&str, &str)]) -> Self {
        Self::start_on(Fs::default(), properties).await
    }

    pub(crate) async fn start_on(fs: Fs, properties: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = start_in(&folder, fs, properties).await;
        Self { broker, folder }
    }

    /// Stops cleanly and starts again on the same folder.
    pub(crate) async fn restart(self, properties: &[(&str, &str)]) -> Self {
        let Self { broker, folder } = self;
        broker.shutdown().await;
        let broker = start_in(&folder, Fs::default(), properties).await;
        Self { broker, folder }
    }

    /// What a counter or gauge says, by the values of its labels.
    pub(crate) fn metric(&self, name: &str) -> BTreeMap<String, f64> {
        let mut stream = std::net::TcpStream::connect(self.broker.http_addresses()[0]).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let series =
            page.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with(['{', ' ']));
        let values = series.map(|series| {
            let (labels, value) = series.rsplit_once(' ').unwrap();
            let labels: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
            (labels.join(" "), value.parse().unwrap())
        });
        values.collect()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.broker.kafka_addresses()[0]).await
    }

    pub(crate) async fn client_with_topic(&self, topic: &str, partitions: i32) -> Client {
        let mut client = self.client().await;
        assert_eq!(client.create_topic(topic, partitions, &[]).await, 0);
        client
    }
}

async fn start_in(folder: &TempDir, fs: Fs, properties: &[(&str, &str)]) -> Broker {
    let mut config = BrokerConfig { fs, ..BrokerConfig::default() };
    let folder = folder.path().to_str().unwrap();
    let own = [("log.dirs", folder), ("listeners", "PLAINTEXT://localhost:0"), ("http.listeners", "localhost:0")];
    for (key, value) in own.iter().chain(properties) {
        config.properties.insert((*key).to_owned(), Property::new(*value, "test"));
    }
    start(config).await.unwrap()
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), correlation_id: 0 }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response
    where
        R::Response: Decodable + HeaderVersion,
    {
        self.send(version, request).await;
        self.receive::<R>(version).await
    }

    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let frame = frame::<R>(version, self.correlation_id, |body| request.encode(body, version).unwrap());
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Reads the next answer, which must be to the oldest request unanswered when it is the only one.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16) -> R::Response
    where
        R::Response: Decodable + HeaderVersion,
    {
        let (_, response) = self.receive_with_id::<R>(version).await;
        response
    }

    pub(crate) async fn receive_with_id<R: Request>(&mut self, version: i16) -> (i32, R::Response)
    where
        R::Response: Decodable + HeaderVersion,
    {
        let mut frame = self.read_frame().await.expect("an answer and not the end of the connection");
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes are left over", frame.len());
        (header.correlation_id, response)
    }

    /// The next frame, or `None` when the broker has closed the connection.
    pub(crate) async fn read_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let len = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(len).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
    }

    pub(crate) async fn create_topic(&mut self, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> i16 {
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string((*name).to_owned()))
                .with_value(Some(StrBytes::from_string((*value).to_owned())))
        });
        let new_topic = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![new_topic]).with_timeout_ms(5000);
        self.call(7, &request).await.topics[0].error_code
    }

    pub(crate) async fn produce(&mut self, topic: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        let response = self.call(9, &produce_request(topic, partition, records, -1)).await;
        response.responses[0].partition_responses[0].clone()
    }

    pub(crate) async fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        let response = self.call(12, &fetch_request(topic, partition, offset, 0, 0)).await;
        response.responses[0].partitions[0].clone()
    }

    /// Offset and timestamp of the record that ListOffsets finds in partition 0.
    pub(crate) async fn list_offset(&mut self, topic: &str, timestamp: i64) -> (i64, i64) {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let response = self.call(8, &ListOffsetsRequest::default().with_topics(vec![topic])).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.error_code, 0);
        (found.offset, found.timestamp)
    }
}

/// A whole frame with a body that `write_body` makes.
pub(crate) fn frame<R: Request>(version: i16, correlation_id: i32, write_body: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")))
        .encode(&mut frame, R::header_version(version))
        .unwrap();
    write_body(&mut frame);
    let len = frame.len() as i32 - 4;
    (&mut frame[..4]).put_i32(len);
    frame
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(crate) fn produce_request(topic: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(vec![topic])
}

pub(crate) fn fetch_request(
    topic: &str,
    partition: i32,
    offset: i64,
    min_bytes: i32,
    max_wait_ms: i32,
) -> FetchRequest {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![wanted]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// Timestamps of the records that [`batch`] makes: near enough to now for every rule.
pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A batch with these values and no keys.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    let mut builder = RecordBatchBuilder::new(0);
    for value in values {
        builder.append(now_ms(), None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// The offsets and values in what a fetch returned.
pub(crate) fn records(data: &PartitionData) -> Vec<(i64, String)> {
    let bytes = data.records.clone().unwrap_or_default();
    let mut found = Vec::new();
    for batch in RecordBatches::new(&bytes) {
        for record in batch.unwrap().records().unwrap().iter() {
            let record = record.unwrap();
            found.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        }
    }
    found
}
