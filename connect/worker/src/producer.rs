//! The producer of a source task: idempotent, bounded, and cheap per record.
//!
//! What the broker says of each record goes straight into the task's [`Deliveries`], under a lock that is held for
//! nanoseconds, on librdkafka's own thread: no future and no allocation per record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header as KafkaHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use tokio::sync::OnceCell;
use weir_connect_api::{ConnectError, Header, Payload, Record};

use crate::client_log::ClientLog;
use crate::converter::Converter;
use crate::deliveries::{BatchId, Deliveries};
use crate::kafka::{Cluster, ClusterError};
use crate::source::headers;
use crate::trace::Sending;

/// Records that wait in the producer at most; above that, sending waits.
const QUEUE_RECORDS_MAX: &str = "200000";
const QUEUE_KIB_MAX: &str = "65536";
/// Pause before a record is offered again to a full queue.
const FULL_PAUSE: Duration = Duration::from_millis(2);
/// How long queued records may take to be acknowledged when a task stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// What became of the records of one task, shared with librdkafka's thread.
#[derive(Default)]
pub(crate) struct Ledger {
    inner: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    deliveries: Deliveries,
    /// The first error that no other record would be spared.
    failed: Option<ConnectError>,
    /// Records that the broker refuses for what they are; as many as are unsettled, at most.
    refused: Vec<Refused>,
    acknowledged_records: u64,
    acknowledged_bytes: u64,
    sending: Sending,
}

impl Ledger {
    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn deliveries<T>(&self, with: impl FnOnce(&mut Deliveries) -> T) -> T {
        with(&mut self.entries().deliveries)
    }

    pub(crate) fn take_failed(&self) -> Option<ConnectError> {
        self.entries().failed.take()
    }

    /// Records that the broker refuses, since the last call, in their order.
    pub(crate) fn take_refused(&self) -> Vec<Refused> {
        std::mem::take(&mut self.entries().refused)
    }

    /// A record that may belong to a trace is about to be queued.
    pub(crate) fn traced(&self, record: &Record) {
        self.entries().sending.queued(record);
    }

    /// Records and bytes acknowledged since the last call.
    pub(crate) fn take_acknowledged(&self) -> (u64, u64) {
        let mut entries = self.entries();
        (std::mem::take(&mut entries.acknowledged_records), std::mem::take(&mut entries.acknowledged_bytes))
    }
}

/// A record that the broker refuses, as it was on the wire.
pub(crate) struct Refused {
    pub batch: BatchId,
    pub record: Record,
    pub error: ConnectError,
    /// It was the only one of its request: it is itself at fault.
    pub was_alone: bool,
}

struct Context {
    ledger: Arc<Ledger>,
    log: ClientLog,
    /// Whether each record goes in a request of its own.
    is_alone: bool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        ClientLog::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.log.traffic().note(&statistics);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = BatchId;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: BatchId) {
        let mut entries = self.ledger.entries();
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error.to_string())),
        };
        entries.sending.answered(message, error);
        match result {
            Ok(message) => {
                entries.acknowledged_records += 1;
                entries.acknowledged_bytes += message.payload_len() as u64;
                entries.deliveries.acknowledged(batch, message.topic(), message.partition(), message.offset());
            }
            Err((error, message)) => {
                let text = format!("topic {}: a record was refused: {error}", message.topic());
                if is_about_the_record(error) {
                    let (record, error) = (as_sent(message), ConnectError::record(text));
                    entries.refused.push(Refused { batch, record, error, was_alone: self.is_alone });
                } else {
                    entries.failed.get_or_insert_with(|| ConnectError::fatal(text));
                }
            }
        }
    }
}

/// What another record would be spared.
fn is_about_the_record(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        InvalidMessage, InvalidMessageSize, InvalidRecord, MessageBatchTooLarge, MessageSizeTooLarge,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(MessageSizeTooLarge | MessageBatchTooLarge | InvalidMessage | InvalidMessageSize | InvalidRecord)
    )
}

fn as_sent(message: &BorrowedMessage<'_>) -> Record {
    let payload = |bytes: Option<&[u8]>| bytes.map_or(Payload::Null, |b| Payload::Bytes(Bytes::copy_from_slice(b)));
    Record {
        topic: Some(message.topic().into()),
        key: payload(message.key()),
        value: payload(message.payload()),
        timestamp_ms: message.timestamp().to_millis(),
        headers: headers(message),
        ..Record::default()
    }
}

pub(crate) struct RecordProducer {
    producer: ThreadedProducer<Context>,
    /// Sends each record in a request of its own. Made when it is needed first.
    alone: OnceCell<ThreadedProducer<Context>>,
    settings: ClientConfig,
    cluster: Cluster,
    ledger: Arc<Ledger>,
    key_converter: Converter,
    value_converter: Converter,
}

impl RecordProducer {
    /// `overrides` are librdkafka's own settings, from `producer.override.…`.
    pub(crate) fn open(
        cluster: &Cluster,
        client_id: &str,
        overrides: &IndexMap<String, String>,
        converters: (Converter, Converter),
    ) -> Result<Self, ClusterError> {
        let mut config = cluster.config(client_id, &IndexMap::new());
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "20");
        config.set("batch.size", "1000000").set("batch.num.messages", "20000").set("message.max.bytes", "10485760");
        config.set("queue.buffering.max.messages", QUEUE_RECORDS_MAX).set("queue.buffering.max.kbytes", QUEUE_KIB_MAX);
        // Never gives up on a record: a broker that is away comes back.
        config.set("message.timeout.ms", "0");
        for (key, value) in overrides {
            config.set(key, value);
        }
        let ledger = Arc::new(Ledger::default());
        let context = Context { ledger: Arc::clone(&ledger), log: cluster.log(), is_alone: false };
        let producer = config.create_with_context(context).map_err(cluster.error("making a producer"))?;
        let (key_converter, value_converter) = converters;
        let (alone, cluster) = (OnceCell::new(), cluster.clone());
        Ok(Self { producer, alone, settings: config, cluster, ledger, key_converter, value_converter })
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Queues a record of `batch`, waiting for room.
    pub(crate) async fn send(&self, batch: BatchId, record: &Record) -> Result<(), ConnectError> {
        let Some(topic) = record.topic.as_deref() else {
            return Err(ConnectError::fatal("a record without a topic: this is a bug of the connector"));
        };
        let (key, value) = (self.key_converter.write(&record.key), self.value_converter.write(&record.value));
        self.queue(&self.producer, || wire_record(topic, record, key.as_ref(), value.as_ref(), batch)).await
    }

    /// Queues a refused record once more, for a request of its own.
    pub(crate) async fn send_alone(&self, refused: &Refused) -> Result<(), ConnectError> {
        let producer = self.alone.get_or_try_init(async || {
            let mut config = self.settings.clone();
            config.set("batch.num.messages", "1");
            let context = Context { ledger: Arc::clone(&self.ledger), log: self.cluster.log(), is_alone: true };
            let made = config.create_with_context(context).map_err(self.cluster.error("making a producer"));
            made.map_err(|error| ConnectError::retriable(error.to_string()))
        });
        let (producer, record) = (producer.await?, &refused.record);
        let (key, value) = (record.key.to_wire(), record.value.to_wire());
        let topic = record.topic.as_deref().unwrap_or_default();
        self.queue(producer, || wire_record(topic, record, key.as_ref(), value.as_ref(), refused.batch)).await
    }

    async fn queue<'a>(
        &self,
        producer: &ThreadedProducer<Context>,
        record: impl Fn() -> BaseRecord<'a, [u8], [u8], BatchId>,
    ) -> Result<(), ConnectError> {
        loop {
            let record = record();
            let topic = record.topic;
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error @ KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                    return Err(ConnectError::record(format!("topic {topic}: {error}")));
                }
                Err((error, _)) => return Err(ConnectError::fatal(format!("topic {topic}: {error}"))),
            }
            if let Some(failed) = self.ledger.take_failed() {
                return Err(failed);
            }
        }
    }

    /// Waits until what is queued is acknowledged, within limits.
    pub(crate) async fn flush(&self) {
        for producer in [Some(&self.producer), self.alone.get()].into_iter().flatten() {
            let producer = producer.clone();
            let flushed = tokio::task::spawn_blocking(move || producer.flush(FLUSH_LIMIT)).await;
            if let Ok(Err(error)) = flushed {
                tracing::warn!(%error, "records are not acknowledged yet: they are recovered on the next start");
            }
        }
    }
}

fn wire_record<'a>(
    topic: &'a str,
    record: &'a Record,
    key: Option<&'a Bytes>,
    value: Option<&'a Bytes>,
    batch: BatchId,
) -> BaseRecord<'a, [u8], [u8], BatchId> {
    let mut wire = BaseRecord::with_opaque_to(topic, batch);
    wire.key = key.map(AsRef::as_ref);
    wire.payload = value.map(AsRef::as_ref);
    wire.partition = record.partition;
    wire.timestamp = record.timestamp_ms;
    if !record.headers.is_empty() {
        wire.headers = Some(wire_headers(&record.headers));
    }
    wire
}

pub(crate) fn wire_headers(headers: &[Header]) -> OwnedHeaders {
    let wire = OwnedHeaders::new_with_capacity(headers.len());
    headers
        .iter()
        .fold(wire, |wire, header| wire.insert(KafkaHeader { key: &header.key, value: header.value.as_deref() }))
}
