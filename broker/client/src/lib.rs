//! A typed connection to a Kafka-compatible broker: used by the command line and by tests.
//!
//! Invariants: never retries silently; never knows the broker's insides.
