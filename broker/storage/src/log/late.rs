//! What the log notes while somebody reads its append times: it never waits for that.
//!
//! One writer, which holds the log's lock; any number of readers, of which one at a time takes what there is. Appends that are
//! noted here before one does are one: all of them came at the time of the last, which is off by as long as somebody reads.

use std::sync::atomic::{AtomicI64, Ordering};

/// Appends `base_offset..next_offset`, at `at_ms`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Append {
    pub(super) base_offset: i64,
    pub(super) next_offset: i64,
    pub(super) at_ms: i64,
}

#[derive(Debug, Default)]
pub(super) struct Late {
    base_offset: AtomicI64,
    at_ms: AtomicI64,
    /// 0 while there is nothing. Written last and read first, so that the others are those of this one, or later.
    next_offset: AtomicI64,
}

impl Late {
    pub(super) fn put(&self, append: &Append) {
        if self.next_offset.load(Ordering::Acquire) == 0 {
            self.base_offset.store(append.base_offset, Ordering::Relaxed);
        }
        self.at_ms.store(append.at_ms, Ordering::Relaxed);
        self.next_offset.store(append.next_offset, Ordering::Release);
    }

    /// What was put since the last time. It may begin with appends that were taken before.
    pub(super) fn take(&self) -> Option<Append> {
        loop {
            let next_offset = self.next_offset.load(Ordering::Acquire);
            if next_offset == 0 {
                return None;
            }
            let base_offset = self.base_offset.load(Ordering::Relaxed);
            let at_ms = self.at_ms.load(Ordering::Relaxed);
            if self.next_offset.compare_exchange(next_offset, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Some(Append { base_offset, next_offset, at_ms });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn appends_that_nobody_has_taken_are_one() {
        let late = Late::default();
        assert_eq!(late.take(), None);
        late.put(&Append { base_offset: 5, next_offset: 7, at_ms: 100 });
        late.put(&Append { base_offset: 7, next_offset: 8, at_ms: 200 });
        assert_eq!(late.take(), Some(Append { base_offset: 5, next_offset: 8, at_ms: 200 }));
        assert_eq!(late.take(), None);
        late.put(&Append { base_offset: 8, next_offset: 9, at_ms: 300 });
        assert_eq!(late.take(), Some(Append { base_offset: 8, next_offset: 9, at_ms: 300 }));
    }

    #[test]
    fn none_is_lost_whoever_takes_them_meanwhile() {
        const APPENDS: i64 = 200_000;
        let late = Late::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                for offset in 0..APPENDS {
                    late.put(&Append { base_offset: offset, next_offset: offset + 1, at_ms: offset });
                }
            });
            let mut end = 0;
            while end < APPENDS {
                let Some(append) = late.take() else { continue };
                assert!(append.base_offset <= end && append.next_offset > end, "{append:?} after {end}");
                assert!(append.at_ms >= append.next_offset - 1, "{append:?}");
                end = append.next_offset;
            }
        });
    }
}
