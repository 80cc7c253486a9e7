//! A partition on disk, byte-compatible with Kafka: segments, indexes, producer state, recovery, cleaner.
//!
//! Invariants: no async runtime, no protocol, no cluster; never rebuilds a batch that a client sent.
