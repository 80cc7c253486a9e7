//! One segment: a `.log` of batches and its two indexes. Only the last segment of a log, the active one, grows.
//!
//! Never checks a batch, never assigns an offset; never reads records.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use weir_types::batch::{NO_TIMESTAMP, RecordBatchHeader};

use crate::config::LogConfig;
use crate::folder::{Folder, INDEX, LOG, LazyFile, TIME_INDEX};
use crate::index::{Entry, Index, OffsetEntry, TimeEntry};
use crate::walk::{HeaderWalk, LOOKUP_CHUNK_BYTES, SCAN_CHUNK_BYTES, Step};

/// A timestamp and the offset that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampAndOffset {
    pub timestamp: i64,
    pub offset: i64,
}

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) base_offset: i64,
    pub(crate) position: u64,
}

pub(crate) struct Segment {
    folder: Arc<Folder>,
    base_offset: i64,
    size: u64,
    log: LazyFile,
    /// Opened when first needed: thousands of sealed segments cost nothing until somebody reads them.
    indexes: Option<Box<Indexes>>,
    /// Largest timestamp, and the last offset of the batch that has it. `None` until it was looked up.
    largest: Option<TimestampAndOffset>,
    bytes_since_index_entry: u64,
    /// Up to about where the index files reach.
    indexed_position: u64,
    /// When it began, for `segment.ms`, by its records: the first batch's timestamp, else the clock.
    pub(crate) began_ms: Option<i64>,
    /// When it began by the clock: the first append that this process knows of, or the opening of the log.
    pub(crate) in_use_since_ms: Option<i64>,
    pub(crate) jitter_ms: u64,
}

pub(crate) struct Indexes {
    pub(crate) offsets: Index<OffsetEntry>,
    pub(crate) times: Index<TimeEntry>,
}

/// How much of the log the index files may lag behind: what a start after a crash walks over again.
const UNWRITTEN_INDEX_SPAN_BYTES: u64 = 1 << 20;

const NOTHING_YET: TimestampAndOffset = TimestampAndOffset { timestamp: NO_TIMESTAMP, offset: -1 };

impl Segment {
    /// A new, empty one. If one of its files cannot be made, none is left.
    pub(crate) fn create(folder: &Arc<Folder>, base_offset: i64, config: &LogConfig) -> io::Result<Segment> {
        let made = Self::create_files(folder, base_offset, config);
        if made.is_err() {
            for suffix in [LOG, INDEX, TIME_INDEX] {
                // The first error is the one to tell.
                let _ = folder.fs.remove_file(&folder.file(base_offset, suffix));
            }
        }
        made
    }

    fn create_files(folder: &Arc<Folder>, base_offset: i64, config: &LogConfig) -> io::Result<Segment> {
        let file = folder.fs.create(&folder.file(base_offset, LOG))?;
        if config.preallocate {
            folder.fs.reserve(&file, config.segment_bytes)?;
        }
        let offsets = Index::create(folder.clone(), base_offset)?;
        let times = Index::create(folder.clone(), base_offset)?;
        Ok(Segment {
            folder: folder.clone(),
            base_offset,
            size: 0,
            log: LazyFile::opened(file),
            indexes: Some(Box::new(Indexes { offsets, times })),
            largest: Some(NOTHING_YET),
            bytes_since_index_entry: 0,
            indexed_position: 0,
            began_ms: None,
            in_use_since_ms: None,
            jitter_ms: jitter(config),
        })
    }

    /// One that is there, of this many bytes. Opens nothing yet.
    pub(crate) fn found(folder: &Arc<Folder>, base_offset: i64, size: u64, config: &LogConfig) -> Segment {
        Segment {
            folder: folder.clone(),
            base_offset,
            size,
            log: LazyFile::default(),
            indexes: None,
            largest: None,
            bytes_since_index_entry: 0,
            indexed_position: 0,
            began_ms: None,
            in_use_since_ms: None,
            jitter_ms: jitter(config),
        }
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.file(self.base_offset, LOG)
    }

    pub(crate) fn file(&self) -> io::Result<Arc<File>> {
        self.log.get(&self.folder.fs, || self.log_path())
    }

    /// When the log file was last written, in milliseconds since 1970; 0 if that cannot be told.
    pub(crate) fn changed_ms(&self) -> i64 {
        let changed = std::fs::metadata(self.log_path()).and_then(|metadata| metadata.modified());
        let since_epoch = changed.ok().and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
        since_epoch.map_or(0, |elapsed| elapsed.as_millis() as i64)
    }

    pub(crate) fn indexes(&mut self) -> io::Result<&mut Indexes> {
        let indexes = match self.indexes.take() {
            Some(indexes) => indexes,
            None => Box::new(Indexes {
                offsets: Index::open(self.folder.clone(), self.base_offset)?,
                times: Index::open(self.folder.clone(), self.base_offset)?,
            }),
        };
        Ok(self.indexes.insert(indexes))
    }

    /// Writes `bytes` at the end. If that fails, the file is cut back to where it was; `Err(Some(_))` as the second
    /// half tells that even that failed.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), (io::Error, Option<io::Error>)> {
        let file = self.file().map_err(|error| (error, None))?;
        if let Err(error) = self.folder.fs.write_all_at(&file, bytes, self.size) {
            let cut = self.folder.fs.set_len(&file, self.size);
            return Err((error, cut.err()));
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Notes a batch that was written at `position`.
    pub(crate) fn note(&mut self, header: &RecordBatchHeader, position: u64, config: &LogConfig) {
        let largest = self.largest.get_or_insert(NOTHING_YET);
        if header.max_timestamp() > largest.timestamp {
            *largest = TimestampAndOffset { timestamp: header.max_timestamp(), offset: header.last_offset() };
        }
        let largest = *largest;
        if self.bytes_since_index_entry > config.index_interval_bytes
            && let Some(indexes) = &mut self.indexes
        {
            let base = self.base_offset;
            let relative = |offset: i64| (offset - base) as i32;
            indexes
                .offsets
                .append(OffsetEntry { relative_offset: relative(header.last_offset()), position: position as u32 });
            indexes.times.append(time_entry(largest, base));
            self.bytes_since_index_entry = 0;
            if position >= self.indexed_position + UNWRITTEN_INDEX_SPAN_BYTES {
                self.indexed_position = position;
                // The log itself is written: indexes that lag behind (a full disk, say) are tried again later, and
                // cost at worst a longer walk at the next start.
                let _ = indexes.offsets.write_pending().and_then(|()| indexes.times.write_pending());
            }
        }
        self.bytes_since_index_entry += header.size_bytes() as u64;
    }

    /// After the indexes were cut or reread: what was appended since the last entry.
    pub(crate) fn count_bytes_since_index_entry(&mut self, bytes: u64) {
        self.bytes_since_index_entry = bytes;
    }

    pub(crate) fn reset_largest(&mut self, largest: Option<TimestampAndOffset>) {
        self.largest = Some(largest.unwrap_or(NOTHING_YET));
    }

    /// The largest timestamp known without touching the disk.
    pub(crate) fn known_largest(&self) -> Option<TimestampAndOffset> {
        self.largest.filter(|largest| largest.offset >= 0)
    }

    /// The largest timestamp in it, -1 if it has none.
    pub(crate) fn largest(&mut self) -> io::Result<TimestampAndOffset> {
        let largest = self.look_up_largest()?;
        self.largest = Some(largest);
        Ok(largest)
    }

    /// As [`Self::largest`], without keeping it for the next time.
    pub(crate) fn look_up_largest(&self) -> io::Result<TimestampAndOffset> {
        if let Some(largest) = self.largest {
            return Ok(largest);
        }
        let last = match &self.indexes {
            Some(indexes) => indexes.times.last(),
            None => Index::<TimeEntry>::open(self.folder.clone(), self.base_offset)?.last(),
        };
        match last {
            Some(entry) => Ok(from_time_entry(entry, self.base_offset)),
            // Its time index was lost: believing that would make retention take the segment for ages old.
            None => self.walk_for_largest(),
        }
    }

    fn walk_for_largest(&self) -> io::Result<TimestampAndOffset> {
        let (file, mut largest) = (self.file()?, NOTHING_YET);
        let mut walk = HeaderWalk::new(&file, 0, self.size, SCAN_CHUNK_BYTES);
        while let Step::Batch { header, .. } = walk.step()? {
            if header.max_timestamp() > largest.timestamp {
                largest = TimestampAndOffset { timestamp: header.max_timestamp(), offset: header.last_offset() };
            }
        }
        Ok(largest)
    }

    /// As many index entries as `segment.index.bytes` allows.
    pub(crate) fn index_is_full(&self, config: &LogConfig) -> bool {
        self.indexes.as_ref().is_some_and(|indexes| {
            let room = |used: u64, entry: usize| used + entry as u64 <= config.segment_index_bytes;
            !room(indexes.offsets.size_bytes(), OffsetEntry::BYTES)
                || !room(indexes.times.size_bytes(), TimeEntry::BYTES)
        })
    }

    /// The batch that holds `offset`, or the first one after it; `None` if all batches end before it.
    pub(crate) fn find(&self, offset: i64) -> io::Result<Option<Place>> {
        let start = self.index_floor(|entry| self.base_offset + i64::from(entry.relative_offset) <= offset)?;
        let file = self.file()?;
        let mut walk = HeaderWalk::new(&file, start, self.size, LOOKUP_CHUNK_BYTES);
        loop {
            match walk.step()? {
                Step::Batch { position, header } if header.last_offset() >= offset => {
                    return Ok(Some(Place { base_offset: header.base_offset(), position }));
                }
                Step::Batch { .. } => {}
                Step::End => return Ok(None),
                Step::Torn { position, reason } => return Err(self.torn(position, &reason)),
            }
        }
    }

    /// A position at or before `position` at which a batch starts, near it.
    pub(crate) fn batch_start_at_or_before(&self, position: u64) -> io::Result<u64> {
        self.index_floor(|entry| u64::from(entry.position) <= position)
    }

    fn index_floor(&self, holds: impl Fn(OffsetEntry) -> bool) -> io::Result<u64> {
        let entry = match &self.indexes {
            Some(indexes) => indexes.offsets.last_where(holds)?,
            None => Index::open(self.folder.clone(), self.base_offset)?.last_where(holds)?,
        };
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// An offset at or before the first batch whose max timestamp reaches `timestamp`.
    pub(crate) fn offset_before_timestamp(&self, timestamp: i64) -> io::Result<i64> {
        self.time_index_floor(|entry| entry.timestamp < timestamp)
    }

    /// The offset of the largest timestamp that the time index knows of before `upto`.
    pub(crate) fn offset_of_largest_below(&self, upto: i64) -> io::Result<i64> {
        self.time_index_floor(|entry| self.base_offset + i64::from(entry.relative_offset) < upto)
    }

    fn time_index_floor(&self, holds: impl Fn(TimeEntry) -> bool) -> io::Result<i64> {
        let entry = match &self.indexes {
            Some(indexes) => indexes.times.last_where(holds)?,
            None => Index::open(self.folder.clone(), self.base_offset)?.last_where(holds)?,
        };
        Ok(entry.map_or(self.base_offset, |entry| self.base_offset + i64::from(entry.relative_offset)))
    }

    /// Whether `offset` still fits the 31 bits of an index entry.
    pub(crate) fn can_hold(&self, offset: i64) -> bool {
        i32::try_from(offset - self.base_offset).is_ok()
    }

    /// Writes what the indexes hold back and a last time entry, as Kafka does when a segment ends or its log closes.
    pub(crate) fn seal(&mut self) -> io::Result<()> {
        let (base, largest) = (self.base_offset, self.largest()?);
        let indexes = self.indexes()?;
        if largest.offset >= 0 {
            indexes.times.append(time_entry(largest, base));
        }
        indexes.offsets.write_pending()?;
        indexes.times.write_pending()?;
        indexes.offsets.cut()?;
        indexes.times.cut()
    }

    /// Gives back blocks that were reserved and not used.
    pub(crate) fn trim(&self) -> io::Result<()> {
        let file = self.file()?;
        self.folder.fs.set_len(&file, self.size)
    }

    /// Cuts the file and the indexes: `position` is where the batch that starts at or after `offset` lay.
    pub(crate) fn truncate(&mut self, offset: i64, position: u64) -> io::Result<()> {
        let file = self.file()?;
        let base = self.base_offset;
        let indexes = self.indexes()?;
        indexes.offsets.retain_while(|entry| u64::from(entry.position) < position)?;
        indexes.times.retain_while(|entry| base + i64::from(entry.relative_offset) < offset)?;
        indexes.offsets.cut()?;
        indexes.times.cut()?;
        let last_time = indexes.times.last().map(|entry| from_time_entry(entry, base));
        let indexed = indexes.offsets.last().map_or(0, |entry| u64::from(entry.position));
        // Old entries that came back after a crash would point into batches written later.
        let targets = [indexes.offsets.sync_target()?, indexes.times.sync_target()?];
        self.folder.fs.set_len(&file, position)?;
        for target in targets {
            self.folder.fs.sync_data(&target)?;
        }
        self.size = position;
        self.bytes_since_index_entry = position - indexed;
        self.reset_largest(last_time);
        Ok(())
    }

    /// The files to sync so that it is durable whole.
    pub(crate) fn paths(&self) -> [PathBuf; 3] {
        [LOG, INDEX, TIME_INDEX].map(|suffix| self.folder.file(self.base_offset, suffix))
    }

    pub(crate) fn close_idle_files(&mut self, is_active: bool) {
        self.log.close_if_idle();
        if is_active {
            if let Some(indexes) = &mut self.indexes {
                // What it cannot write now it keeps, and tries again with the next entries.
                let _ = indexes.offsets.write_pending().and_then(|()| indexes.times.write_pending());
                indexes.offsets.close_if_idle();
                indexes.times.close_if_idle();
            }
        } else {
            self.indexes = None;
        }
    }

    /// Closes its files; the next use opens them again.
    pub(crate) fn close_files(&self) {
        self.log.close();
        if let Some(indexes) = &self.indexes {
            indexes.offsets.close();
            indexes.times.close();
        }
    }

    pub(crate) fn torn(&self, position: u64, reason: &str) -> io::Error {
        let path = self.log_path();
        io::Error::new(io::ErrorKind::InvalidData, format!("{} at position {position}: {reason}", path.display()))
    }
}

fn time_entry(largest: TimestampAndOffset, base_offset: i64) -> TimeEntry {
    TimeEntry { timestamp: largest.timestamp, relative_offset: (largest.offset - base_offset) as i32 }
}

fn from_time_entry(entry: TimeEntry, base_offset: i64) -> TimestampAndOffset {
    TimestampAndOffset { timestamp: entry.timestamp, offset: base_offset + i64::from(entry.relative_offset) }
}

/// Spreads the rolls of many partitions over `segment.jitter.ms`.
fn jitter(config: &LogConfig) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    match config.segment_jitter_ms {
        0 => 0,
        jitter_ms => RandomState::new().hash_one(0) % jitter_ms,
    }
}
