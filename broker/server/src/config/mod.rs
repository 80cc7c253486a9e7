//! Configuration: Kafka's keys, verbatim, from one table.
//!
//! [`table`] says which keys exist (rows in `broker_keys`, `topic_keys`
//! and `not_yet`), [`value`] checks one value, [`layers`]
//! finds the value that counts among file, dynamic and topic settings, [`settings`] is the typed result that the rest of
//! the broker reads, [`groups`] its part for consumer groups, [`listeners`] parses addresses, [`log`] makes a log's settings.
//!
//! Config strings stop here: no other module parses a value.

mod broker_keys;
pub mod groups;
pub mod layers;
pub mod listeners;
pub mod log;
mod not_yet;
pub mod settings;
pub mod table;
mod topic_keys;
pub mod value;

#[cfg(test)]
mod tests;

use indexmap::IndexMap;

pub use settings::Settings;

/// What `start` needs: properties and what the process shares with its other parts.
#[derive(Clone, Default)]
pub struct BrokerConfig {
    pub properties: Properties,
    /// What logs are written through: a test may have put faults into it.
    pub fs: weir_storage::fs::Fs,
    /// Where the broker registers its metrics; `/metrics` shows all of it.
    pub registry: prometheus::Registry,
    /// What `/metrics/compat` shows of the process.
    pub compat: crate::metrics::Compat,
    /// Served by the broker's HTTP server beside its own pages.
    pub routes: axum::Router,
    /// Whether the other parts of the process do their work, for `/health/ready`; `None`: there are none.
    pub is_ready: Option<crate::http::IsReady>,
}

/// Keys and values as they were written, in that order.
pub type Properties = IndexMap<String, Property>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub value: String,
    /// Where it was written, for error messages: `server.properties:12:1`, `--set`, `WEIR_LOG_DIRS`.
    pub origin: String,
}

impl Property {
    pub fn new(value: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { value: value.into(), origin: origin.into() }
    }
}

/// Why properties were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: unknown key `{key}`{}", suggestion(*.nearest))]
    UnknownKey { key: String, origin: String, nearest: Option<&'static str> },
    #[error("{origin}: `{key}`: {reason}")]
    BadValue { key: String, origin: String, reason: String },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}

/// Checks every key and value against the table, before anything is opened.
pub fn check_properties(properties: &Properties) -> Result<(), ConfigError> {
    for (name, property) in properties {
        let Some(key) = table::find(table::Scope::Broker, name) else {
            return Err(ConfigError::UnknownKey {
                key: name.clone(),
                origin: property.origin.clone(),
                nearest: table::nearest(table::Scope::Broker, name),
            });
        };
        value::check(key, &property.value).map_err(|reason| bad_value(name, property, reason))?;
    }
    Ok(())
}

pub(crate) fn bad_value(key: &str, property: &Property, reason: String) -> ConfigError {
    ConfigError::BadValue { key: key.to_owned(), origin: property.origin.clone(), reason }
}
