//! Where records go that cannot be worked with: `errors.tolerance` and `errors.deadletterqueue.topic.name`, with Kafka
//! Connect's headers.
//!
//! Invariant: a record is let go only once its dead letter is acknowledged, or when no dead letter topic is configured
//! and the errors are tolerated.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::OnceCell;
use weir_connect_api::{
    Config, ConnectError, Header, Record, RecordReporter, SinkRecord, SourceOffset, SourcePartition, Stage,
};
use weir_repeats::Repeats;
use weir_trace::{SpanContext, within_context};

use crate::kafka::Cluster;
use crate::metrics::ConnectorMetrics;
use crate::producer::wire_headers;
use crate::trace::of_headers;

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
    /// `errors.log.enable` and `errors.log.include.messages`.
    logs: bool,
    shows_records: bool,
    /// Of the record that a task last failed on.
    failed_on: Mutex<Option<SpanContext>>,
    cluster: Cluster,
    producer: OnceCell<FutureProducer>,
    metrics: ConnectorMetrics,
}

/// Where a record was read.
enum Origin<'a> {
    Topic {
        topic: &'a str,
        partition: i32,
        offset: i64,
    },
    /// A part of a source, and up to where that was read with the record.
    Source(&'a SourcePartition, &'a SourceOffset),
    Unknown,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = |map: &SourceOffset| serde_json::to_string(map).unwrap_or_default();
        match self {
            Self::Topic { topic, partition, offset } => write!(f, "{topic}-{partition} at offset {offset}: "),
            Self::Source(partition, offset) => write!(f, "{} before {}: ", json(partition), json(offset)),
            Self::Unknown => Ok(()),
        }
    }
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
            logs: config.bool("errors.log.enable"),
            shows_records: config.bool("errors.log.include.messages"),
            failed_on: Mutex::default(),
            cluster,
            producer: OnceCell::new(),
            metrics,
        }
    }

    /// A record that never reached a topic; `read` is its part of the source, and up to where that was read with it.
    pub(crate) async fn source_record(
        &self,
        record: &Record,
        read: Option<(&SourcePartition, &SourceOffset)>,
        stage: Stage,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        let origin = read.map_or(Origin::Unknown, |(partition, offset)| Origin::Source(partition, offset));
        self.take(record, origin, stage, error).await
    }

    /// A record that was read but cannot be used.
    pub(crate) async fn sink_record(
        &self,
        record: &SinkRecord,
        stage: Stage,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        let (topic, partition) = (&record.origin.topic, record.origin.partition);
        let origin = Origin::Topic { topic, partition, offset: record.offset };
        let as_read = record.original.as_deref().unwrap_or(&record.record);
        self.take(as_read, origin, stage, error).await
    }

    /// The trace of the record that the task has failed on, if it was one.
    pub(crate) fn failed_on(&self) -> Option<SpanContext> {
        self.failed_on.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn take(
        &self,
        record: &Record,
        origin: Origin<'_>,
        stage: Stage,
        error: &ConnectError,
    ) -> Result<(), ConnectError> {
        self.metrics.failed(self.task_index, stage);
        let told = if self.shows_records { error.in_full() } else { error.message.clone() };
        if !self.tolerates {
            *self.failed_on.lock().unwrap_or_else(PoisonError::into_inner) = of_headers(&record.headers);
            let remedy = "errors.tolerance=all would put it aside and go on";
            return Err(ConnectError::fatal(format!("{origin}{told} ({remedy})")));
        }
        let Some(topic) = &self.topic else {
            self.say_skipped(record, &origin, stage, &told);
            return Ok(());
        };
        let mut headers = record.headers.clone();
        if self.with_headers {
            headers.extend(self.context_headers(&origin, stage, error));
        }
        self.send(topic, record, headers).await?;
        self.metrics.dead_lettered();
        Ok(())
    }

    fn say_skipped(&self, record: &Record, origin: &Origin<'_>, stage: Stage, told: &str) {
        if let Some(suppressed) = self.logs.then(|| SKIPPED.say(&self.connector)).flatten() {
            let _within = within_context(of_headers(&record.headers));
            let (connector, stage, error) = (&*self.connector, stage.as_str(), format!("{origin}{told}"));
            tracing::warn!(connector, stage, error, suppressed, "a record is skipped: there is no dead letter topic");
        }
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
    fn context_headers(&self, origin: &Origin<'_>, stage: Stage, error: &ConnectError) -> Vec<Header> {
        let header = |name: &str, value: String| Header {
            key: format!("__connect.errors.{name}").into(),
            value: Some(Bytes::from(value)),
        };
        let mut headers = Vec::new();
        if let Origin::Topic { topic, partition, offset } = origin {
            headers.push(header("topic", (*topic).to_owned()));
            headers.push(header("partition", partition.to_string()));
            headers.push(header("offset", offset.to_string()));
        }
        headers.extend([
            header("connector.name", self.connector.to_string()),
            header("task.id", self.task_index.to_string()),
            header("stage", stage.as_str().to_owned()),
            header("class.name", self.class.clone()),
            header("exception.class.name", "org.apache.kafka.connect.errors.DataException".to_owned()),
            header("exception.message", error.in_full()),
            header("exception.stacktrace", error.in_full()),
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
