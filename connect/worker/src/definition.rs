//! What the configuration of a connector may hold: the keys of its class and the ones that all connectors share.

use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use weir_connect_api::config::nearest;
use weir_connect_api::{
    Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, Connector, ConnectorKind, TransformPlugin,
};

use crate::chain::Chain;
use crate::{converter, trace};

/// Keys of sources and sinks; names and defaults are Kafka Connect's.
static COMMON: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::new(vec![
        ConfigKey::new("name", ConfigType::String, "The connector's name.").required(),
        ConfigKey::new("connector.class", ConfigType::Class, "What the connector is.").required(),
        ConfigKey::new("tasks.max", ConfigType::Int, "The most tasks the connector may use.")
            .default("1")
            .range(1, 1000),
        ConfigKey::new("transforms", ConfigType::List, "Aliases of the transforms that each record goes through.")
            .default(""),
        converter::config_key("key.converter", "How keys are read and written."),
        converter::config_key("value.converter", "How values are read and written."),
        ConfigKey::new(
            "errors.tolerance",
            ConfigType::String,
            "Whether a bad record fails the task (none) or not (all).",
        )
        .default("none")
        .choices(&["none", "all"]),
        ConfigKey::new("errors.deadletterqueue.topic.name", ConfigType::String, "Where bad records go when tolerated.")
            .default(""),
        ConfigKey::new(
            "errors.deadletterqueue.context.headers.enable",
            ConfigType::Boolean,
            "Whether dead letters carry headers that say what went wrong.",
        )
        .default("true"),
        ConfigKey::new(
            "errors.deadletterqueue.topic.replication.factor",
            ConfigType::Int,
            "Taken for Kafka Connect's sake: dead letter topics are created with the broker's default.",
        )
        .default("-1"),
        ConfigKey::new(
            "errors.log.enable",
            ConfigType::Boolean,
            "Whether records that are skipped, because there is no dead letter topic, are logged.",
        )
        .default("true"),
        ConfigKey::new(
            "errors.log.include.messages",
            ConfigType::Boolean,
            "Whether an error in the log and in a task's trace quotes what the record has that is wrong; dead letters always do.",
        )
        .default("false"),
        ConfigKey::new(
            "restart.attempts.max",
            ConfigType::Int,
            "How often a failed task is restarted before it stays so.",
        )
        .default("100")
        .range(0, i64::from(i32::MAX)),
    ])
    .with_prefix("transforms.")
    .with_prefix("key.converter.")
    .with_prefix("value.converter.")
    .with_prefix("predicates")
});

static SOURCE: LazyLock<ConfigDef> = LazyLock::new(|| ConfigDef::new(Vec::new()).with_prefix("producer.override."));

static SINK: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::new(vec![
        ConfigKey::new("topics", ConfigType::List, "The topics to read.").default(""),
        ConfigKey::new("topics.regex", ConfigType::String, "The topics to read, as a regular expression."),
        trace::config_key(),
    ])
    .with_prefix("consumer.override.")
});

/// The classes and transforms that a worker knows.
#[derive(Clone)]
pub struct Plugins {
    pub connectors: Vec<Arc<dyn Connector>>,
    pub transforms: Vec<Arc<dyn TransformPlugin>>,
}

impl Plugins {
    pub fn connector(&self, class: &str) -> Option<&Arc<dyn Connector>> {
        let means = |connector: &&Arc<dyn Connector>| {
            connector.class() == class || connector.aliases().iter().any(|alias| names(class, alias))
        };
        self.connectors.iter().find(means)
    }

    /// What a configuration may hold, whatever the class.
    pub fn shared(kind: ConnectorKind) -> ConfigDef {
        COMMON.clone().merge(match kind {
            ConnectorKind::Source => &SOURCE,
            ConnectorKind::Sink => &SINK,
        })
    }

    /// Everything that a configuration of this class may hold.
    pub fn definition(connector: &dyn Connector) -> ConfigDef {
        Self::shared(connector.kind()).merge(connector.config_def())
    }

    /// Checks a configuration as far as that goes without I/O.
    pub fn check(&self, raw: &IndexMap<String, String>) -> Result<(&Arc<dyn Connector>, Config), Vec<ConfigProblem>> {
        let connector = self.class_of(raw).map_err(|problem| vec![problem])?;
        let config = Self::definition(connector.as_ref()).parse(raw)?;
        let mut problems = connector.validate(&config);
        if let Err(found) = Chain::build(&config, &self.transforms) {
            problems.extend(found);
        }
        if connector.kind() == ConnectorKind::Sink {
            problems.extend(topics_problem(&config));
        }
        if problems.is_empty() { Ok((connector, config)) } else { Err(problems) }
    }

    /// The connector that `connector.class` names.
    pub fn class_of(&self, raw: &IndexMap<String, String>) -> Result<&Arc<dyn Connector>, ConfigProblem> {
        let class = raw.get("connector.class").map_or("", String::as_str);
        if class.is_empty() {
            return Err(ConfigProblem::new("connector.class", "is required: what is the connector?"));
        }
        self.connector(class).ok_or_else(|| {
            let near = nearest(class, self.connectors.iter().map(|connector| connector.class()));
            let hint = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            let known = self.connectors.iter().map(|c| c.class()).collect::<Vec<_>>().join(", ");
            // The beginning is what tools for Kafka Connect look for.
            let message =
                format!("Failed to find any class that implements Connector and which name matches {class}{hint}");
            ConfigProblem::new("connector.class", format!("{message}; known: {known}"))
        })
    }
}

/// A sink reads `topics` or `topics.regex`, one of the two.
fn topics_problem(config: &Config) -> Option<ConfigProblem> {
    let given = |key: &str| config.opt_str(key).is_some_and(|value| !value.trim().is_empty());
    match (given("topics"), given("topics.regex")) {
        (true, true) => {
            Some(ConfigProblem::new("topics.regex", "stands beside `topics`: only one of the two may be set"))
        }
        (false, false) => Some(ConfigProblem::new("topics", "is required (or topics.regex)")),
        _ => None,
    }
}

/// By Kafka Connect's rule: a class may be called by its whole name, by the last part of it, and by that without
/// `Connector`. The same last part in another package is another class.
fn names(class: &str, alias: &str) -> bool {
    let simple = alias.rsplit('.').next().unwrap_or(alias);
    class == alias || class == simple || simple.strip_suffix("Connector") == Some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_a_whole_a_simple_and_a_short_name_and_no_other_package() {
        let alias = "io.confluent.connect.jdbc.JdbcSinkConnector";
        for class in [alias, "JdbcSinkConnector", "JdbcSink"] {
            assert!(names(class, alias), "{class}");
        }
        for class in
            ["io.debezium.connector.jdbc.JdbcSinkConnector", "jdbcsink", "Connector", "", "JdbcSourceConnector"]
        {
            assert!(!names(class, alias), "{class}");
        }
    }
}
