//! The broker's properties: its own table says what they mean, only the place of its data is ours to fill in.

use std::path::Path;

use weir_broker::config::layers::{BrokerLayers, Overrides};
use weir_broker::config::{Settings, check_properties};
use weir_broker::{Properties, Property};

use super::{Config, ConfigError};

const FOLDER: &str = "broker";
const LOG_DIRS: &str = "log.dirs";
const LOG_DIR: &str = "log.dir";

impl Config {
    /// Whether each key is right, and all together: the broker checks them, too, but only once it starts.
    pub(crate) fn check_broker(&self, data_dir: &Path) -> Result<(), ConfigError> {
        let properties = self.broker_properties(data_dir);
        check_properties(&properties).map_err(|error| ConfigError::new(error.to_string()))?;
        check_together(&properties)
    }

    pub(crate) fn broker_properties(&self, data_dir: &Path) -> Properties {
        let mut properties = self.broker.clone();
        if self.told_log_dirs().is_none() {
            let folder = data_dir.join(FOLDER).display().to_string();
            let origin = self.process.get("data").map_or("default", |property| &property.origin);
            properties.insert(LOG_DIRS.to_owned(), Property::new(folder, origin));
        }
        properties
    }

    /// Where the broker's own keys put its data, if they say so; Kafka's `log.dirs` goes before `log.dir`.
    pub(crate) fn told_log_dirs(&self) -> Option<&str> {
        let property = self.broker.get(LOG_DIRS).or_else(|| self.broker.get(LOG_DIR))?;
        Some(&property.value)
    }
}

/// How keys go together can be said once each is right.
pub(super) fn check_together(properties: &Properties) -> Result<(), ConfigError> {
    let none = Overrides::new();
    let layers = BrokerLayers { file: properties, dynamic_broker: &none, dynamic_default: &none };
    Settings::resolve(layers).map(drop).map_err(|error| ConfigError::new(error.to_string()))
}
