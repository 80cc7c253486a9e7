//! A typed connection to a Kafka-compatible broker: used by the command line and by tests.
//!
//! Reading order: [`connection`] is one socket, [`client`] is a cluster's worth of them, [`group`] is a member of a
//! consumer group, [`producer`] sends batches that land once, [`partitioner`] chooses partitions, [`error`] is what goes
//! wrong.
//!
//! Invariants: never sends anything twice that may have been carried out, but for batches that a broker can tell to be
//! the same: a caller sees each error and decides. Waits only, and not for long, for what a cluster is just making: a
//! topic's first leaders, a group's coordinator. Never knows the broker's insides. A frame that a broker sends is bounded.

pub mod client;
pub mod connection;
pub mod error;
pub mod group;
pub mod partitioner;
pub mod producer;

pub use client::{Client, Fetched, TopicPartitions, group_id, string, topic_name};
pub use connection::Connection;
pub use error::{ClientError, check};
pub use group::{GroupMember, assigned_partitions};
pub use partitioner::partition_of_key;
pub use producer::{Acks, Producer, ProducerSettings};
