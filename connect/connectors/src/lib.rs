//! The built-in connectors and transforms; a list by hand, no registration magic.
//!
//! Invariants: never names a Kafka client or the worker.
