//! All shards of a node: opening, finding, writing to several at once, committing, retiring.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::commits::Commits;
use super::document::{self, Action, Document, DocumentError};
use super::name::{self, ShardName};
use super::offsets::TopicOffsets;
use super::schema::{self, Fields};
use super::shard::{Applied, Content, Prepared, Shard, ShardError, Sink};
use crate::config::SearchConfig;
use crate::limits::{OPEN_WRITERS_MAX, SHARDS_MAX, WRITER_IDLE_MAX};

/// Why documents could not be written or committed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("shard {shard}: {source}; what was not committed must be sent again from the stored offsets")]
    Shard { shard: String, source: tantivy::TantivyError },
    #[error("shard {shard} is unreadable and takes no documents: {reason}; restore or remove its folder")]
    Unreadable { shard: String, reason: String },
    #[error("the node has {SHARDS_MAX} shards, the most it can hold: shorten the retention or use longer shards")]
    TooManyShards,
    #[error("uncommitted documents were lost when a shard failed: send again from the stored offsets")]
    Lost,
    #[error("checkpoint of {connector}: {source}")]
    Checkpoint { connector: String, source: io::Error },
    #[error("the search node is shut down")]
    Closed,
}

/// Results of one write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    pub written: usize,
    /// Already there, or older than the retention.
    pub skipped: usize,
    /// Position in the batch and reason. They count as done: report them, don't send them again.
    pub rejected: Vec<(usize, DocumentError)>,
}

pub(crate) struct Shards {
    dir: PathBuf,
    config: SearchConfig,
    fields: Fields,
    open: RwLock<BTreeMap<String, Arc<Shard>>>,
    /// Shards that could not be opened, with the reason: they are left alone and answer nothing.
    unreadable: BTreeMap<String, String>,
    /// One opening or closing of writers at a time, so that their number stays bounded.
    opening_writer: Mutex<()>,
    /// Grows when uncommitted documents are lost.
    losses: Arc<AtomicU64>,
    commits: Arc<Commits>,
}

impl Shards {
    pub(crate) fn open(dir: PathBuf, config: SearchConfig, commits: Arc<Commits>) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let fields = Fields::of(&schema::schema()).map_err(io::Error::other)?;
        let losses = Arc::new(AtomicU64::new(0));
        let mut open = BTreeMap::new();
        let mut unreadable = BTreeMap::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(ShardName::parse) else {
                continue;
            };
            match Shard::open(name.clone(), path, Arc::clone(&losses), Arc::clone(&commits)) {
                Ok(shard) => {
                    open.insert(name.to_string(), Arc::new(shard));
                }
                Err(error) => {
                    tracing::error!(shard = %name, %error, "the shard is unreadable: restore or remove its folder");
                    unreadable.insert(name.to_string(), error.to_string());
                }
            }
        }
        let (open, opening_writer) = (RwLock::new(open), Mutex::new(()));
        Ok(Self { dir, config, fields, open, unreadable, opening_writer, losses, commits })
    }

    /// Counts losses of uncommitted documents: who wrote when it was lower has to send again.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    pub(crate) fn unreadable(&self) -> &BTreeMap<String, String> {
        &self.unreadable
    }

    pub(crate) fn all(&self) -> Vec<Arc<Shard>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The shards that any of the index expressions means, sorted by name; all of them when there is no expression.
    pub(crate) fn matching(&self, expressions: &[String]) -> Vec<Arc<Shard>> {
        self.all().into_iter().filter(|shard| is_meant(expressions, shard.name())).collect()
    }

    /// How many of the shards that are meant could not be opened.
    pub(crate) fn unreadable_count(&self, expressions: &[String]) -> usize {
        let names = self.unreadable.keys().filter_map(|name| ShardName::parse(name));
        names.filter(|name| is_meant(expressions, name)).count()
    }

    /// Writes documents that come in offset order per partition. Nothing is durable before a commit.
    pub(crate) fn write(&self, sink: Sink<'_>, documents: &[Document]) -> Result<WriteReport, WriteError> {
        let mut results = vec![Applied::Done; documents.len()];
        let mut by_shard: BTreeMap<ShardName, Vec<(usize, Prepared<'_>)>> = BTreeMap::new();
        for (place, document) in documents.iter().enumerate() {
            match self.prepare(document) {
                Ok(Some((name, prepared))) => by_shard.entry(name).or_default().push((place, prepared)),
                Ok(None) => results[place] = Applied::Duplicate,
                Err(error) => results[place] = Applied::Rejected(error),
            }
        }
        for (name, mut prepared) in by_shard {
            // From before the disk is asked for anything: it may hang.
            self.commits.wait(&name, Instant::now());
            let shard = self.get_or_create(&name).inspect_err(|_| self.commits.over(&name))?;
            let applied = self.apply(&shard, sink, &mut prepared, &mut results);
            shard.settle();
            applied?;
        }
        Ok(report(results))
    }

    fn apply(
        &self,
        shard: &Arc<Shard>,
        sink: Sink<'_>,
        documents: &mut Vec<(usize, Prepared<'_>)>,
        results: &mut [Applied],
    ) -> Result<(), WriteError> {
        while !shard.apply(sink, documents, results).map_err(|e| write_error(shard, e))? {
            self.open_writer(shard)?;
        }
        Ok(())
    }

    /// Commits every shard that has something to commit.
    pub(crate) fn commit_all(&self) -> Result<(), WriteError> {
        self.commit_where(|_| true)
    }

    /// Commits the shards whose documents have waited for `age`.
    pub(crate) fn commit_older_than(&self, age: Duration, now: Instant) -> Result<(), WriteError> {
        self.commit_where(|since| now.saturating_duration_since(since) >= age)
    }

    pub(crate) fn close_idle_writers(&self, now: Instant) -> Result<(), WriteError> {
        for shard in self.all() {
            let used_at = shard.writer_used_at();
            if used_at.is_some_and(|used_at| now.saturating_duration_since(used_at) >= WRITER_IDLE_MAX) {
                shard.close_writer().map_err(|e| write_error(&shard, e))?;
            }
        }
        Ok(())
    }

    /// Deletes the shards that are past the retention; returns how many.
    pub(crate) fn retire(&self, now: DateTime<Utc>) -> io::Result<usize> {
        let mut count = 0;
        for shard in self.all() {
            if !self.is_expired(shard.name(), now) {
                continue;
            }
            self.open.write().unwrap_or_else(PoisonError::into_inner).remove(shard.name().as_str());
            shard.abandon();
            fs::remove_dir_all(shard.dir())?;
            tracing::info!(shard = %shard.name(), "deleted the shard: it is past the retention");
            count += 1;
        }
        Ok(count)
    }

    /// Where a sink without a checkpoint resumes: the lowest offset that any shard has of each partition.
    pub(crate) fn lowest_offsets(&self, connector: &str) -> TopicOffsets {
        let mut lowest = TopicOffsets::new();
        for shard in self.all() {
            for (topic, partitions) in shard.offsets().of(connector).into_iter().flatten() {
                let known = lowest.entry(topic.clone()).or_default();
                for (partition, offset) in partitions {
                    known.entry(*partition).and_modify(|low| *low = (*low).min(*offset)).or_insert(*offset);
                }
            }
        }
        lowest
    }

    /// Sets or forgets (`None`) a sink's offset of a partition in every shard.
    pub(crate) fn set_offset(
        &self,
        connector: &str,
        topic: &str,
        partition: i32,
        offset: Option<i64>,
    ) -> Result<(), WriteError> {
        for shard in self.all() {
            if shard.offsets().next_offset(connector, topic, partition).is_none() {
                continue;
            }
            self.open_writer(&shard)?;
            shard.reset_offset(connector, topic, partition, offset).map_err(|e| write_error(&shard, e))?;
        }
        Ok(())
    }

    /// What can be done before a shard is locked. `None` when the document is older than the retention.
    fn prepare<'a>(&self, document: &'a Document) -> Result<Option<(ShardName, Prepared<'a>)>, DocumentError> {
        let parsed = document.parse()?;
        let name = ShardName::of(&document.index, parsed.timestamp_ms, self.config.shard_span)?;
        if self.is_expired(&name, Utc::now()) {
            return Ok(None);
        }
        let name = match document.action {
            Action::Update { .. } | Action::Delete => self.holder(document).unwrap_or(name),
            _ => name,
        };
        let content = match document.action {
            Action::Delete => Content::Nothing,
            Action::Update { .. } => Content::Changes(Box::new(parsed)),
            Action::Append | Action::Index | Action::Create => {
                let fields = document::to_fields(&document.id, document.seq(), &document.source, parsed, &self.fields);
                Content::Fields(Box::new(fields))
            }
        };
        Ok(Some((name, Prepared { document, content })))
    }

    /// The shard of the document's index that has its id.
    fn holder(&self, document: &Document) -> Option<ShardName> {
        self.shard_with(&document.index, &document.id).map(|shard| shard.name().clone())
    }

    /// Whether an index has a document with this id, committed or not.
    pub(crate) fn holds(&self, index: &str, id: &str) -> bool {
        self.shard_with(index, id).is_some()
    }

    fn shard_with(&self, index: &str, id: &str) -> Option<Arc<Shard>> {
        self.matching(&[index.to_owned()]).into_iter().rev().find(|shard| shard.contains(id).unwrap_or(false))
    }

    fn is_expired(&self, name: &ShardName, now: DateTime<Utc>) -> bool {
        let retention = self.config.retention.and_then(|retention| chrono::TimeDelta::from_std(retention).ok());
        retention.and_then(|retention| name.end().checked_add_signed(retention)).is_some_and(|until| until <= now)
    }

    fn get_or_create(&self, name: &ShardName) -> Result<Arc<Shard>, WriteError> {
        if let Some(shard) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(name.as_str()) {
            return Ok(Arc::clone(shard));
        }
        if let Some(reason) = self.unreadable.get(name.as_str()) {
            return Err(WriteError::Unreadable { shard: name.to_string(), reason: reason.clone() });
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shard) = open.get(name.as_str()) {
            return Ok(Arc::clone(shard));
        }
        if open.len() >= SHARDS_MAX {
            return Err(WriteError::TooManyShards);
        }
        let dir = self.dir.join(name.as_str());
        let created = Shard::open(name.clone(), dir, Arc::clone(&self.losses), Arc::clone(&self.commits))
            .and_then(|shard| super::checkpoint::sync_dir(&self.dir).map(|()| shard).map_err(Into::into));
        let shard = created.map_err(|source| WriteError::Shard { shard: name.to_string(), source })?;
        let shard = Arc::new(shard);
        open.insert(name.to_string(), Arc::clone(&shard));
        Ok(shard)
    }

    /// Opens the shard's writer; closes the ones used longest ago where there are too many.
    fn open_writer(&self, shard: &Arc<Shard>) -> Result<(), WriteError> {
        let _one_at_a_time = self.opening_writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open: Vec<(Instant, Arc<Shard>)> =
            self.all().into_iter().filter_map(|other| Some((other.writer_used_at()?, other))).collect();
        open.sort_by_key(|(used_at, _)| *used_at);
        let too_many = (open.len() + 1).saturating_sub(OPEN_WRITERS_MAX);
        for (_, other) in open.iter().filter(|(_, other)| !Arc::ptr_eq(other, shard)).take(too_many) {
            other.close_writer().map_err(|e| write_error(other, e))?;
        }
        shard.open_writer(self.config.writer_memory_bytes).map_err(|e| write_error(shard, e.into()))
    }

    fn commit_where(&self, wanted: impl Fn(Instant) -> bool) -> Result<(), WriteError> {
        for shard in self.all() {
            if shard.dirty_since().is_some_and(&wanted) {
                shard.commit().map_err(|e| write_error(&shard, e))?;
            }
        }
        Ok(())
    }
}

fn write_error(shard: &Shard, error: ShardError) -> WriteError {
    match error {
        ShardError::Lost => WriteError::Lost,
        ShardError::Failed(source) => WriteError::Shard { shard: shard.name().to_string(), source },
    }
}

/// `-x` leaves out what the others mean.
fn is_meant(expressions: &[String], shard: &ShardName) -> bool {
    let (exclude, include): (Vec<_>, Vec<_>) = expressions.iter().partition(|expression| expression.starts_with('-'));
    (include.is_empty() || include.iter().any(|expression| name::matches(expression, shard)))
        && !exclude.iter().any(|expression| name::matches(&expression[1..], shard))
}

fn report(results: Vec<Applied>) -> WriteReport {
    let mut report = WriteReport::default();
    for (place, result) in results.into_iter().enumerate() {
        match result {
            Applied::Done => report.written += 1,
            Applied::Duplicate => report.skipped += 1,
            Applied::Rejected(error) => report.rejected.push((place, error)),
        }
    }
    report
}

/// Bytes of the files in a shard's folder.
pub(crate) fn size_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}
