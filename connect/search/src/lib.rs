//! The search node as a library: an index in daily shards, a query language, Elasticsearch-compatible HTTP.
//!
//! Reading order: [`config`], [`node`] (open, write, commit), `index` (documents on disk),
//! [`http`].
//!
//! Invariants:
//! - Never knows the broker or Connect: documents come in through [`SinkSession`] with the offsets of the records they
//!   were made of.
//! - Documents and the offsets of what is in the index land in the same commit.
//! - A document whose source is not a JSON object is refused, and never stops the others.

mod aggs;
pub mod config;
mod error;
pub mod http;
mod index;
mod limits;
mod metrics;
pub mod node;
mod query;
mod search;

pub use config::{SearchConfig, ShardSpan};
pub use error::OpenError;
pub use http::{BulkAppendError, BulkItem, BulkLog, serve};
pub use index::document::{Action, Document, DocumentError, Origin};
pub use index::name::NameError;
pub use index::offsets::TopicOffsets;
pub use index::shards::{WriteError, WriteReport};
pub use metrics::families as metric_families;
pub use node::{SearchNode, SinkSession};
