//! Into the search node of this process: documents and offsets land in the same commit.
//!
//! Documents are written as they come and committed by a flush; until then their records are held, so that they can be
//! written again when the node loses what was not committed. The node drops what it has already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_connect_api::{ConnectError, Offsets, RecordReporter, SinkContext, SinkRecord, SinkTask, TopicPartition};
use weir_search::{DocumentError, SinkSession, TopicOffsets, WriteError};

use super::document::Documents;

/// Records that are held before a commit is made without being asked for: they bound the memory.
const HELD_RECORDS_MAX: usize = 200_000;
/// Documents of one write.
const WRITE_DOCUMENTS_MAX: usize = 5_000;

pub(super) fn no_node() -> ConnectError {
    ConnectError::fatal(
        "url is `embedded`, but this process has no search node: use `weir up` or `weir connect run --search`, or give an address",
    )
}

pub(super) struct EmbeddedSink {
    session: SinkSession,
    documents: Documents,
    reporter: Arc<dyn RecordReporter>,
    linger: Duration,
    /// Records since the last commit, in the order they came.
    held: Vec<Held>,
    /// How many of them are written.
    written: usize,
    /// Whether the node lost what was written.
    is_lost: bool,
    /// How far the worker has read, and so how far the next commit goes.
    read_to: Offsets,
    /// What the node has for certain.
    committed: Offsets,
}

struct Held {
    record: SinkRecord,
    is_reported: bool,
}

impl EmbeddedSink {
    pub(super) fn new(session: SinkSession, documents: Documents, context: &SinkContext, linger: Duration) -> Self {
        let (held, read_to, committed) = (Vec::new(), Offsets::new(), Offsets::new());
        let reporter = Arc::clone(&context.reporter);
        Self { session, documents, reporter, linger, held, written: 0, is_lost: false, read_to, committed }
    }

    /// Writes what is held and not written.
    async fn write(&mut self) -> Result<(), ConnectError> {
        if self.is_lost {
            self.session.stored_offsets().await.map_err(|e| write_error(&e))?;
            self.written = 0;
            self.is_lost = false;
        }
        while self.written < self.held.len() {
            let end = self.held.len().min(self.written + WRITE_DOCUMENTS_MAX);
            let mut places = Vec::with_capacity(end - self.written);
            let mut documents = Vec::with_capacity(end - self.written);
            let mut bad = Vec::new();
            for place in self.written..end {
                if self.held[place].is_reported {
                    continue;
                }
                match self.documents.document(&self.held[place].record) {
                    Ok(document) => {
                        places.push(place);
                        documents.push(document);
                    }
                    Err(error) => bad.push((place, error)),
                }
            }
            let report = match self.session.write(documents).await {
                Ok(report) => report,
                Err(error) => {
                    self.is_lost = is_loss(&error);
                    return Err(write_error(&error));
                }
            };
            bad.extend(report.rejected.into_iter().map(|(i, e)| (places[i], rejected(&e))));
            for (place, error) in bad {
                self.reporter.report(&self.held[place].record, &error).await?;
                self.held[place].is_reported = true;
            }
            self.written = end;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), ConnectError> {
        self.write().await?;
        if self.read_to.iter().all(|(partition, next)| self.committed.get(partition) == Some(next)) {
            return Ok(());
        }
        if let Err(error) = self.session.commit(topic_offsets(&self.read_to)).await {
            self.is_lost = is_loss(&error);
            return Err(write_error(&error));
        }
        self.committed.extend(self.read_to.clone());
        self.held.clear();
        self.written = 0;
        Ok(())
    }
}

#[async_trait]
impl SinkTask for EmbeddedSink {
    async fn start(&mut self, _context: SinkContext) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<Offsets, ConnectError> {
        let stored = self.session.stored_offsets().await.map_err(|e| write_error(&e))?;
        // Whatever was written before and is lost now is written again with the next flush.
        self.written = 0;
        self.is_lost = false;
        let next = |p: &TopicPartition| stored.get(&*p.topic)?.get(&p.partition).copied();
        let known: Offsets = partitions.iter().filter_map(|p| Some((p.clone(), next(p)?))).collect();
        self.committed.extend(known.clone());
        Ok(known)
    }

    async fn put(&mut self, records: Vec<SinkRecord>, read_to: &Offsets) -> Result<(), ConnectError> {
        self.held.extend(records.into_iter().map(|record| Held { record, is_reported: false }));
        self.read_to.extend(read_to.iter().map(|(partition, next)| (partition.clone(), *next)));
        if self.held.len() >= HELD_RECORDS_MAX { self.commit().await } else { self.write().await }
    }

    fn linger(&self) -> Option<Duration> {
        Some(self.linger)
    }

    async fn flush(&mut self) -> Result<Offsets, ConnectError> {
        self.commit().await?;
        Ok(self.committed.clone())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) {
        let is_kept = |partition: &TopicPartition| !partitions.contains(partition);
        self.held.retain(|held| is_kept(&held.record.origin));
        // Writing the rest again is harmless, and simpler than counting.
        self.written = 0;
        self.read_to.retain(|partition, _| is_kept(partition));
        self.committed.retain(|partition, _| is_kept(partition));
    }

    async fn alter_offsets(&mut self, offsets: &BTreeMap<TopicPartition, Option<i64>>) -> Result<(), ConnectError> {
        let offsets = offsets.iter().map(|(p, next)| (p.topic.to_string(), p.partition, *next)).collect();
        self.session.alter_offsets(offsets).await.map_err(|e| write_error(&e))
    }

    async fn stop(&mut self) {}
}

fn topic_offsets(offsets: &Offsets) -> TopicOffsets {
    let mut topics = TopicOffsets::new();
    for (partition, next) in offsets {
        topics.entry(partition.topic.to_string()).or_default().insert(partition.partition, *next);
    }
    topics
}

/// Whether the session refuses everything until it is asked for its offsets.
fn is_loss(error: &WriteError) -> bool {
    matches!(error, WriteError::Shard { .. } | WriteError::Lost)
}

/// What is wrong with a document may have words of it.
fn rejected(error: &DocumentError) -> ConnectError {
    match error {
        DocumentError::Index(_)
        | DocumentError::Malformed(_)
        | DocumentError::Timestamp { .. }
        | DocumentError::Missing { .. } => {
            ConnectError::record("the document cannot be indexed").quoting(error.to_string())
        }
        DocumentError::NotAnObject { .. }
        | DocumentError::TooLarge { .. }
        | DocumentError::TooManyFields
        | DocumentError::Id { .. } => ConnectError::record(error.to_string()),
    }
}

fn write_error(error: &WriteError) -> ConnectError {
    let message = format!("search node: {error}");
    match error {
        WriteError::Unreadable { .. } | WriteError::TooManyShards => ConnectError::fatal(message),
        WriteError::Shard { .. } | WriteError::Lost | WriteError::Checkpoint { .. } | WriteError::Closed => {
            ConnectError::retriable(message)
        }
    }
}
