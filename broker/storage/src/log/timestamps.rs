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
        let mut largest: Option<TimestampAndOffset> = None;
        for segment in &self.segments[self.segment_index(self.log_start_offset)..] {
            let file = segment.file()?;
            let mut from = segment.base_offset();
            // The time index leads close to the largest of its segment; without it the segment is walked.
            if let Some(known) = segment.known_largest() {
                from = segment.offset_before_timestamp(known.timestamp)?;
            }
            let Some(start) = segment.find(from.max(self.log_start_offset))? else { continue };
            let mut walk = HeaderWalk::new(&file, start.position, segment.size_bytes(), LOOKUP_CHUNK_BYTES);
            while let Step::Batch { header, .. } = walk.step()? {
                if header.base_offset() >= upto.end {
                    break;
                }
                let is_larger = largest.is_none_or(|known| header.max_timestamp() > known.timestamp);
                if header.max_timestamp() != NO_TIMESTAMP && is_larger {
                    let found = TimestampAndOffset { timestamp: header.max_timestamp(), offset: header.last_offset() };
                    largest = Some(found);
                }
            }
        }
        match largest {
            Some(largest) => self.offset_for_timestamp(largest.timestamp, upto),
            None => Ok(None),
        }
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
