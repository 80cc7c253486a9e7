//! A segment in the making, under `.cleaned` names.

use std::fs::File;
use std::io;
use std::sync::Arc;

use weir_types::batch::{HEADER_BYTES, NO_TIMESTAMP, RecordBatch, RecordBatchHeader};

use crate::config::LogConfig;
use crate::folder::{CLEANED, Folder, INDEX, LOG, TIME_INDEX, with_suffix};
use crate::index::{Entry, OffsetEntry, TimeEntry};

const WRITE_BYTES: usize = 1 << 20;

pub(super) struct CleanedSegment {
    folder: Arc<Folder>,
    base_offset: i64,
    index_interval_bytes: u64,
    log: File,
    written: u64,
    unwritten: Vec<u8>,
    offsets: Vec<u8>,
    times: Vec<u8>,
    last_time: TimeEntry,
    largest: TimeEntry,
    bytes_since_index_entry: u64,
}

impl CleanedSegment {
    pub(super) fn create(folder: &Arc<Folder>, base_offset: i64, config: &LogConfig) -> io::Result<Self> {
        let none = TimeEntry { timestamp: NO_TIMESTAMP, relative_offset: 0 };
        Ok(Self {
            log: folder.fs.create(&with_suffix(&folder.file(base_offset, LOG), CLEANED))?,
            folder: folder.clone(),
            base_offset,
            index_interval_bytes: config.index_interval_bytes,
            written: 0,
            unwritten: Vec::with_capacity(WRITE_BYTES),
            offsets: Vec::new(),
            times: Vec::new(),
            last_time: none,
            largest: none,
            bytes_since_index_entry: 0,
        })
    }

    pub(super) fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        if let Some(header) = batch.first_chunk::<HEADER_BYTES>().and_then(|h| RecordBatch::parse_header(*h).ok()) {
            self.note(&header);
        }
        self.unwritten.extend_from_slice(batch);
        if self.unwritten.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// As an append to the log does it: see `Segment::note`.
    fn note(&mut self, header: &RecordBatchHeader) {
        let relative_offset = (header.last_offset() - self.base_offset) as i32;
        if header.max_timestamp() > self.largest.timestamp {
            self.largest = TimeEntry { timestamp: header.max_timestamp(), relative_offset };
        }
        if self.bytes_since_index_entry > self.index_interval_bytes {
            let position = (self.written + self.unwritten.len() as u64) as u32;
            OffsetEntry { relative_offset, position }.encode(&mut self.offsets);
            self.note_time();
            self.bytes_since_index_entry = 0;
        }
        self.bytes_since_index_entry += header.size_bytes() as u64;
    }

    fn note_time(&mut self) {
        if self.largest.timestamp > self.last_time.timestamp {
            self.last_time = self.largest;
            self.largest.encode(&mut self.times);
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.folder.fs.write_all_at(&self.log, &self.unwritten, self.written)?;
        self.written += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Writes what is left and syncs all three files; the log's size.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.write()?;
        self.note_time();
        let fs = &self.folder.fs;
        fs.sync_data(&self.log)?;
        for (suffix, entries) in [(INDEX, &self.offsets), (TIME_INDEX, &self.times)] {
            let file = fs.create(&with_suffix(&self.folder.file(self.base_offset, suffix), CLEANED))?;
            fs.write_all_at(&file, entries, 0)?;
            fs.sync_data(&file)?;
        }
        Ok(self.written)
    }
}
