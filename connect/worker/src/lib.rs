//! The Connect worker: REST, YAML, tasks, offsets, dead letters.
//!
//! Invariants: speaks Kafka over the network like any other client.

pub mod yaml;
