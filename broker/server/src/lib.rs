//! The broker process: listeners, `api/` with one file per API key, partitions, coordinators, metrics.
//!
//! In reading order: [`broker`] starts and stops everything, `net` reads requests off sockets, `api` answers them,
//! `partition` keeps records, `background` tidies them, `metadata` is what the cluster has decided, [`config`] what the operator has, `http` what people and Prometheus read.
//!
//! Invariants: `net` sees only `api/`; `partition` alone opens a log; Kafka's error codes appear only in `api/`.

mod api;
mod background;
mod broker;
mod clock;
pub mod config;
mod groups;
pub mod http;
mod metadata;
pub mod metrics;
mod net;
mod partition;

pub use broker::{Broker, StartError, start};
pub use config::{BrokerConfig, ConfigError, Properties, Property};
pub use net::{BindError, listen};
