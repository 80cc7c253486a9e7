//! The two sparse indexes of a segment, both files of fixed-size entries that only grow.
//!
//! | file | entry | key |
//! |---|---|---|
//! | `.index` | 4 bytes offset relative to the segment's base, 4 bytes position | last offset of the batch at that position |
//! | `.timeindex` | 8 bytes timestamp, 4 bytes relative offset | largest timestamp up to that batch |
//!
//! Invariant: entries rise strictly by key. New entries wait in memory and are written together: losing them costs
//! recovery a scan, never a record. Never maps memory, never reads a whole file to look something up.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::folder::{Folder, INDEX, LazyFile, TIME_INDEX};

/// Entries that wait in memory before they are written together.
const PENDING_MAX: usize = 128;
/// A binary search over a file ends with one read of this many entries.
const PROBE_ENTRIES: u32 = 64;

pub(crate) trait Entry: Copy {
    const BYTES: usize;
    const SUFFIX: &'static str;
    fn encode(self, out: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Self;
    /// What must rise strictly from entry to entry.
    fn rises_over(self, earlier: Self) -> bool;
    fn is_zero(self) -> bool;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative_offset: i32,
    pub(crate) position: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative_offset: i32,
}

fn be<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;
    const SUFFIX: &'static str = INDEX;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { relative_offset: i32::from_be_bytes(be(bytes, 0)), position: u32::from_be_bytes(be(bytes, 4)) }
    }

    fn rises_over(self, earlier: Self) -> bool {
        self.relative_offset > earlier.relative_offset && self.position > earlier.position
    }

    fn is_zero(self) -> bool {
        self.relative_offset == 0 && self.position == 0
    }
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;
    const SUFFIX: &'static str = TIME_INDEX;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { timestamp: i64::from_be_bytes(be(bytes, 0)), relative_offset: i32::from_be_bytes(be(bytes, 8)) }
    }

    fn rises_over(self, earlier: Self) -> bool {
        self.timestamp > earlier.timestamp && self.relative_offset >= earlier.relative_offset
    }

    fn is_zero(self) -> bool {
        self.timestamp == 0 && self.relative_offset == 0
    }
}

/// One index file of one segment.
pub(crate) struct Index<E> {
    folder: Arc<Folder>,
    base_offset: i64,
    file: LazyFile,
    written: u32,
    pending: Vec<E>,
    last: Option<E>,
}

impl<E: Entry> Index<E> {
    /// A new, empty one.
    pub(crate) fn create(folder: Arc<Folder>, base_offset: i64) -> io::Result<Self> {
        let file = folder.fs.create(&folder.file(base_offset, E::SUFFIX))?;
        Ok(Self { folder, base_offset, file: LazyFile::opened(file), written: 0, pending: Vec::new(), last: None })
    }

    /// One that is there, trusted as it is but for a torn last entry. A missing file is made, empty.
    pub(crate) fn open(folder: Arc<Folder>, base_offset: i64) -> io::Result<Self> {
        let path = folder.file(base_offset, E::SUFFIX);
        let file = match folder.fs.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.fs.create(&path)?,
            other => other?,
        };
        let written = u32::try_from(file.metadata()?.len() / E::BYTES as u64).map_err(io::Error::other)?;
        let mut index =
            Self { folder, base_offset, file: LazyFile::opened(file), written, pending: Vec::new(), last: None };
        index.last = match written {
            0 => None,
            count => index.read(count - 1, 1)?.first().copied(),
        };
        // A file that grew, but whose last bytes a power cut took, ends in zeros: no true entry but the first is one.
        if index.last.is_some_and(|last| written > 1 && last.is_zero()) {
            index.retain_while(|_| true)?;
            index.cut()?;
        }
        Ok(index)
    }

    fn file(&self) -> io::Result<Arc<File>> {
        self.file.get(&self.folder.fs, || self.folder.file(self.base_offset, E::SUFFIX))
    }

    /// Entries, written or pending.
    pub(crate) fn count(&self) -> usize {
        self.written as usize + self.pending.len()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        (self.count() * E::BYTES) as u64
    }

    pub(crate) fn last(&self) -> Option<E> {
        self.last
    }

    /// Adds an entry, unless it does not rise over the last one.
    pub(crate) fn append(&mut self, entry: E) {
        if self.last.is_some_and(|last| !entry.rises_over(last)) {
            return;
        }
        self.last = Some(entry);
        self.pending.push(entry);
        if self.pending.len() >= PENDING_MAX {
            // See `Segment::note`: an index may lag behind.
            let _ = self.write_pending();
        }
    }

    pub(crate) fn write_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.pending.len() * E::BYTES);
        self.pending.iter().for_each(|entry| entry.encode(&mut bytes));
        let position = u64::from(self.written) * E::BYTES as u64;
        self.folder.fs.write_all_at(&*self.file()?, &bytes, position)?;
        self.written += self.pending.len() as u32;
        self.pending = Vec::new();
        Ok(())
    }

    pub(crate) fn sync_target(&self) -> io::Result<Arc<File>> {
        self.file()
    }

    /// The last entry for which `holds` is true; it is true for a first part of the entries and false for the rest.
    pub(crate) fn last_where(&self, holds: impl Fn(E) -> bool) -> io::Result<Option<E>> {
        let pending = self.pending.partition_point(|&entry| holds(entry));
        if pending > 0 {
            return Ok(Some(self.pending[pending - 1]));
        }
        // Over the file: `low` entries are known to hold, from `high` on none does.
        let (mut low, mut high) = (0, self.written);
        while high - low > PROBE_ENTRIES {
            let middle = low + (high - low) / 2;
            match self.read(middle, 1)?.first() {
                Some(&entry) if holds(entry) => low = middle + 1,
                _ => high = middle,
            }
        }
        let start = low.saturating_sub(1);
        let entries = self.read(start, high - start)?;
        let held = entries.partition_point(|&entry| holds(entry));
        Ok(held.checked_sub(1).map(|index| entries[index]))
    }

    fn read(&self, start: u32, count: u32) -> io::Result<Vec<E>> {
        let mut bytes = vec![0; count as usize * E::BYTES];
        self.file()?.read_exact_at(&mut bytes, u64::from(start) * E::BYTES as u64)?;
        Ok(bytes.chunks_exact(E::BYTES).map(E::decode).collect())
    }

    /// Keeps the longest first part of the file in which every entry rises and `keep` says yes; forgets the rest. For
    /// recovery, where nothing in the file is trusted, and for truncation. The file still has the rest until it is
    /// overwritten or [`Self::cut`]: emptying thousands of files only to fill them again makes the file system flush
    /// each of them.
    pub(crate) fn retain_while(&mut self, keep: impl Fn(E) -> bool) -> io::Result<()> {
        let mut entries = self.read(0, self.written)?;
        entries.append(&mut self.pending);
        let mut kept = 0;
        while kept < entries.len() && keep(entries[kept]) && (kept == 0 || entries[kept].rises_over(entries[kept - 1]))
        {
            kept += 1;
        }
        self.last = kept.checked_sub(1).map(|index| entries[index]);
        let kept_on_disk = kept.min(self.written as usize);
        self.pending = entries[kept_on_disk..kept].to_vec();
        self.written = kept_on_disk as u32;
        Ok(())
    }

    /// Cuts off what the file has after the entries that count.
    pub(crate) fn cut(&self) -> io::Result<()> {
        let (file, len) = (self.file()?, u64::from(self.written) * E::BYTES as u64);
        if file.metadata()?.len() == len { Ok(()) } else { self.folder.fs.set_len(&file, len) }
    }

    pub(crate) fn close_if_idle(&self) {
        self.file.close_if_idle();
    }

    pub(crate) fn close(&self) {
        self.file.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Fs;

    fn folder(dir: &tempfile::TempDir) -> Arc<Folder> {
        Arc::new(Folder { fs: Fs::default(), path: dir.path().to_owned() })
    }

    fn entry(n: i32) -> OffsetEntry {
        OffsetEntry { relative_offset: n * 10, position: n as u32 * 100 }
    }

    #[test]
    fn lookups_agree_with_a_plain_search_wherever_the_entries_are() {
        let dir = tempfile::tempdir().unwrap();
        for written in [0, 1, 63, 64, 65, 128, 129, 1000] {
            let mut index = Index::<OffsetEntry>::create(folder(&dir), 0).unwrap();
            for n in 1..=written {
                index.append(entry(n));
            }
            for target in -1..=(written * 10 + 15) {
                let expected = (1..=written).rev().find(|n| n * 10 <= target).map(entry);
                assert_eq!(index.last_where(|e| e.relative_offset <= target).unwrap(), expected, "{written} {target}");
            }
        }
    }

    #[test]
    fn a_reopened_index_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = Index::<TimeEntry>::create(folder(&dir), 7).unwrap();
        let time = |n: i32| TimeEntry { timestamp: i64::from(n) * 5, relative_offset: n };
        (0..10).for_each(|n| index.append(time(n)));
        index.append(time(3));
        index.write_pending().unwrap();
        drop(index);
        let mut index = Index::<TimeEntry>::open(folder(&dir), 7).unwrap();
        assert_eq!((index.count(), index.last()), (10, Some(time(9))));
        index.append(time(10));
        assert_eq!(index.last_where(|_| true).unwrap(), Some(time(10)));
        index.retain_while(|e| e.relative_offset < 4).unwrap();
        index.cut().unwrap();
        assert_eq!((index.count(), index.last()), (4, Some(time(3))));
        assert_eq!(std::fs::metadata(dir.path().join("00000000000000000007.timeindex")).unwrap().len(), 48);
    }

    #[test]
    fn zeros_that_a_power_cut_left_at_the_end_are_no_entries() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = Index::<TimeEntry>::create(folder(&dir), 0).unwrap();
        (1..6).for_each(|n| index.append(TimeEntry { timestamp: i64::from(n), relative_offset: n }));
        index.write_pending().unwrap();
        index.file().unwrap().set_len(12 * 9).unwrap();
        let index = Index::<TimeEntry>::open(folder(&dir), 0).unwrap();
        assert_eq!((index.count(), index.last().unwrap().timestamp), (5, 5));
    }

    #[test]
    fn garbage_after_good_entries_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = Index::<OffsetEntry>::create(folder(&dir), 0).unwrap();
        (1..6).for_each(|n| index.append(entry(n)));
        index.write_pending().unwrap();
        index.file().unwrap().write_all_at(&[0; 21], 40).unwrap();
        let mut index = Index::<OffsetEntry>::open(folder(&dir), 0).unwrap();
        index.retain_while(|_| true).unwrap();
        assert_eq!((index.count(), index.last()), (5, Some(entry(5))));
    }
}
