//! Decisions: groups, offsets, the metadata image. Pure: `step(now, event) -> effects`.
//!
//! Invariants: no I/O, no async, no clock.

pub mod groups;

pub mod metadata;
