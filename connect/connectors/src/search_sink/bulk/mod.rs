//! Into a server that speaks `_bulk`.
//!
//! Documents are collected into requests of some megabytes; several are under way at once, as many as the server keeps
//! up with. The id of a document is its place in the topic (`create`: a second try is refused) or the record's key with
//! the offset as external version (an older one is refused), so that sending again never doubles or reverts anything.
//!
//! Invariants:
//! - Every record that was put is in `building`, `queue`, `under_way`, `parked` or `rejected` until it is done or
//!   reported.
//! - A flush returns offsets only when all five are empty.

mod chunk;
pub(super) mod client;
mod concurrency;
mod reply;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinSet;
use weir_connect_api::{
    ConnectError, ErrorClass, Offsets, RecordReporter, SinkContext, SinkRecord, SinkTask, TopicPartition,
};

use super::config::Servers;
use super::document::Documents;
use chunk::{Building, Chunk};
use client::{Client, Sent};
use concurrency::Concurrency;
use reply::Outcome;

/// Tries that a flush makes by itself before the worker hears of the trouble, and the pause before the first repeat.
const QUIET_TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct BulkSink {
    client: Arc<Client>,
    documents: Documents,
    reporter: Arc<dyn RecordReporter>,
    linger: Duration,
    batch_bytes: usize,
    batch_records: usize,
    concurrency: Concurrency,
    building: Building,
    /// To be sent, at most one more than what one `put` gave.
    queue: VecDeque<Chunk>,
    under_way: JoinSet<(Chunk, Sent, Duration)>,
    /// To be sent again after a pause.
    parked: Vec<Chunk>,
    /// Records that are no document, to be reported.
    rejected: Vec<(SinkRecord, ConnectError)>,
    trouble: Option<ConnectError>,
    read_to: Offsets,
    done: Offsets,
}

impl BulkSink {
    pub(super) fn new(
        servers: &Servers,
        documents: Documents,
        context: &SinkContext,
        linger: Duration,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            client: Arc::new(Client::new(servers)?),
            documents,
            reporter: Arc::clone(&context.reporter),
            linger,
            batch_bytes: servers.batch_bytes,
            batch_records: servers.batch_records,
            concurrency: Concurrency::new(servers.requests_max),
            building: Building::default(),
            queue: VecDeque::new(),
            under_way: JoinSet::new(),
            parked: Vec::new(),
            rejected: Vec::new(),
            trouble: None,
            read_to: Offsets::new(),
            done: Offsets::new(),
        })
    }

    fn seal(&mut self) {
        self.queue.extend(std::mem::take(&mut self.building).seal());
    }

    /// Sends until nothing is queued; waits only for a free place.
    async fn send(&mut self) -> Result<(), ConnectError> {
        while let Some(settled) = self.under_way.try_join_next() {
            self.settle(settled).await?;
        }
        while !self.queue.is_empty() {
            if self.under_way.len() < self.concurrency.limit() {
                if let Some(chunk) = self.queue.pop_front() {
                    let client = Arc::clone(&self.client);
                    self.under_way.spawn(async move {
                        let started = Instant::now();
                        let sent = client.bulk(chunk.body.clone(), chunk.trace()).await;
                        (chunk, sent, started.elapsed())
                    });
                }
            } else if let Some(settled) = self.under_way.join_next().await {
                self.settle(settled).await?;
            }
        }
        Ok(())
    }

    /// Sends until everything is done or parked.
    async fn send_all(&mut self) -> Result<(), ConnectError> {
        loop {
            self.send().await?;
            match self.under_way.join_next().await {
                Some(settled) => self.settle(settled).await?,
                None => return Ok(()),
            }
        }
    }

    async fn settle(
        &mut self,
        settled: Result<(Chunk, Sent, Duration), tokio::task::JoinError>,
    ) -> Result<(), ConnectError> {
        let (chunk, sent, took) =
            settled.map_err(|e| ConnectError::fatal(format!("a bulk request ended in a bug: {e}")))?;
        match sent {
            Sent::Answered(outcomes) if outcomes.len() == chunk.items.len() => self.items(chunk, outcomes, took).await,
            Sent::Answered(outcomes) => {
                let message = format!("_bulk answered {} items of {}", outcomes.len(), chunk.items.len());
                self.park(chunk, ConnectError::retriable(message));
                Ok(())
            }
            Sent::TooLarge(error) | Sent::Refused(error) => self.split(chunk, error).await,
            Sent::Failed(error) if error.is_retriable() => {
                self.park(chunk, error);
                Ok(())
            }
            Sent::Failed(error) => {
                self.parked.push(chunk);
                Err(error)
            }
        }
    }

    fn park(&mut self, chunk: Chunk, error: ConnectError) {
        self.concurrency.shrink();
        self.parked.push(chunk);
        self.trouble = Some(error);
    }

    /// Each item by its own answer.
    async fn items(&mut self, chunk: Chunk, outcomes: Vec<Outcome>, took: Duration) -> Result<(), ConnectError> {
        let mut again = vec![false; outcomes.len()];
        let mut bad = Vec::new();
        let mut trouble = None;
        for (place, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Outcome::Done => {}
                Outcome::Bad(error) => bad.push((place, error)),
                Outcome::Retry(message) => {
                    again[place] = true;
                    trouble = Some(ConnectError::retriable(message));
                }
            }
        }
        let mut failed = None;
        for (place, error) in bad {
            if failed.is_none() {
                failed = self.reporter.report(&chunk.items[place].record, &error).await.err();
            }
            again[place] = failed.is_some();
        }
        if let Some(rest) = chunk.subset(&again) {
            self.parked.push(rest);
        }
        match trouble {
            Some(error) => {
                self.concurrency.shrink();
                self.trouble = Some(error);
            }
            None => self.concurrency.grow(took),
        }
        failed.map_or(Ok(()), Err)
    }

    /// A request that is refused as a whole is halved until the document at fault is alone.
    async fn split(&mut self, chunk: Chunk, error: ConnectError) -> Result<(), ConnectError> {
        match chunk.halves() {
            Ok((first, second)) => {
                self.queue.push_front(second);
                self.queue.push_front(first);
                Ok(())
            }
            Err(single) => {
                for item in &single.items {
                    if let Err(failed) = self.reporter.report(&item.record, &error).await {
                        self.parked.push(single);
                        return Err(failed);
                    }
                }
                Ok(())
            }
        }
    }

    async fn report_rejected(&mut self) -> Result<(), ConnectError> {
        while let Some((record, error)) = self.rejected.last() {
            self.reporter.report(record, error).await?;
            self.rejected.pop();
        }
        Ok(())
    }

    /// Returns when everything that was put is done.
    async fn finish(&mut self) -> Result<(), ConnectError> {
        self.report_rejected().await?;
        self.seal();
        let mut tries = 0;
        loop {
            self.queue.extend(self.parked.drain(..));
            self.send_all().await?;
            if self.parked.is_empty() {
                return Ok(());
            }
            let error =
                self.trouble.take().unwrap_or_else(|| ConnectError::retriable("documents are to be sent again"));
            tries += 1;
            if tries == QUIET_TRIES_MAX {
                return Err(error);
            }
            let asked = match error.class {
                ErrorClass::Retriable { retry_after } => retry_after.unwrap_or_default(),
                ErrorClass::Record | ErrorClass::Fatal => Duration::ZERO,
            };
            // A long pause is the worker's to make: it shows that it waits, and why.
            if asked > PAUSE * (1 << QUIET_TRIES_MAX) {
                return Err(error);
            }
            tokio::time::sleep(asked.max(PAUSE * (1 << (tries - 1)))).await;
        }
    }
}

#[async_trait]
impl SinkTask for BulkSink {
    async fn start(&mut self, _context: SinkContext) -> Result<(), ConnectError> {
        Ok(())
    }

    /// The servers keep no offsets: the group's count.
    async fn open(&mut self, _partitions: &[TopicPartition]) -> Result<Offsets, ConnectError> {
        Ok(Offsets::new())
    }

    async fn put(&mut self, records: Vec<SinkRecord>, read_to: &Offsets) -> Result<(), ConnectError> {
        for record in records {
            match self.documents.document(&record) {
                Ok(document) => self.building.push(record, &document),
                Err(error) => self.rejected.push((record, error)),
            }
            if self.building.items.len() >= self.batch_records || self.building.body.len() >= self.batch_bytes {
                self.seal();
            }
        }
        self.read_to.extend(read_to.iter().map(|(partition, next)| (partition.clone(), *next)));
        self.report_rejected().await?;
        self.send().await?;
        if self.parked.is_empty() { Ok(()) } else { self.finish().await }
    }

    fn linger(&self) -> Option<Duration> {
        Some(self.linger)
    }

    async fn flush(&mut self) -> Result<Offsets, ConnectError> {
        self.finish().await?;
        self.done.append(&mut self.read_to);
        Ok(self.done.clone())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) {
        let is_kept = |partition: &TopicPartition| !partitions.contains(partition);
        while let Some(settled) = self.under_way.join_next().await {
            if let Err(error) = self.settle(settled).await {
                tracing::warn!(%error, "a bulk request failed while its partitions were taken away");
            }
        }
        self.seal();
        let held: Vec<Chunk> = self.queue.drain(..).chain(self.parked.drain(..)).collect();
        for chunk in held {
            let kept: Vec<bool> = chunk.items.iter().map(|item| is_kept(&item.record.origin)).collect();
            self.queue.extend(chunk.subset(&kept));
        }
        self.rejected.retain(|(record, _)| is_kept(&record.origin));
        self.read_to.retain(|partition, _| is_kept(partition));
        self.done.retain(|partition, _| is_kept(partition));
    }

    async fn alter_offsets(&mut self, _offsets: &BTreeMap<TopicPartition, Option<i64>>) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn stop(&mut self) {
        self.under_way.shutdown().await;
    }
}
