//! The built-in connectors and transforms; a list by hand, no registration magic.
//!
//! Invariants: never names a Kafka client or the worker. What a connector needs of its process comes in through
//! [`Services`], never through a global.

pub mod file_source;
pub mod postgres_sink;
pub mod search_sink;
mod sink_keys;
#[cfg(test)]
mod testing;
mod transforms;

use std::sync::Arc;

use weir_connect_api::{Connector, TransformPlugin};
use weir_search::SearchNode;

use file_source::FileTail;
use postgres_sink::PostgresSink;
use search_sink::SearchSink;

/// What the process has to offer to connectors.
#[derive(Clone, Default)]
pub struct Services {
    /// The search node of this process, for `url: embedded`.
    pub search: Option<SearchNode>,
}

/// Every built-in connector class.
pub fn connectors(services: &Services) -> Vec<Arc<dyn Connector>> {
    vec![Arc::new(FileTail), Arc::new(PostgresSink), Arc::new(SearchSink::new(services.search.clone()))]
}

/// Every built-in transform.
pub fn transforms() -> Vec<Arc<dyn TransformPlugin>> {
    transforms::all()
}
