//! The node: one data folder, its shards, and the pass that commits and retires in the background.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Semaphore;
use weir_repeats::Repeats;

use crate::config::SearchConfig;
use crate::error::OpenError;
use crate::index::checkpoint::{self, Checkpoints};
use crate::index::document::Document;
use crate::index::offsets::TopicOffsets;
use crate::index::shard::Sink;
use crate::index::shards::{Shards, WriteError, WriteReport};
use crate::limits::SEARCHES_MAX;
use crate::metrics::Metrics;

/// What the `VERSION` file of a data folder holds.
const FORMAT: &str = "weir-search 1";
/// How often the background pass looks whether there is something to do.
const PASS_INTERVAL: Duration = Duration::from_millis(200);
/// How often sizes are measured and retention is applied.
const SLOW_PASS_INTERVAL: Duration = Duration::from_secs(10);
// A full disk fails each pass.
static NOT_COMMITTED: Repeats = Repeats::new();
static NOT_RETIRED: Repeats = Repeats::new();

/// A handle on a search node; clones share it. The node closes, after a last commit, with the last handle.
#[derive(Clone)]
pub struct SearchNode {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: SearchConfig,
    pub(crate) shards: Shards,
    pub(crate) metrics: Metrics,
    /// Admits searches: each takes a thread and memory for its answer.
    pub(crate) searches: Arc<Semaphore>,
    checkpoints: Checkpoints,
    /// Held while the node is open: two processes on one folder would destroy it.
    _lock: File,
}

impl SearchNode {
    /// Opens or creates the data folder. Shards that cannot be read are reported and left alone. Blocks: call it
    /// where blocking is allowed.
    pub fn open(config: SearchConfig, registry: &prometheus::Registry) -> Result<Self, OpenError> {
        let dir = config.data_dir.clone();
        let io = |source| OpenError::Io { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(io)?;
        let lock = lock(&dir)?;
        check_version(&dir)?;
        let metrics = Metrics::new()?;
        let shards = Shards::open(dir.join("shards"), config.clone(), Arc::clone(&metrics.commits)).map_err(io)?;
        let checkpoints = Checkpoints::open(dir.join("checkpoints")).map_err(io)?;
        metrics.register(registry)?;
        let searches = Arc::new(Semaphore::new(SEARCHES_MAX));
        let inner = Arc::new(Inner { config, shards, metrics, searches, checkpoints, _lock: lock });
        inner.slow_pass();
        spawn_passes(Arc::downgrade(&inner)).map_err(io)?;
        Ok(Self { inner })
    }

    /// A sink's way in. Sessions of the same connector may run side by side for different partitions.
    pub fn sink(&self, connector: &str) -> SinkSession {
        SinkSession { inner: Arc::clone(&self.inner), connector: connector.into(), losses: self.inner.shards.losses() }
    }

    /// Commits everything that was written. Done in the background anyway; call it before a clean exit.
    pub async fn commit_all(&self) -> Result<(), WriteError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.commit_all()).await
    }

    /// Shards that could not be opened, with the reason.
    pub fn unreadable_shards(&self) -> Vec<(String, String)> {
        self.inner.shards.unreadable().iter().map(|(name, reason)| (name.clone(), reason.clone())).collect()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

/// One sink task's way into the index, exactly once: documents below the stored offsets are dropped, and offsets land
/// in the same commit as the documents.
///
/// After [`WriteError::Shard`] or [`WriteError::Lost`], ask for [`SinkSession::stored_offsets`] and send again from
/// there: until then every write and commit of the session fails.
pub struct SinkSession {
    inner: Arc<Inner>,
    connector: Arc<str>,
    losses: u64,
}

impl SinkSession {
    /// Where to go on reading: exclusive ends of what is certainly in. Partitions that were never written are absent.
    pub async fn stored_offsets(&mut self) -> Result<TopicOffsets, WriteError> {
        self.losses = self.inner.shards.losses();
        let (inner, connector) = (Arc::clone(&self.inner), Arc::clone(&self.connector));
        blocking(move || Ok(inner.stored_offsets(&connector))).await
    }

    /// Writes documents that come in offset order per partition. They are durable and visible after a commit, and a
    /// second time they are dropped, so a write that failed half-way may be repeated.
    pub async fn write(&self, documents: Vec<Document>) -> Result<WriteReport, WriteError> {
        let (inner, connector) = (Arc::clone(&self.inner), Arc::clone(&self.connector));
        let losses = self.losses;
        blocking(move || inner.write(Sink { connector: &connector, losses }, &documents)).await
    }

    /// Makes all that was written durable and visible, then stores how far the sink is: `offsets` may lie above the
    /// last written document where records gave no document. Returns once both are on disk.
    pub async fn commit(&self, offsets: TopicOffsets) -> Result<(), WriteError> {
        let (inner, connector, losses) = (Arc::clone(&self.inner), Arc::clone(&self.connector), self.losses);
        blocking(move || inner.commit(&connector, &offsets, losses)).await
    }

    /// Sets the stored offset of partitions, `None` forgets one. What is sent again below the old offset takes the
    /// place of what is there.
    pub async fn alter_offsets(&self, offsets: Vec<(String, i32, Option<i64>)>) -> Result<(), WriteError> {
        let (inner, connector) = (Arc::clone(&self.inner), Arc::clone(&self.connector));
        blocking(move || inner.alter_offsets(&connector, &offsets)).await
    }
}

impl Inner {
    fn stored_offsets(&self, connector: &str) -> TopicOffsets {
        self.checkpoints.read(connector).unwrap_or_else(|| self.shards.lowest_offsets(connector))
    }

    fn write(&self, sink: Sink<'_>, documents: &[Document]) -> Result<WriteReport, WriteError> {
        let first = first_offsets(documents);
        self.checkpoint(sink.connector, |known| {
            for (topic, partitions) in first {
                let known = known.entry(topic).or_default();
                for (partition, offset) in partitions {
                    known.entry(partition).or_insert(offset);
                }
            }
        })?;
        let report = self.shards.write(sink, documents)?;
        self.metrics.count_written(documents, &report);
        Ok(report)
    }

    fn commit_all(&self) -> Result<(), WriteError> {
        self.shards.commit_all()
    }

    fn commit(&self, connector: &str, offsets: &TopicOffsets, losses: u64) -> Result<(), WriteError> {
        self.commit_all()?;
        if self.shards.losses() != losses {
            return Err(WriteError::Lost);
        }
        self.checkpoint(connector, |known| {
            for (topic, partitions) in offsets {
                known.entry(topic.clone()).or_default().extend(partitions);
            }
        })
    }

    fn alter_offsets(&self, connector: &str, offsets: &[(String, i32, Option<i64>)]) -> Result<(), WriteError> {
        self.commit_all()?;
        for (topic, partition, offset) in offsets {
            self.shards.set_offset(connector, topic, *partition, *offset)?;
        }
        self.checkpoint(connector, |known| {
            for (topic, partition, offset) in offsets {
                let partitions = known.entry(topic.clone()).or_default();
                match offset {
                    Some(offset) => partitions.insert(*partition, *offset),
                    None => partitions.remove(partition),
                };
            }
        })
    }

    fn checkpoint(&self, connector: &str, change: impl FnOnce(&mut TopicOffsets)) -> Result<(), WriteError> {
        let result = self.checkpoints.change(connector, change);
        result.map_err(|source| WriteError::Checkpoint { connector: connector.to_owned(), source })
    }

    /// One round of background work.
    fn pass(&self, now: Instant) {
        let committed = self.shards.commit_older_than(self.config.commit_interval, now);
        if let Err(error) = committed.and_then(|()| self.shards.close_idle_writers(now))
            && let Some(suppressed) = NOT_COMMITTED.say(())
        {
            tracing::error!(%error, suppressed, "the index was not committed; it is tried again, and no document is lost");
        }
    }

    /// The part of the background work that walks all shards.
    fn slow_pass(&self) {
        if let Err(error) = self.shards.retire(Utc::now())
            && let Some(suppressed) = NOT_RETIRED.say(())
        {
            tracing::error!(%error, suppressed, "could not delete a shard that is past the retention; it is tried again");
        }
        self.metrics.measure(&self.shards);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.shards.commit_all() {
            tracing::error!(%error, "the last commit failed; its documents will be read again");
        }
    }
}

/// The lowest offset of each partition in a batch.
fn first_offsets(documents: &[Document]) -> TopicOffsets {
    let mut first: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for Document { origin, .. } in documents {
        first
            .entry((&origin.topic, origin.partition))
            .and_modify(|low| *low = (*low).min(origin.offset))
            .or_insert(origin.offset);
    }
    let mut offsets = TopicOffsets::new();
    for ((topic, partition), offset) in first {
        offsets.entry(topic.to_owned()).or_default().insert(partition, offset);
    }
    offsets
}

/// The thread of the background passes ends when the node is gone.
fn spawn_passes(node: Weak<Inner>) -> io::Result<()> {
    let passes = move || {
        let mut slow_pass_at = Instant::now() + SLOW_PASS_INTERVAL;
        loop {
            std::thread::sleep(PASS_INTERVAL);
            let Some(node) = node.upgrade() else { return };
            let now = Instant::now();
            node.pass(now);
            if now >= slow_pass_at {
                node.slow_pass();
                slow_pass_at = now + SLOW_PASS_INTERVAL;
            }
        }
    };
    std::thread::Builder::new().name("weir-search".to_owned()).spawn(passes).map(drop)
}

/// Index work blocks on locks and on the disk: it runs where that harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, WriteError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(WriteError::Closed),
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let io = |source| OpenError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn check_version(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join("VERSION");
    let io = |source| OpenError::Io { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        // A crash between creating and writing it leaves it empty.
        Ok(found) if !found.trim().is_empty() => {
            Err(OpenError::Version { path: dir.to_owned(), found: found.trim().to_owned(), known: FORMAT })
        }
        Ok(_) => write_version(&path).map_err(io),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_version(&path).map_err(io),
        Err(error) => Err(io(error)),
    }
}

fn write_version(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), checkpoint::sync_dir)
}

#[cfg(test)]
mod tests;
