//! What a partition shows to those who only look: scrapes and lag. Written as the partition's lock is released, read
//! without it.
//!
//! Each value is right at some moment; two of them need not be of the same one.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use super::{LogState, State};

#[derive(Default)]
pub(crate) struct Published {
    is_readable: AtomicBool,
    is_online: AtomicBool,
    log_start_offset: AtomicI64,
    high_watermark: AtomicI64,
    log_end_offset: AtomicI64,
    size_bytes: AtomicU64,
    segment_count: AtomicUsize,
    producer_count: AtomicUsize,
    /// Negative: without limit.
    retention_ms: AtomicI64,
    retention_bytes: AtomicI64,
}

impl Published {
    /// Whether its log is open.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_readable.load(Ordering::Relaxed)
    }

    /// Whether it takes writes, too: not since its disk has failed.
    pub(crate) fn is_online(&self) -> bool {
        self.is_online.load(Ordering::Relaxed)
    }

    pub(crate) fn log_start_offset(&self) -> i64 {
        self.log_start_offset.load(Ordering::Relaxed)
    }

    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Relaxed)
    }

    pub(crate) fn log_end_offset(&self) -> i64 {
        self.log_end_offset.load(Ordering::Relaxed)
    }

    /// Of all `.log` files.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn segment_count(&self) -> usize {
        self.segment_count.load(Ordering::Relaxed)
    }

    /// Idempotent producers that it remembers.
    pub(crate) fn producer_count(&self) -> usize {
        self.producer_count.load(Ordering::Relaxed)
    }

    /// `retention.ms`; `None` for no limit.
    pub(crate) fn retention_ms(&self) -> Option<u64> {
        u64::try_from(self.retention_ms.load(Ordering::Relaxed)).ok()
    }

    /// `retention.bytes`; `None` for no limit.
    pub(crate) fn retention_bytes(&self) -> Option<u64> {
        u64::try_from(self.retention_bytes.load(Ordering::Relaxed)).ok()
    }

    pub(super) fn grown(&self, bytes: usize) {
        self.size_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sums up the segments: for whoever may have taken some away.
    pub(super) fn measure(&self, state: &State) {
        let size_bytes = if let LogState::Open(log) = &state.log { log.size_bytes() } else { 0 };
        self.size_bytes.store(size_bytes, Ordering::Relaxed);
    }

    fn publish(&self, state: &State) {
        let LogState::Open(log) = &state.log else {
            self.is_readable.store(false, Ordering::Relaxed);
            self.is_online.store(false, Ordering::Relaxed);
            return;
        };
        self.is_readable.store(true, Ordering::Relaxed);
        self.is_online.store(!log.is_poisoned(), Ordering::Relaxed);
        self.log_start_offset.store(log.log_start_offset(), Ordering::Relaxed);
        self.high_watermark.store(state.high_watermark, Ordering::Relaxed);
        self.log_end_offset.store(log.log_end_offset(), Ordering::Relaxed);
        self.segment_count.store(log.segment_count(), Ordering::Relaxed);
        self.producer_count.store(log.producer_count(), Ordering::Relaxed);
        let limit = |limit: Option<u64>| limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
        // A topic that is only compacted keeps what nothing newer replaces.
        let retained = |value: Option<u64>| limit(value.filter(|_| log.config().cleanup_delete));
        self.retention_ms.store(retained(log.config().retention_ms), Ordering::Relaxed);
        self.retention_bytes.store(retained(log.config().retention_bytes), Ordering::Relaxed);
    }
}

/// A partition's lock. What is published follows when it is released.
pub(super) struct Locked<'a> {
    pub(super) state: MutexGuard<'a, State>,
    pub(super) published: &'a Published,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.published.publish(&self.state);
    }
}
