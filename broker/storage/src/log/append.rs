//! The append path: check, stamp in place, one write, then note.
//!
//! Nothing of the log's state changes before the write succeeded; after a failed one the file is cut back to the last
//! whole batch.

use bytes::BytesMut;
use weir_types::TopicPartition;
use weir_types::batch::{
    HEADER_BYTES, NO_SEQUENCE, NO_TIMESTAMP, RecordBatch, RecordBatchHeader, TimestampType, set_base_offset,
    set_leader_epoch, set_max_timestamp_and_type,
};

use super::{AppendError, Log, RECENT_BATCHES_MAX};
use crate::config::LogConfig;
use crate::producers::{Admission, ProducerBatch, SequenceProblem};
use crate::segment::{Place, Segment};

/// Who sends the bytes, and so which rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: exactly one batch, all rules.
    Client,
    /// A coordinator of this broker: any number of batches, trusted with sequences and control records.
    Coordinator,
    /// The leader of the partition: offsets, epochs and timestamps stay as they are.
    Replication,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    pub log_end_offset: i64,
    /// The time that the broker gave the records, where the topic says so.
    pub log_append_time: Option<i64>,
    pub record_count: u64,
    pub size_bytes: usize,
    /// The batch was in the log already; the other fields tell about that one, and nothing was written.
    pub duplicate: bool,
}

/// What checking found, summed over the batches.
struct Checked {
    base_offset: i64,
    next_offset: i64,
    record_count: u64,
    max_timestamp: i64,
    duplicate: Option<ProducerBatch>,
}

impl Log {
    /// Appends `batches`: the bytes as they came, one batch or several. Base offsets and leader epochs are written in
    /// place (not for [`AppendOrigin::Replication`]). Durable only once a later [`Log::dirty`] ticket is synced.
    pub fn append(
        &mut self,
        mut batches: BytesMut,
        origin: AppendOrigin,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.check_healthy()?;
        let checked = self.check_and_stamp(&mut batches, origin, leader_epoch, now_ms)?;
        if let Some(original) = checked.duplicate {
            return Ok(self.duplicate(original, checked.record_count));
        }
        self.roll_if_needed(batches.len() as u64, &checked, now_ms)?;
        let position = self.active().size_bytes();
        if let Err((error, uncut)) = self.active_mut().write(&batches) {
            if let Some(uncut) = uncut {
                self.poison(format!("a write failed ({error}) and could not be cut back ({uncut})"));
            }
            return Err(AppendError::io(&self.partition, error));
        }
        self.note_appended(&batches, position);
        self.append_times.note(checked.base_offset, checked.next_offset, now_ms);
        self.log_end_offset = checked.next_offset;
        self.flush.appended(checked.record_count, now_ms);
        Ok(Appended {
            base_offset: checked.base_offset,
            log_end_offset: self.log_end_offset,
            log_append_time: self.log_append_time(origin, now_ms),
            record_count: checked.record_count,
            size_bytes: batches.len(),
            duplicate: false,
        })
    }

    fn log_append_time(&self, origin: AppendOrigin, now_ms: i64) -> Option<i64> {
        let is_stamped = self.config.timestamp_type == TimestampType::LogAppendTime;
        (is_stamped && origin != AppendOrigin::Replication).then_some(now_ms)
    }

    fn duplicate(&self, original: ProducerBatch, record_count: u64) -> Appended {
        let is_stamped = self.config.timestamp_type == TimestampType::LogAppendTime;
        Appended {
            base_offset: original.base_offset(),
            log_end_offset: self.log_end_offset,
            log_append_time: is_stamped.then_some(original.timestamp),
            record_count,
            size_bytes: 0,
            duplicate: true,
        }
    }

    /// Checks every batch and writes into it what the broker decides.
    fn check_and_stamp(
        &self,
        batches: &mut [u8],
        origin: AppendOrigin,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<Checked, AppendError> {
        let mut checked = Checked {
            base_offset: self.log_end_offset,
            next_offset: self.log_end_offset,
            record_count: 0,
            max_timestamp: NO_TIMESTAMP,
            duplicate: None,
        };
        let log_append_time = self.log_append_time(origin, now_ms);
        let mut at = 0;
        while at < batches.len() {
            if at > 0 && origin == AppendOrigin::Client {
                return Err(self.invalid("a producer sends exactly one batch per partition"));
            }
            let batch =
                RecordBatch::parse(&batches[at..]).map_err(|error| AppendError::batch(&self.partition, &error))?;
            self.check_batch(&batch, origin, now_ms)?;
            if origin == AppendOrigin::Client {
                checked.duplicate = self.check_producer(&batch)?;
            }
            let (size, delta) = (batch.size_bytes(), i64::from(batch.last_offset_delta()));
            checked.record_count += batch.record_count() as u64;
            if origin == AppendOrigin::Replication {
                let found = batch.base_offset();
                if found < checked.next_offset {
                    let (partition, log_end_offset) = (self.partition.clone(), checked.next_offset);
                    return Err(AppendError::OffsetMismatch { partition, found, log_end_offset });
                }
                if at == 0 {
                    checked.base_offset = found;
                }
                checked.next_offset = found;
                checked.max_timestamp = checked.max_timestamp.max(batch.max_timestamp());
            } else {
                let max_timestamp = log_append_time.unwrap_or_else(|| batch.max_timestamp());
                checked.max_timestamp = checked.max_timestamp.max(max_timestamp);
                let bytes = &mut batches[at..at + size];
                set_base_offset(bytes, checked.next_offset);
                set_leader_epoch(bytes, leader_epoch);
                if let Some(time) = log_append_time {
                    set_max_timestamp_and_type(bytes, time, TimestampType::LogAppendTime);
                }
            }
            checked.next_offset += delta + 1;
            at += size;
        }
        match checked.record_count == 0 && checked.next_offset == self.log_end_offset {
            true => Err(self.invalid("there is no batch to append")),
            false => Ok(checked),
        }
    }

    fn check_batch(&self, batch: &RecordBatch<'_>, origin: AppendOrigin, now_ms: i64) -> Result<(), AppendError> {
        let size_bytes = batch.size_bytes();
        let bytes_max = match origin {
            AppendOrigin::Replication => usize::MAX,
            _ => self.config.max_message_bytes.min(self.config.segment_bytes as usize),
        };
        if size_bytes > bytes_max {
            return Err(AppendError::TooLarge { partition: self.partition.clone(), size_bytes, bytes_max });
        }
        if !batch.crc_is_valid() {
            let reason = format!("its crc is {:#010x}, its bytes have {:#010x}", batch.crc(), batch.computed_crc());
            return Err(AppendError::Corrupt { partition: self.partition.clone(), reason });
        }
        let (count, delta) = (batch.record_count(), batch.last_offset_delta());
        if origin == AppendOrigin::Replication {
            // What compaction left over has fewer records than offsets, or none.
            return match count >= 0 && delta >= 0 && i64::from(count) <= i64::from(delta) + 1 {
                true => Ok(()),
                false => Err(self.invalid(&format!("{count} records, but the last offset delta is {delta}"))),
            };
        }
        if count <= 0 || i64::from(delta) != i64::from(count) - 1 {
            return Err(self.invalid(&format!("{count} records, but the last offset delta is {delta}")));
        }
        if batch.compression().is_err() {
            return Err(self.invalid("its compression codec does not exist"));
        }
        if origin == AppendOrigin::Client {
            self.check_clients_batch(batch, now_ms)?;
        }
        Ok(())
    }

    fn check_clients_batch(&self, batch: &RecordBatch<'_>, now_ms: i64) -> Result<(), AppendError> {
        let config = &self.config;
        if batch.is_control() {
            return Err(self.invalid("producers may not write control records"));
        }
        if batch.has_producer_id() && (batch.base_sequence() == NO_SEQUENCE || batch.producer_epoch() < 0) {
            return Err(self.invalid("a producer id comes with an epoch and a sequence"));
        }
        let checks_create_time = config.timestamp_type == TimestampType::CreateTime;
        if checks_create_time && batch.timestamp_type() == TimestampType::LogAppendTime {
            return Err(self.invalid("producers may not claim the broker's time"));
        }
        if checks_create_time && batch.max_timestamp() != NO_TIMESTAMP {
            self.check_timestamp(batch.max_timestamp(), now_ms)?;
        }
        // Only these two rules look at records, and so cost a decompression.
        let checks_each_time = checks_create_time && config.message_timestamp_before_max_ms != i64::MAX;
        if config.cleanup_compact || checks_each_time {
            let records = batch.records().map_err(|error| AppendError::batch(&self.partition, &error))?;
            for record in &records {
                let record = record.map_err(|error| AppendError::batch(&self.partition, &error))?;
                if config.cleanup_compact && record.key.is_none() {
                    return Err(self.invalid("a compacted topic takes no record without a key"));
                }
                if checks_each_time && record.timestamp != NO_TIMESTAMP {
                    self.check_timestamp(record.timestamp, now_ms)?;
                }
            }
        }
        Ok(())
    }

    fn check_timestamp(&self, timestamp: i64, now_ms: i64) -> Result<(), AppendError> {
        let is_too_old = now_ms.saturating_sub(timestamp) > self.config.message_timestamp_before_max_ms;
        let is_too_new = timestamp.saturating_sub(now_ms) > self.config.message_timestamp_after_max_ms;
        match is_too_old || is_too_new {
            true => Err(AppendError::InvalidTimestamp { partition: self.partition.clone(), timestamp, now_ms }),
            false => Ok(()),
        }
    }

    fn check_producer(&self, batch: &RecordBatch<'_>) -> Result<Option<ProducerBatch>, AppendError> {
        if !batch.has_producer_id() {
            return Ok(None);
        }
        let (producer_id, producer_epoch) = (batch.producer_id(), batch.producer_epoch());
        let partition = || self.partition.clone();
        match self.producers.admit(producer_id, producer_epoch, batch.base_sequence(), batch.last_sequence()) {
            Ok(Admission::New) => Ok(None),
            Ok(Admission::Duplicate(original)) => Ok(Some(original)),
            Err(SequenceProblem::OutOfOrder { expected }) => {
                let sequence = batch.base_sequence();
                Err(AppendError::OutOfOrderSequence { partition: partition(), producer_id, sequence, expected })
            }
            Err(SequenceProblem::Fenced { current_epoch }) => Err(AppendError::InvalidProducerEpoch {
                partition: partition(),
                producer_id,
                producer_epoch,
                current_epoch,
            }),
        }
    }

    fn invalid(&self, reason: &str) -> AppendError {
        AppendError::InvalidRecord { partition: TopicPartition::clone(&self.partition), reason: reason.to_owned() }
    }

    fn roll_if_needed(&mut self, size: u64, checked: &Checked, now_ms: i64) -> Result<(), AppendError> {
        let (active, config) = (self.active(), &self.config);
        let is_needed = active.size_bytes() + size > config.segment_bytes
            || !active.can_hold(checked.next_offset)
            || active.index_is_full(config)
            || is_old(active, config, now_ms, checked.max_timestamp);
        if is_needed && active.size_bytes() > 0 {
            self.roll(checked.base_offset, now_ms)?;
        }
        if self.active().began_ms.is_none() {
            let began_ms = if checked.max_timestamp == NO_TIMESTAMP { now_ms } else { checked.max_timestamp };
            self.active_mut().began_ms = Some(began_ms);
        }
        self.active_mut().in_use_since_ms.get_or_insert(now_ms);
        Ok(())
    }

    /// Seals the active segment and begins the next at `base_offset`. If it fails, the log is as it was.
    pub(super) fn roll(&mut self, base_offset: i64, now_ms: i64) -> Result<(), AppendError> {
        let io = |error| AppendError::io(&self.partition, error);
        let last = self.segments.len() - 1;
        self.segments[last].seal().map_err(io)?;
        if self.config.preallocate {
            self.segments[last].trim().map_err(io)?;
        }
        let segment = Segment::create(&self.folder, base_offset, &self.config).map_err(io)?;
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
        self.write_snapshot();
        self.flush.segment_sealed(self.active().base_offset());
        self.segments.push(segment);
        self.flush.segment_created();
        self.forget_places();
        Ok(())
    }

    /// Notes batches that are in the file now, from `position` on.
    fn note_appended(&mut self, batches: &[u8], mut position: u64) {
        let mut epochs_changed = false;
        let mut rest = batches;
        let config = self.config.clone();
        while let Some(header) = rest.first_chunk::<HEADER_BYTES>().and_then(|h| RecordBatch::parse_header(*h).ok()) {
            let (batch, after) = rest.split_at(header.size_bytes());
            self.active_mut().note(&header, position, &config);
            self.note_producer(&header, batch);
            epochs_changed |= self.epochs.assign(header.leader_epoch(), header.base_offset());
            if self.recent.len() == RECENT_BATCHES_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(Place { base_offset: header.base_offset(), position });
            position += header.size_bytes() as u64;
            rest = after;
        }
        if epochs_changed {
            self.write_epochs();
        }
    }

    /// Notes what a batch, `bytes` of which hold at least its control record, means for its producer.
    pub(super) fn note_producer(&mut self, header: &RecordBatchHeader, bytes: &[u8]) {
        if !header.has_producer_id() {
            return;
        }
        if !header.is_control() {
            self.producers.appended(header);
            return;
        }
        let Ok(records) = RecordBatch::parse(bytes).and_then(|batch| batch.records()) else { return };
        if let Some(Ok(record)) = records.iter().next()
            && let Some(kind) = record.control_type()
        {
            // The value of a marker: 2 bytes version, 4 bytes coordinator epoch.
            let epoch = record.value.and_then(|value| value.get(2..)?.first_chunk::<4>().copied());
            self.producers.ended(header, kind, epoch.map_or(-1, i32::from_be_bytes));
        }
    }
}

/// Whether a segment has run for `segment.ms`, by the clock of its records where they have one.
fn is_old(segment: &Segment, config: &LogConfig, now_ms: i64, max_timestamp: i64) -> bool {
    let reference_ms = if max_timestamp == NO_TIMESTAMP { now_ms } else { max_timestamp };
    let age_ms = segment.began_ms.map_or(0, |began| reference_ms.saturating_sub(began));
    age_ms > i64::try_from(config.segment_ms.saturating_sub(segment.jitter_ms)).unwrap_or(i64::MAX)
}
