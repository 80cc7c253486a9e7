//! Decisions: groups, offsets, lag, the metadata image. Pure: `step(now, event) -> effects`.
//!
//! Invariants: no I/O, no async, no clock.

pub mod groups;

pub mod lag;

pub mod metadata;
