//! A connector class: what it is called, what it can be told, and how its tasks are made.

use async_trait::async_trait;

use crate::config::{Config, ConfigDef, ConfigProblem};
use crate::error::ConnectError;
use crate::sink::SinkTask;
use crate::source::SourceTask;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    Source,
    Sink,
}

pub enum Task {
    Source(Box<dyn SourceTask>),
    Sink(Box<dyn SinkTask>),
}

/// A connector class. One value serves all connectors of the class; it holds no state of any of them.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The `connector.class` that YAML and REST show: `file-tail`.
    fn class(&self) -> &'static str;
    /// Class names of other products that mean this one.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    fn kind(&self) -> ConnectorKind;
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
    /// One line for people.
    fn doc(&self) -> &'static str;
    /// The connector's own keys; the worker adds the common ones (`name`, `tasks.max`, `errors.*`, …).
    fn config_def(&self) -> &ConfigDef;
    /// Checks that need more than one key. Does no I/O.
    fn validate(&self, _config: &Config) -> Vec<ConfigProblem> {
        Vec::new()
    }
    /// Dials what the connector would talk to (`check --connect`).
    async fn dial(&self, config: &Config) -> Result<String, ConnectError>;
    /// How many tasks this connector can use, at most `tasks_max`.
    fn task_count(&self, config: &Config, tasks_max: usize) -> usize;
    fn task(&self) -> Task;
}
