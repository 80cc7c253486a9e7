//! The task: records in, encoded into a batch; full batches are written by a spawned write while the next is encoded.
//!
//! Invariants:
//! - Every record that was put is in `waiting`, in `batch`, in the batch under way or in `failed`, until its offset is
//!   committed: a retriable error loses nothing.
//! - At most one write is under way, so that batches are committed in their order.
//!
//! `encoding` is the way from the records that wait to the batch.

mod encoding;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use weir_connect_api::{
    ConnectError, Offsets, RecordReporter, SinkContext, SinkRecord, SinkTask, TopicPartition, TypedConfig,
};

use super::batch::{BATCH_BYTES_MAX, Batch};
use super::config::Settings;
use super::encode::row::RowEncoder;
use super::name::TableName;
use super::offsets::Move;
use super::session::{Session, within};
use super::write::{Outcome, Writer, Written};

/// The task before and after its start.
#[derive(Default)]
pub(super) struct PostgresSinkTask {
    started: Option<Started>,
}

struct Started {
    settings: Arc<Settings>,
    connector: Arc<str>,
    reporter: Arc<dyn RecordReporter>,
    session: Option<Session>,
    positions: BTreeMap<TopicPartition, Position>,
    /// Records that have no row yet: at most those of one `put`, and of a batch that was taken apart.
    waiting: VecDeque<SinkRecord>,
    /// How far the worker has read; counts once `waiting` is empty.
    read_to: Offsets,
    encoders: HashMap<TableName, RowEncoder>,
    batch: Batch,
    /// When the oldest record of `batch` came.
    batch_since: Option<Instant>,
    under_way: Option<JoinHandle<Outcome>>,
    /// A batch whose write failed and is to be repeated before anything else.
    failed: Option<Batch>,
}

/// How far one open partition is.
struct Position {
    epoch: i64,
    /// What the offsets table says.
    stored: Option<i64>,
    /// Behind the last record of `batch`.
    encoded: Option<i64>,
}

/// When a batch is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    WhenFull,
    Now,
}

#[async_trait]
impl SinkTask for PostgresSinkTask {
    async fn start(&mut self, context: SinkContext) -> Result<(), ConnectError> {
        let settings = Settings::checked(&context.config)?;
        self.started = Some(Started {
            settings: Arc::new(settings),
            connector: context.connector,
            reporter: context.reporter,
            session: None,
            positions: BTreeMap::new(),
            waiting: VecDeque::new(),
            read_to: Offsets::new(),
            encoders: HashMap::new(),
            batch: Batch::default(),
            batch_since: None,
            under_way: None,
            failed: None,
        });
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<Offsets, ConnectError> {
        let started = self.started()?;
        started.drain().await;
        let limit = started.settings.write_timeout;
        let session = started.session().await?;
        let opened =
            within(limit, "opening partitions", session.offsets.open(&mut session.connection, partitions)).await;
        let opened = started.checked(opened)?;
        let mut offsets = Offsets::new();
        for (partition, stored) in opened {
            offsets.extend(stored.next_offset.map(|next| (partition.clone(), next)));
            let position = Position { epoch: stored.epoch, stored: stored.next_offset, encoded: None };
            started.positions.insert(partition, position);
        }
        Ok(offsets)
    }

    async fn put(&mut self, records: Vec<SinkRecord>, read_to: &Offsets) -> Result<(), ConnectError> {
        let started = self.started()?;
        started.waiting.extend(records);
        started.read_to.extend(read_to.iter().map(|(partition, next)| (partition.clone(), *next)));
        started.advance(Due::WhenFull).await
    }

    fn linger(&self) -> Option<Duration> {
        self.started.as_ref().map(|started| started.settings.linger)
    }

    async fn flush(&mut self) -> Result<Offsets, ConnectError> {
        let started = self.started()?;
        started.advance(Due::Now).await?;
        let stored = started.positions.iter().filter_map(|(partition, p)| Some((partition.clone(), p.stored?)));
        Ok(stored.collect())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) {
        if let Ok(started) = self.started() {
            started.drain().await;
            started.take_apart();
            started.waiting.retain(|record| !partitions.contains(&record.origin));
            started.read_to.retain(|partition, _| !partitions.contains(partition));
            started.positions.retain(|partition, _| !partitions.contains(partition));
        }
    }

    async fn alter_offsets(&mut self, offsets: &BTreeMap<TopicPartition, Option<i64>>) -> Result<(), ConnectError> {
        let started = self.started()?;
        let limit = started.settings.write_timeout;
        let session = started.session().await?;
        let altered = within(limit, "setting offsets", session.offsets.alter(&mut session.connection, offsets)).await;
        started.checked(altered)
    }

    async fn stop(&mut self) {
        if let Some(mut started) = self.started.take() {
            started.drain().await;
            if let Some(session) = started.session.take() {
                session.close().await;
            }
        }
    }
}

impl PostgresSinkTask {
    fn started(&mut self) -> Result<&mut Started, ConnectError> {
        self.started.as_mut().ok_or_else(|| ConnectError::fatal("the task is not started"))
    }
}

impl Started {
    /// Encodes what waits and writes what is due.
    async fn advance(&mut self, due: Due) -> Result<(), ConnectError> {
        if self.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish().await?;
        }
        loop {
            if let Some(failed) = self.failed.take() {
                self.submit(failed).await?;
                self.finish().await?;
            }
            self.encode().await?;
            if self.waiting.is_empty() {
                self.count_as_read();
            }
            if due == Due::Now || self.is_full() || self.is_overdue() {
                self.write().await?;
            }
            if due == Due::Now && self.waiting.is_empty() {
                self.finish().await?;
            }
            // A batch that turned out stale is waiting again.
            if self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    fn is_full(&self) -> bool {
        self.batch.row_count() >= self.settings.batch_rows || self.batch.size_bytes() >= BATCH_BYTES_MAX
    }

    fn is_overdue(&self) -> bool {
        self.batch_since.is_some_and(|since| since.elapsed() >= self.settings.linger)
    }

    /// Records that a transform dropped give no row: only the offset moves.
    fn count_as_read(&mut self) {
        for (partition, next) in std::mem::take(&mut self.read_to) {
            if let Some(position) = self.positions.get_mut(&partition) {
                position.encoded = position.encoded.max(Some(next));
            }
        }
    }

    /// Hands the batch to a write of its own, once the one under way is finished.
    async fn write(&mut self) -> Result<(), ConnectError> {
        self.finish().await?;
        self.batch_since = None;
        let moves = self.positions.iter_mut().filter_map(|(partition, position)| {
            let next = position.encoded.take()?;
            let m = Move { partition: partition.clone(), epoch: position.epoch, expected: position.stored, next };
            (m.expected != Some(next)).then_some(m)
        });
        let moves: Vec<Move> = moves.collect();
        if moves.is_empty() {
            return Ok(());
        }
        let batch = Batch { moves, ..std::mem::take(&mut self.batch) };
        self.submit(batch).await
    }

    async fn submit(&mut self, batch: Batch) -> Result<(), ConnectError> {
        if let Err(error) = self.session().await {
            self.failed = Some(batch);
            return Err(error);
        }
        if let Some(session) = self.session.take() {
            let (settings, reporter) = (Arc::clone(&self.settings), Arc::clone(&self.reporter));
            self.under_way = Some(tokio::spawn(async move {
                Writer { settings: &settings, reporter: &*reporter }.write(session, batch).await
            }));
        }
        Ok(())
    }

    /// Waits for the write under way.
    async fn finish(&mut self) -> Result<(), ConnectError> {
        let Some(write) = &mut self.under_way else { return Ok(()) };
        let outcome = write.await;
        self.under_way = None;
        let outcome = outcome.map_err(|e| ConnectError::fatal(format!("writing a batch ended in a bug: {e}")))?;
        self.session = outcome.session;
        match outcome.result {
            Ok(Written::Committed) => {
                for m in outcome.batch.moves {
                    if let Some(position) = self.positions.get_mut(&m.partition) {
                        position.stored = Some(m.next);
                    }
                }
                Ok(())
            }
            Ok(Written::Stale) => {
                self.encoders.clear();
                self.failed = Some(outcome.batch);
                self.take_apart();
                Ok(())
            }
            Err(error) => {
                self.failed = Some(outcome.batch);
                Err(error)
            }
        }
    }

    /// Makes records of what is encoded and not written.
    fn take_apart(&mut self) {
        let current = std::mem::take(&mut self.batch);
        self.batch_since = None;
        let encoded = self.positions.iter_mut().filter_map(|(p, position)| Some((p.clone(), position.encoded.take()?)));
        let mut read: Vec<(TopicPartition, i64)> = encoded.collect();
        for batch in [Some(current), self.failed.take()].into_iter().flatten() {
            read.extend(batch.moves.iter().map(|m| (m.partition.clone(), m.next)));
            for record in batch.into_records().into_iter().rev() {
                self.waiting.push_front(record);
            }
        }
        for (partition, next) in read {
            let read_to = self.read_to.entry(partition).or_insert(next);
            *read_to = next.max(*read_to);
        }
    }

    /// The connection, opened if need be. Only between writes.
    async fn session(&mut self) -> Result<&mut Session, ConnectError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.settings, &self.connector).await?,
        };
        Ok(self.session.insert(session))
    }

    /// After an error the connection is in an unknown state.
    fn checked<T>(&mut self, result: Result<T, ConnectError>) -> Result<T, ConnectError> {
        if result.is_err() {
            self.session = None;
        }
        result
    }

    /// Waits for the write under way; if it failed, its batch is kept and the next call that writes meets the error.
    async fn drain(&mut self) {
        if let Err(error) = self.finish().await {
            tracing::warn!(connector = %self.connector, %error, "a batch is not written yet");
        }
    }
}

pub(super) fn no_table(name: &TableName) -> ConnectError {
    ConnectError::fatal(format!("there is no table {name}: create it, correct `table`, or set auto.create=true"))
}
