//! Which bytes of a file are already delivered, beyond what is committed.
//!
//! Never a maximum alone: lines of one file may lie in several topic partitions, of which some lost their last
//! records and others did not.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges of bytes; neighbours are merged, so that a run of delivered lines takes one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    /// Start to exclusive end; neither overlapping nor touching.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    pub(crate) fn insert(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        while let Some((&at, &until)) = self.ranges.range(..=end).next_back() {
            if until < start {
                break;
            }
            self.ranges.remove(&at);
            start = start.min(at);
            end = end.max(until);
        }
        self.ranges.insert(start, end);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The end of the delivered bytes that begin at or before `position` and go beyond it.
    pub(crate) fn end_of_run_at(&self, position: u64) -> Option<u64> {
        let (_, &end) = self.ranges.range(..=position).next_back()?;
        (end > position).then_some(end)
    }

    /// Where the next delivered bytes begin after `position`.
    pub(crate) fn next_start_after(&self, position: u64) -> Option<u64> {
        self.ranges.range(position + 1..).next().map(|(&start, _)| start)
    }

    /// Lets go of what lies before `position`.
    pub(crate) fn forget_before(&mut self, position: u64) {
        while let Some((&start, &end)) = self.ranges.first_key_value() {
            if end > position {
                break;
            }
            self.ranges.remove(&start);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_merge_and_gaps_stay() {
        let mut set = RangeSet::default();
        for range in [10..20, 30..40, 20..25, 5..10] {
            set.insert(&range);
        }
        assert_eq!(set.ranges, BTreeMap::from([(5, 25), (30, 40)]));
        assert_eq!((set.end_of_run_at(5), set.end_of_run_at(25)), (Some(25), None));
        assert_eq!((set.next_start_after(5), set.next_start_after(30)), (Some(30), None));
        set.forget_before(25);
        assert_eq!(set.ranges, BTreeMap::from([(30, 40)]));
    }

    proptest! {
        #[test]
        fn a_byte_is_in_the_set_iff_it_was_inserted(inserted in prop::collection::vec((0u64..60, 0u64..9), 0..20)) {
            let mut set = RangeSet::default();
            let mut bytes = BTreeSet::new();
            for (start, length) in inserted {
                set.insert(&(start..start + length));
                bytes.extend(start..start + length);
            }
            for byte in 0..80 {
                prop_assert_eq!(set.end_of_run_at(byte).is_some(), bytes.contains(&byte), "byte {}", byte);
            }
        }
    }
}
