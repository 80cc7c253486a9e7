//! When each part of the log was appended, by this broker's clock, so that lag can be told in seconds without reading a
//! record, and without the log's lock; and whoever appends does not wait for those who ask ([`Late`]).
//!
//! The log is seen as regions, inside each of which time is taken to pass evenly: one goes on for as long as that puts no
//! record further than [`TOLERANCE_MS`] from the moment when it was appended, which for records that come steadily is for
//! ever, and an idle hour stays the gap that it was. Only if there are more than [`REGIONS_MAX`] of them, because records
//! come in bursts, old neighbours become one: a region then lasts for one part in [`ERROR_OF_AGE`] of its age, at most.
//!
//! `append-time-checkpoint` keeps them over a restart. What it does not cover after a crash was appended between the
//! checkpoint, which is written every `log.flush.offset.checkpoint.interval.ms`, and the file's last change: within these
//! bounds the batches' timestamps decide. The same goes for a folder that Kafka wrote, from its making on.
//!
//! Never read by anything that decides about records.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::UNIX_EPOCH;

use super::late::{Append, Late};
use crate::checkpoint;
use crate::folder::{APPEND_TIME_CHECKPOINT, Folder, PARTITION_METADATA};

/// How far a time may be off, in milliseconds.
const TOLERANCE_MS: i64 = 500;
/// How long a region may last that was made of several, as a share of its age: one part in so many.
const ERROR_OF_AGE: i64 = 64;
/// Regions kept per log. What is beyond it loses precision at the old end.
const REGIONS_MAX: usize = 1024;
/// So many are left when there were more.
const REGIONS_KEPT: usize = REGIONS_MAX / 4 * 3;

/// The records from `base_offset` on were appended evenly between these moments, the last of which is that of `next_offset`.
/// It may be later than the next region begins, by the tolerance.
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
    late: Late,
}

#[derive(Default)]
struct Known {
    /// Each begins where the one before ends.
    regions: VecDeque<Region>,
    /// Of the last region, if it may go on.
    slopes: Option<Slopes>,
    /// When the last record was appended.
    latest_ms: i64,
    /// Nothing that is estimated was appended earlier.
    earliest_ms: i64,
    has_changed: bool,
}

/// How steep a line from a region's first record may be, in milliseconds per record, so that it passes all records of the
/// region within the tolerance.
#[derive(Debug, Clone, Copy)]
struct Slopes {
    least: f64,
    most: f64,
}

impl Slopes {
    /// With a batch that was appended `elapsed_ms` after the region's first record, whose records are `first..=last` after
    /// that one. `None`: no line passes them all.
    fn with(self, first: i64, last: i64, elapsed_ms: i64) -> Option<Self> {
        let least = (elapsed_ms - TOLERANCE_MS) as f64 / first as f64;
        let most = (elapsed_ms + TOLERANCE_MS) as f64 / last as f64;
        let both = Self { least: self.least.max(least), most: self.most.min(most) };
        (both.least <= both.most).then_some(both)
    }

    /// Of a region with a single batch.
    fn of_batch(record_count: i64) -> Self {
        // Infinite for one record.
        Self { least: 0.0, most: TOLERANCE_MS as f64 / (record_count - 1) as f64 }
    }
}

impl AppendTimes {
    pub(super) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, known: Mutex::default(), late: Late::default() }
    }

    /// When the record at `offset` was appended, in milliseconds since 1970; `None` for an offset outside the log.
    pub fn at(&self, offset: i64) -> Option<i64> {
        let known = self.known();
        let after = known.regions.partition_point(|region| region.base_offset <= offset);
        let region = known.regions.get(after.checked_sub(1)?)?;
        (offset < region.next_offset).then(|| region.at(offset))
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

    /// Begins with what the checkpoint knows of the log between its start and its end. The log's files were last changed
    /// at `changed_ms`, the checkpoint is written every `interval_ms`.
    pub(super) fn load(&self, changed_ms: i64, interval_ms: i64) {
        let path = self.folder.named(APPEND_TIME_CHECKPOINT);
        self.known().earliest_ms = match modified_ms(&path) {
            Some(saved_ms) => saved_ms.max(changed_ms.saturating_sub(interval_ms)),
            None => modified_ms(&self.folder.named(PARTITION_METADATA)).unwrap_or(i64::MIN),
        };
        let regions = read(&path).unwrap_or_else(|error| {
            tracing::warn!(%error, "append times are unreadable: lag in seconds is estimated from timestamps");
            Vec::new()
        });
        let mut known = self.known();
        known.latest_ms = regions.last().map_or(i64::MIN, |last| last.until_ms);
        known.regions = regions.into();
    }

    /// The records `base_offset..next_offset` are appended at `now_ms`. Never waits.
    pub(super) fn note(&self, base_offset: i64, next_offset: i64, now_ms: i64) {
        let mut known = match self.known.try_lock() {
            Ok(known) => known,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.late.put(&Append { base_offset, next_offset, at_ms: now_ms }),
        };
        self.catch_up(&mut known);
        known.note(base_offset, next_offset, now_ms);
    }

    /// The same for a batch of which only the largest timestamp is known, and that it came before `latest_ms`. Nothing
    /// if its append is known already.
    pub(super) fn estimate(&self, base_offset: i64, next_offset: i64, timestamp_ms: i64, latest_ms: i64) {
        let mut known = self.known();
        let base_offset = base_offset.max(known.next_offset());
        if base_offset < next_offset {
            let at_ms = timestamp_ms.max(known.earliest_ms).min(latest_ms);
            known.note(base_offset, next_offset, at_ms);
        }
    }

    /// The same for many batches: they came evenly since what is known before them.
    pub(super) fn estimate_many(&self, base_offset: i64, next_offset: i64, timestamp_ms: i64, latest_ms: i64) {
        let mut known = self.known();
        let until_ms = timestamp_ms.max(known.earliest_ms).min(latest_ms);
        let from_ms = known.regions.back().map_or(until_ms, |before| before.until_ms);
        known.push(Region { base_offset, next_offset, from_ms, until_ms: until_ms.max(from_ms) });
        (known.slopes, known.latest_ms) = (None, until_ms.max(from_ms));
    }

    /// Where its knowledge ends.
    pub(super) fn next_offset(&self) -> i64 {
        self.known().next_offset()
    }

    /// The log ends at `end` now.
    pub(super) fn truncate(&self, end: i64) {
        let mut known = self.known();
        known.slopes = None;
        while let Some(last) = known.regions.back_mut().filter(|last| last.next_offset > end) {
            (last.until_ms, last.next_offset) = (last.at(end), end);
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
        if let Some(first) = known.regions.front_mut().filter(|first| first.base_offset < start) {
            (first.from_ms, first.base_offset) = (first.at(start), start);
            // Slopes are told from where the region began.
            known.slopes = None;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No step leaves it half changed.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut known);
        known
    }

    /// With what was appended while somebody else read.
    fn catch_up(&self, known: &mut Known) {
        let Some(late) = self.late.take() else { return };
        let base_offset = late.base_offset.max(known.next_offset());
        if base_offset < late.next_offset {
            known.note(base_offset, late.next_offset, late.at_ms);
        }
    }
}

impl Known {
    fn next_offset(&self) -> i64 {
        self.regions.back().map_or(0, |last| last.next_offset)
    }

    fn note(&mut self, base_offset: i64, next_offset: i64, now_ms: i64) {
        self.has_changed = true;
        // A clock that was set back must not turn the order of appends.
        let now_ms = now_ms.max(self.latest_ms);
        self.latest_ms = now_ms;
        if let (Some(last), Some(slopes)) = (self.regions.back_mut(), self.slopes) {
            let (first, end) = (base_offset - last.base_offset, next_offset - last.base_offset);
            let elapsed_ms = now_ms - last.from_ms;
            if let Some(slopes) = slopes.with(first, end - 1, elapsed_ms) {
                let straight = elapsed_ms as f64 / first as f64;
                let slope = straight.clamp(slopes.least, slopes.most);
                (last.next_offset, last.until_ms) = (next_offset, last.from_ms + (slope * end as f64) as i64);
                self.slopes = Some(slopes);
                return;
            }
        }
        self.push(Region { base_offset, next_offset, from_ms: now_ms, until_ms: now_ms });
        self.slopes = Some(Slopes::of_batch(next_offset - base_offset));
    }

    fn push(&mut self, region: Region) {
        if self.regions.len() >= REGIONS_MAX {
            self.merge(region.until_ms);
        }
        self.has_changed = true;
        self.regions.push_back(region);
    }

    /// Makes neighbours one, the oldest first: as far as their age allows it and, if that is not enough, beyond that.
    fn merge(&mut self, now_ms: i64) {
        let is_shorter_than_old = |before: &Region, region: &Region| lasted_ms(before) < now_ms - region.until_ms;
        self.merge_if(|before, region| region.until_ms - before.from_ms <= (now_ms - region.until_ms) / ERROR_OF_AGE);
        self.merge_if(is_shorter_than_old);
    }

    /// Until there is room again.
    fn merge_if(&mut self, can_merge: impl Fn(&Region, &Region) -> bool) {
        let mut excess = self.regions.len().saturating_sub(REGIONS_KEPT);
        let mut kept: VecDeque<Region> = VecDeque::with_capacity(REGIONS_MAX);
        for region in self.regions.drain(..) {
            match kept.back_mut() {
                Some(before) if excess > 0 && can_merge(before, &region) => {
                    excess -= 1;
                    (before.next_offset, before.until_ms) = (region.next_offset, region.until_ms);
                }
                _ => kept.push_back(region),
            }
        }
        self.regions = kept;
    }
}

impl Region {
    /// When the record at `offset`, or what comes behind the last one, was appended.
    fn at(&self, offset: i64) -> i64 {
        let lasts_ms = i128::from(self.until_ms - self.from_ms);
        let (at, count) = (offset - self.base_offset, self.next_offset - self.base_offset);
        self.from_ms + (lasts_ms * i128::from(at) / i128::from(count)) as i64
    }
}

fn modified_ms(path: &Path) -> Option<i64> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn lasted_ms(region: &Region) -> i64 {
    region.until_ms - region.from_ms
}

/// The regions of a checkpoint. What overlaps or runs backwards is no checkpoint.
fn read(path: &Path) -> io::Result<Vec<Region>> {
    let regions = checkpoint::read_append_times(path)?;
    let is_sound = |region: &Region| region.base_offset < region.next_offset && region.from_ms <= region.until_ms;
    let is_after = |pair: &[Region]| {
        pair[0].next_offset <= pair[1].base_offset && pair[0].until_ms <= pair[1].from_ms + TOLERANCE_MS
    };
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
    fn worst_error(times: &AppendTimes, offsets: impl Iterator<Item = i64>, truth: impl Fn(i64) -> i64) -> i64 {
        offsets.map(|offset| (times.at(offset).unwrap() - truth(offset)).abs()).max().unwrap()
    }

    #[test]
    fn a_week_of_steady_appends_is_a_few_regions_and_right() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        let end = 7 * 86_400 * 4;
        // A jitter of a fifth of a second.
        let truth = |offset: i64| offset * 250 + (offset * 7919) % 200;
        for offset in 0..end {
            times.note(offset, offset + 1, truth(offset));
        }
        let regions = times.known().regions.len();
        assert!(regions <= 3, "{regions}");
        // The jitter goes back by more than it goes on: what comes later is never earlier.
        let worst = worst_error(&times, (0..end).step_by(97), truth);
        assert!(worst <= TOLERANCE_MS + 1, "{worst}");
        assert_eq!(times.at(end), None);
    }

    #[test]
    fn bursts_are_right_to_the_tolerance_for_as_long_as_there_are_regions() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        // A thousand records every three seconds, in batches of ten, a millisecond apart.
        let truth = |offset: i64| offset / 1000 * 3000 + offset % 1000 / 10;
        let bursts = REGIONS_MAX as i64 - 1;
        for batch in 0..bursts * 100 {
            times.note(batch * 10, batch * 10 + 10, truth(batch * 10));
        }
        assert!(worst_error(&times, (0..bursts * 1000).step_by(7), truth) <= TOLERANCE_MS);
        // Ten times as many: the latest are as right, the old ones to a part of their age.
        for batch in bursts * 100..bursts * 1000 {
            times.note(batch * 10, batch * 10 + 10, truth(batch * 10));
        }
        let (end, now) = (bursts * 10_000, truth(bursts * 10_000));
        assert!(times.known().regions.len() <= REGIONS_MAX);
        assert!(worst_error(&times, (end - 300_000..end).step_by(7), truth) <= TOLERANCE_MS);
        let is_near =
            |offset: i64| (times.at(offset).unwrap() - truth(offset)).abs() <= (now - truth(offset)) / ERROR_OF_AGE;
        assert!((0..end - 300_000).step_by(997).all(is_near));
    }

    #[test]
    fn a_rate_that_changes_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        // Ten a second for a minute, then a hundred, then one.
        let truth = |offset: i64| match offset {
            0..600 => offset * 100,
            600..6600 => 60_000 + (offset - 600) * 10,
            _ => 120_000 + (offset - 6600) * 1000,
        };
        (0..7000).for_each(|offset| times.note(offset, offset + 1, truth(offset)));
        assert!(times.known().regions.len() < 10);
        assert!(worst_error(&times, 0..7000, truth) <= TOLERANCE_MS);
    }

    #[test]
    fn an_idle_hour_stays_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        let truth = |offset: i64| offset * 10 + (offset / 100) * 3_600_000;
        for offset in 0..10_000 {
            times.note(offset, offset + 1, truth(offset));
        }
        assert!(worst_error(&times, 0..10_000, truth) <= TOLERANCE_MS);
    }

    #[test]
    fn appends_that_nothing_can_merge_lose_precision_and_not_memory() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        // Each gap is as long as all time before it, up to a limit: no two neighbours may become one.
        let mut now = 1_000_000;
        for offset in 0..100_000 {
            now += now / 20_000 + 2 * TOLERANCE_MS;
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
    fn whoever_appends_does_not_wait_for_those_who_ask() {
        let dir = tempfile::tempdir().unwrap();
        let times = times(dir.path());
        for round in 0..3 {
            let asked = times.known();
            times.note(round * 10, round * 10 + 4, round * 10_000 + 1000);
            times.note(round * 10 + 4, round * 10 + 5, round * 10_000 + 1001);
            drop(asked);
            assert_eq!(times.at(round * 10 + 4), Some(round * 10_000 + 1001));
            times.note(round * 10 + 5, round * 10 + 10, round * 10_000 + 5000);
        }
        assert!(
            worst_error(&times, 0..30, |at| at / 10 * 10_000 + if at % 10 < 5 { 1000 } else { 5000 }) <= TOLERANCE_MS
        );
        // What is late goes with the end that is taken away.
        let asked = times.known();
        times.note(30, 40, 60_000);
        drop(asked);
        times.truncate(35);
        assert_eq!((times.at(34), times.at(35), times.next_offset()), (Some(60_000), None, 35));
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
        loaded.load(0, 0);
        assert_eq!((loaded.at(9), loaded.at(19), loaded.next_offset()), (Some(1000), Some(5000), 20));

        // Unchanged: not written again.
        std::fs::remove_file(&path).unwrap();
        loaded.save().unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "0\n2\n0 10 1000 1000\n5 20 5000 5000\n").unwrap();
        let bad = times(dir.path());
        bad.load(0, 0);
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

    #[test]
    fn estimates_lie_between_the_checkpoint_and_the_last_change_whatever_producers_say() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, seconds: u64| {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        let estimated = |changed_ms: i64| {
            let times = times(dir.path());
            times.load(changed_ms, 60_000);
            times.estimate(0, 1, 1000, changed_ms);
            times.at(0)
        };
        // A new topic whose first checkpoint was never written.
        at(PARTITION_METADATA, 5_000);
        assert_eq!(estimated(5_020_000), Some(5_000_000));
        // A checkpoint; what it does not cover came in one interval.
        std::fs::write(dir.path().join(APPEND_TIME_CHECKPOINT), "0\n0\n").unwrap();
        std::fs::File::options()
            .write(true)
            .open(dir.path().join(APPEND_TIME_CHECKPOINT))
            .unwrap()
            .set_modified(UNIX_EPOCH + std::time::Duration::from_secs(5_010))
            .unwrap();
        assert_eq!(estimated(5_020_000), Some(5_010_000));
        assert_eq!(estimated(9_000_000), Some(8_940_000));
    }
}
