//! When each part of the log was appended, by this broker's clock, so that lag can be told in seconds without reading a
//! record, and without the log's lock.
//!
//! The log is seen as regions, in each of which everything was appended between two moments; inside a region time is
//! taken to pass evenly. As regions grow old, neighbours become one: a time is never off by more than [`SPACING_MS`] or
//! [`ERROR_OF_AGE`] of its age, whichever is more, and an idle hour stays the gap that it was.
//!
//! `append-time-checkpoint` keeps them over a restart. What it does not cover (a crash, a folder that Kafka wrote) is
//! estimated from the batches' timestamps, between what is known before and the file's last change.
//!
//! Never read by anything that decides about records.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::checkpoint;
use crate::folder::{APPEND_TIME_CHECKPOINT, Folder};

/// Appends that are no further apart share a region, in milliseconds.
const SPACING_MS: i64 = 250;
/// How long a region may last, as a share of its age: one part in so many.
const ERROR_OF_AGE: i64 = 64;
/// Regions kept per log. What is beyond it loses precision at the old end.
const REGIONS_MAX: usize = 2048;
/// Below this many, regions are not looked through.
const REGIONS_MIN: usize = 64;

/// Everything from `base_offset` up to the next region's was appended between these moments, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

/// Shared between the log, which notes, and those who ask.
pub struct AppendTimes {
    folder: Arc<Folder>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Each begins where the one before ends.
    regions: VecDeque<Region>,
    /// When there are so many, neighbours are made one.
    merge_at: usize,
    has_changed: bool,
}

impl AppendTimes {
    pub(super) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// When the record at `offset` was appended, in milliseconds since 1970; `None` for an offset outside the log.
    pub fn at(&self, offset: i64) -> Option<i64> {
        let known = self.known();
        let after = known.regions.partition_point(|region| region.base_offset <= offset);
        let region = known.regions.get(after.checked_sub(1)?)?;
        if offset >= region.next_offset {
            return None;
        }
        let lasts_ms = i128::from(region.until_ms - region.from_ms);
        let (at, count) = (offset - region.base_offset, region.next_offset - region.base_offset);
        Some(region.from_ms + (lasts_ms * i128::from(at) / i128::from(count)) as i64)
    }

    /// Writes the checkpoint if anything changed since the last time.
    pub fn save(&self) -> io::Result<()> {
        let regions: Vec<Region> = {
            let mut known = self.known();
            if !std::mem::take(&mut known.has_changed) {
                return Ok(());
            }
            known.regions.iter().copied().collect()
        };
        let written =
            checkpoint::write_append_times(&self.folder.fs, &self.folder.named(APPEND_TIME_CHECKPOINT), &regions);
        if written.is_err() {
            self.known().has_changed = true;
        }
        written
    }

    /// Begins with what the checkpoint knows of the log between its start and its end.
    pub(super) fn load(&self) {
        let path = self.folder.named(APPEND_TIME_CHECKPOINT);
        let regions = read(&path).unwrap_or_else(|error| {
            tracing::warn!(%error, "append times are unreadable: lag in seconds is estimated from timestamps");
            Vec::new()
        });
        self.known().regions = regions.into();
    }

    /// The records `base_offset..next_offset` are appended at `now_ms`.
    pub(super) fn note(&self, base_offset: i64, next_offset: i64, now_ms: i64) {
        self.known().note(base_offset, next_offset, now_ms);
    }

    /// The same for a batch of which only the largest timestamp is known, and that it came before `latest_ms`. Nothing
    /// if its append is known already.
    pub(super) fn estimate(&self, base_offset: i64, next_offset: i64, timestamp_ms: i64, latest_ms: i64) {
        let mut known = self.known();
        let base_offset = base_offset.max(known.next_offset());
        if base_offset < next_offset {
            known.note(base_offset, next_offset, timestamp_ms.min(latest_ms));
        }
    }

    /// The same for many batches: they came evenly since what is known before them.
    pub(super) fn estimate_many(&self, base_offset: i64, next_offset: i64, timestamp_ms: i64, latest_ms: i64) {
        let mut known = self.known();
        let until_ms = timestamp_ms.min(latest_ms);
        let from_ms = known.regions.back().map_or(until_ms, |before| before.until_ms);
        known.push(Region { base_offset, next_offset, from_ms, until_ms: until_ms.max(from_ms) });
    }

    /// Where its knowledge ends.
    pub(super) fn next_offset(&self) -> i64 {
        self.known().next_offset()
    }

    /// The log ends at `end` now.
    pub(super) fn truncate(&self, end: i64) {
        let mut known = self.known();
        while let Some(last) = known.regions.back_mut().filter(|last| last.next_offset > end) {
            last.next_offset = end;
            if last.base_offset < end {
                break;
            }
            known.regions.pop_back();
        }
        known.has_changed = true;
    }

    /// The log begins at `start` now.
    pub(super) fn forget_before(&self, start: i64) {
        let mut known = self.known();
        let gone = known.regions.partition_point(|region| region.next_offset <= start);
        known.regions.drain(..gone);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No step leaves it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn next_offset(&self) -> i64 {
        self.regions.back().map_or(0, |last| last.next_offset)
    }

    fn note(&mut self, base_offset: i64, next_offset: i64, now_ms: i64) {
        self.has_changed = true;
        let mut now_ms = now_ms;
        if let Some(last) = self.regions.back_mut() {
            // A clock that was set back must not turn the order of appends.
            now_ms = now_ms.max(last.until_ms);
            if now_ms - last.from_ms < SPACING_MS {
                (last.until_ms, last.next_offset) = (now_ms, next_offset);
                return;
            }
        }
        self.push(Region { base_offset, next_offset, from_ms: now_ms, until_ms: now_ms });
    }

    fn push(&mut self, region: Region) {
        if self.regions.len() >= self.merge_at.max(REGIONS_MIN) {
            self.merge(region.until_ms);
        }
        self.has_changed = true;
        self.regions.push_back(region);
    }

    /// Makes neighbours one as far as their age allows it, and the oldest ones also beyond that if there are too many.
    fn merge(&mut self, now_ms: i64) {
        let mut excess = (self.regions.len() * 2).saturating_sub(REGIONS_MAX);
        let mut kept: VecDeque<Region> = VecDeque::with_capacity(self.regions.len());
        for region in self.regions.drain(..) {
            match kept.back_mut() {
                Some(before) if can_merge(before, &region, now_ms) => extend(before, &region),
                Some(before) if excess > 0 && before.until_ms - before.from_ms < now_ms - region.until_ms => {
                    excess -= 1;
                    extend(before, &region);
                }
                _ => kept.push_back(region),
            }
        }
        self.merge_at = (kept.len() * 2).min(REGIONS_MAX);
        self.regions = kept;
    }
}

fn can_merge(before: &Region, region: &Region, now_ms: i64) -> bool {
    region.until_ms - before.from_ms <= (now_ms - region.until_ms) / ERROR_OF_AGE
}

fn extend(before: &mut Region, region: &Region) {
    (before.next_offset, before.until_ms) = (region.next_offset, region.until_ms);
}

/// The regions of a checkpoint. What overlaps or runs backwards is no checkpoint.
fn read(path: &Path) -> io::Result<Vec<Region>> {
    let regions = checkpoint::read_append_times(path)?;
    let is_sound = |region: &Region| region.base_offset < region.next_offset && region.from_ms <= region.until_ms;
    let is_after = |pair: &[Region]| pair[0].next_offset <= pair[1].base_offset && pair[0].until_ms <= pair[1].from_ms;
    if regions.len() > REGIONS_MAX || !regions.iter().all(is_sound) || !regions.windows(2).all(is_after) {
        let what = format!("{}: offsets and times do not rise from line to line", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(regions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Fs;

    fn times(dir: &Path) -> AppendTimes {
        AppendTimes::new(Arc::new(Folder { fs: Fs::default(), path: dir.to_owned() }))
    }

    /// Off by how much, at worst, in milliseconds; `truth` gives when an offset was appended.
    fn worst_error(
        times: &AppendTimes,
        offsets: impl Iterator<Item = i64>,
        now: i64,
        truth: impl Fn(i64) -> i64,
    ) -> i64 {
        offsets
            .map(|offset| {
                let error = (times.at(offset).unwrap() - truth(offset)).abs();
                error - SPACING_MS.max((now - truth(offset)) / ERROR_OF_AGE)
            })
            .max()
            .unwrap()
    }

    #[test]
    fn a_week_of_appends_stays_bounded_and_right() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        let end = 7 * 86_400 * 4;
        for offset in 0..end {
            times.note(offset, offset + 1, offset * 250);
        }
        assert!(times.known().regions.len() <= REGIONS_MAX);
        assert!(worst_error(&times, (0..end).step_by(997), end * 250, |offset| offset * 250) <= 0);
        assert_eq!(times.at(end), None);
    }

    #[test]
    fn an_idle_hour_stays_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        let truth = |offset: i64| offset * 10 + (offset / 100) * 3_600_000;
        for offset in 0..10_000 {
            times.note(offset, offset + 1, truth(offset));
        }
        assert!(worst_error(&times, 0..10_000, truth(9_999), truth) <= 0);
    }

    #[test]
    fn appends_that_nothing_can_merge_lose_precision_and_not_memory() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        // Each gap is as long as all time before it, up to a limit: no two neighbours may become one.
        let mut now = 1_000_000;
        for offset in 0..100_000 {
            now += now / 20_000 + SPACING_MS;
            times.note(offset, offset + 1, now);
        }
        assert!(times.known().regions.len() <= REGIONS_MAX);
        let found: Vec<i64> = (0..100_000).filter_map(|offset| times.at(offset)).collect();
        assert!(found.len() == 100_000 && found.is_sorted());
    }

    #[test]
    fn a_clock_set_back_does_not_turn_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        times.note(0, 5, 10_000);
        times.note(5, 9, 4_000);
        assert_eq!((times.at(0), times.at(8)), (Some(10_000), Some(10_000)));
    }

    #[test]
    fn both_ends_can_be_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        for offset in 0..10 {
            times.note(offset, offset + 1, offset * 1000);
        }
        times.forget_before(3);
        times.truncate(7);
        assert_eq!((times.at(2), times.at(3), times.at(6), times.at(7)), (None, Some(3000), Some(6000), None));
        times.note(7, 8, 60_000);
        assert_eq!(times.at(7), Some(60_000));
    }

    #[test]
    fn a_checkpoint_brings_them_back_and_a_bad_one_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let saved = times(dir.path());
        saved.note(0, 10, 1000);
        saved.note(10, 20, 5000);
        saved.save().unwrap();
        let path = dir.path().join(APPEND_TIME_CHECKPOINT);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n2\n0 10 1000 1000\n10 20 5000 5000\n");
        let loaded = times(dir.path());
        loaded.load();
        assert_eq!((loaded.at(9), loaded.at(19), loaded.next_offset()), (Some(1000), Some(5000), 20));

        // Unchanged: not written again.
        std::fs::remove_file(&path).unwrap();
        loaded.save().unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "0\n2\n0 10 1000 1000\n5 20 5000 5000\n").unwrap();
        let bad = times(dir.path());
        bad.load();
        assert_eq!((bad.at(0), bad.next_offset()), (None, 0));
    }

    #[test]
    fn estimates_fill_up_behind_what_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        times.note(0, 10, 50_000);
        // Known already; older than what came before it; later than the file's last change.
        times.estimate(5, 10, 1, 90_000);
        times.estimate(8, 20, 1, 90_000);
        times.estimate(20, 30, i64::MAX, 90_000);
        assert_eq!((times.at(5), times.at(15), times.at(25)), (Some(50_000), Some(50_000), Some(90_000)));
    }
}
