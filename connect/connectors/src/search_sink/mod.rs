//! The search sink: records into the search node of this process, or into any server that speaks `_bulk`.
//!
//! Reading order: `config`, `document` (a record to a document), `embedded` (exactly once by the node's own offsets),
//! `bulk` (exactly once by ids: a document that is sent twice is refused or replaces itself).
//!
//! Invariants:
//! - An offset is done once the document is durable or its dead letter is acknowledged; every item of every answer is
//!   looked at.
//! - What a server cannot take now is held and sent again, and nothing else is.

mod bulk;
mod config;
mod document;
mod embedded;
mod index;
mod task;

use std::sync::LazyLock;

use async_trait::async_trait;
use weir_connect_api::{Config, ConnectError, Connector, ConnectorClass, ConnectorKind, Task, TypedConfig};
use weir_search::SearchNode;

use bulk::client::Client;
use config::{Destination, Settings};
pub use document::record_of;
use task::SearchSinkTask;

/// The connector class `search`.
pub struct SearchSink {
    /// What `url: embedded` means.
    node: Option<SearchNode>,
}

impl SearchSink {
    pub fn new(node: Option<SearchNode>) -> Self {
        Self { node }
    }
}

static CLASS: LazyLock<ConnectorClass> = LazyLock::new(|| ConnectorClass {
    name: "search",
    aliases: &[
        "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector",
        "io.aiven.connect.elasticsearch.ElasticsearchSinkConnector",
        "io.aiven.kafka.connect.opensearch.OpensearchSinkConnector",
    ],
    kind: ConnectorKind::Sink,
    doc: "Indexes records in the embedded search node, Elasticsearch or OpenSearch.",
    config_def: config::definition(),
    check: Settings::problems,
});

#[async_trait]
impl Connector for SearchSink {
    fn about(&self) -> &'static ConnectorClass {
        &CLASS
    }

    async fn dial(&self, config: &Config) -> Result<String, ConnectError> {
        let settings = Settings::checked(config)?;
        match &settings.destination {
            Destination::Embedded if self.node.is_some() => Ok("the search node of this process".to_owned()),
            Destination::Embedded => Err(embedded::no_node()),
            Destination::Servers(servers) => Client::new(servers)?.about().await,
        }
    }

    fn task_count(&self, _config: &Config, tasks_max: usize) -> usize {
        tasks_max
    }

    fn task(&self) -> Task {
        Task::Sink(Box::new(SearchSinkTask::new(self.node.clone())))
    }
}
