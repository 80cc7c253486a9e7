//! The trace that a thread works for just now: what log lines carry as `trace_id`.
//!
//! Whoever works for a request or a record says so for that time ([`within`]); a future does at each poll. While traces are off
//! nobody says anything.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::SpanContext;

/// The context of a piece of work, which may be found while it goes on.
pub type Found = Arc<OnceLock<SpanContext>>;

thread_local! {
    static CURRENT: RefCell<Option<Found>> = const { RefCell::new(None) };
}

/// Ends that time. Stays on its thread.
#[must_use]
pub struct Within {
    before: Option<Found>,
    _stays: std::marker::PhantomData<*const ()>,
}

/// From now on, until what is returned is dropped, this thread works for that.
pub fn within(found: &Found) -> Within {
    let before = CURRENT.replace(Some(Arc::clone(found)));
    Within { before, _stays: std::marker::PhantomData }
}

/// The same, where the context is known, if there is one.
pub fn within_context(context: Option<SpanContext>) -> Option<Within> {
    context.map(|context| within(&Arc::new(OnceLock::from(context))))
}

/// The context of what this thread works for, if that belongs to a trace.
pub fn current() -> Option<SpanContext> {
    CURRENT.with_borrow(|current| current.as_ref()?.get().cloned())
}

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn context(trace: u128) -> SpanContext {
        SpanContext::new(TraceId::from(trace), SpanId::from(7), TraceFlags::SAMPLED, true, TraceState::default())
    }

    #[test]
    fn work_has_its_trace_as_soon_as_it_is_found_and_until_it_ends() {
        let found = Found::default();
        let outer = within(&found);
        assert_eq!(current(), None);
        found.set(context(1)).unwrap();
        assert_eq!(current(), Some(context(1)));
        let inner = within_context(Some(context(2)));
        assert_eq!(current(), Some(context(2)));
        drop(inner);
        assert_eq!(current(), Some(context(1)));
        assert!(within_context(None).is_none(), "whoever has no trace leaves the one around it");
        drop(outer);
        assert_eq!(current(), None);
    }
}
