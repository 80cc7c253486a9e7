//! What a source has handed out, what the broker has acknowledged, and what may be committed. Pure: no clock, no client.
//!
//! Invariants: the offset of a batch is due only when every record of it and of all earlier batches of its source
//! partition is settled; a bound never passes a record that the due offsets do not cover.

use std::collections::{BTreeMap, HashMap, VecDeque};

use weir_connect_api::SourceOffset;

use crate::store::Change;

/// Number of a batch within one run of a task.
pub(crate) type BatchId = usize;

/// A topic and a partition in it.
pub(crate) type Place = (String, i32);

#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    next_id: BatchId,
    batches: HashMap<BatchId, Batch>,
    /// Per source partition, oldest first.
    queues: HashMap<String, VecDeque<BatchId>>,
    /// Per place, the end of what is acknowledged.
    ends: BTreeMap<Place, i64>,
    unsettled_records: usize,
}

#[derive(Debug)]
struct Batch {
    unsettled: usize,
    offset_after: SourceOffset,
    /// The lowest acknowledged offset per place: where a recovery has to begin while this batch is not covered.
    lowest: BTreeMap<Place, i64>,
}

impl Deliveries {
    /// Registers a batch of `records` records that are about to be sent.
    pub(crate) fn hand_out(&mut self, source_partition: String, records: usize, offset_after: SourceOffset) -> BatchId {
        let id = self.next_id;
        self.next_id += 1;
        self.unsettled_records += records;
        self.batches.insert(id, Batch { unsettled: records, offset_after, lowest: BTreeMap::new() });
        self.queues.entry(source_partition).or_default().push_back(id);
        id
    }

    /// A record of the batch was acknowledged at that offset.
    pub(crate) fn acknowledged(&mut self, id: BatchId, topic: &str, partition: i32, offset: i64) {
        if let Some(batch) = self.batches.get_mut(&id) {
            batch.unsettled = batch.unsettled.saturating_sub(1);
            let place = (topic.to_owned(), partition);
            let lowest = batch.lowest.entry(place.clone()).or_insert(offset);
            *lowest = (*lowest).min(offset);
            let end = self.ends.entry(place).or_insert(offset + 1);
            *end = (*end).max(offset + 1);
            self.unsettled_records -= 1;
        }
    }

    /// A record of the batch will not be sent: a transform dropped it, or it went to the dead letters.
    pub(crate) fn let_go(&mut self, id: BatchId) {
        if let Some(batch) = self.batches.get_mut(&id) {
            batch.unsettled = batch.unsettled.saturating_sub(1);
            self.unsettled_records -= 1;
        }
    }

    /// Records that were handed out and neither acknowledged nor let go.
    pub(crate) fn unsettled_records(&self) -> usize {
        self.unsettled_records
    }

    /// Takes what may be committed now. The caller commits it, or keeps it and merges the next into it.
    pub(crate) fn take_due(&mut self) -> Change {
        let mut offsets = Vec::new();
        for (partition, queue) in &mut self.queues {
            let mut due = None;
            while let Some(id) = queue.front() {
                if self.batches.get(id).is_some_and(|batch| batch.unsettled > 0) {
                    break;
                }
                due = self.batches.remove(id).map(|batch| batch.offset_after).or(due);
                queue.pop_front();
            }
            offsets.extend(due.map(|offset| (partition.clone(), Some(offset))));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        if offsets.is_empty() {
            return Change::default();
        }
        let mut bounds = self.ends.clone();
        for (place, lowest) in self.batches.values().flat_map(|batch| &batch.lowest) {
            let bound = bounds.entry(place.clone()).or_insert(*lowest);
            *bound = (*bound).min(*lowest);
        }
        Change { offsets, bounds }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offset(position: u64) -> SourceOffset {
        json!({"position": position}).as_object().unwrap().clone()
    }

    fn due(deliveries: &mut Deliveries) -> Vec<(String, u64)> {
        let change = deliveries.take_due();
        let position = |offset: Option<SourceOffset>| offset.unwrap()["position"].as_u64().unwrap();
        let mut due: Vec<_> = change.offsets.into_iter().map(|(p, offset)| (p, position(offset))).collect();
        due.sort();
        due
    }

    #[test]
    fn an_offset_is_due_only_behind_all_earlier_batches_of_its_partition() {
        let mut deliveries = Deliveries::default();
        let first = deliveries.hand_out("a".to_owned(), 2, offset(10));
        let second = deliveries.hand_out("a".to_owned(), 1, offset(20));
        let other = deliveries.hand_out("b".to_owned(), 1, offset(5));
        deliveries.acknowledged(second, "t", 0, 7);
        deliveries.acknowledged(first, "t", 0, 5);
        assert_eq!(due(&mut deliveries), []);
        deliveries.let_go(other);
        assert_eq!(due(&mut deliveries), [("b".to_owned(), 5)]);
        deliveries.acknowledged(first, "t", 0, 6);
        assert_eq!(due(&mut deliveries), [("a".to_owned(), 20)]);
        assert_eq!(deliveries.unsettled_records(), 0);
    }

    #[test]
    fn a_bound_stays_below_every_record_that_is_not_covered() {
        let mut deliveries = Deliveries::default();
        let done = deliveries.hand_out("a".to_owned(), 1, offset(1));
        let open = deliveries.hand_out("b".to_owned(), 2, offset(2));
        deliveries.acknowledged(open, "t", 0, 3);
        deliveries.acknowledged(done, "t", 0, 9);
        let change = deliveries.take_due();
        assert_eq!(change.bounds, BTreeMap::from([(("t".to_owned(), 0), 3)]), "b's record at 3 is not covered");
        deliveries.acknowledged(open, "t", 1, 4);
        let change = deliveries.take_due();
        assert_eq!(change.bounds, BTreeMap::from([(("t".to_owned(), 0), 10), (("t".to_owned(), 1), 5)]));
    }

    #[test]
    fn an_empty_batch_moves_its_offset_in_turn() {
        let mut deliveries = Deliveries::default();
        let first = deliveries.hand_out("a".to_owned(), 1, offset(1));
        deliveries.hand_out("a".to_owned(), 0, offset(2));
        assert_eq!(due(&mut deliveries), []);
        deliveries.acknowledged(first, "t", 0, 0);
        assert_eq!(due(&mut deliveries), [("a".to_owned(), 2)]);
    }
}
