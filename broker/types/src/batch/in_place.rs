//! What a broker writes into a batch that a client sent. All take a buffer that starts with the batch, already parsed.

use super::{HEADER_BYTES, RecordBatch, TimestampType, at, attribute, crc_of};

/// Outside the CRC.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    debug_assert!(batch.len() >= HEADER_BYTES);
    batch[at::BASE_OFFSET..at::LENGTH].copy_from_slice(&base_offset.to_be_bytes());
}

/// Outside the CRC.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    debug_assert!(batch.len() >= HEADER_BYTES);
    batch[at::LEADER_EPOCH..at::MAGIC].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// For `message.timestamp.type=LogAppendTime`. `batch` is exactly one batch; its CRC is computed anew if anything
/// changed.
pub fn set_max_timestamp_and_type(batch: &mut [u8], max_timestamp: i64, timestamp_type: TimestampType) {
    let view = RecordBatch(batch);
    if view.max_timestamp() == max_timestamp && view.timestamp_type() == timestamp_type {
        return;
    }
    let attributes = match timestamp_type {
        TimestampType::CreateTime => view.attributes() & !attribute::LOG_APPEND_TIME,
        TimestampType::LogAppendTime => view.attributes() | attribute::LOG_APPEND_TIME,
    };
    batch[at::ATTRIBUTES..at::LAST_OFFSET_DELTA].copy_from_slice(&attributes.to_be_bytes());
    batch[at::MAX_TIMESTAMP..at::PRODUCER_ID].copy_from_slice(&max_timestamp.to_be_bytes());
    let crc = crc_of(batch);
    batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}
