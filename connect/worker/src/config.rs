//! What a worker is told: Kafka Connect's own keys.

use std::sync::LazyLock;
use std::time::Duration;

use indexmap::IndexMap;
use weir_connect_api::{ConfigDef, ConfigKey, ConfigProblem, ConfigType};

static KEYS: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::new(vec![
        ConfigKey::new("bootstrap.servers", ConfigType::List, "The brokers to work with, host:port.")
            .default("localhost:9092"),
        ConfigKey::new("listeners", ConfigType::List, "Where REST is served, http://host:port; empty for nowhere.")
            .default("http://localhost:8083"),
        ConfigKey::new("group.id", ConfigType::String, "The name of the group of workers.").default("weir-connect"),
        ConfigKey::new("config.storage.topic", ConfigType::String, "Where configurations are kept.")
            .default("connect-configs"),
        ConfigKey::new("offset.storage.topic", ConfigType::String, "Where source offsets are kept.")
            .default("connect-offsets"),
        ConfigKey::new("status.storage.topic", ConfigType::String, "Where states are kept.").default("connect-status"),
        ConfigKey::new("offset.flush.interval.ms", ConfigType::Duration, "How often source offsets are committed.")
            .default("5000")
            .range(10, 3_600_000),
        ConfigKey::new(
            "topic.tracking.enable",
            ConfigType::Boolean,
            "Whether the topics that each connector uses are tracked and shown.",
        )
        .default("true"),
        ConfigKey::new(
            "topic.tracking.allow.reset",
            ConfigType::Boolean,
            "Whether a connector's list of topics may be reset.",
        )
        .default("true"),
    ])
});

/// The keys of a worker, for validation and the reference.
pub fn definition() -> &'static ConfigDef {
    &KEYS
}

/// Settings of a worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub bootstrap_servers: String,
    /// `host:port` of REST, none or several: whoever starts a worker listens there.
    pub listeners: Vec<String>,
    pub group_id: String,
    pub config_topic: String,
    pub offset_topic: String,
    pub status_topic: String,
    pub offset_flush_interval: Duration,
    pub is_topic_tracking_enabled: bool,
    pub is_topic_reset_allowed: bool,
}

impl WorkerConfig {
    pub fn parse(raw: &IndexMap<String, String>) -> Result<Self, Vec<ConfigProblem>> {
        let config = KEYS.parse(raw)?;
        let listener = |listener: &str| match listener.strip_prefix("http://") {
            Some(address) => Ok(address.trim_end_matches('/').to_owned()),
            None => Err(vec![ConfigProblem::new("listeners", format!("`{listener}` is not http://host:port"))]),
        };
        Ok(Self {
            bootstrap_servers: config.str("bootstrap.servers").to_owned(),
            listeners: config.list("listeners").into_iter().map(listener).collect::<Result<_, _>>()?,
            group_id: config.str("group.id").to_owned(),
            config_topic: config.str("config.storage.topic").to_owned(),
            offset_topic: config.str("offset.storage.topic").to_owned(),
            status_topic: config.str("status.storage.topic").to_owned(),
            offset_flush_interval: config.duration("offset.flush.interval.ms"),
            is_topic_tracking_enabled: config.bool("topic.tracking.enable"),
            is_topic_reset_allowed: config.bool("topic.tracking.allow.reset"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kafka_connects_and_an_address_without_http_is_refused() {
        let config = WorkerConfig::parse(&IndexMap::new()).unwrap();
        assert_eq!(
            (config.listeners, config.offset_topic.as_str()),
            (vec!["localhost:8083".to_owned()], "connect-offsets")
        );
        let raw = IndexMap::from([("listeners".to_owned(), "localhost:1".to_owned())]);
        let problems = WorkerConfig::parse(&raw).unwrap_err();
        assert_eq!(problems[0].to_string(), "listeners: `localhost:1` is not http://host:port");
    }
}
