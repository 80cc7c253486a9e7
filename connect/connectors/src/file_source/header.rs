//! The header by which a delivered record says which bytes of which file it holds.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 8 | stream id, big endian |
//! | 8 | hash of the file's first bytes, big endian |
//! | varint | how many first bytes were hashed |
//! | varint | device |
//! | varint | inode |
//! | varint | position of the record's first byte |
//! | varint | length in bytes, line end included |
//!
//! Everything up to the inode is the same for all records of one read, so it is encoded once and copied. Varints are
//! little-endian base 128, as in Kafka's unsigned ones.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::identity::{FileKey, Fingerprint, Mark, StreamId};

pub(crate) const POSITION_HEADER: &str = "weir.position";
const VERSION: u8 = 1;

/// What a position header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) id: StreamId,
    pub(crate) key: FileKey,
    pub(crate) prefix: Fingerprint,
    pub(crate) bytes: Range<u64>,
}

/// Encodes the headers of one read into one shared buffer.
pub(crate) struct HeaderWriter {
    stem: Vec<u8>,
    buffer: BytesMut,
}

impl HeaderWriter {
    pub(crate) fn new(id: StreamId, mark: &Mark, record_count: usize) -> Self {
        let mut stem = Vec::with_capacity(40);
        stem.put_u8(VERSION);
        stem.put_u64(id.0);
        stem.put_u64(mark.prefix.hash);
        put_varint(&mut stem, mark.prefix.length);
        put_varint(&mut stem, mark.key.device);
        put_varint(&mut stem, mark.key.inode);
        let buffer = BytesMut::with_capacity(record_count * (stem.len() + 10));
        Self { stem, buffer }
    }

    pub(crate) fn header(&mut self, bytes: &Range<u64>) -> Bytes {
        self.buffer.put_slice(&self.stem);
        put_varint(&mut self.buffer, bytes.start);
        put_varint(&mut self.buffer, bytes.end - bytes.start);
        self.buffer.split().freeze()
    }
}

/// `None` when the bytes are no position header of a version known here.
pub(crate) fn parse(mut header: &[u8]) -> Option<Delivered> {
    if header.len() < 17 || header.get_u8() != VERSION {
        return None;
    }
    let id = StreamId(header.get_u64());
    let hash = header.get_u64();
    let length = get_varint(&mut header)?;
    let key = FileKey { device: get_varint(&mut header)?, inode: get_varint(&mut header)? };
    let start = get_varint(&mut header)?;
    let end = start.checked_add(get_varint(&mut header)?)?;
    (header.is_empty() && length <= super::identity::PREFIX_BYTES_MAX).then_some(Delivered {
        id,
        key,
        prefix: Fingerprint { length, hash },
        bytes: start..end,
    })
}

fn put_varint(buffer: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        buffer.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

fn get_varint(buffer: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        if buffer.is_empty() {
            return None;
        }
        let byte = buffer.get_u8();
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_reads_back_as_it_was_written(
            id: u64, hash: u64, length in 0u64..=1024, device: u64, inode: u64, start in 0u64..1 << 60, count in 0u64..1 << 40,
        ) {
            let key = FileKey { device, inode };
            let prefix = Fingerprint { length, hash };
            let mark = Mark { key, prefix, position: 0, tail: Fingerprint::EMPTY };
            let bytes = start..start + count;
            let header = HeaderWriter::new(StreamId(id), &mark, 1).header(&bytes);
            prop_assert_eq!(parse(&header), Some(Delivered { id: StreamId(id), key, prefix, bytes }));
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let mut versioned = vec![VERSION];
            versioned.extend(bytes);
            let _ = parse(&versioned);
        }
    }

    #[test]
    fn a_header_of_an_ordinary_log_file_takes_under_thirty_five_bytes() {
        let key = FileKey { device: 0xfe01, inode: 1_234_567 };
        let mark = Mark { key, prefix: Fingerprint { length: 1024, hash: 7 }, position: 0, tail: Fingerprint::EMPTY };
        let header = HeaderWriter::new(StreamId(7), &mark, 1).header(&(5_000_000_000..5_000_000_166));
        assert!(header.len() < 35, "{}", header.len());
    }
}
