//! The consumer of a sink task, in a thread of its own: librdkafka's calls block.
//!
//! Invariants: events reach the task in the order in which they happened; between `Revoked` and the next `Assigned` the
//! task gets no records that count (each batch carries the generation it was read in); a full queue pauses fetching and
//! never stops the thread from polling, so the member stays in its group however slow the destination is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::statistics::{Partition, Statistics};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Timestamp, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use weir_connect_api::{Header, Offsets, Record, SinkRecord, TopicPartition};

use super::lag::{Lags, Span};
use super::now_ms;
use crate::client_log::ClientLog;
use crate::converter::Converter;
use crate::kafka::{Cluster, ClusterError};

/// Batches that wait between the thread and the task.
pub(super) const QUEUE_BATCHES: usize = 4;
const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 4 << 20;
const POLL: Duration = Duration::from_millis(50);
/// A task that is just busy takes the next batch within milliseconds. Pausing would throw away what is fetched already,
/// so it is for tasks that are stuck.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
const FULL_WAIT: Duration = Duration::from_millis(1);
/// The thread polls all the time but for while a sink opens partitions, which may wait for its destination to be back.
const POLL_INTERVAL_MAX_MS: &str = "3600000";
/// How long the place of a member that ended is kept for it.
const SESSION_TIMEOUT_MS: &str = "10000";
const STATISTICS_EVERY_MS: &str = "1000";
/// What librdkafka holds that the thread has not taken yet.
const QUEUED_KBYTES_MAX: &str = "16384";
/// How long librdkafka waits to fetch again when that is full. Its own second is far longer than a sink needs to empty
/// the queue: a partition would stand still most of the time.
const FETCH_BACKOFF_MS: &str = "5";

/// What the thread tells the task.
pub(super) enum Event {
    Records {
        generation: u64,
        records: Vec<SinkRecord>,
    },
    /// Answer with the offsets to begin at; partitions left out begin at the group's.
    Assigned {
        generation: u64,
        partitions: Vec<TopicPartition>,
        reply: std_mpsc::SyncSender<Offsets>,
    },
    /// Answer when everything of them is written or dropped.
    Revoked {
        partitions: Vec<TopicPartition>,
        reply: std_mpsc::SyncSender<()>,
    },
    Failed(String),
}

/// What to read and how.
pub(crate) struct Subscription {
    pub topics: Vec<String>,
    pub group: String,
    pub key_converter: Converter,
    pub value_converter: Converter,
    /// librdkafka's own settings, from `consumer.override.…`.
    pub overrides: IndexMap<String, String>,
}

impl Subscription {
    /// What is left once the reader has taken its subscription.
    pub(crate) fn none() -> Self {
        Self {
            topics: Vec::new(),
            group: String::new(),
            key_converter: Converter::Auto,
            value_converter: Converter::Auto,
            overrides: IndexMap::new(),
        }
    }
}

/// The running thread; ends when dropped.
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Context>>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Reader {
    pub(super) fn start(
        cluster: &Cluster,
        client_id: &str,
        subscription: Subscription,
        events: mpsc::Sender<Event>,
        lags: Arc<Lags>,
    ) -> Result<Self, ClusterError> {
        let mut config = cluster.config(client_id, &IndexMap::new());
        config.set("group.id", &subscription.group).set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest").set("partition.assignment.strategy", "range");
        config.set("max.poll.interval.ms", POLL_INTERVAL_MAX_MS).set("statistics.interval.ms", STATISTICS_EVERY_MS);
        // A static member (KIP-345): after a kill the next run takes its place at once, without a rebalance.
        config.set("group.instance.id", client_id).set("session.timeout.ms", SESSION_TIMEOUT_MS);
        config.set("fetch.wait.max.ms", "100").set("queued.max.messages.kbytes", QUEUED_KBYTES_MAX);
        config.set("fetch.queue.backoff.ms", FETCH_BACKOFF_MS);
        for (key, value) in &subscription.overrides {
            config.set(key, value);
        }
        let context = Context { events: events.clone(), generation: AtomicU64::new(0), log: cluster.log(), lags };
        let consumer = config.create_with_context(context).map_err(cluster.error("making a consumer"))?;
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(consumer);
        let topics: Vec<&str> = subscription.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(cluster.error("subscribing"))?;
        let over = Arc::new(AtomicBool::new(false));
        let poller = Poller { consumer: Arc::clone(&consumer), over: Arc::clone(&over), events, subscription };
        let thread = std::thread::Builder::new().name("sink-consumer".to_owned()).spawn(move || poller.run());
        let thread =
            thread.map_err(|error| cluster.error(format!("starting a thread: {error}"))(KafkaError::Canceled))?;
        Ok(Self { consumer, over, thread: Some(thread) })
    }

    /// Commits to the group, for lag only; a failure is told in the log and mended by the next commit.
    pub(super) fn commit(&self, offsets: &Offsets) {
        let mut list = TopicPartitionList::new();
        for (place, offset) in offsets {
            let _ = list.add_partition_offset(&place.topic, place.partition, Offset::Offset(*offset));
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, rdkafka::consumer::CommitMode::Async)
        {
            tracing::warn!(%error, "the group's offsets are not committed");
        }
    }

    /// Ends the thread and leaves the group. Blocks.
    pub(super) fn stop(mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Context {
    events: mpsc::Sender<Event>,
    generation: AtomicU64,
    log: ClientLog,
    lags: Arc<Lags>,
}

impl Context {
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let (reply, answer) = std_mpsc::sync_channel(1);
        let partitions = places(list);
        if self.events.blocking_send(Event::Assigned { generation, partitions, reply }).is_err() {
            return;
        }
        let Ok(offsets) = answer.recv() else { return };
        for (place, offset) in offsets {
            let _ = list.set_partition_offset(&place.topic, place.partition, Offset::Offset(offset));
        }
        if let Err(error) = consumer.assign(list) {
            let _ = self.events.blocking_send(Event::Failed(format!("taking over partitions: {error}")));
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = std_mpsc::sync_channel(1);
        if self.events.blocking_send(Event::Revoked { partitions: places(list), reply }).is_ok() {
            let _ = answer.recv();
        }
        let _ = consumer.unassign();
    }
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
        let mut ends = Offsets::new();
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values().filter(|p| p.partition >= 0) {
                if let Some(end) = end_offset(partition) {
                    ends.insert(TopicPartition::new(topic.topic.as_str(), partition.partition), end);
                }
            }
        }
        self.lags.heard(&ends, now_ms());
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer, list),
        }
    }
}

/// The exclusive end of the records in a partition. Where everything is fetched and handed on, that is where the last one
/// ended: behind it there may be markers of transactions, which no reader gets to see.
fn end_offset(partition: &Partition) -> Option<i64> {
    let is_drained = partition.fetchq_cnt == 0 && partition.next_offset >= partition.ls_offset;
    let end = if is_drained { partition.app_offset } else { partition.ls_offset };
    Some(end).filter(|end| *end >= 0)
}

fn places(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

struct Poller {
    consumer: Arc<BaseConsumer<Context>>,
    over: Arc<AtomicBool>,
    events: mpsc::Sender<Event>,
    subscription: Subscription,
}

impl Poller {
    fn run(self) {
        let mut names: IndexMap<String, Arc<str>> = IndexMap::new();
        while !self.over.load(Ordering::Relaxed) {
            let Some(first) = self.consumer.poll(POLL) else { continue };
            let mut batch = Batch::default();
            let mut next = Some(first);
            while let Some(polled) = next {
                // The poll may have changed hands: what was read before counts no more, and is read again.
                batch.belong_to(self.generation());
                match polled {
                    Ok(message) => batch.push(&message, &mut names),
                    Err(error) if is_passing(&error) => tracing::debug!(%error, "the consumer goes on"),
                    Err(error) => {
                        let _ = self.events.blocking_send(Event::Failed(format!("reading: {error}")));
                        return;
                    }
                }
                next = if batch.is_full() { None } else { self.consumer.poll(Duration::ZERO) };
            }
            if !batch.is_empty() && !self.hand_over(batch) {
                return;
            }
        }
    }

    fn generation(&self) -> u64 {
        self.consumer.context().generation.load(Ordering::Relaxed)
    }

    /// False when the task is gone.
    fn hand_over(&self, batch: Batch) -> bool {
        let generation = batch.generation;
        self.consumer.context().lags.read(&batch.spans);
        let records = batch.finish(&self.subscription);
        let mut event = Event::Records { generation, records };
        let full_since = Instant::now();
        let mut is_paused = false;
        loop {
            match self.events.try_send(event) {
                Ok(()) => break,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(back)) => event = back,
            }
            if self.over.load(Ordering::Relaxed) {
                return false;
            }
            if full_since.elapsed() < PAUSE_AFTER {
                std::thread::sleep(FULL_WAIT);
                continue;
            }
            if !is_paused {
                self.each_assigned(|consumer, list| consumer.pause(list));
                is_paused = true;
            }
            // Nothing is fetched now: this only serves rebalances.
            if let Some(Ok(message)) = self.consumer.poll(POLL) {
                self.read_again(&message);
            }
        }
        if is_paused {
            self.each_assigned(|consumer, list| consumer.resume(list));
        }
        true
    }

    /// A record that came although its partition is paused, after a rebalance: it is fetched again in its turn.
    fn read_again(&self, message: &BorrowedMessage<'_>) {
        let offset = Offset::Offset(message.offset());
        if let Err(error) = self.consumer.seek(message.topic(), message.partition(), offset, POLL) {
            let _ = self.events.blocking_send(Event::Failed(format!("going back in a partition: {error}")));
        }
        self.each_assigned(|consumer, list| consumer.pause(list));
    }

    fn each_assigned(
        &self,
        act: impl Fn(&BaseConsumer<Context>, &TopicPartitionList) -> rdkafka::error::KafkaResult<()>,
    ) {
        if let Ok(list) = self.consumer.assignment()
            && let Err(error) = act(&self.consumer, &list)
        {
            tracing::debug!(%error, "pausing or resuming");
        }
    }
}

/// Errors that librdkafka mends by itself: a broker that is away, a topic that is not there yet.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(code) => !matches!(code, Code::Fatal | Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed),
        None => false,
    }
}

/// Records of one hand-over; their bytes lie in one allocation.
#[derive(Default)]
struct Batch {
    generation: u64,
    bytes: BytesMut,
    records: Vec<Raw>,
    spans: BTreeMap<TopicPartition, Span>,
}

struct Raw {
    origin: TopicPartition,
    offset: i64,
    timestamp_ms: Option<i64>,
    /// Ends in `Batch::bytes`: the key begins where the last value ended.
    key_end: Option<usize>,
    value_end: Option<usize>,
    headers: Vec<Header>,
}

impl Batch {
    fn push(&mut self, message: &BorrowedMessage<'_>, names: &mut IndexMap<String, Arc<str>>) {
        let name = match names.get(message.topic()) {
            Some(name) => Arc::clone(name),
            None => Arc::clone(names.entry(message.topic().to_owned()).or_insert_with(|| message.topic().into())),
        };
        let mut append = |part: Option<&[u8]>| {
            part.map(|part| {
                self.bytes.extend_from_slice(part);
                self.bytes.len()
            })
        };
        let origin = TopicPartition { topic: name, partition: message.partition() };
        let end_offset = message.offset() + 1;
        match self.spans.get_mut(&origin) {
            Some(span) => span.end_offset = end_offset,
            None => {
                let append_ms = match message.timestamp() {
                    Timestamp::LogAppendTime(ms) => Some(ms),
                    Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
                };
                let span = Span { first_offset: message.offset(), end_offset, append_ms, read_ms: now_ms() };
                self.spans.insert(origin.clone(), span);
            }
        }
        self.records.push(Raw {
            key_end: append(message.key()),
            value_end: append(message.payload()),
            origin,
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            headers: crate::source::headers(message),
        });
    }

    /// Drops what was read in another generation.
    fn belong_to(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS_MAX || self.bytes.len() >= BATCH_BYTES_MAX
    }

    fn finish(self, subscription: &Subscription) -> Vec<SinkRecord> {
        let bytes = self.bytes.freeze();
        let mut begin = 0;
        let mut cut = |end: Option<usize>| -> Option<Bytes> {
            let end = end?;
            let part = bytes.slice(begin..end);
            begin = end;
            Some(part)
        };
        let record = |raw: Raw| {
            let (key, value) = (cut(raw.key_end), cut(raw.value_end));
            let record = Record {
                topic: Some(Arc::clone(&raw.origin.topic)),
                partition: Some(raw.origin.partition),
                key: subscription.key_converter.read(key),
                value: subscription.value_converter.read(value),
                timestamp_ms: raw.timestamp_ms,
                headers: raw.headers,
            };
            SinkRecord { origin: raw.origin, offset: raw.offset, record, original: None }
        };
        self.records.into_iter().map(record).collect()
    }
}
