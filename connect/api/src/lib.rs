//! What the author of a connector sees: records, configuration, and the traits that a source, a sink and a
//! transform implement. The worker (`weir-connect`) is on the other side of every trait here.
//!
//! Reading order: [`record`], [`config`], [`error`], [`source`], [`sink`], [`transform`], [`connector`].
//!
//! Invariants:
//! - This crate never does I/O and never names a Kafka client, the worker or a concrete connector.
//! - A connector never sees an unvalidated [`config::Config`]: every key in it is declared in its
//!   [`config::ConfigDef`] and its value parses as the declared type.
//! - A source never commits a position itself: it hands out [`source::SourceBatch`]es, and the worker commits the
//!   offset of a batch once it and all earlier batches of the same source partition are acknowledged.

pub mod config;
pub mod connector;
pub mod error;
pub mod record;
pub mod sink;
pub mod source;
pub mod transform;

pub use config::{Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, Importance, TypedConfig};
pub use connector::{Connector, ConnectorClass, ConnectorKind, Task};
pub use error::{ConnectError, ErrorClass, Stage};
pub use record::{Header, Payload, Record, TopicPartition};
pub use sink::{Offsets, RecordReporter, SinkContext, SinkRecord, SinkTask};
pub use source::{
    DeliveredRecord, RejectedRecord, SourceBatch, SourceContext, SourceOffset, SourcePartition, SourceTask,
};
pub use transform::{Transform, TransformPlugin};
