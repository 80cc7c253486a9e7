//! Offsets by time. Decompresses one batch: the one that the indexes lead to.

use std::ops::RangeTo;

use weir_types::batch::NO_TIMESTAMP;

use super::{Log, ReadError};
use crate::segment::{Segment, TimestampAndOffset};
use crate::walk::{HeaderWalk, LOOKUP_CHUNK_BYTES, Step, read_batch};

impl Log {
    /// The first record, between the log start and `upto`, whose timestamp is `timestamp` or later.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
        upto: RangeTo<i64>,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        for segment in &self.segments[self.segment_index(self.log_start_offset)..] {
            if segment.base_offset() >= upto.end {
                break;
            }
            if segment.known_largest().is_some_and(|largest| largest.timestamp < timestamp) {
                continue;
            }
            let found = self.first_in_segment(segment, timestamp, upto.end)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp, the first if several have it.
    pub fn offset_of_max_timestamp(&self, upto: RangeTo<i64>) -> Result<Option<TimestampAndOffset>, ReadError> {
        let mut largest = NO_TIMESTAMP;
        for segment in &self.segments[self.segment_index(self.log_start_offset)..] {
            largest = largest.max(self.largest_in_segment(segment, upto.end)?);
        }
        match largest {
            NO_TIMESTAMP => Ok(None),
            largest => self.offset_for_timestamp(largest, upto),
        }
    }

    /// The largest timestamp between the log start and `upto`. The time index leads close to it: its entries are the
    /// largest so far, so only what comes after the last of them can be larger.
    fn largest_in_segment(&self, segment: &Segment, upto: i64) -> Result<i64, ReadError> {
        let from = segment.offset_of_largest_below(upto)?.max(self.log_start_offset);
        let Some(start) = segment.find(from)? else { return Ok(NO_TIMESTAMP) };
        let file = segment.file()?;
        let (mut buffer, mut largest) = (Vec::new(), NO_TIMESTAMP);
        let mut walk = HeaderWalk::new(&file, start.position, segment.size_bytes(), LOOKUP_CHUNK_BYTES);
        while let Step::Batch { position, header } = walk.step()? {
            if header.base_offset() >= upto {
                break;
            }
            if header.max_timestamp() <= largest {
                continue;
            }
            let is_readable_whole = header.base_offset() >= self.log_start_offset && header.next_offset() <= upto;
            if is_readable_whole {
                largest = header.max_timestamp();
                continue;
            }
            let batch = read_batch(&file, position, header.size_bytes(), &mut buffer)?;
            let records = batch.records().map_err(|error| segment.torn(position, &error.to_string()))?;
            for record in &records {
                let record = record.map_err(|error| segment.torn(position, &error.to_string()))?;
                if (self.log_start_offset..upto).contains(&record.offset) {
                    largest = largest.max(record.timestamp);
                }
            }
        }
        Ok(largest)
    }

    fn first_in_segment(
        &self,
        segment: &Segment,
        timestamp: i64,
        upto: i64,
    ) -> Result<Option<TimestampAndOffset>, ReadError> {
        let from = segment.offset_before_timestamp(timestamp)?.max(self.log_start_offset);
        let Some(start) = segment.find(from)? else { return Ok(None) };
        let file = segment.file()?;
        let mut buffer = Vec::new();
        let mut walk = HeaderWalk::new(&file, start.position, segment.size_bytes(), LOOKUP_CHUNK_BYTES);
        loop {
            match walk.step()? {
                Step::Batch { header, .. } if header.base_offset() >= upto => return Ok(None),
                Step::Batch { position, header } if header.max_timestamp() >= timestamp => {
                    let batch = read_batch(&file, position, header.size_bytes(), &mut buffer)?;
                    let records = batch.records().map_err(|error| segment.torn(position, &error.to_string()))?;
                    for record in &records {
                        let record = record.map_err(|error| segment.torn(position, &error.to_string()))?;
                        let is_readable = (self.log_start_offset..upto).contains(&record.offset);
                        if is_readable && record.timestamp >= timestamp {
                            let (timestamp, offset) = (record.timestamp, record.offset);
                            return Ok(Some(TimestampAndOffset { timestamp, offset }));
                        }
                    }
                }
                Step::Batch { .. } => {}
                Step::End => return Ok(None),
                Step::Torn { position, reason } => return Err(ReadError::Io(segment.torn(position, &reason))),
            }
        }
    }
}
