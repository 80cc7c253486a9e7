//! The vocabulary of the broker: ids, offsets, the record batch, compression, limits.
//!
//! Invariants: no I/O, no async, no serde; depends on no other crate of ours.
