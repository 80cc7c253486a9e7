//! One shard: a tantivy index, its reader, and its writer while there is something to write.
//!
//! What was applied to the writer and the offsets of it change together under one lock, and a commit takes both. So a
//! document that is sent twice is dropped the second time, whoever committed the first.

mod writer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, TantivyDocument, Type, Value as _};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};

use writer::{OpenWriter, State};

use super::commits::Commits;
use super::document::{Document, DocumentError, Parsed};
use super::name::ShardName;
use super::offsets::SinkOffsets;
use super::schema::{self, Fields};
use super::tokenizer;

/// A segment with more deleted documents than this is merged.
const DELETED_RATIO_MAX: f32 = 0.3;
/// Merges of one shard that run at a time.
const MERGE_THREADS: usize = 1;

pub(crate) struct Shard {
    name: ShardName,
    dir: PathBuf,
    index: Index,
    fields: Fields,
    reader: IndexReader,
    state: Mutex<State>,
    /// Counts, for all shards together, how often uncommitted documents were lost.
    losses: Arc<AtomicU64>,
    commits: Arc<Commits>,
    /// Of the generation of the searcher they were computed with.
    field_types: Mutex<Option<(u64, Arc<FieldTypes>)>>,
}

/// Dynamic paths and the types of their values.
pub(crate) type FieldTypes = BTreeMap<String, BTreeSet<Type>>;

const DYNAMIC_PREFIX: &str = "_dynamic.";

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    /// It was there already: sent again, or created under an id that exists.
    Duplicate,
    Rejected(DocumentError),
}

/// Who writes.
#[derive(Clone, Copy)]
pub(crate) struct Sink<'a> {
    pub(crate) connector: &'a str,
    /// The losses it knows of: it went back to its stored offsets after them.
    pub(crate) losses: u64,
}

/// Why a shard takes nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardError {
    #[error(transparent)]
    Failed(#[from] tantivy::TantivyError),
    #[error("documents were lost that this sink has to send again")]
    Lost,
}

/// A document that was parsed, on its way into a shard.
pub(crate) struct Prepared<'a> {
    pub(crate) document: &'a Document,
    pub(crate) content: Content,
}

/// What was parsed: as much of the work as can be done before the shard's lock.
pub(crate) enum Content {
    /// The whole document.
    Fields(Box<TantivyDocument>),
    /// For an update: the fields that change.
    Changes(Box<Parsed>),
    /// For a delete.
    Nothing,
}

impl Shard {
    /// Opens the shard, or creates it. A folder that no commit reached is begun anew.
    pub(crate) fn open(
        name: ShardName,
        dir: PathBuf,
        losses: Arc<AtomicU64>,
        commits: Arc<Commits>,
    ) -> tantivy::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut index = if dir.join("meta.json").exists() {
            Index::open_in_dir(&dir)?
        } else {
            fs::remove_dir_all(&dir)?;
            fs::create_dir_all(&dir)?;
            Index::builder()
                .schema(schema::schema())
                .tokenizers(tokenizer::tokenizers())
                .open_or_create(MmapDirectory::open(&dir)?)?
        };
        index.set_tokenizers(tokenizer::tokenizers());
        let fields = Fields::of(&index.schema())?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let committed = index.load_metas()?.payload.and_then(|p| SinkOffsets::from_payload(&p)).unwrap_or_default();
        let state = Mutex::new(State { writer: None, committed });
        commits.know(&name);
        Ok(Self { name, dir, index, fields, reader, state, losses, commits, field_types: Mutex::default() })
    }

    pub(crate) fn name(&self) -> &ShardName {
        &self.name
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The dynamic paths that documents have, with their types. Computed once per commit that is searched.
    pub(crate) fn field_types(&self) -> tantivy::Result<Arc<FieldTypes>> {
        let searcher = self.searcher();
        let generation = searcher.generation().generation_id();
        let mut known = self.field_types.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, types)) = known.as_ref().filter(|(of, _)| *of == generation) {
            return Ok(Arc::clone(types));
        }
        let mut types = FieldTypes::new();
        for reader in searcher.segment_readers() {
            for field in reader.fields_metadata()? {
                let Some(path) = field.field_name.strip_prefix(DYNAMIC_PREFIX) else { continue };
                types.entry(path.to_owned()).or_default().insert(field.typ);
            }
        }
        let types = Arc::new(types);
        *known = Some((generation, Arc::clone(&types)));
        Ok(types)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sees what was committed when it is called.
    pub(crate) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// What was applied, committed or not.
    pub(crate) fn offsets(&self) -> SinkOffsets {
        let state = self.state();
        state.writer.as_ref().map_or_else(|| state.committed.clone(), |open| open.applied.clone())
    }

    /// When the open writer was last used; `None` when there is none.
    pub(crate) fn writer_used_at(&self) -> Option<Instant> {
        self.state().writer.as_ref().map(|open| open.used_at)
    }

    /// Since when written documents wait for a commit.
    pub(crate) fn dirty_since(&self) -> Option<Instant> {
        self.state().writer.as_ref().and_then(|open| open.dirty_since)
    }

    pub(crate) fn open_writer(&self, memory_bytes: usize) -> tantivy::Result<()> {
        let mut state = self.state();
        if state.writer.is_some() {
            return Ok(());
        }
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(memory_bytes)
            .num_merge_threads(MERGE_THREADS)
            .build();
        let writer: IndexWriter = self.index.writer_with_options(options)?;
        let mut merges = LogMergePolicy::default();
        merges.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
        writer.set_merge_policy(Box::new(merges));
        let applied = state.committed.clone();
        let used_at = Instant::now();
        state.writer = Some(OpenWriter { writer, applied, pending: HashMap::new(), dirty_since: None, used_at });
        Ok(())
    }

    /// Applies documents in order; the result of each goes to its place in `results`. `Ok(false)` when the writer is
    /// not open: nothing was done. On an error the writer is gone, and with it what was not committed.
    pub(crate) fn apply(
        &self,
        sink: Sink<'_>,
        documents: &mut Vec<(usize, Prepared<'_>)>,
        results: &mut [Applied],
    ) -> Result<bool, ShardError> {
        let mut state = self.state();
        // Under the lock: a loss in this shard and a write after it must not leave a gap.
        if self.losses.load(Ordering::Acquire) != sink.losses {
            return Err(ShardError::Lost);
        }
        if state.writer.is_none() {
            return Ok(false);
        }
        for (place, prepared) in documents.drain(..) {
            let applied = state.apply_one(self, sink.connector, prepared);
            results[place] = self.or_lose(&mut state, applied)?;
        }
        Ok(true)
    }

    /// Says so where no document waits for a commit after all: all of them were there already, or none could be written.
    pub(crate) fn settle(&self) {
        let state = self.state();
        if state.writer.as_ref().is_none_or(|open| open.dirty_since.is_none()) {
            self.commits.over(&self.name);
        }
    }

    /// Does something while nothing can be written or committed: as if a disk hung.
    #[cfg(test)]
    pub(crate) fn while_stuck<T>(&self, act: impl FnOnce() -> T) -> T {
        let _state = self.state();
        act()
    }

    /// Commits what was applied, with its offsets, and makes it visible. Returns once it is on disk. On an error the
    /// writer is gone, and with it what was not committed.
    pub(crate) fn commit(&self) -> Result<(), ShardError> {
        let mut state = self.state();
        let result = state.commit(self);
        self.or_lose(&mut state, result)
    }

    /// Commits and closes the writer.
    pub(crate) fn close_writer(&self) -> Result<(), ShardError> {
        let mut state = self.state();
        let result = state.commit(self);
        let result = self.or_lose(&mut state, result);
        state.writer = None;
        result
    }

    /// Drops the writer and what it holds: the shard is about to be deleted, and nobody has to send again.
    pub(crate) fn abandon(&self) {
        self.state().writer = None;
        self.commits.over(&self.name);
    }

    /// Sets or forgets a sink's offset of a partition, also on disk. The writer must be open.
    pub(crate) fn reset_offset(
        &self,
        connector: &str,
        topic: &str,
        partition: i32,
        offset: Option<i64>,
    ) -> Result<(), ShardError> {
        let mut state = self.state();
        if let Some(open) = state.writer.as_mut() {
            open.applied.reset(connector, topic, partition, offset);
            open.dirty_since.get_or_insert_with(Instant::now);
        }
        let result = state.commit(self);
        self.or_lose(&mut state, result)
    }

    /// A writer that failed cannot go on: it is dropped with what was not committed, and every sink has to know.
    fn or_lose<T>(&self, state: &mut State, result: tantivy::Result<T>) -> Result<T, ShardError> {
        result.map_err(|error| {
            state.writer = None;
            self.commits.over(&self.name);
            self.losses.fetch_add(1, Ordering::AcqRel);
            ShardError::Failed(error)
        })
    }

    /// Whether a document with this id is in the shard, committed or not.
    pub(crate) fn contains(&self, id: &str) -> tantivy::Result<bool> {
        if let Some(pending) = self.state().writer.as_ref().and_then(|open| open.pending.get(id)) {
            return Ok(pending.is_some());
        }
        Ok(self.committed_source(id)?.is_some())
    }

    /// The source of the committed document with this id.
    pub(crate) fn committed_source(&self, id: &str) -> tantivy::Result<Option<Bytes>> {
        let searcher = self.searcher();
        let query = TermQuery::new(Term::from_field_text(self.fields.id, id), IndexRecordOption::Basic);
        let found = searcher.search(&query, &TopDocs::with_limit(1).order_by_score())?;
        let Some((_, address)) = found.first() else { return Ok(None) };
        let document: TantivyDocument = searcher.doc(*address)?;
        let source = document.get_first(self.fields.source).and_then(|value| value.as_bytes());
        Ok(source.map(Bytes::copy_from_slice))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
