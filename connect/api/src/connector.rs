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

/// What there is to say of a connector class before any connector of it is made.
pub struct ConnectorClass {
    /// The `connector.class` that YAML and REST show: `file-tail`.
    pub name: &'static str,
    /// Class names of other products that mean this one.
    pub aliases: &'static [&'static str],
    pub kind: ConnectorKind,
    /// One line for people.
    pub doc: &'static str,
    /// The connector's own keys; the worker adds the common ones (`name`, `tasks.max`, `errors.*`, …).
    pub config_def: ConfigDef,
    /// Checks that need more than one key. Does no I/O.
    pub check: fn(&Config) -> Vec<ConfigProblem>,
}

/// The code of a connector class. One value serves all connectors of the class; it holds no state of any of them.
#[async_trait]
pub trait Connector: Send + Sync {
    fn about(&self) -> &'static ConnectorClass;
    fn class(&self) -> &'static str {
        self.about().name
    }
    fn aliases(&self) -> &'static [&'static str] {
        self.about().aliases
    }
    fn kind(&self) -> ConnectorKind {
        self.about().kind
    }
    fn doc(&self) -> &'static str {
        self.about().doc
    }
    fn config_def(&self) -> &'static ConfigDef {
        &self.about().config_def
    }
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
    fn validate(&self, config: &Config) -> Vec<ConfigProblem> {
        (self.about().check)(config)
    }
    /// Dials what the connector would talk to (`check --connect`).
    async fn dial(&self, config: &Config) -> Result<String, ConnectError>;
    /// How many tasks this connector can use, at most `tasks_max`.
    fn task_count(&self, config: &Config, tasks_max: usize) -> usize;
    fn task(&self) -> Task;
}
