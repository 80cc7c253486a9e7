//! `http.listeners` of a process without a broker, whose table of keys has it otherwise.

use weir_broker::{Property, http};

use super::{Config, ConfigError};

const LISTENERS: &str = "http.listeners";

impl Config {
    /// Where metrics and health are served; `default` where nobody said.
    pub(crate) fn http_listeners(&self, default: &str) -> Result<Vec<(String, u16)>, ConfigError> {
        let property = self.broker.get(LISTENERS).cloned().unwrap_or_else(|| Property::new(default, "default"));
        http::listeners(&property).map_err(|error| ConfigError::new(error.to_string()))
    }
}
