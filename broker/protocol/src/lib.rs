//! The Kafka wire on top of the `kafka-protocol` crate: frames, headers, the API table, decode guards.
//!
//! Invariants: never opens a socket; never decodes record bytes.
