//! Which of a key's values counts: the topic's, the broker's dynamic one, the cluster's, the file's, or the default.

use std::collections::BTreeMap;

use super::Properties;
use super::table::{self, ConfigKey, Scope, Synonym};

/// Dynamic settings as the metadata image holds them.
pub type Overrides = BTreeMap<String, String>;

/// Where a value comes from. The order is the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Topic,
    DynamicBroker,
    DynamicDefault,
    StaticBroker,
    Default,
}

/// All layers below the topic's.
#[derive(Debug, Clone, Copy)]
pub struct BrokerLayers<'a> {
    pub file: &'a Properties,
    pub dynamic_broker: &'a Overrides,
    pub dynamic_default: &'a Overrides,
}

/// One place that gives a key a value; what Kafka calls a config synonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub name: &'static str,
    pub value: String,
    pub source: Source,
}

/// Everything that would give a broker key its value, the one that counts first.
pub fn broker_values(key: &'static ConfigKey, layers: BrokerLayers<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    push_set_values(&mut found, key, 1, layers);
    for synonym in key.synonyms {
        if let Some(twin) = table::find(Scope::Broker, synonym.name) {
            push_set_values(&mut found, twin, synonym.factor, layers);
        }
    }
    push_default(&mut found, key);
    found
}

/// Everything that would give a topic key its value, the one that counts first.
pub fn topic_values(key: &'static ConfigKey, topic: &Overrides, layers: BrokerLayers<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(value) = topic.get(key.name) {
        found.push(Found { name: key.name, value: value.clone(), source: Source::Topic });
    }
    for synonym in key.synonyms {
        if let Some(twin) = table::find(Scope::Broker, synonym.name) {
            push_set_values(&mut found, twin, synonym.factor, layers);
        }
    }
    push_default(&mut found, key);
    found
}

fn push_set_values(found: &mut Vec<Found>, key: &'static ConfigKey, factor: i64, layers: BrokerLayers<'_>) {
    let dynamic = [(layers.dynamic_broker, Source::DynamicBroker), (layers.dynamic_default, Source::DynamicDefault)];
    for (overrides, source) in dynamic {
        if let Some(value) = overrides.get(key.name) {
            found.push(Found { name: key.name, value: scaled(value, factor), source });
        }
    }
    if let Some(property) = layers.file.get(key.name) {
        let value = scaled(property.value.trim(), factor);
        found.push(Found { name: key.name, value, source: Source::StaticBroker });
    }
}

/// The key's own default, or that of the first synonym that has one.
fn push_default(found: &mut Vec<Found>, key: &'static ConfigKey) {
    let own = std::iter::once(Synonym { name: key.name, factor: 1 });
    let default = key.default.map(|value| (key.name, value.to_owned())).or_else(|| {
        own.chain(key.synonyms.iter().copied()).find_map(|synonym| {
            let twin = table::find(Scope::Broker, synonym.name)?;
            Some((twin.name, scaled(twin.default?, synonym.factor)))
        })
    });
    if let Some((name, value)) = default {
        found.push(Found { name, value, source: Source::Default });
    }
}

/// Converts a coarser unit; negative values mean "none" in every unit.
fn scaled(value: &str, factor: i64) -> String {
    match value.parse::<i64>() {
        Ok(number) if factor != 1 && number > 0 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}
