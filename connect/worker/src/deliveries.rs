//! What a source has handed out, what the broker has acknowledged, and what may be committed. Pure: no clock, no client.
//!
//! Invariants: the offset of a batch is due only when every record of it and of all earlier batches of its source
//! partition is settled; a bound never passes a record that the due offsets do not cover, be it of this run or one that
//! was recovered from an earlier one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use weir_connect_api::SourceOffset;

use crate::store::Change;

/// Number of a batch within one run of a task.
pub(crate) type BatchId = usize;

/// A topic and a partition in it.
pub(crate) type Place = (String, i32);

/// Topic → partition → offset; partitions left out of a topic stand at 0.
pub(crate) type Floors = BTreeMap<String, BTreeMap<i32, i64>>;

#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    next_id: BatchId,
    batches: HashMap<BatchId, Batch>,
    /// Per source partition, oldest first.
    queues: HashMap<String, VecDeque<BatchId>>,
    places: Places,
    unsettled_records: usize,
    /// Where the recovery of this run began: bounds stay there while what it found is not covered.
    floors: Floors,
    /// The floors hold until no batch before this one is left; `None` while the task still has records to cover.
    floors_until: Option<BatchId>,
}

#[derive(Debug)]
struct Batch {
    unsettled: usize,
    /// `None` forgets the source partition.
    offset_after: Option<SourceOffset>,
    /// The lowest acknowledged offset per place: where a recovery has to begin while this batch is not covered.
    lowest: BTreeMap<PlaceId, i64>,
}

/// Number of a place within one run of a task.
type PlaceId = usize;

/// The places that records went to. An acknowledgement looks its place up for each record, so that nothing is allocated
/// there.
#[derive(Debug, Default)]
struct Places {
    all: Vec<Place>,
    /// By place, the end of what is acknowledged.
    ends: Vec<i64>,
    ids: HashMap<String, HashMap<i32, PlaceId>>,
    latest: PlaceId,
}

impl Places {
    fn id(&mut self, topic: &str, partition: i32) -> PlaceId {
        // Acknowledgements of one place come in a row.
        if !self.all.get(self.latest).is_some_and(|(t, p)| *p == partition && t == topic) {
            let known = self.ids.get(topic).and_then(|partitions| partitions.get(&partition)).copied();
            self.latest = known.unwrap_or_else(|| self.add(topic, partition));
        }
        self.latest
    }

    fn add(&mut self, topic: &str, partition: i32) -> PlaceId {
        let id = self.all.len();
        self.all.push((topic.to_owned(), partition));
        self.ends.push(0);
        self.ids.entry(topic.to_owned()).or_default().insert(partition, id);
        id
    }
}

impl Deliveries {
    /// Records of an earlier run were found from `floors` on: no bound passes them before [`Deliveries::recovered`].
    pub(crate) fn recovering(&mut self, floors: Floors) {
        self.floors = floors;
        self.floors_until = None;
    }

    /// The offsets of what was handed out so far cover all that was found.
    pub(crate) fn recovered(&mut self) {
        self.floors_until.get_or_insert(self.next_id);
    }

    /// Registers a batch of `records` records that are about to be sent.
    pub(crate) fn hand_out(
        &mut self,
        source_partition: String,
        records: usize,
        offset_after: Option<SourceOffset>,
    ) -> BatchId {
        let id = self.next_id;
        self.next_id += 1;
        self.unsettled_records += records;
        self.batches.insert(id, Batch { unsettled: records, offset_after, lowest: BTreeMap::new() });
        self.queues.entry(source_partition).or_default().push_back(id);
        id
    }

    /// A record of the batch was acknowledged at that offset.
    pub(crate) fn acknowledged(&mut self, id: BatchId, topic: &str, partition: i32, offset: i64) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let place = self.places.id(topic, partition);
        batch.unsettled = batch.unsettled.saturating_sub(1);
        let lowest = batch.lowest.entry(place).or_insert(offset);
        *lowest = (*lowest).min(offset);
        let end = &mut self.places.ends[place];
        *end = (*end).max(offset + 1);
        self.unsettled_records -= 1;
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
            offsets.extend(due.map(|offset| (partition.clone(), offset)));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        if offsets.is_empty() {
            return Change::default();
        }
        if self.floors_until.is_some_and(|until| self.batches.keys().all(|id| *id >= until)) {
            self.floors.clear();
        }
        Change { offsets, bounds: self.bounds() }
    }

    /// Per place, an offset below which every record is covered by the offsets that are committed or due.
    fn bounds(&self) -> BTreeMap<Place, i64> {
        let mut bounds = self.places.ends.clone();
        for (place, lowest) in self.batches.values().flat_map(|batch| &batch.lowest) {
            bounds[*place] = bounds[*place].min(*lowest);
        }
        let floored = |((topic, partition), bound): (&Place, i64)| {
            let floor = self.floors.get(topic).map(|floors| floors.get(partition).copied().unwrap_or(0));
            ((topic.clone(), *partition), floor.map_or(bound, |floor| bound.min(floor)))
        };
        self.places.all.iter().zip(bounds).map(floored).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offset(position: u64) -> Option<SourceOffset> {
        json!({"position": position}).as_object().cloned()
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

    #[test]
    fn a_partition_is_forgotten_only_behind_its_records() {
        let mut deliveries = Deliveries::default();
        let last = deliveries.hand_out("a".to_owned(), 1, offset(1));
        deliveries.hand_out("a".to_owned(), 0, None);
        assert!(deliveries.take_due().is_empty());
        deliveries.acknowledged(last, "t", 0, 0);
        assert_eq!(deliveries.take_due().offsets, [("a".to_owned(), None)]);
    }

    #[test]
    fn a_bound_stays_where_the_recovery_began_until_what_it_found_is_covered() {
        let mut deliveries = Deliveries::default();
        deliveries.recovering(Floors::from([("t".to_owned(), BTreeMap::from([(0, 100)]))]));
        let bounds = |deliveries: &mut Deliveries, partition: i32, at: i64| {
            let id = deliveries.hand_out("b".to_owned(), 1, offset(1));
            deliveries.acknowledged(id, "t", partition, at);
            deliveries.take_due().bounds
        };
        let held = BTreeMap::from([(("t".to_owned(), 0), 100)]);
        assert_eq!(bounds(&mut deliveries, 0, 110), held, "a's records between 100 and 110 are in no offset");
        // Now a's offset goes out, but a record before it is open: still nothing covers them.
        let before = deliveries.hand_out("a".to_owned(), 1, offset(8));
        deliveries.hand_out("a".to_owned(), 0, offset(9));
        deliveries.recovered();
        assert_eq!(bounds(&mut deliveries, 0, 111), held);
        deliveries.acknowledged(before, "t", 0, 112);
        let free = BTreeMap::from([(("t".to_owned(), 0), 113), (("t".to_owned(), 1), 1)]);
        assert_eq!(bounds(&mut deliveries, 1, 0), free);
    }

    #[test]
    fn a_partition_that_was_new_to_the_recovery_is_held_at_its_beginning() {
        let mut deliveries = Deliveries::default();
        deliveries.recovering(Floors::from([("t".to_owned(), BTreeMap::from([(0, 7)]))]));
        let id = deliveries.hand_out("a".to_owned(), 1, offset(1));
        deliveries.acknowledged(id, "t", 2, 50);
        assert_eq!(deliveries.take_due().bounds, BTreeMap::from([(("t".to_owned(), 2), 0)]));
    }
}
