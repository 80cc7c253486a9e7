//! What becomes of one batch.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use weir_types::batch::{BatchError, Record, RecordBatch, RecordBatchBuilder, TimestampType};

pub(super) enum Rewrite {
    /// As it is, byte for byte.
    Keep,
    Replace(Bytes),
    Drop,
}

pub(super) struct Rules<'j> {
    pub(super) latest: &'j HashMap<Box<[u8]>, i64>,
    /// Records from here on were not looked at: they all stay.
    pub(super) upto: i64,
    pub(super) last_of_producers: &'j HashSet<i64>,
    pub(super) delete_retention_ms: u64,
    pub(super) now_ms: i64,
}

impl Rules<'_> {
    pub(super) fn apply(&self, batch: &RecordBatch<'_>) -> Result<Rewrite, BatchError> {
        if batch.is_control() || batch.base_offset() >= self.upto {
            return Ok(Rewrite::Keep);
        }
        let records = batch.records()?;
        let mut kept = Vec::new();
        let mut has_tombstones = false;
        for record in &records {
            let record = record?;
            if self.keeps(batch, &record) {
                has_tombstones |= record.value.is_none();
                kept.push(record);
            }
        }
        if kept.is_empty() {
            let is_needed = batch.has_producer_id() && self.last_of_producers.contains(&batch.last_offset());
            return Ok(if is_needed { Rewrite::Replace(self.rebuild(batch, &[], None)?) } else { Rewrite::Drop });
        }
        // The first pass over a tombstone starts its clock (KIP-534).
        let starts_clock = has_tombstones && batch.delete_horizon_ms().is_none();
        if kept.len() == batch.record_count() as usize && !starts_clock {
            return Ok(Rewrite::Keep);
        }
        let delete_horizon_ms = match starts_clock {
            true => Some(self.now_ms.saturating_add_unsigned(self.delete_retention_ms)),
            false => batch.delete_horizon_ms(),
        };
        Ok(Rewrite::Replace(self.rebuild(batch, &kept, delete_horizon_ms)?))
    }

    fn keeps(&self, batch: &RecordBatch<'_>, record: &Record<'_>) -> bool {
        if record.offset >= self.upto {
            return true;
        }
        let Some(key) = record.key else { return false };
        if self.latest.get(key).is_some_and(|&latest| record.offset < latest) {
            return false;
        }
        record.value.is_some() || batch.delete_horizon_ms().is_none_or(|horizon_ms| self.now_ms < horizon_ms)
    }

    /// The batch with fewer records: the same offsets, sequences and leader epoch.
    fn rebuild(
        &self,
        batch: &RecordBatch<'_>,
        kept: &[Record<'_>],
        delete_horizon_ms: Option<i64>,
    ) -> Result<Bytes, BatchError> {
        let mut builder = RecordBatchBuilder::new(batch.base_offset())
            .leader_epoch(batch.leader_epoch())
            .last_offset(batch.last_offset())
            .timestamp_type(batch.timestamp_type())
            .producer(batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
        if !kept.is_empty() {
            builder = builder.compression(batch.compression()?);
        }
        if batch.is_transactional() {
            builder = builder.transactional();
        }
        if let Some(delete_horizon_ms) = delete_horizon_ms {
            builder = builder.delete_horizon_ms(delete_horizon_ms);
        }
        if kept.is_empty() || batch.timestamp_type() == TimestampType::LogAppendTime {
            builder = builder.max_timestamp(batch.max_timestamp());
        }
        for record in kept {
            builder.append_at(record.offset, record.timestamp, record.key, record.value, &record.headers);
        }
        Ok(builder.build())
    }
}
