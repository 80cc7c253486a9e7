//! `http.listeners` and `metrics.compat` of a process without a broker, whose table of keys has it otherwise.

use weir_broker::{Property, http};

use super::{Config, ConfigError};

const LISTENERS: &str = "http.listeners";
const COMPAT: &str = "metrics.compat";

impl Config {
    /// Where metrics and health are served; `default` where nobody said.
    pub(crate) fn http_listeners(&self, default: &str) -> Result<Vec<(String, u16)>, ConfigError> {
        let property = self.broker.get(LISTENERS).cloned().unwrap_or_else(|| Property::new(default, "default"));
        http::listeners(&property).map_err(|error| ConfigError::new(error.to_string()))
    }

    /// Whether metrics are also shown under the names of other exporters, as they are where nobody said.
    pub(crate) fn shows_compat(&self) -> Result<bool, ConfigError> {
        let shows = self.broker.get(COMPAT).map_or(Ok(true), http::shows_compat);
        shows.map_err(|error| ConfigError::new(error.to_string()))
    }
}
