//! When a log wants compacting, and swapping in what a job made.

use std::io;
use std::ops::RangeTo;

use super::{AppendError, Log};
use crate::compaction::{CompactionJob, CompactionResult, Replacement, Source};
use crate::folder::{CLEANED, Folder, INDEX, LOG, SWAP, TIME_INDEX, parse_file_name, with_suffix};
use crate::segment::Segment;
use crate::walk::{HeaderWalk, SCAN_CHUNK_BYTES, Step};

impl Log {
    /// The compaction that is worth doing now, if any: enough of the sealed segments below `upto` is dirty
    /// (`min.cleanable.dirty.ratio`), or some of it for too long (`max.compaction.lag.ms`). Run it without the lock.
    pub fn compaction_plan(&self, now_ms: i64, upto: RangeTo<i64>) -> Option<CompactionJob> {
        let config = &self.config;
        if !config.cleanup_compact || self.poisoned.is_some() {
            return None;
        }
        let sources = self.cleanable(now_ms, upto.end);
        let end_offset = sources.last()?.end_offset;
        let first_dirty_offset = self.cleaned_upto.max(self.segments[0].base_offset());
        if first_dirty_offset >= end_offset {
            return None;
        }
        let total: u64 = sources.iter().map(|source| source.size).sum();
        let is_dirty = |source: &&Source| source.end_offset > first_dirty_offset;
        let dirty: u64 = sources.iter().filter(is_dirty).map(|source| source.size).sum();
        let is_worth_it = dirty as f64 >= config.min_cleanable_dirty_ratio * total as f64;
        let is_overdue = || {
            let index = self.segment_index(first_dirty_offset);
            let began_ms = self.segments[index].look_up_largest().map_or(now_ms, |largest| largest.timestamp);
            now_ms.saturating_sub_unsigned(config.max_compaction_lag_ms) > began_ms
        };
        (dirty > 0 && (is_worth_it || is_overdue())).then(|| CompactionJob {
            folder: self.folder.clone(),
            config: config.clone(),
            sources,
            first_dirty_offset,
            last_of_producers: self.producers.last_offsets().collect(),
            now_ms,
        })
    }

    /// The sealed segments from the start on that lie below `upto` and are older than `min.compaction.lag.ms`.
    fn cleanable(&self, now_ms: i64, upto: i64) -> Vec<Source> {
        let newest_ms = now_ms.saturating_sub_unsigned(self.config.min_compaction_lag_ms);
        let sealed = self.segments.len() - 1;
        (0..sealed)
            .map(|index| {
                let (segment, end_offset) = (&self.segments[index], self.segment_end_offset(index));
                let is_old = self.config.min_compaction_lag_ms == 0
                    || segment.look_up_largest().is_ok_and(|largest| largest.timestamp <= newest_ms);
                let source = Source { base_offset: segment.base_offset(), end_offset, size: segment.size_bytes() };
                (source, is_old && end_offset <= upto)
            })
            .take_while(|(_, is_cleanable)| *is_cleanable)
            .map(|(source, _)| source)
            .collect()
    }

    /// Swaps in what a job made. Segments that retention or truncation took meanwhile make it useless: then nothing
    /// changes and the next plan begins anew.
    pub fn install_compaction(&mut self, result: CompactionResult) -> Result<(), AppendError> {
        self.check_healthy()?;
        let CompactionResult { replacements, cleaned_upto, .. } = result;
        let is_current = replacements.iter().all(|replacement| self.still_has(&replacement.sources));
        for replacement in replacements {
            if is_current {
                self.swap_in(&replacement).map_err(|error| {
                    self.poison(format!("swapping in a compacted segment failed half way: {error}"));
                    AppendError::io(&self.partition, error)
                })?;
            } else {
                remove_cleaned(&self.folder, replacement.sources[0].base_offset);
            }
        }
        if is_current {
            self.cleaned_upto = cleaned_upto;
        }
        self.forget_places();
        Ok(())
    }

    fn still_has(&self, sources: &[Source]) -> bool {
        let first = self.segment_index(sources[0].base_offset);
        let last = self.segments.len() - 1;
        first + sources.len() <= last
            && sources.iter().enumerate().all(|(nth, source)| {
                let segment = &self.segments[first + nth];
                segment.base_offset() == source.base_offset
                    && segment.size_bytes() == source.size
                    && self.segment_end_offset(first + nth) == source.end_offset
            })
    }

    fn swap_in(&mut self, replacement: &Replacement) -> io::Result<()> {
        let sources = &replacement.sources;
        let base_offset = sources[0].base_offset;
        // The log is renamed last: with it under its new name, the swap is decided.
        for suffix in [INDEX, TIME_INDEX, LOG] {
            let path = self.folder.file(base_offset, suffix);
            self.folder.fs.rename(&with_suffix(&path, CLEANED), &with_suffix(&path, SWAP))?;
        }
        self.folder.fs.sync_dir(&self.folder.path)?;
        let others: Vec<i64> = sources[1..].iter().map(|source| source.base_offset).collect();
        finish_swap(&self.folder, base_offset, &others)?;
        let first = self.segment_index(base_offset);
        // What takes their place was synced before it got its name.
        self.flush.segments_dropped(|sealed| sources.iter().any(|source| source.base_offset == sealed));
        let segment = Segment::found(&self.folder, base_offset, replacement.size, &self.config);
        self.segments.splice(first..first + sources.len(), [segment]);
        Ok(())
    }
}

/// Removes the segments that a swap file covers beside its own, then gives it its name. Doing it twice does no harm.
fn finish_swap(folder: &Folder, base_offset: i64, covered: &[i64]) -> io::Result<()> {
    for &other in covered {
        for suffix in [LOG, INDEX, TIME_INDEX] {
            folder.fs.remove_file(&folder.file(other, suffix))?;
        }
    }
    for suffix in [INDEX, TIME_INDEX, LOG] {
        let path = folder.file(base_offset, suffix);
        match folder.fs.rename(&with_suffix(&path, SWAP), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && suffix != LOG => {}
            other => other?,
        }
    }
    Ok(())
}

/// Finishes the swaps that a crash interrupted, given the names in the folder. True if there was any.
pub(super) fn finish_swaps(folder: &Folder, names: &[String]) -> io::Result<bool> {
    let swaps: Vec<(i64, &str)> = names.iter().filter_map(|name| parse_file_name(name.strip_suffix(SWAP)?)).collect();
    let logs: Vec<i64> = names
        .iter()
        .filter_map(|name| parse_file_name(name))
        .filter(|(_, s)| *s == LOG)
        .map(|(base, _)| base)
        .collect();
    for &(base_offset, suffix) in &swaps {
        if suffix == LOG {
            let end_offset = end_of_swap(folder, base_offset)?;
            let covered: Vec<i64> =
                logs.iter().copied().filter(|&base| base > base_offset && base < end_offset).collect();
            finish_swap(folder, base_offset, &covered)?;
        } else if !swaps.contains(&(base_offset, LOG)) {
            // Its log did not get that far: the old segment and the old index stay.
            folder.fs.remove_file(&with_suffix(&folder.file(base_offset, suffix), SWAP))?;
        }
    }
    Ok(!swaps.is_empty())
}

fn end_of_swap(folder: &Folder, base_offset: i64) -> io::Result<i64> {
    let file = folder.fs.open(&with_suffix(&folder.file(base_offset, LOG), SWAP))?;
    let mut walk = HeaderWalk::new(&file, 0, file.metadata()?.len(), SCAN_CHUNK_BYTES);
    let mut end_offset = base_offset;
    while let Step::Batch { header, .. } = walk.step()? {
        end_offset = header.next_offset();
    }
    Ok(end_offset)
}

fn remove_cleaned(folder: &Folder, base_offset: i64) {
    for suffix in [LOG, INDEX, TIME_INDEX] {
        // What stays is overwritten by the next job, or removed at the next start.
        let _ = folder.fs.remove_file(&with_suffix(&folder.file(base_offset, suffix), CLEANED));
    }
}
