//! `/connector-plugins`: which classes there are, what they can be told, and whether a configuration is right.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use indexmap::IndexMap;
use serde_json::{Value, json};
use weir_connect_api::{ConfigKey, ConfigProblem, Connector, ConnectorKind, Importance};

use super::Context;
use super::connectors::strings;
use super::error::RestError;
use crate::definition::Plugins;

type Answer = Result<Json<Value>, RestError>;

pub(super) async fn list(State(context): State<Context>, RawQuery(query): RawQuery) -> Json<Value> {
    let connector = |connector: &std::sync::Arc<dyn Connector>| {
        let kind = match connector.kind() {
            ConnectorKind::Source => "source",
            ConnectorKind::Sink => "sink",
        };
        json!({"class": connector.class(), "type": kind, "version": connector.version()})
    };
    let mut plugins: Vec<Value> = context.plugins.connectors.iter().map(connector).collect();
    if query.is_some_and(|query| query.split('&').any(|pair| pair == "connectorsOnly=false")) {
        let transform =
            |name: &str| json!({"class": name, "type": "transformation", "version": env!("CARGO_PKG_VERSION")});
        plugins.extend(context.plugins.transforms.iter().map(|plugin| transform(plugin.name())));
    }
    Json(Value::Array(plugins))
}

pub(super) async fn config(State(context): State<Context>, Path(class): Path<String>) -> Answer {
    let definition = Plugins::definition(find(&context.plugins, &class)?);
    Ok(Json(definition.keys().iter().map(key_of).collect()))
}

/// 200 also for a configuration that is wrong: `error_count` tells.
pub(super) async fn validate(
    State(context): State<Context>,
    Path(class): Path<String>,
    body: Result<Json<IndexMap<String, Value>>, JsonRejection>,
) -> Answer {
    let connector = find(&context.plugins, &class)?;
    let raw = strings(body?.0)?;
    let problems = context.plugins.check(&raw).err().unwrap_or_default();
    let definition = Plugins::definition(connector);
    let known = |name: &str| definition.keys().iter().any(|key| key.name == name);
    let mut configs: Vec<Value> = definition
        .keys()
        .iter()
        .map(|key| {
            let value = raw.get(key.name).map(String::as_str).or(key.default);
            json!({"definition": key_of(key), "value": value_of(key.name, value, &problems)})
        })
        .collect();
    // Problems of keys that no definition has: misspelt ones, and those below transforms.
    let mut strangers: Vec<&str> = problems.iter().map(|p| p.key.as_str()).filter(|name| !known(name)).collect();
    strangers.dedup();
    for name in strangers {
        let value = raw.get(name).map(String::as_str);
        configs.push(json!({"definition": Value::Null, "value": value_of(name, value, &problems)}));
    }
    Ok(Json(json!({
        "name": connector.class(), "error_count": problems.len(), "groups": ["Common"], "configs": configs,
    })))
}

fn find<'a>(plugins: &'a Plugins, class: &str) -> Result<&'a dyn Connector, RestError> {
    let missing = || RestError::new(StatusCode::NOT_FOUND, format!("Unknown plugin {class}."));
    plugins.connector(class).map(AsRef::as_ref).ok_or_else(missing)
}

fn key_of(key: &ConfigKey) -> Value {
    let importance = match key.importance {
        Importance::High => "HIGH",
        Importance::Medium => "MEDIUM",
        Importance::Low => "LOW",
    };
    json!({
        "name": key.name, "type": key.kind.kafka_name(), "required": key.required, "default_value": key.default,
        "importance": importance, "documentation": key.doc, "group": "Common", "width": "MEDIUM",
        "display_name": key.name, "dependents": [], "order": -1,
    })
}

fn value_of(name: &str, value: Option<&str>, problems: &[ConfigProblem]) -> Value {
    let errors: Vec<&str> = problems.iter().filter(|p| p.key == name).map(|p| p.message.as_str()).collect();
    json!({"name": name, "value": value, "recommended_values": [], "errors": errors, "visible": true})
}
