//! The read path: from an offset to a range of a file that holds whole batches. Never decodes a record.

use std::fs::File;
use std::io;
use std::ops::RangeTo;
use std::sync::{Arc, PoisonError};

use super::{Log, READ_HINTS_MAX, ReadError};
use crate::segment::{Place, Segment};
use crate::walk::{HeaderWalk, LOOKUP_CHUNK_BYTES, Step};

/// Whole batches, as they lie in a file.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// Stays readable while it is held, even if the segment is deleted meanwhile.
    pub file: Arc<File>,
    pub position: u64,
    pub len: usize,
    /// Of the first batch: at or before the offset asked for. The offset asked for if the range is empty.
    pub base_offset: i64,
    /// Where to read on: the exclusive end of what the range holds.
    pub next_offset: i64,
}

/// Where the batch that begins at some offset lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hint {
    segment_base_offset: i64,
    place: Place,
}

/// Where a range ends, and the offset there.
struct End {
    position: u64,
    next_offset: i64,
}

impl Log {
    /// The batches from the one that holds `offset` on, all of them below `upto`, `bytes_max` in all, from one segment.
    /// With `at_least_one`, the first batch even if it alone is larger. Empty at `upto` and at the log's end.
    pub fn read(
        &self,
        offset: i64,
        upto: RangeTo<i64>,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<FileRange, ReadError> {
        let (log_start_offset, log_end_offset) = (self.log_start_offset, self.log_end_offset);
        if offset < log_start_offset || offset > log_end_offset {
            return Err(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset });
        }
        let upto = upto.end.min(log_end_offset);
        if offset >= upto {
            return self.empty_range(self.segment_index(offset), offset, 0);
        }
        let mut index = self.segment_index(offset);
        let start = loop {
            match self.find(index, offset)? {
                Some(place) => break place,
                // Compaction left nothing from there on in this segment.
                None if index + 1 < self.segments.len() => index += 1,
                None => return self.empty_range(index, offset, self.segments[index].size_bytes()),
            }
        };
        let end = self.end_of(index, upto)?;
        if start.position >= end.position {
            return self.empty_range(index, offset, start.position);
        }
        let segment = &self.segments[index];
        let file = segment.file()?;
        let wanted = end.position - start.position;
        let end = match wanted <= bytes_max as u64 {
            true => end,
            false => {
                let end = cut(segment, &file, start, end.position, bytes_max as u64, at_least_one)?;
                self.remember(segment, &end);
                end
            }
        };
        Ok(FileRange {
            file,
            position: start.position,
            len: (end.position - start.position) as usize,
            base_offset: start.base_offset,
            next_offset: if end.position == start.position { offset } else { end.next_offset },
        })
    }

    fn empty_range(&self, index: usize, offset: i64, position: u64) -> Result<FileRange, ReadError> {
        let file = self.segments[index].file()?;
        Ok(FileRange { file, position, len: 0, base_offset: offset, next_offset: offset })
    }

    /// The batch that holds `offset` or the next one in segment `index`, from memory if it can be.
    pub(super) fn find(&self, index: usize, offset: i64) -> io::Result<Option<Place>> {
        let segment = &self.segments[index];
        if index + 1 == self.segments.len() {
            let after = self.recent.partition_point(|place| place.base_offset <= offset);
            if let Some(recent) = after.checked_sub(1) {
                return Ok(Some(self.recent[recent]));
            }
        }
        let hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        let hint = hints.iter().find(|(at, hint)| *at == offset && hint.segment_base_offset == segment.base_offset());
        if let Some((_, hint)) = hint {
            return Ok(Some(hint.place));
        }
        drop(hints);
        segment.find(offset)
    }

    /// Where the batches of segment `index` that are wholly below `upto` end.
    fn end_of(&self, index: usize, upto: i64) -> io::Result<End> {
        let segment = &self.segments[index];
        let whole = End { position: segment.size_bytes(), next_offset: self.segment_end_offset(index) };
        if upto >= whole.next_offset {
            return Ok(whole);
        }
        Ok(match self.find(index, upto)? {
            Some(place) => End { position: place.position, next_offset: place.base_offset.min(upto) },
            None => whole,
        })
    }

    /// So that a reader who goes on where this range ends needs no lookup.
    fn remember(&self, segment: &Segment, end: &End) {
        if end.position == segment.size_bytes() {
            return;
        }
        let place = Place { base_offset: end.next_offset, position: end.position };
        let hint = Hint { segment_base_offset: segment.base_offset(), place };
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if hints.iter().any(|(at, _)| *at == end.next_offset) {
            return;
        }
        if hints.len() == READ_HINTS_MAX {
            hints.pop_front();
        }
        hints.push_back((end.next_offset, hint));
    }
}

/// The end of the last batch that still fits `bytes_max` from `start`.
fn cut(
    segment: &Segment,
    file: &File,
    start: Place,
    end: u64,
    bytes_max: u64,
    at_least_one: bool,
) -> Result<End, ReadError> {
    let limit = start.position.saturating_add(bytes_max);
    let near = segment.batch_start_at_or_before(limit)?.max(start.position);
    let mut walk = HeaderWalk::new(file, near, end, LOOKUP_CHUNK_BYTES);
    // A batch starts at `near`, so what is before it fits whole.
    let mut cut = End { position: near, next_offset: start.base_offset };
    loop {
        match walk.step()? {
            Step::Batch { position, header } => {
                let fits = position + header.size_bytes() as u64 <= limit;
                let is_owed = at_least_one && position == start.position;
                if !fits && !is_owed {
                    return Ok(End { position, next_offset: header.base_offset() });
                }
                let position = position + header.size_bytes() as u64;
                cut = End { position, next_offset: header.next_offset() };
            }
            Step::End => return Ok(cut),
            Step::Torn { position, reason } => return Err(segment.torn(position, &reason).into()),
        }
    }
}
