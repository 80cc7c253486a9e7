//! What a partition remembers of each idempotent producer: its epoch and its last five batches.
//!
//! Rules are Kafka's: a batch that was already appended answers its old offset, a gap is refused, a producer nobody
//! remembers may begin anywhere. Never decides about transactions; it only carries the offset at which one began.

mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use weir_types::batch::{ControlRecordType, NO_PRODUCER_EPOCH, NO_SEQUENCE, RecordBatchHeader, add_sequence};

pub(crate) use snapshot::{decode_snapshot, encode_snapshot};

/// As many batches as a producer may have in flight (`max.in.flight.requests.per.connection` of an idempotent one).
const BATCHES_MAX: usize = 5;
/// Producers that one partition remembers. Past it those that were silent longest are forgotten, as if they had expired.
pub(crate) const PRODUCERS_MAX: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerBatch {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl ProducerBatch {
    fn base_sequence(&self) -> i32 {
        add_sequence(self.last_sequence, self.offset_delta.wrapping_neg())
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is remembered of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: i64,
    pub(crate) transaction_start: Option<i64>,
    pub(crate) batches: VecDeque<ProducerBatch>,
}

impl Producer {
    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }
}

/// One producer, for those who describe a partition (DescribeProducers, metrics).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// -1 if none of its batches is remembered.
    pub last_sequence: i32,
    pub last_timestamp: i64,
    /// -1 if no transaction marker has been seen.
    pub coordinator_epoch: i32,
    pub current_txn_start_offset: Option<i64>,
}

/// Why a producer's batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceProblem {
    OutOfOrder { expected: i32 },
    Fenced { current_epoch: i16 },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    Duplicate(ProducerBatch),
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
}

impl Producers {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = ProducerState> {
        self.by_id.iter().map(|(&producer_id, producer)| ProducerState {
            producer_id,
            producer_epoch: producer.epoch,
            last_sequence: producer.last_sequence(),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            current_txn_start_offset: producer.transaction_start,
        })
    }

    /// The last offset of each one's last batch: what compaction must leave, or its sequence is forgotten.
    pub(crate) fn last_offsets(&self) -> impl Iterator<Item = i64> {
        self.by_id.values().filter_map(|producer| producer.batches.back()).map(|batch| batch.last_offset)
    }

    /// Whether a client's batch may be appended. Asked before the write; [`Self::appended`] follows after it.
    pub(crate) fn admit(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
        last_sequence: i32,
    ) -> Result<Admission, SequenceProblem> {
        let Some(producer) = self.by_id.get(&producer_id) else { return Ok(Admission::New) };
        if producer_epoch < producer.epoch {
            return Err(SequenceProblem::Fenced { current_epoch: producer.epoch });
        }
        if producer_epoch > producer.epoch {
            return match base_sequence == 0 || producer.epoch == NO_PRODUCER_EPOCH {
                true => Ok(Admission::New),
                false => Err(SequenceProblem::OutOfOrder { expected: 0 }),
            };
        }
        let same =
            |batch: &&ProducerBatch| batch.base_sequence() == base_sequence && batch.last_sequence == last_sequence;
        if let Some(duplicate) = producer.batches.iter().find(same) {
            return Ok(Admission::Duplicate(*duplicate));
        }
        let expected = match producer.last_sequence() {
            NO_SEQUENCE => 0,
            last => add_sequence(last, 1),
        };
        match base_sequence == expected {
            true => Ok(Admission::New),
            false => Err(SequenceProblem::OutOfOrder { expected }),
        }
    }

    /// Notes a data batch that is in the log now.
    pub(crate) fn appended(&mut self, header: &RecordBatchHeader) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        let producer = self.entry(header);
        if header.base_sequence() != NO_SEQUENCE {
            if producer.batches.len() == BATCHES_MAX {
                producer.batches.pop_front();
            }
            producer.batches.push_back(ProducerBatch {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta(),
                timestamp: header.max_timestamp(),
            });
        }
        if header.is_transactional() {
            producer.transaction_start.get_or_insert(header.base_offset());
        }
    }

    /// Notes a control batch that is in the log now: a marker ends the producer's transaction.
    pub(crate) fn ended(&mut self, header: &RecordBatchHeader, kind: ControlRecordType, coordinator_epoch: i32) {
        if !header.has_producer_id() || !matches!(kind, ControlRecordType::Abort | ControlRecordType::Commit) {
            return;
        }
        let producer = self.entry(header);
        producer.transaction_start = None;
        producer.coordinator_epoch = coordinator_epoch;
    }

    fn entry(&mut self, header: &RecordBatchHeader) -> &mut Producer {
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains_key(&header.producer_id()) {
            self.forget_the_quietest();
        }
        let epoch = header.producer_epoch();
        let producer = self.by_id.entry(header.producer_id()).or_insert_with(|| Producer {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: header.max_timestamp(),
            transaction_start: None,
            batches: VecDeque::new(),
        });
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer.last_timestamp = header.max_timestamp();
        producer
    }

    /// Forgets the quieter half, so that the sort is paid once in many new producers. Open transactions stay.
    fn forget_the_quietest(&mut self) {
        let mut times: Vec<i64> = self.by_id.values().map(|producer| producer.last_timestamp).collect();
        let middle = times.len() / 2;
        let (_, &mut median, _) = times.select_nth_unstable(middle);
        self.by_id.retain(|_, producer| producer.last_timestamp > median || producer.transaction_start.is_some());
    }

    /// Forgets who was silent for `producer.id.expiration.ms` and has no transaction open.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: u64) {
        let oldest = now_ms.saturating_sub_unsigned(expiration_ms);
        self.by_id.retain(|_, producer| producer.last_timestamp > oldest || producer.transaction_start.is_some());
    }
}
