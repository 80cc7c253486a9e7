//! One run of a source task: poll, transform, send, commit.
//!
//! Offsets are committed behind acknowledged records only; on start the records that were delivered beyond the committed
//! offsets are shown to the task, so that it does not send them again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use tokio_util::sync::CancellationToken;
use weir_connect_api::{
    Config, ConnectError, DeliveredRecord, Header, RejectedRecord, SourceBatch, SourceContext, SourceTask, Stage,
};

use crate::active_topics::TopicUse;
use crate::chain::Chain;
use crate::dead_letters::DeadLetters;
use crate::deliveries::{BatchId, Floors};
use crate::health::Health;
use crate::kafka::Cluster;
use crate::metrics::ConnectorMetrics;
use crate::offsets::SharedOffsets;
use crate::producer::{RecordProducer, Refused};
use crate::retry::Backoff;
use crate::store::{Change, canonical, source_partition};
use crate::trace;

/// Records shown to a task at a time when it recovers.
const RECOVERY_CHUNK_RECORDS: usize = 10_000;
/// Records handed out and not yet acknowledged, at most; above that, polling waits.
const UNSETTLED_RECORDS_MAX: usize = 400_000;
const UNSETTLED_PAUSE: Duration = Duration::from_millis(5);

/// What a run needs; everything but the task itself outlives it.
pub(crate) struct SourceRun {
    pub connector: Arc<str>,
    pub task_index: usize,
    /// With secrets resolved.
    pub config: Config,
    pub cluster: Cluster,
    pub chain: Chain,
    pub producer: RecordProducer,
    pub dead_letters: Arc<DeadLetters>,
    pub health: Health,
    pub offsets: SharedOffsets,
    pub commit_every: Duration,
    pub metrics: ConnectorMetrics,
    pub topics: TopicUse,
}

impl SourceRun {
    /// Runs until `stop` or an error that only a restart can help.
    pub(crate) async fn run(
        mut self,
        mut task: Box<dyn SourceTask>,
        stop: CancellationToken,
    ) -> Result<(), ConnectError> {
        self.begin(task.as_mut()).await?;
        let ended = self.work(task.as_mut(), &stop).await;
        self.producer.flush().await;
        let committed = self.commit(task.as_mut()).await;
        task.stop().await;
        ended.and(committed)
    }

    async fn begin(&mut self, task: &mut dyn SourceTask) -> Result<(), ConnectError> {
        let position = self.offsets.position(&self.connector).await;
        let offsets = position.offsets.iter().map(|(partition, offset)| (source_partition(partition), offset.clone()));
        task.start(SourceContext {
            connector: Arc::clone(&self.connector),
            task_index: self.task_index,
            config: self.config.clone(),
            offsets: offsets.collect(),
        })
        .await?;
        self.recover(task, position.bounds).await
    }

    /// Shows the task what lies in its topics behind the committed bounds.
    async fn recover(
        &mut self,
        task: &mut dyn SourceTask,
        bounds: BTreeMap<(String, i32), i64>,
    ) -> Result<(), ConnectError> {
        let mut topics = Floors::new();
        for ((topic, partition), offset) in bounds {
            topics.entry(topic).or_default().insert(partition, offset);
        }
        let mut found_any = false;
        for (topic, from) in topics.clone() {
            let (cluster, read) = (self.cluster.clone(), topic.clone());
            let reading = tokio::task::spawn_blocking(move || {
                let mut delivered = Vec::new();
                cluster.read_to_end(&read, &from, |message| delivered.push(delivered_record(message)))?;
                Ok::<_, crate::kafka::ClusterError>(delivered)
            });
            let delivered = reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            let delivered = delivered.map_err(|error| ConnectError::retriable(error.to_string()))?;
            tracing::debug!(connector = %self.connector, topic, records = delivered.len(), "recovering");
            found_any |= !delivered.is_empty();
            delivered.chunks(RECOVERY_CHUNK_RECORDS).try_for_each(|chunk| task.recover(chunk))?;
        }
        if found_any {
            self.producer.ledger().deliveries(|d| d.recovering(topics));
        }
        Ok(())
    }

    async fn work(&mut self, task: &mut dyn SourceTask, stop: &CancellationToken) -> Result<(), ConnectError> {
        let mut bounded: HashSet<Arc<str>> = HashSet::new();
        let mut commit_at = Instant::now() + self.commit_every;
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let polled = tokio::select! {
                polled = task.poll() => polled,
                () = stop.cancelled() => return Ok(()),
            };
            match polled {
                Ok(batches) => {
                    if backoff.reset() {
                        self.health.over();
                    }
                    for batch in batches {
                        self.send(batch, &mut bounded).await?;
                    }
                    if task.is_recovered() {
                        self.producer.ledger().deliveries(|d| d.recovered());
                    }
                }
                Err(error) if error.is_retriable() => {
                    self.health.trouble(&error);
                    self.metrics.retried(&error, backoff.wait(stop, &error).await);
                }
                Err(error) => return Err(error),
            }
            self.settle(stop).await?;
            self.count();
            if Instant::now() >= commit_at {
                self.commit(task).await?;
                commit_at = Instant::now() + self.commit_every;
            }
        }
        Ok(())
    }

    /// Waits while too much is on its way; deals with what the broker refused, which would stay unsettled for ever.
    async fn settle(&mut self, stop: &CancellationToken) -> Result<(), ConnectError> {
        loop {
            if let Some(failed) = self.producer.ledger().take_failed() {
                return Err(failed);
            }
            for refused in self.producer.ledger().take_refused() {
                self.put_aside(refused).await?;
            }
            let is_full = self.producer.ledger().deliveries(|d| d.unsettled_records()) > UNSETTLED_RECORDS_MAX;
            if !is_full || stop.is_cancelled() {
                return Ok(());
            }
            tokio::time::sleep(UNSETTLED_PAUSE).await;
        }
    }

    async fn send(&mut self, batch: SourceBatch, bounded: &mut HashSet<Arc<str>>) -> Result<(), ConnectError> {
        let polled = SystemTime::now();
        let partition = canonical(&batch.partition);
        let count = batch.records.len() + batch.rejected.len();
        let (source, offset) = (batch.partition, batch.offset_after.clone());
        let read = offset.as_ref().map(|offset| (&source, offset));
        let id = self.producer.ledger().deliveries(|d| d.hand_out(partition, count, batch.offset_after));
        for RejectedRecord { record, error } in batch.rejected {
            self.dead_letters.source_record(&record, read, Stage::TaskPoll, &error).await?;
            self.let_go(id);
        }
        for mut record in batch.records {
            // As it was, for its dead letter; without transforms it stays so.
            let original = (!self.chain.is_empty()).then(|| record.clone());
            match self.chain.apply(&mut record) {
                Ok(true) => {}
                Ok(false) => {
                    self.let_go(id);
                    continue;
                }
                Err(error) => {
                    let original = original.as_ref().unwrap_or(&record);
                    self.dead_letters.source_record(original, read, Stage::Transformation, &error).await?;
                    self.let_go(id);
                    continue;
                }
            }
            if let Some(topic) = &record.topic {
                if !bounded.contains(topic) {
                    self.bound(topic).await?;
                    bounded.insert(Arc::clone(topic));
                }
                self.topics.used(topic);
            }
            if weir_trace::is_on() {
                trace::created(&mut record, &self.connector, polled);
                self.producer.ledger().traced(&record);
            }
            match self.producer.send(id, &record).await {
                Ok(()) => {}
                Err(error) if error.class == weir_connect_api::ErrorClass::Record => {
                    let original = original.as_ref().unwrap_or(&record);
                    self.dead_letters.source_record(original, read, Stage::KafkaProduce, &error).await?;
                    self.let_go(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A record that was refused with others is tried alone first: librdkafka never makes a smaller request of a large one.
    async fn put_aside(&mut self, refused: Refused) -> Result<(), ConnectError> {
        if !refused.was_alone {
            return self.producer.send_alone(&refused).await;
        }
        self.dead_letters.source_record(&refused.record, None, Stage::KafkaProduce, &refused.error).await?;
        self.let_go(refused.batch);
        Ok(())
    }

    fn let_go(&self, id: BatchId) {
        self.producer.ledger().deliveries(|d| d.let_go(id));
    }

    /// Before the first record ever goes to a topic, notes where the topic ends: a recovery begins there.
    async fn bound(&mut self, topic: &Arc<str>) -> Result<(), ConnectError> {
        let known = self.offsets.position(&self.connector).await;
        if known.bounds.keys().any(|(bounded, _)| **bounded == **topic) {
            return Ok(());
        }
        let (cluster, name) = (self.cluster.clone(), topic.to_string());
        let reading = tokio::task::spawn_blocking(move || cluster.watermarks(&name));
        let watermarks = reading.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let watermarks = watermarks.map_err(|error| ConnectError::retriable(error.to_string()))?;
        let mut bounds: BTreeMap<_, _> =
            watermarks.into_iter().map(|(partition, (_, end))| ((topic.to_string(), partition), end)).collect();
        // A topic that does not exist yet begins at 0 in every partition it will have.
        bounds.entry((topic.to_string(), 0)).or_insert(0);
        self.offsets.commit(&self.connector, Change { offsets: Vec::new(), bounds }).await
    }

    async fn commit(&mut self, task: &mut dyn SourceTask) -> Result<(), ConnectError> {
        let change = self.producer.ledger().deliveries(|d| d.take_due());
        if change.is_empty() {
            return Ok(());
        }
        let committed: Vec<_> = change
            .offsets
            .iter()
            .filter_map(|(partition, offset)| Some((source_partition(partition), offset.clone()?)))
            .collect();
        self.offsets.commit(&self.connector, change).await?;
        task.committed(&committed).await
    }

    fn count(&self) {
        let (records, bytes) = self.producer.ledger().take_acknowledged();
        self.metrics.moved(records, bytes);
    }
}

fn delivered_record(message: &BorrowedMessage<'_>) -> DeliveredRecord {
    DeliveredRecord {
        topic: message.topic().into(),
        partition: message.partition(),
        offset: message.offset(),
        headers: headers(message),
        value: message.payload().map(Bytes::copy_from_slice),
    }
}

/// A message's headers in our own words.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let header = |at: usize| {
        let header = headers.get(at);
        Header { key: header.key.into(), value: header.value.map(Bytes::copy_from_slice) }
    };
    (0..headers.count()).map(header).collect()
}
