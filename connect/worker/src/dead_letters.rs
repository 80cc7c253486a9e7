//! Where records go that cannot be worked with: `errors.tolerance` and `errors.deadletterqueue.topic.name`, with Kafka
//! Connect's headers.
//!
//! Invariant: a record is let go only once its dead letter is acknowledged, or when no dead letter topic is configured
//! and the errors are tolerated.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::OnceCell;
use weir_connect_api::{Config, ConnectError, Header, Record, RecordReporter, SinkRecord, Stage};
use weir_repeats::Repeats;

use crate::kafka::Cluster;
use crate::metrics::ConnectorMetrics;
use crate::producer::wire_headers;

/// How long a dead letter may wait for its acknowledgement before the call is reported as failed, to be repeated.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(30);
/// What is left of a value that the dead letter topic refuses as too large; the header below says so.
const CUT_VALUE_BYTES: usize = 64 * 1024;
const TRUNCATED_HEADER: &str = "weir.truncated";

static SKIPPED: Repeats = Repeats::new();

pub(crate) struct DeadLetters {
    connector: Arc<str>,
    task_index: usize,
    class: String,
    tolerates: bool,
    topic: Option<String>,
    with_headers: bool,
    cluster: Cluster,
    producer: OnceCell<FutureProducer>,
    metrics: ConnectorMetrics,
}

/// Where a record was read, for the headers of its dead letter.
struct Origin<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
}

impl DeadLetters {
    pub(crate) fn new(
        connector: Arc<str>,
        task_index: usize,
        config: &Config,
        cluster: Cluster,
        metrics: ConnectorMetrics,
    ) -> Self {
        let topic = config.opt_str("errors.deadletterqueue.topic.name").filter(|topic| !topic.is_empty());
        Self {
            connector,
            task_index,
            class: config.str("connector.class").to_owned(),
            tolerates: config.str("errors.tolerance").eq_ignore_ascii_case("all"),
            topic: topic.map(str::to_owned),
            with_headers: config.bool("errors.deadletterqueue.context.headers.enable"),
            cluster,
            producer: OnceCell::new(),
            metrics,
        }
    }

    /// A record that never reached a topic.
    pub(crate) async fn source_record(
        &self,
        record: &Record,
        stage: Stage,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        self.take(record, None, stage, error).await
    }

    /// A record that was read but cannot be used.
    pub(crate) async fn sink_record(
        &self,
        record: &SinkRecord,
        stage: Stage,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        let origin = Origin { topic: &record.origin.topic, partition: record.origin.partition, offset: record.offset };
        let as_read = record.original.as_deref().unwrap_or(&record.record);
        self.take(as_read, Some(origin), stage, error).await
    }

    async fn take(
        &self,
        record: &Record,
        origin: Option<Origin<'_>>,
        stage: Stage,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        self.metrics.failed(self.task_index, stage);
        if !self.tolerates {
            let place =
                origin.map(|o| format!("{}-{} at offset {}: ", o.topic, o.partition, o.offset)).unwrap_or_default();
            let remedy = "errors.tolerance=all would put it aside and go on";
            return Err(ConnectError::fatal(format!("{place}{} ({remedy})", error.message)));
        }
        let Some(topic) = &self.topic else {
            if let Some(suppressed) = SKIPPED.say(&self.connector) {
                tracing::warn!(connector = %self.connector, %error, suppressed, "a record is skipped: there is no dead letter topic");
            }
            return Ok(());
        };
        let mut headers = record.headers.clone();
        if self.with_headers {
            headers.extend(self.context_headers(origin, stage, error));
        }
        self.send(topic, record, headers).await?;
        self.metrics.dead_lettered();
        Ok(())
    }

    async fn send(&self, topic: &str, record: &Record, mut headers: Vec<Header>) -> Result<(), ConnectError> {
        let (key, value) = (record.key.to_wire(), record.value.to_wire());
        let mut sent = self.try_send(topic, record.timestamp_ms, key.as_deref(), value.as_deref(), &headers).await?;
        if sent.as_ref().is_err_and(is_too_large) {
            headers.push(Header { key: TRUNCATED_HEADER.into(), value: Some(Bytes::from_static(b"true")) });
            let cut = value.as_deref().map(|value| &value[..value.len().min(CUT_VALUE_BYTES)]);
            sent = self.try_send(topic, record.timestamp_ms, key.as_deref(), cut, &headers).await?;
        }
        sent.map_err(|error| {
            ConnectError::retriable(format!("dead letter topic {topic}: {error}: the record is kept until it is there"))
        })
    }

    async fn try_send(
        &self,
        topic: &str,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<Result<(), KafkaError>, ConnectError> {
        let producer = self.producer.get_or_try_init(|| async {
            let mut config = self.cluster.config("weir-connect-dead-letters", &IndexMap::new());
            config.set("enable.idempotence", "true").set("linger.ms", "2").set("message.max.bytes", "10485760");
            config.create::<FutureProducer>().map_err(self.cluster.error("making a producer"))
        });
        let producer = producer.await.map_err(|error| ConnectError::retriable(error.to_string()))?;
        let mut letter = FutureRecord::<[u8], [u8]>::to(topic).headers(wire_headers(headers));
        (letter.key, letter.payload, letter.timestamp) = (key, value, timestamp_ms);
        Ok(producer.send(letter, ACKNOWLEDGE_LIMIT).await.map(drop).map_err(|(error, _)| error))
    }

    /// Kafka Connect's own, `DeadLetterQueueReporter`.
    fn context_headers(&self, origin: Option<Origin<'_>>, stage: Stage, error: &ConnectError) -> Vec<Header> {
        let header = |name: &str, value: String| Header {
            key: format!("__connect.errors.{name}").into(),
            value: Some(Bytes::from(value)),
        };
        let mut headers = Vec::new();
        if let Some(origin) = origin {
            headers.push(header("topic", origin.topic.to_owned()));
            headers.push(header("partition", origin.partition.to_string()));
            headers.push(header("offset", origin.offset.to_string()));
        }
        headers.extend([
            header("connector.name", self.connector.to_string()),
            header("task.id", self.task_index.to_string()),
            header("stage", stage.as_str().to_owned()),
            header("class.name", self.class.clone()),
            header("exception.class.name", "org.apache.kafka.connect.errors.DataException".to_owned()),
            header("exception.message", error.message.clone()),
            header("exception.stacktrace", error.message.clone()),
        ]);
        headers
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge))
}

#[async_trait]
impl RecordReporter for DeadLetters {
    async fn report(&self, record: &SinkRecord, error: &ConnectError) -> Result<(), ConnectError> {
        self.sink_record(record, Stage::TaskPut, error).await
    }
}
