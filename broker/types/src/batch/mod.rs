//! The record batch, magic 2: a view over its bytes, its records, a builder, and what a broker writes in place.
//!
//! | position | bytes | what |
//! |---|---|---|
//! | 0 | 8 | base offset (outside the CRC: the broker writes it) |
//! | 8 | 4 | length of all that follows this field |
//! | 12 | 4 | partition leader epoch (outside the CRC) |
//! | 16 | 1 | magic, 2 |
//! | 17 | 4 | CRC-32C of everything from `attributes` to the end |
//! | 21 | 2 | attributes: bits 0–2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon |
//! | 23 | 4 | last offset delta |
//! | 27 | 8 | base timestamp (or, with bit 6, the delete horizon) |
//! | 35 | 8 | max timestamp |
//! | 43 | 8 | producer id, -1 for none |
//! | 51 | 2 | producer epoch |
//! | 53 | 4 | base sequence |
//! | 57 | 4 | record count |
//! | 61 | … | the records, compressed as one piece when bits 0–2 say so |
//!
//! All numbers are big endian. Nothing here copies a record that is not compressed.

mod builder;
mod in_place;
mod records;
#[cfg(test)]
mod tests;
mod varint;

use crate::compression::{Compression, DecompressError};

pub use builder::RecordBatchBuilder;
pub use in_place::{set_base_offset, set_leader_epoch, set_max_timestamp_and_type};
pub use records::{ControlRecordType, Record, RecordHeader, Records, RecordsIter};

/// Base offset and length: what must be read to know how long a batch is.
pub const LENGTH_PREFIX_BYTES: usize = 12;
/// Everything before the records.
pub const HEADER_BYTES: usize = 61;
/// The only magic that Kafka 4 knows.
pub const MAGIC: i8 = 2;
/// "No timestamp", in records and batches.
pub const NO_TIMESTAMP: i64 = -1;
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;

mod at {
    pub(super) const BASE_OFFSET: usize = 0;
    pub(super) const LENGTH: usize = 8;
    pub(super) const LEADER_EPOCH: usize = 12;
    pub(super) const MAGIC: usize = 16;
    pub(super) const CRC: usize = 17;
    pub(super) const ATTRIBUTES: usize = 21;
    pub(super) const LAST_OFFSET_DELTA: usize = 23;
    pub(super) const BASE_TIMESTAMP: usize = 27;
    pub(super) const MAX_TIMESTAMP: usize = 35;
    pub(super) const PRODUCER_ID: usize = 43;
    pub(super) const PRODUCER_EPOCH: usize = 51;
    pub(super) const BASE_SEQUENCE: usize = 53;
    pub(super) const RECORD_COUNT: usize = 57;
}

mod attribute {
    pub(super) const COMPRESSION_MASK: i16 = 0b111;
    pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
    pub(super) const TRANSACTIONAL: i16 = 1 << 4;
    pub(super) const CONTROL: i16 = 1 << 5;
    pub(super) const DELETE_HORIZON: i16 = 1 << 6;
}

/// Who gave the records their timestamps. `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The broker: every record of the batch has the batch's max timestamp.
    LogAppendTime,
}

/// What is wrong with the bytes of a batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("a batch of {needed_bytes} bytes is cut short: only {available_bytes} are there")]
    Truncated { needed_bytes: usize, available_bytes: usize },
    #[error("a batch says its length is {length}, less than its own header")]
    BadLength { length: i32 },
    #[error("magic {magic} is not supported: only record batches of magic 2 are")]
    WrongMagic { magic: i8 },
    #[error("the attributes name compression codec {code}, which does not exist")]
    UnknownCompression { code: u8 },
    #[error("the records could not be decompressed: {0}")]
    Decompress(#[from] DecompressError),
    #[error("record {index} of the batch at offset {base_offset} is malformed: {reason}")]
    MalformedRecord { base_offset: i64, index: i32, reason: &'static str },
}

/// One batch: exactly its bytes.
#[derive(Clone, Copy)]
pub struct RecordBatch<'a>(&'a [u8]);

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// The whole size of the batch that starts with these bytes, from its length field alone; `None` if even that is cut
/// short. The batch itself need not be there.
pub fn size_from_prefix(prefix: &[u8]) -> Option<Result<usize, BatchError>> {
    if prefix.len() < LENGTH_PREFIX_BYTES {
        return None;
    }
    let length = i32::from_be_bytes(field(prefix, at::LENGTH));
    Some(match usize::try_from(length) {
        Ok(len) if len >= HEADER_BYTES - LENGTH_PREFIX_BYTES => Ok(LENGTH_PREFIX_BYTES + len),
        _ => Err(BatchError::BadLength { length }),
    })
}

impl<'a> RecordBatch<'a> {
    /// The batch at the start of `bytes`, which may hold more after it. Checks magic, and that `length` is sane and
    /// there; not the CRC.
    pub fn parse(bytes: &'a [u8]) -> Result<RecordBatch<'a>, BatchError> {
        // The magic sits at the same position in every version: an old client deserves that error, not "cut short".
        if let Some(&magic) = bytes.get(at::MAGIC)
            && magic as i8 != MAGIC
        {
            return Err(BatchError::WrongMagic { magic: magic as i8 });
        }
        let available_bytes = bytes.len();
        let size = size_from_prefix(bytes)
            .unwrap_or(Err(BatchError::Truncated { needed_bytes: HEADER_BYTES, available_bytes }))?;
        match bytes.get(..size) {
            Some(batch) => Ok(RecordBatch(batch)),
            None => Err(BatchError::Truncated { needed_bytes: size, available_bytes }),
        }
    }

    /// The fields of a batch of which only the first 61 bytes are at hand. Its records and its CRC are not.
    pub fn parse_header(header: [u8; HEADER_BYTES]) -> Result<RecordBatchHeader, BatchError> {
        let magic = header[at::MAGIC] as i8;
        if magic != MAGIC {
            return Err(BatchError::WrongMagic { magic });
        }
        let size = size_from_prefix(&header)
            .unwrap_or(Err(BatchError::Truncated { needed_bytes: HEADER_BYTES, available_bytes: HEADER_BYTES }))?;
        Ok(RecordBatchHeader { size, bytes: header })
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }

    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(field(self.0, at::BASE_OFFSET))
    }

    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(field(self.0, at::LAST_OFFSET_DELTA))
    }

    /// The offset of the last record, inclusive.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// The offset that follows the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(field(self.0, at::LEADER_EPOCH))
    }

    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(field(self.0, at::CRC))
    }

    /// The CRC that the bytes have, whatever the header says.
    pub fn computed_crc(&self) -> u32 {
        crc_of(self.0)
    }

    pub fn crc_is_valid(&self) -> bool {
        self.crc() == self.computed_crc()
    }

    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(field(self.0, at::ATTRIBUTES))
    }

    pub fn compression(&self) -> Result<Compression, BatchError> {
        let code = (self.attributes() & attribute::COMPRESSION_MASK) as u8;
        Compression::from_code(code).ok_or(BatchError::UnknownCompression { code })
    }

    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes() & attribute::LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & attribute::TRANSACTIONAL != 0
    }

    /// Transaction markers and the like: never shown to consumers.
    pub fn is_control(&self) -> bool {
        self.attributes() & attribute::CONTROL != 0
    }

    /// When a cleaner may drop the tombstones of this batch, once a first pass has set it (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes() & attribute::DELETE_HORIZON != 0).then(|| self.base_timestamp())
    }

    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(field(self.0, at::BASE_TIMESTAMP))
    }

    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(field(self.0, at::MAX_TIMESTAMP))
    }

    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(field(self.0, at::PRODUCER_ID))
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id() > NO_PRODUCER_ID
    }

    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(field(self.0, at::PRODUCER_EPOCH))
    }

    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(field(self.0, at::BASE_SEQUENCE))
    }

    /// The sequence of the last record; sequences wrap from `i32::MAX` to 0. -1 where there is none.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            NO_SEQUENCE => NO_SEQUENCE,
            base => add_sequence(base, self.last_offset_delta()),
        }
    }

    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(field(self.0, at::RECORD_COUNT))
    }

    /// The headers of the first record of a batch of which `prefix` is the beginning; none where it is compressed, or where the
    /// record is longer than that.
    pub fn first_headers(prefix: &[u8]) -> Vec<(String, Vec<u8>)> {
        let batch = RecordBatch(prefix);
        let is_readable = prefix.len() > HEADER_BYTES && prefix[at::MAGIC] as i8 == MAGIC;
        if is_readable && matches!(batch.compression(), Ok(Compression::None)) {
            Records::first_headers(batch)
        } else {
            Vec::new()
        }
    }

    /// The records, decompressed if they must be, up to [`crate::limits::DECOMPRESSED_BATCH_BYTES_MAX`].
    pub fn records(&self) -> Result<Records<'a>, BatchError> {
        Records::of(*self)
    }
}

impl std::fmt::Debug for RecordBatch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordBatch")
            .field("base_offset", &self.base_offset())
            .field("last_offset", &self.last_offset())
            .field("leader_epoch", &self.leader_epoch())
            .field("record_count", &self.record_count())
            .field("size_bytes", &self.size_bytes())
            .finish_non_exhaustive()
    }
}

/// The header of a batch whose records were not read: what walking over a file needs.
#[derive(Clone, Copy)]
pub struct RecordBatchHeader {
    size: usize,
    bytes: [u8; HEADER_BYTES],
}

impl RecordBatchHeader {
    /// The size of the whole batch, records included.
    pub fn size_bytes(&self) -> usize {
        self.size
    }
}

macro_rules! header_fields {
    ($($name:ident -> $type:ty),* $(,)?) => {
        impl RecordBatchHeader {
            $(
                #[doc = concat!("As [`RecordBatch::", stringify!($name), "`].")]
                pub fn $name(&self) -> $type {
                    RecordBatch(&self.bytes).$name()
                }
            )*
        }
    };
}

header_fields! {
    base_offset -> i64, last_offset_delta -> i32, last_offset -> i64, next_offset -> i64, leader_epoch -> i32,
    is_transactional -> bool, is_control -> bool, timestamp_type -> TimestampType, delete_horizon_ms -> Option<i64>,
    base_timestamp -> i64, max_timestamp -> i64, producer_id -> i64, has_producer_id -> bool, producer_epoch -> i16,
    base_sequence -> i32, last_sequence -> i32, record_count -> i32,
}

/// The sequence `by` records after `sequence`, wrapping from `i32::MAX` to 0 as producers do.
pub fn add_sequence(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX)) as i32
}

/// CRC-32C (Castagnoli, which the `crc-fast` crate calls iSCSI) from the attributes on.
fn crc_of(batch: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(&batch[at::ATTRIBUTES..])
}

/// CRC-32C (Castagnoli) of any bytes: Kafka's snapshots carry the same sum as its batches.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The batches of a buffer, one after another. Gives one error, then ends, at a torn or malformed one.
#[derive(Debug, Clone)]
pub struct RecordBatches<'a> {
    rest: &'a [u8],
}

impl<'a> RecordBatches<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for RecordBatches<'a> {
    type Item = Result<RecordBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = RecordBatch::parse(self.rest);
        self.rest = parsed.as_ref().map_or(&[], |batch| &self.rest[batch.size_bytes()..]);
        Some(parsed)
    }
}
