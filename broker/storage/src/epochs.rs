//! Which leader epoch began at which offset: the answer to OffsetForLeaderEpoch (KIP-101, KIP-279).
//!
//! Invariant: epochs and start offsets both rise from entry to entry.

/// Epochs that one log remembers; past it the oldest is forgotten, which only makes a very old follower truncate more.
const EPOCHS_MAX: usize = 10_000;

const UNDEFINED_EPOCH: i32 = -1;
const UNDEFINED_OFFSET: i64 = -1;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
}

impl LeaderEpochs {
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = (i32, i64)>) -> Self {
        let mut epochs = Self::default();
        for (epoch, start) in entries {
            epochs.assign(epoch, start);
        }
        epochs
    }

    pub(crate) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// Notes that a batch of `epoch` starts at `offset`. True if that was news.
    pub(crate) fn assign(&mut self, epoch: i32, offset: i64) -> bool {
        if epoch < 0 || self.entries.last().is_some_and(|&(last, start)| epoch <= last || offset < start) {
            return false;
        }
        // An epoch that never got a record is superseded by the one that takes its place.
        while self.entries.last().is_some_and(|&(_, start)| start >= offset) {
            self.entries.pop();
        }
        if self.entries.len() == EPOCHS_MAX {
            self.entries.remove(0);
        }
        self.entries.push((epoch, offset));
        true
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn at(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        after.checked_sub(1).map(|index| self.entries[index].0)
    }

    /// The largest epoch at or below `epoch`, and the exclusive end of what was written under it.
    pub(crate) fn end_offset(&self, epoch: i32, log_end_offset: i64) -> (i32, i64) {
        let Some(&(latest, _)) = self.entries.last() else { return (UNDEFINED_EPOCH, UNDEFINED_OFFSET) };
        if epoch < 0 || epoch > latest {
            return (UNDEFINED_EPOCH, UNDEFINED_OFFSET);
        }
        if epoch == latest {
            return (latest, log_end_offset);
        }
        let higher = self.entries.partition_point(|&(other, _)| other <= epoch);
        let floor = higher.checked_sub(1).map_or(epoch, |index| self.entries[index].0);
        (floor, self.entries[higher].1)
    }

    /// Forgets what starts at or after `end`. True if anything did.
    pub(crate) fn truncate_from_end(&mut self, end: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|&(_, start)| start < end);
        self.entries.len() != before
    }

    /// Forgets epochs that ended at or before `start`; the one that contains it now begins there.
    pub(crate) fn truncate_from_start(&mut self, start: i64) -> bool {
        let after = self.entries.partition_point(|&(_, begin)| begin <= start);
        let Some(contains) = after.checked_sub(1) else { return false };
        let moved = self.entries[contains].1 != start;
        self.entries.drain(..contains);
        self.entries[0].1 = start;
        moved || contains > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_offsets_are_kafkas() {
        let epochs = LeaderEpochs::from_entries([(2, 10), (5, 20), (7, 30)]);
        assert_eq!(epochs.end_offset(7, 44), (7, 44));
        assert_eq!(epochs.end_offset(6, 44), (5, 30));
        assert_eq!(epochs.end_offset(5, 44), (5, 30));
        assert_eq!(epochs.end_offset(2, 44), (2, 20));
        assert_eq!(epochs.end_offset(1, 44), (1, 10));
        assert_eq!(epochs.end_offset(8, 44), (-1, -1));
        assert_eq!(epochs.end_offset(-1, 44), (-1, -1));
        assert_eq!(LeaderEpochs::default().end_offset(0, 44), (-1, -1));
    }

    #[test]
    fn an_epoch_is_noted_once_and_one_without_records_is_superseded() {
        let mut epochs = LeaderEpochs::default();
        assert!(epochs.assign(0, 0));
        assert!(!epochs.assign(0, 10));
        assert!(epochs.assign(3, 10));
        assert!(epochs.assign(4, 10));
        assert!(!epochs.assign(2, 50));
        assert_eq!(epochs.entries(), [(0, 0), (4, 10)]);
        assert_eq!((epochs.at(0), epochs.at(9), epochs.at(10), epochs.at(-1)), (Some(0), Some(0), Some(4), None));
    }

    #[test]
    fn truncation_keeps_what_still_has_records() {
        let mut epochs = LeaderEpochs::from_entries([(0, 0), (1, 10), (2, 20)]);
        assert!(epochs.truncate_from_end(20));
        assert!(!epochs.truncate_from_end(20));
        assert!(epochs.truncate_from_start(15));
        assert_eq!(epochs.entries(), [(1, 15)]);
    }
}
