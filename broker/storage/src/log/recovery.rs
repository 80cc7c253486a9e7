//! Where a log ends, found cheaply after a clean shutdown and carefully after a crash.
//!
//! After a crash: segments wholly below the recovery point are trusted. In the others the indexes are cut back to what
//! is provably right, the batches from there on are walked over, and every one past the recovery point is read and its
//! CRC checked. The first bytes that are no whole batch, and all after them, go.

use std::io;

use weir_types::batch::{HEADER_BYTES, NO_TIMESTAMP};

use super::{Log, RecoveryReport};
use crate::folder::{INDEX, LOG, SNAPSHOT, TIME_INDEX};
use crate::producers::{Producers, decode_snapshot};
use crate::segment::TimestampAndOffset;
use crate::walk::{HeaderWalk, LOOKUP_CHUNK_BYTES, SCAN_CHUNK_BYTES, Step, read_batch};

impl Log {
    /// Finds the end of a log that was closed cleanly. False if its tail is not what a clean close leaves.
    pub(super) fn find_end(&mut self) -> io::Result<bool> {
        let config = self.config.clone();
        let last = self.segments.len() - 1;
        let segment = &mut self.segments[last];
        let (base, size) = (segment.base_offset(), segment.size_bytes());
        let indexes = segment.indexes()?;
        let (entry, last_time) = (indexes.offsets.last(), indexes.times.last());
        let start = entry.map_or(0, |entry| u64::from(entry.position));
        segment.reset_largest(last_time.map(|entry| TimestampAndOffset {
            timestamp: entry.timestamp,
            offset: base + i64::from(entry.relative_offset),
        }));
        segment.count_bytes_since_index_entry(0);
        self.log_end_offset = base;
        if size == 0 {
            return Ok(true);
        }
        let file = segment.file()?;
        let mut walk = HeaderWalk::new(&file, start, size, LOOKUP_CHUNK_BYTES);
        loop {
            match walk.step()? {
                Step::Batch { position, header } => {
                    segment.note(&header, position, &config);
                    segment.began_ms.get_or_insert(header.max_timestamp());
                    self.log_end_offset = header.next_offset();
                }
                Step::End => return Ok(true),
                Step::Torn { .. } => return Ok(false),
            }
        }
    }

    /// Finds the end of a log that may be torn, and cuts it there.
    pub(super) fn recover(&mut self, report: &mut RecoveryReport) -> io::Result<()> {
        let first = self.segment_index(self.recovery_point.max(self.segments[0].base_offset()));
        self.estimate_append_times(first);
        for index in first..self.segments.len() {
            let is_whole = self.recover_segment(index, report)?;
            let next_base = self.segments.get(index + 1).map(|next| next.base_offset());
            if let Some(next_base) = next_base
                && (!is_whole || self.log_end_offset > next_base)
            {
                report.dropped_segments = self.segments.len() - index - 1;
                return self.drop_segments_from(index + 1);
            }
        }
        Ok(())
    }

    /// Checks one segment from the recovery point on; sets the log's end to where it ends. False if it was cut.
    fn recover_segment(&mut self, index: usize, report: &mut RecoveryReport) -> io::Result<bool> {
        let (config, recovery_point) = (self.config.clone(), self.recovery_point);
        let start = self.trusted_position(index)?;
        let segment = &mut self.segments[index];
        let (base, size) = (segment.base_offset(), segment.size_bytes());
        let file = segment.file()?;
        let changed_ms = segment.changed_ms();
        self.log_end_offset = base;
        let mut buffer = Vec::new();
        let mut walk = HeaderWalk::new(&file, start, size, LOOKUP_CHUNK_BYTES);
        let (cut_at, reason) = loop {
            let (position, header) = match walk.step()? {
                Step::Batch { position, header } => (position, header),
                Step::End => break (size, None),
                Step::Torn { position, reason } => break (position, Some(reason)),
            };
            // Below the recovery point the bytes were synced: their places are wanted, not their sums.
            if header.next_offset() > recovery_point {
                report.scanned_bytes += header.size_bytes() as u64;
                walk.read_ahead(SCAN_CHUNK_BYTES);
                if !walk.batch(position, header.size_bytes(), &mut buffer)?.crc_is_valid() {
                    break (position, Some("a batch whose crc is wrong".to_owned()));
                }
            }
            if header.base_offset() < self.log_end_offset || header.last_offset_delta() < 0 {
                break (position, Some(format!("offset {} comes after a later one", header.base_offset())));
            }
            segment.note(&header, position, &config);
            segment.began_ms.get_or_insert(header.max_timestamp());
            self.epochs.assign(header.leader_epoch(), header.base_offset());
            self.log_end_offset = header.next_offset();
            let (base_offset, timestamp) = (header.base_offset(), header.max_timestamp());
            self.append_times.estimate(base_offset, header.next_offset(), timestamp, changed_ms);
        };
        if let Some(reason) = &reason {
            report.cut_bytes += size - cut_at;
            report.reason.get_or_insert_with(|| format!("{} at {cut_at}: {reason}", segment.log_path().display()));
            segment.truncate(self.log_end_offset, cut_at)?;
        }
        segment.seal()?;
        Ok(reason.is_none())
    }

    /// Estimates the append times of the segments before `end`, as far as the checkpoint does not cover them: each
    /// segment's records came evenly between the end of the one before and its own largest timestamp.
    pub(super) fn estimate_append_times(&self, end: usize) {
        for index in 0..end {
            let (segment, next_offset) = (&self.segments[index], self.segment_end_offset(index));
            let base_offset = segment.base_offset().max(self.append_times.next_offset());
            if base_offset >= next_offset {
                continue;
            }
            let timestamp = segment.look_up_largest().map_or(NO_TIMESTAMP, |largest| largest.timestamp);
            self.append_times.estimate_many(base_offset, next_offset, timestamp, segment.changed_ms());
        }
    }

    /// Cuts the indexes of a segment back to entries that are surely right, and gives the position of the last one.
    fn trusted_position(&mut self, index: usize) -> io::Result<u64> {
        let recovery_point = self.recovery_point;
        let segment = &mut self.segments[index];
        let (base, size) = (segment.base_offset(), segment.size_bytes());
        let file = segment.file()?;
        let is_below = |relative: i32| base + i64::from(relative) < recovery_point;
        let indexes = segment.indexes()?;
        indexes.offsets.retain_while(|entry| is_below(entry.relative_offset) && u64::from(entry.position) < size)?;
        // An entry is right if the batch that it names is there.
        let named = indexes.offsets.last().filter(|entry| {
            let walked = HeaderWalk::new(&file, u64::from(entry.position), size, HEADER_BYTES).step();
            let offset = base + i64::from(entry.relative_offset);
            matches!(walked, Ok(Step::Batch { header, .. }) if header.last_offset() == offset)
        });
        if named.is_none() {
            indexes.offsets.retain_while(|_| false)?;
        }
        let trusted_offset = named.map_or(-1, |entry| entry.relative_offset);
        indexes.times.retain_while(|entry| entry.relative_offset <= trusted_offset)?;
        let last_time = indexes.times.last();
        segment.reset_largest(last_time.map(|entry| TimestampAndOffset {
            timestamp: entry.timestamp,
            offset: base + i64::from(entry.relative_offset),
        }));
        segment.count_bytes_since_index_entry(0);
        Ok(named.map_or(0, |entry| u64::from(entry.position)))
    }

    /// Removes the segments from `index` on, last first, so that a crash in between leaves no gap.
    pub(super) fn drop_segments_from(&mut self, index: usize) -> io::Result<()> {
        while self.segments.len() > index {
            let base_offset = self.segments[self.segments.len() - 1].base_offset();
            for suffix in [LOG, INDEX, TIME_INDEX] {
                self.folder.fs.remove_file(&self.folder.file(base_offset, suffix))?;
            }
            self.segments.pop();
            self.flush.segments_dropped(|sealed| sealed == base_offset);
        }
        Ok(())
    }

    /// Rebuilds the leader epochs from the batches of the whole log.
    pub(super) fn replay_epochs(&mut self) -> io::Result<()> {
        tracing::warn!(partition = %self.partition, "leader-epoch-checkpoint is unreadable: reading the log instead");
        for segment in &self.segments {
            let file = segment.file()?;
            let mut walk = HeaderWalk::new(&file, 0, segment.size_bytes(), SCAN_CHUNK_BYTES);
            while let Step::Batch { header, .. } = walk.step()? {
                self.epochs.assign(header.leader_epoch(), header.base_offset());
            }
        }
        Ok(())
    }

    /// The producers as of the log's end: from the latest snapshot that is whole, and the batches after it.
    pub(super) fn load_producers(&mut self, is_clean: bool, now_ms: i64) -> io::Result<()> {
        let log_end_offset = self.log_end_offset;
        for offset in self.snapshots.extract_if(.., |&mut offset| offset > log_end_offset) {
            self.folder.fs.remove_file(&self.folder.file(offset, SNAPSHOT))?;
        }
        let mut from = self.log_start_offset;
        self.producers = Producers::default();
        if is_clean && self.snapshots.is_empty() {
            // A clean close writes a snapshot if there is any producer to write.
            return Ok(());
        }
        while let Some(&offset) = self.snapshots.last() {
            let path = self.folder.file(offset, SNAPSHOT);
            if let Some(producers) = decode_snapshot(&std::fs::read(&path)?) {
                (self.producers, from) = (producers, offset);
                break;
            }
            self.snapshots.pop();
            self.folder.fs.remove_file(&path)?;
        }
        self.replay_producers(from)?;
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
        Ok(())
    }

    fn replay_producers(&mut self, from: i64) -> io::Result<()> {
        if from >= self.log_end_offset {
            return Ok(());
        }
        let mut buffer = Vec::new();
        for index in self.segment_index(from)..self.segments.len() {
            let segment = &self.segments[index];
            let Some(start) = segment.find(from)? else { continue };
            let (file, size) = (segment.file()?, segment.size_bytes());
            let mut walk = HeaderWalk::new(&file, start.position, size, LOOKUP_CHUNK_BYTES);
            while let Step::Batch { position, header } = walk.step()? {
                if !header.has_producer_id() {
                    continue;
                }
                buffer.clear();
                if header.is_control() {
                    read_batch(&file, position, header.size_bytes(), &mut buffer)?;
                }
                self.note_producer(&header, &buffer);
            }
        }
        Ok(())
    }
}
