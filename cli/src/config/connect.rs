//! The worker's settings and the connectors of the file.

use weir_broker::Property;
use weir_connect::document::NamedConfig;
use weir_connect::{Document, Plugins, WorkerConfig};

use super::{Config, ConfigError, located, values};

const BOOTSTRAP_SERVERS: &str = "bootstrap.servers";

impl Config {
    /// `own_broker` is the broker of this process, which the worker uses unless it is told of another.
    pub(crate) fn worker(&self, own_broker: Option<String>) -> Result<WorkerConfig, ConfigError> {
        let mut settings = self.connect.clone();
        if let Some(address) = own_broker {
            settings.entry(BOOTSTRAP_SERVERS.to_owned()).or_insert_with(|| Property::new(address, "this process"));
        }
        WorkerConfig::parse(&values(&settings)).map_err(|problems| located(&settings, &problems))
    }

    /// Whether the worker was told where brokers are, which it needs not be beside one in its own process.
    pub(crate) fn names_brokers(&self) -> bool {
        self.connect.contains_key(BOOTSTRAP_SERVERS)
    }

    /// The connectors and tests of all files; nothing without one.
    pub(crate) fn connectors(&self) -> Result<Document, ConfigError> {
        Ok(Document::read_all(&self.documents)?)
    }

    /// The connectors, all checked as far as that goes without I/O.
    pub(crate) fn checked_connectors(&self, plugins: &Plugins) -> Result<Vec<NamedConfig>, ConfigError> {
        let document = self.connectors()?;
        let problems = document.problems(plugins);
        if problems.is_empty() {
            return Ok(document.connectors);
        }
        Err(ConfigError::new(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
    }
}
