//! The Connect worker: YAML, REST, tasks, offsets, dead letters.
//!
//! Reading order: [`config`] (what a worker is told), [`yaml`] and [`document`] (what people write), [`definition`],
//! [`worker`] (start and stop), [`runtime`] and `tasks` (what runs), `source`, `deliveries` and `sink` (the path of a
//! record), `store` (what is remembered), `rest`.
//!
//! Invariants:
//! - Speaks Kafka over the network, as any client does: runs against any Kafka-compatible cluster.
//! - A source offset is committed only behind acknowledged records; a sink's offset only behind what is durable at its
//!   destination.
//! - Secrets are resolved just before a task starts and are never stored, shown or logged.

mod active_topics;
mod chain;
mod client_log;
mod client_traffic;
mod compat;
pub mod config;
mod connector_offsets;
mod converter;
mod dead_letters;
pub mod definition;
mod deliveries;
mod dial;
pub mod document;
mod health;
mod kafka;
mod loggers;
mod metrics;
mod offsets;
mod producer;
pub mod rehearsal;
mod rest;
mod retry;
pub mod runtime;
mod secrets;
mod sink;
mod source;
mod state;
mod store;
mod tasks;
mod trace;
pub mod worker;
pub mod yaml;

pub use config::WorkerConfig;
pub use definition::Plugins;
pub use dial::dial;
pub use document::Document;
pub use loggers::{LoggerLevel, Loggers, ROOT_LOGGER};
pub use metrics::families as metric_families;
pub use state::TargetState;
pub use worker::{Host, StartError, Worker, start};
