//! What the config APIs share: which resource is meant, what its settings are, and whether a new value may be set.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use weir_control::metadata::{ConfigResource, MetadataImage};

use super::Context;
use super::error::Failure;
use crate::config::layers::{BrokerLayers, Found, Overrides, Source, broker_values, topic_values};
use crate::config::table::{self, ConfigKey, Honoured, Scope, Update};
use crate::config::value;

/// Kafka's numbers for kinds of resources.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// A key with everything that would give it a value; the first counts.
pub(super) struct Described {
    pub(super) key: &'static ConfigKey,
    pub(super) value: Option<String>,
    pub(super) found: Vec<Found>,
}

impl Described {
    fn new(key: &'static ConfigKey, found: Vec<Found>) -> Self {
        let value = found.first().filter(|_| !key.is_sensitive()).map(|first| first.value.clone());
        Self { key, value, found }
    }

    pub(super) fn source_code(&self) -> i8 {
        source_code(self.found.first().map_or(Source::Default, |first| first.source))
    }
}

/// Kafka's numbers for sources.
pub(super) fn source_code(source: Source) -> i8 {
    match source {
        Source::Topic => 1,
        Source::DynamicBroker => 2,
        Source::DynamicDefault => 3,
        Source::StaticBroker => 4,
        Source::Default => 5,
    }
}

/// The resource that a request names.
pub(super) fn resource(cx: &Context, kind: i8, name: &str) -> Result<ConfigResource, Failure> {
    match kind {
        TOPIC => match cx.image().topic(name) {
            Some(topic) => Ok(ConfigResource::Topic(topic.name.clone())),
            None => Err(Failure::unknown_topic()),
        },
        BROKER if name.is_empty() => Ok(ConfigResource::BrokerDefault),
        BROKER if name.parse() == Ok(cx.node_id) => Ok(ConfigResource::Broker(cx.node_id)),
        BROKER => Err(Failure::new(
            ResponseError::InvalidRequest,
            format!("Unexpected broker id, expected {} or empty string, but received {name}", cx.node_id),
        )),
        other => Err(Failure::new(ResponseError::InvalidRequest, format!("resource type {other} is not supported"))),
    }
}

/// Every key of the resource with its values.
pub(super) fn describe(cx: &Context, resource: &ConfigResource) -> Vec<Described> {
    match resource {
        ConfigResource::Topic(_) => describe_topic_configs(cx, &cx.image().configs(resource)),
        ConfigResource::Broker(_) => with_layers(cx, |layers| {
            table::keys(Scope::Broker).iter().map(|key| Described::new(key, broker_values(key, layers))).collect()
        }),
        // Kafka shows only what is set on the cluster default.
        ConfigResource::BrokerDefault | ConfigResource::Group(_) => {
            let set = cx.image().configs(resource);
            let keys = table::keys(Scope::Broker).iter().filter_map(|key| {
                let value = set.get(key.name)?.clone();
                Some(Described::new(key, vec![Found { name: key.name, value, source: Source::DynamicDefault }]))
            });
            keys.collect()
        }
    }
}

/// Every topic key, for a topic with these settings of its own.
pub(super) fn describe_topic_configs(cx: &Context, topic: &Overrides) -> Vec<Described> {
    with_layers(cx, |layers| {
        table::keys(Scope::Topic).iter().map(|key| Described::new(key, topic_values(key, topic, layers))).collect()
    })
}

fn with_layers<T>(cx: &Context, describe: impl FnOnce(BrokerLayers<'_>) -> T) -> T {
    let image = cx.image();
    let dynamic_broker = image.configs(&ConfigResource::Broker(cx.node_id));
    let dynamic_default = image.configs(&ConfigResource::BrokerDefault);
    let file = cx.metadata.file();
    describe(BrokerLayers { file, dynamic_broker: &dynamic_broker, dynamic_default: &dynamic_default })
}

/// Whether a topic may have this setting.
pub(super) fn check_topic_config(name: &str, text: &str) -> Result<(), Failure> {
    check_value(find_key(&ConfigResource::Topic("".into()), name)?, text)
}

/// The key of that name for that resource.
pub(super) fn find_key(resource: &ConfigResource, name: &str) -> Result<&'static ConfigKey, Failure> {
    let (scope, word) = match resource {
        ConfigResource::Topic(_) => (Scope::Topic, "topic"),
        ConfigResource::Broker(_) | ConfigResource::BrokerDefault | ConfigResource::Group(_) => {
            (Scope::Broker, "broker")
        }
    };
    let key = table::find(scope, name).ok_or_else(|| {
        let nearest = table::nearest(scope, name).map(|key| format!("; did you mean {key}?")).unwrap_or_default();
        Failure::new(ResponseError::InvalidConfig, format!("Unknown {word} config name: {name}{nearest}"))
    })?;
    let is_fixed = match resource {
        ConfigResource::Topic(_) | ConfigResource::Group(_) => false,
        ConfigResource::Broker(_) => key.update == Update::ReadOnly,
        ConfigResource::BrokerDefault => key.update != Update::ClusterWide,
    };
    if is_fixed {
        let message = format!("{name} cannot be changed while the broker runs: set it in its file and restart");
        return Err(Failure::new(ResponseError::InvalidConfig, message));
    }
    Ok(key)
}

pub(super) fn check_value(key: &ConfigKey, text: &str) -> Result<(), Failure> {
    value::check(key, text).map_err(|reason| {
        Failure::new(ResponseError::InvalidConfig, format!("Invalid value for configuration {}: {reason}", key.name))
    })?;
    if key.honoured == Honoured::NotYet && key.default != Some(text) {
        let message = format!("{} is known but has no effect in this version: it was not set", key.name);
        return Err(Failure::new(ResponseError::InvalidConfig, message));
    }
    Ok(())
}

/// The settings that a resource has of its own, for a change to start from.
pub(super) fn own_settings(image: &MetadataImage, resource: &ConfigResource) -> BTreeMap<String, String> {
    BTreeMap::clone(&image.configs(resource))
}
