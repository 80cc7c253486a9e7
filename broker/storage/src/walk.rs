//! Walks over the batches of a file: by their headers, or whole.
//!
//! Never trusts a length: a batch that says it goes past the end of the range ends the walk as torn.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use weir_types::batch::{HEADER_BYTES, RecordBatch, RecordBatchHeader};

/// What a walk reads at once where batches may be small. Larger batches cost one read each all the same.
pub(crate) const LOOKUP_CHUNK_BYTES: usize = 1024;
pub(crate) const SCAN_CHUNK_BYTES: usize = 256 * 1024;

/// Where a walk stands.
pub(crate) enum Step {
    Batch {
        position: u64,
        header: RecordBatchHeader,
    },
    End,
    /// The bytes from `position` on are no whole batch.
    Torn {
        position: u64,
        reason: String,
    },
}

pub(crate) struct HeaderWalk<'f> {
    file: &'f File,
    position: u64,
    end: u64,
    chunk: Vec<u8>,
    chunk_start: u64,
    chunk_bytes: usize,
}

impl<'f> HeaderWalk<'f> {
    /// Over `[position, end)`; `position` is where a batch starts.
    pub(crate) fn new(file: &'f File, position: u64, end: u64, chunk_bytes: usize) -> Self {
        Self { file, position, end, chunk: Vec::new(), chunk_start: 0, chunk_bytes }
    }

    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let left = self.end - position;
        if left < HEADER_BYTES as u64 {
            return Ok(Step::Torn { position, reason: format!("only {left} bytes are left") });
        }
        let header = match RecordBatch::parse_header(self.header_bytes(position)?) {
            Ok(header) => header,
            Err(error) => return Ok(Step::Torn { position, reason: error.to_string() }),
        };
        let size = header.size_bytes() as u64;
        if size > left {
            return Ok(Step::Torn { position, reason: format!("a batch of {size} bytes, but {left} are left") });
        }
        self.position += size;
        Ok(Step::Batch { position, header })
    }

    /// Reads this much at once from here on.
    pub(crate) fn read_ahead(&mut self, chunk_bytes: usize) {
        self.chunk_bytes = chunk_bytes;
    }

    /// The whole batch that the last step found, from what was read ahead if it is all there, else into `buffer`.
    pub(crate) fn batch<'b>(
        &'b self,
        position: u64,
        size: usize,
        buffer: &'b mut Vec<u8>,
    ) -> io::Result<RecordBatch<'b>> {
        let ahead =
            position.checked_sub(self.chunk_start).and_then(|start| self.chunk.get(start as usize..)?.get(..size));
        match ahead {
            Some(bytes) => RecordBatch::parse(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            None => read_batch(self.file, position, size, buffer),
        }
    }

    fn header_bytes(&mut self, position: u64) -> io::Result<[u8; HEADER_BYTES]> {
        let cached = self.chunk_start..self.chunk_start + self.chunk.len() as u64;
        if position < cached.start || position + HEADER_BYTES as u64 > cached.end {
            let len = (self.end - position).min(self.chunk_bytes as u64) as usize;
            self.chunk.resize(len, 0);
            self.chunk_start = position;
            if let Err(error) = self.file.read_exact_at(&mut self.chunk, position) {
                self.chunk.clear();
                return Err(error);
            }
        }
        let start = (position - self.chunk_start) as usize;
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&self.chunk[start..start + HEADER_BYTES]);
        Ok(header)
    }
}

/// Reads the batch at `position`, whole. The buffer is the caller's, to be used again.
pub(crate) fn read_batch<'b>(
    file: &File,
    position: u64,
    size: usize,
    buffer: &'b mut Vec<u8>,
) -> io::Result<RecordBatch<'b>> {
    buffer.resize(size, 0);
    file.read_exact_at(buffer, position)?;
    RecordBatch::parse(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
