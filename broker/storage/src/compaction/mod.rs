//! Compaction (`cleanup.policy=compact`): of each key only the latest record stays.
//!
//! A [`CompactionJob`] holds what it needs and no part of the log: it runs beside appends and reads. It reads the
//! sealed segments, learns the latest offset of every key in the dirty part, and writes the survivors into `.cleaned`
//! files. [`crate::Log::install_compaction`] swaps them in.
//!
//! | name | means, after a crash |
//! |---|---|
//! | `.log.cleaned`, `.index.cleaned`, … | not finished: removed |
//! | `.log.swap` | finished: takes the place of the segments that it covers (its indexes were renamed before it) |
//!
//! Never touches the active segment, never changes an offset, never drops the batch with a producer's last sequence,
//! never drops control records.

mod cleaned;
mod rewrite;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::sync::Arc;

use weir_types::batch::{BatchError, RecordBatch};

use crate::config::LogConfig;
use crate::folder::{Folder, LOG};
use crate::walk::{HeaderWalk, LOOKUP_CHUNK_BYTES, Step, read_batch};
use cleaned::CleanedSegment;
use rewrite::{Rewrite, Rules};

/// What one job may use.
#[derive(Debug, Clone, Copy)]
pub struct CompactionLimits {
    /// For the keys of the dirty part (`log.cleaner.dedupe.buffer.size`). A job that reaches it cleans less.
    pub memory_bytes_max: usize,
}

impl Default for CompactionLimits {
    fn default() -> Self {
        Self { memory_bytes_max: 128 << 20 }
    }
}

/// Why a job ended without a result. The log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a batch cannot be read: {0}")]
    Batch(#[from] BatchError),
}

/// A sealed segment as the job sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) base_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) size: u64,
}

/// Work to be done without the log's lock.
pub struct CompactionJob {
    pub(crate) folder: Arc<Folder>,
    pub(crate) config: Arc<LogConfig>,
    /// Sealed segments from the log's start on, all below the high watermark.
    pub(crate) sources: Vec<Source>,
    /// Where the part begins that no job has seen yet.
    pub(crate) first_dirty_offset: i64,
    /// The last offset of each producer's last batch.
    pub(crate) last_of_producers: HashSet<i64>,
    pub(crate) now_ms: i64,
}

/// A segment to be swapped in.
pub(crate) struct Replacement {
    pub(crate) sources: Vec<Source>,
    pub(crate) size: u64,
}

/// What a job made: hand it to [`crate::Log::install_compaction`].
pub struct CompactionResult {
    pub(crate) replacements: Vec<Replacement>,
    pub(crate) cleaned_upto: i64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// The latest offset of each key in the dirty part, up to `end_offset`.
struct LatestOffsets {
    by_key: HashMap<Box<[u8]>, i64>,
    end_offset: i64,
}

/// What an entry costs beside its key: the map's slot, the allocation.
const KEY_OVERHEAD_BYTES: usize = 56;

impl CompactionJob {
    /// Does the work. What it leaves on an error is removed when the log is next opened, or overwritten.
    pub fn run(&self, limits: &CompactionLimits) -> Result<CompactionResult, CompactionError> {
        let latest = self.latest_offsets(limits)?;
        let rules = Rules {
            latest: &latest.by_key,
            upto: latest.end_offset,
            last_of_producers: &self.last_of_producers,
            delete_retention_ms: self.config.delete_retention_ms,
            now_ms: self.now_ms,
        };
        let mut result = CompactionResult {
            replacements: Vec::new(),
            cleaned_upto: latest.end_offset,
            bytes_before: 0,
            bytes_after: 0,
        };
        for group in self.groups(latest.end_offset) {
            let size = self.rewrite(group, &rules)?;
            result.bytes_before += group.iter().map(|source| source.size).sum::<u64>();
            result.bytes_after += size;
            result.replacements.push(Replacement { sources: group.to_vec(), size });
        }
        Ok(result)
    }

    fn open(&self, source: &Source) -> io::Result<File> {
        self.folder.fs.open(&self.folder.file(source.base_offset, LOG))
    }

    fn latest_offsets(&self, limits: &CompactionLimits) -> Result<LatestOffsets, CompactionError> {
        let mut latest = LatestOffsets { by_key: HashMap::new(), end_offset: self.first_dirty_offset };
        let (mut memory_bytes, mut buffer) = (0, Vec::new());
        for source in self.sources.iter().filter(|source| source.end_offset > self.first_dirty_offset) {
            let file = self.open(source)?;
            let mut walk = HeaderWalk::new(&file, 0, source.size, LOOKUP_CHUNK_BYTES);
            while let Some((position, size)) = next_batch(&mut walk)? {
                let batch = read_batch(&file, position, size, &mut buffer)?;
                if batch.next_offset() <= self.first_dirty_offset {
                    continue;
                }
                if memory_bytes >= limits.memory_bytes_max {
                    return Ok(latest);
                }
                if !batch.is_control() {
                    memory_bytes += note_keys(&batch, &mut latest.by_key)?;
                }
                latest.end_offset = batch.next_offset();
            }
            latest.end_offset = source.end_offset;
        }
        Ok(latest)
    }

    /// Runs of segments that fit into one once cleaned: never larger than `segment.bytes` before, so not after.
    fn groups(&self, end_offset: i64) -> Vec<&[Source]> {
        let reached = self.sources.partition_point(|source| source.base_offset < end_offset);
        let (mut groups, mut rest) = (Vec::new(), &self.sources[..reached]);
        while let Some(first) = rest.first() {
            let mut bytes = first.size;
            let mut count = 1;
            while let Some(next) = rest.get(count)
                && bytes + next.size <= self.config.segment_bytes
                && i32::try_from(next.end_offset - first.base_offset).is_ok()
            {
                bytes += next.size;
                count += 1;
            }
            let (group, after) = rest.split_at(count);
            groups.push(group);
            rest = after;
        }
        groups
    }

    /// Writes the survivors of a group into its `.cleaned` files; their size.
    fn rewrite(&self, group: &[Source], rules: &Rules<'_>) -> Result<u64, CompactionError> {
        let mut cleaned = CleanedSegment::create(&self.folder, group[0].base_offset, &self.config)?;
        let mut buffer = Vec::new();
        for source in group {
            let file = self.open(source)?;
            let mut walk = HeaderWalk::new(&file, 0, source.size, LOOKUP_CHUNK_BYTES);
            while let Some((position, size)) = next_batch(&mut walk)? {
                let batch = read_batch(&file, position, size, &mut buffer)?;
                match rules.apply(&batch)? {
                    Rewrite::Keep => cleaned.append(batch.bytes())?,
                    Rewrite::Replace(bytes) => cleaned.append(&bytes)?,
                    Rewrite::Drop => {}
                }
            }
        }
        Ok(cleaned.finish()?)
    }
}

fn next_batch(walk: &mut HeaderWalk<'_>) -> io::Result<Option<(u64, usize)>> {
    match walk.step()? {
        Step::Batch { position, header } => Ok(Some((position, header.size_bytes()))),
        Step::End => Ok(None),
        Step::Torn { position, reason } => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a sealed segment at position {position}: {reason}"),
        )),
    }
}

/// Adds the keys of a batch; what memory that took.
fn note_keys(batch: &RecordBatch<'_>, by_key: &mut HashMap<Box<[u8]>, i64>) -> Result<usize, BatchError> {
    let mut memory_bytes = 0;
    for record in &batch.records()? {
        let record = record?;
        let Some(key) = record.key else { continue };
        if let Some(latest) = by_key.get_mut(key) {
            *latest = record.offset;
        } else {
            memory_bytes += key.len() + KEY_OVERHEAD_BYTES;
            by_key.insert(key.into(), record.offset);
        }
    }
    Ok(memory_bytes)
}
