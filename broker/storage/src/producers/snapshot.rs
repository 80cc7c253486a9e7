//! The `.snapshot` file: the producers at the offset in its name.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | version, 1 |
//! | 4 | CRC-32C of all that follows |
//! | 4 | number of producers; then for each: |
//! | 8 | producer id |
//! | 2 | producer epoch |
//! | 4 | last sequence, -1 for none |
//! | 8 | last offset, -1 for none |
//! | 4 | offset delta of the last batch |
//! | 8 | timestamp |
//! | 4 | coordinator epoch |
//! | 8 | first offset of the open transaction, -1 for none |
//!
//! Only the last batch of each producer is kept, as Kafka does: after a restart older duplicates are out of order.

use std::collections::VecDeque;

use weir_types::batch::{NO_SEQUENCE, crc32c};

use super::{Producer, ProducerBatch, Producers};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const BODY_AT: usize = 6;
const PRODUCER_BYTES: usize = 46;

pub(crate) fn encode_snapshot(producers: &Producers) -> Vec<u8> {
    let mut out = Vec::with_capacity(BODY_AT + 4 + producers.by_id.len() * PRODUCER_BYTES);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(producers.by_id.len() as i32).to_be_bytes());
    for (id, producer) in &producers.by_id {
        let last = producer.batches.back().copied();
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&producer.epoch.to_be_bytes());
        out.extend_from_slice(&producer.last_sequence().to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |batch| batch.last_offset).to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        out.extend_from_slice(&producer.last_timestamp.to_be_bytes());
        out.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&producer.transaction_start.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c(&out[BODY_AT..]);
    out[CRC_AT..BODY_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// `None` if the bytes are no whole snapshot with a right sum: then an older one, or the log itself, must serve.
pub(crate) fn decode_snapshot(bytes: &[u8]) -> Option<Producers> {
    let mut rest = Fields(bytes);
    let version = i16::from_be_bytes(rest.take()?);
    let crc = u32::from_be_bytes(rest.take()?);
    if version != VERSION || crc != crc32c(&bytes[BODY_AT..]) {
        return None;
    }
    let count = usize::try_from(i32::from_be_bytes(rest.take()?)).ok()?;
    if rest.0.len() != count.checked_mul(PRODUCER_BYTES)? {
        return None;
    }
    let mut producers = Producers::default();
    for _ in 0..count {
        let id = i64::from_be_bytes(rest.take()?);
        let epoch = i16::from_be_bytes(rest.take()?);
        let last_sequence = i32::from_be_bytes(rest.take()?);
        let last_offset = i64::from_be_bytes(rest.take()?);
        let offset_delta = i32::from_be_bytes(rest.take()?);
        let timestamp = i64::from_be_bytes(rest.take()?);
        let coordinator_epoch = i32::from_be_bytes(rest.take()?);
        let transaction_start = i64::from_be_bytes(rest.take()?);
        let mut batches = VecDeque::new();
        if last_sequence != NO_SEQUENCE && last_offset >= 0 {
            batches.push_back(ProducerBatch { last_sequence, last_offset, offset_delta, timestamp });
        }
        let transaction_start = (transaction_start >= 0).then_some(transaction_start);
        let producer = Producer { epoch, coordinator_epoch, last_timestamp: timestamp, transaction_start, batches };
        producers.by_id.insert(id, producer);
    }
    Some(producers)
}

struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}
