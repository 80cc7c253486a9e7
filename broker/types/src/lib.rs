//! The vocabulary of the broker: ids, offsets, the record batch, compression, limits.
//!
//! Reading order: [`ids`], [`batch`], [`compression`], [`limits`].
//!
//! Invariants: no I/O, no async, no serde; depends on no other crate of ours. Nothing here allocates by a length that
//! came from outside before the bytes behind it were seen.

pub mod batch;
pub mod compression;
pub mod ids;
pub mod limits;

pub use ids::{TopicId, TopicIdError, TopicPartition};
