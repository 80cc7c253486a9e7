//! Builds a batch: for coordinators, cleaners, clients and tests. Never used on what a client sent.

use bytes::Bytes;

use super::{
    HEADER_BYTES, LENGTH_PREFIX_BYTES, MAGIC, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    RecordHeader, TimestampType, at, attribute, crc_of, varint,
};
use crate::compression::{Compression, compress};

/// Collects records, then writes them as one batch. Offsets count up from the base offset unless `append_at` says
/// otherwise.
#[derive(Debug, Clone)]
pub struct RecordBatchBuilder {
    base_offset: i64,
    next_offset: i64,
    last_offset: Option<i64>,
    leader_epoch: i32,
    compression: Compression,
    timestamp_type: TimestampType,
    attributes: i16,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    record_count: i32,
    records: Vec<u8>,
}

impl RecordBatchBuilder {
    pub fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            last_offset: None,
            leader_epoch: -1,
            compression: Compression::None,
            timestamp_type: TimestampType::CreateTime,
            attributes: 0,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
            records: Vec::new(),
        }
    }

    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.leader_epoch = leader_epoch;
        self
    }

    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    #[must_use]
    pub fn timestamp_type(mut self, timestamp_type: TimestampType) -> Self {
        self.timestamp_type = timestamp_type;
        self
    }

    #[must_use]
    pub fn producer(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (producer_id, producer_epoch, base_sequence);
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= attribute::TRANSACTIONAL;
        self
    }

    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes |= attribute::CONTROL;
        self
    }

    /// Marks the batch with the time from which its tombstones may go. Before the first record: deltas count from it.
    #[must_use]
    pub fn delete_horizon_ms(mut self, delete_horizon_ms: i64) -> Self {
        debug_assert_eq!(self.record_count, 0);
        self.attributes |= attribute::DELETE_HORIZON;
        self.base_timestamp = Some(delete_horizon_ms);
        self
    }

    /// The last offset that the batch claims though its record may be gone: compaction keeps it.
    #[must_use]
    pub fn last_offset(mut self, last_offset: i64) -> Self {
        self.last_offset = Some(last_offset);
        self
    }

    /// The max timestamp of a batch whose records do not all remain, or that never had any.
    #[must_use]
    pub fn max_timestamp(mut self, max_timestamp: i64) -> Self {
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
        self
    }

    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[RecordHeader<'_>]) {
        self.append_at(self.next_offset, timestamp, key, value, headers);
    }

    /// `offset` is at or past the one after the last record's.
    pub fn append_at(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        debug_assert!(offset >= self.next_offset);
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        let mut body = Vec::with_capacity(32 + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len));
        body.push(0);
        varint::write(&mut body, timestamp.wrapping_sub(base_timestamp));
        varint::write(&mut body, offset - self.base_offset);
        write_nullable(&mut body, key);
        write_nullable(&mut body, value);
        varint::write(&mut body, headers.len() as i64);
        for (key, value) in headers {
            write_nullable(&mut body, Some(key.as_bytes()));
            write_nullable(&mut body, *value);
        }
        varint::write(&mut self.records, body.len() as i64);
        self.records.extend_from_slice(&body);
        self.record_count += 1;
        self.next_offset = offset + 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes so far, before compression.
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// The batch. Records that the codec cannot take (it never happens in memory) are written uncompressed.
    pub fn build(self) -> Bytes {
        let (codec, records) = match compress(self.compression, &self.records) {
            Ok(packed) => (self.compression, packed),
            Err(_) => (Compression::None, self.records),
        };
        let timestamp_type = match self.timestamp_type {
            TimestampType::CreateTime => 0,
            TimestampType::LogAppendTime => attribute::LOG_APPEND_TIME,
        };
        let attributes = self.attributes | timestamp_type | i16::from(codec.code());
        let last_offset = self.last_offset.unwrap_or(self.next_offset - 1).max(self.base_offset);
        let size = HEADER_BYTES + records.len();
        let mut out = vec![0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(at::BASE_OFFSET, &self.base_offset.to_be_bytes());
        put(at::LENGTH, &((size - LENGTH_PREFIX_BYTES) as i32).to_be_bytes());
        put(at::LEADER_EPOCH, &self.leader_epoch.to_be_bytes());
        put(at::MAGIC, &MAGIC.to_be_bytes());
        put(at::ATTRIBUTES, &attributes.to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &((last_offset - self.base_offset) as i32).to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp.unwrap_or(NO_TIMESTAMP).to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(at::PRODUCER_ID, &self.producer_id.to_be_bytes());
        put(at::PRODUCER_EPOCH, &self.producer_epoch.to_be_bytes());
        put(at::BASE_SEQUENCE, &self.base_sequence.to_be_bytes());
        put(at::RECORD_COUNT, &self.record_count.to_be_bytes());
        out.extend_from_slice(&records);
        let crc = crc_of(&out);
        out[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(out)
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write(out, -1),
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
