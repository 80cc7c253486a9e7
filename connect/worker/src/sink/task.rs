//! The task's side: records through the transforms into the sink, offsets back.
//!
//! Invariants: an offset is committed only once the sink says it is durable; a retriable error is repeated for ever, and
//! shown; a batch read before a rebalance is never written after it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weir_connect_api::{
    Config, ConnectError, Offsets, RecordReporter, SinkContext, SinkRecord, SinkTask, Stage, TopicPartition,
};

use super::consumer::{Event, QUEUE_BATCHES, Reader, Subscription};
use super::lag::Lags;
use super::now_ms;
use crate::active_topics::TopicUse;
use crate::chain::Chain;
use crate::dead_letters::DeadLetters;
use crate::health::Health;
use crate::kafka::Cluster;
use crate::metrics::{ConnectorMetrics, Lag};
use crate::retry::Backoff;
use crate::trace::{self, Processing};

/// The longest a record waits to be flushed when the sink does not say.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// How often lag is shown while a call into the sink takes long.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What a run needs; everything but the task itself outlives it.
pub(crate) struct SinkRun {
    pub connector: Arc<str>,
    pub task_index: usize,
    /// With secrets resolved.
    pub config: Config,
    pub cluster: Cluster,
    pub chain: Chain,
    pub subscription: Subscription,
    pub dead_letters: Arc<DeadLetters>,
    pub health: Health,
    pub metrics: ConnectorMetrics,
    pub topics: TopicUse,
}

/// What a running task knows of its partitions.
#[derive(Default)]
struct Progress {
    task_index: usize,
    generation: u64,
    /// Of the partitions that are assigned.
    lags: Arc<Lags>,
    durable: Offsets,
    flush_at: Option<Instant>,
    /// Records of traces that are not known to be durable; few of them, at most.
    traced: Vec<Processing>,
}

impl SinkRun {
    /// Runs until `stop` or an error that only a restart can help.
    pub(crate) async fn run(
        mut self,
        mut task: Box<dyn SinkTask>,
        stop: CancellationToken,
    ) -> Result<(), ConnectError> {
        let reporter: Arc<dyn RecordReporter> = Arc::clone(&self.dead_letters) as _;
        let context = SinkContext {
            connector: Arc::clone(&self.connector),
            task_index: self.task_index,
            config: self.config.clone(),
            reporter,
        };
        let mut progress = Progress::new(self.task_index);
        self.repeat(task.as_mut(), &progress, &stop, Call::Start(context)).await?;
        let (events, mut queue) = mpsc::channel(QUEUE_BATCHES);
        let client_id = format!("{}-{}", self.connector, self.task_index);
        let subscription = std::mem::replace(&mut self.subscription, Subscription::none());
        let reader = Reader::start(&self.cluster, &client_id, subscription, events, Arc::clone(&progress.lags));
        let reader = reader.map_err(|error| ConnectError::fatal(error.to_string()))?;
        let ended = self.work(task.as_mut(), &reader, &mut queue, &mut progress, &stop).await;
        if ended.is_ok()
            && let Ok(durable) = task.flush().await
        {
            reader.commit(&durable);
        }
        let assigned = progress.lags.end();
        task.close(&assigned).await;
        task.stop().await;
        // Whoever waits in the thread for an answer gets none, and ends.
        drop(queue);
        let _ = tokio::task::spawn_blocking(move || reader.stop()).await;
        ended
    }

    async fn work(
        &mut self,
        task: &mut dyn SinkTask,
        reader: &Reader,
        queue: &mut mpsc::Receiver<Event>,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), ConnectError> {
        let linger = task.linger().unwrap_or(FLUSH_EVERY);
        loop {
            let flush_at = progress.flush_at.unwrap_or_else(|| Instant::now() + FLUSH_EVERY);
            let event = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                event = queue.recv() => event,
                () = tokio::time::sleep_until(flush_at.into()) => {
                    self.flush(task, reader, progress, stop).await?;
                    continue;
                }
            };
            match event {
                None => return Err(ConnectError::retriable("the consumer ended by itself")),
                Some(Event::Failed(message)) => return Err(ConnectError::fatal(message)),
                Some(Event::Assigned { generation, partitions, reply }) => {
                    progress.generation = generation;
                    progress.durable = self.repeat(task, progress, stop, Call::Open(&partitions)).await?;
                    progress.lags.begin(partitions, &progress.durable);
                    let _ = reply.send(progress.durable.clone());
                }
                Some(Event::Revoked { partitions, reply }) => {
                    self.flush(task, reader, progress, stop).await?;
                    task.close(&partitions).await;
                    progress.lags.end();
                    progress.durable.clear();
                    self.metrics.lag(self.task_index, []);
                    let _ = reply.send(());
                }
                Some(Event::Records { generation, records }) if generation == progress.generation => {
                    self.put(task, records, progress, stop).await?;
                    progress.flush_at.get_or_insert_with(|| Instant::now() + linger);
                    if progress.flush_at.is_some_and(|at| Instant::now() >= at) {
                        self.flush(task, reader, progress, stop).await?;
                    }
                }
                Some(Event::Records { .. }) => {}
            }
        }
    }

    async fn put(
        &mut self,
        task: &mut dyn SinkTask,
        records: Vec<SinkRecord>,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), ConnectError> {
        let mut traced = trace::processing(&records, &self.config);
        let mut read_to = Offsets::new();
        let (mut bytes, count) = (0, records.len() as u64);
        let mut kept = Vec::with_capacity(records.len());
        for mut record in records {
            read_to.insert(record.origin.clone(), record.offset + 1);
            bytes += record.record.value.size_bytes() as u64;
            if self.chain.is_empty() {
                kept.push(record);
                continue;
            }
            record.original = Some(Box::new(record.record.clone()));
            match self.chain.apply(&mut record.record) {
                Ok(true) => kept.push(record),
                Ok(false) => {}
                Err(error) => self.dead_letters.sink_record(&record, Stage::Transformation, &error).await?,
            }
        }
        read_to.keys().for_each(|place| self.topics.used(&place.topic));
        self.metrics.moved(count, bytes);
        let (began, wall) = (Instant::now(), SystemTime::now());
        let put = progress.shown_while(&self.metrics, task.put(kept, &read_to)).await;
        self.metrics.batch_took(began.elapsed());
        Processing::put(&mut traced, wall);
        Processing::more(&mut progress.traced, traced);
        match put {
            Err(error) if error.is_retriable() => {
                self.health.trouble(&error);
                self.metrics.retried(&error, Duration::ZERO);
                let durable = self.repeat(task, progress, stop, Call::Flush).await?;
                progress.written(durable);
                Ok(())
            }
            Err(error) => {
                Processing::done(std::mem::take(&mut progress.traced), &self.connector, wall, Some(&error));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn flush(
        &mut self,
        task: &mut dyn SinkTask,
        reader: &Reader,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), ConnectError> {
        let (began, wall) = (Instant::now(), SystemTime::now());
        let flushed = self.repeat(task, progress, stop, Call::Flush).await;
        Processing::done(std::mem::take(&mut progress.traced), &self.connector, wall, flushed.as_ref().err());
        let durable = flushed?;
        if progress.flush_at.take().is_some() {
            self.metrics.batch_took(began.elapsed());
        }
        let moved: Offsets =
            durable.into_iter().filter(|(place, offset)| progress.durable.get(place) != Some(offset)).collect();
        reader.commit(&moved);
        progress.written(moved);
        progress.show(&self.metrics);
        Ok(())
    }

    /// Makes a call until it succeeds, fails for good, or the task is stopped.
    async fn repeat(
        &mut self,
        task: &mut dyn SinkTask,
        progress: &Progress,
        stop: &CancellationToken,
        call: Call<'_>,
    ) -> Result<Offsets, ConnectError> {
        let mut backoff = Backoff::default();
        loop {
            let attempt = async {
                match &call {
                    Call::Start(context) => task.start(context.clone()).await.map(|()| Offsets::new()),
                    Call::Open(partitions) => task.open(partitions).await,
                    Call::Flush => task.flush().await,
                }
            };
            match progress.shown_while(&self.metrics, attempt).await {
                Err(error) if error.is_retriable() => {
                    self.health.trouble(&error);
                    let waited = progress.shown_while(&self.metrics, backoff.wait(stop, &error)).await;
                    self.metrics.retried(&error, waited);
                    if stop.is_cancelled() {
                        return Err(error);
                    }
                }
                result => {
                    self.health.over();
                    return result;
                }
            }
        }
    }
}

impl Progress {
    fn new(task_index: usize) -> Self {
        Self { task_index, ..Self::default() }
    }

    /// Waits for a call and shows meanwhile how the lag grows: what it waits for may be slow, or away.
    async fn shown_while<T>(&self, metrics: &ConnectorMetrics, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                result = &mut call => return result,
                () = tokio::time::sleep(SHOW_EVERY) => self.show(metrics),
            }
        }
    }

    fn show(&self, metrics: &ConnectorMetrics) {
        let lags = self.lags.now(now_ms());
        // Without partitions nothing is known: what was shown before holds until there are some.
        if !lags.is_empty() {
            let of_task = lags.into_iter().map(|(place, records, wait_ms)| {
                let waited = Duration::from_millis(wait_ms.unsigned_abs());
                (place, Lag { task: self.task_index, records, waited })
            });
            metrics.lag(self.task_index, of_task);
        }
    }

    fn written(&mut self, durable: Offsets) {
        self.lags.written(&durable);
        self.durable.extend(durable);
    }
}

/// What [`SinkRun::repeat`] calls.
enum Call<'a> {
    Start(SinkContext),
    Open(&'a [TopicPartition]),
    Flush,
}
