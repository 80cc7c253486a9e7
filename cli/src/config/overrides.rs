//! Settings over those of the file: `WEIR_…` variables and `--set`.
//!
//! A variable's name is the key in capitals with `_` for `.`, after `WEIR_`: `WEIR_BROKER_LOG_RETENTION_MS` is
//! `broker.log.retention.ms`, `WEIR_SEARCH_LISTENERS` is `search.listeners`. No key has an underscore, so the way back
//! is unambiguous. `--set` takes the same names, and Kafka's keys without `broker.`.

use std::ffi::OsString;

use weir_broker::Property;
use weir_broker::config::table::{Scope, find};

use super::{Config, ConfigError, Part, process};

const PREFIX: &str = "WEIR_";
/// What settings in variables begin with. Other variables are not settings.
const SECTIONS: &[&str] = &["BROKER_", "HTTP_", "SEARCH_", "CONNECT_", "LOG_"];
const DATA: &str = "DATA";
/// Variables of `weir`'s other commands.
const NOT_SETTINGS: &[&str] = &["WEIR_CONNECT_URL"];
const LOG_LEVEL: &str = "log.level";

pub(super) fn from_environment(
    config: &mut Config,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_setting(name)) else { continue };
        let value = value.to_str().ok_or_else(|| ConfigError::at(name, "this is not UTF-8"))?;
        let key = name[PREFIX.len()..].to_ascii_lowercase().replace('_', ".");
        insert(config, &key, value, name);
    }
    Ok(())
}

fn is_setting(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let named = rest == DATA || SECTIONS.iter().any(|section| rest.starts_with(section));
    named && !NOT_SETTINGS.contains(&name) && !is_service_link(rest)
}

/// Kubernetes gives every pod variables about the services of its namespace: one called `weir-broker` is
/// `WEIR_BROKER_SERVICE_HOST`, `WEIR_BROKER_PORT_9092_TCP` and more.
fn is_service_link(rest: &str) -> bool {
    let port_number = |(_, after): (&str, &str)| after.starts_with(|c: char| c.is_ascii_digit());
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.ends_with("_PORT")
        || rest.split_once("_PORT_").is_some_and(port_number)
}

pub(super) fn from_arguments(config: &mut Config, settings: &[String]) -> Result<(), ConfigError> {
    for setting in settings {
        let pair = setting.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        let (key, value) = pair.ok_or_else(|| ConfigError::at("--set", format!("`{setting}` is not key=value")))?;
        insert(config, key.trim(), value, "--set");
    }
    Ok(())
}

pub(super) fn log_level(config: &mut Config, level: &str) {
    insert(config, LOG_LEVEL, level, "--log-level");
}

fn insert(config: &mut Config, key: &str, value: &str, origin: &str) {
    let (part, key) = place(key);
    config.part(part).insert(key.to_owned(), Property::new(value, origin));
}

/// The part that a key is for, and its name there. Kafka has keys such as `broker.id`, so a whole name goes first.
fn place(key: &str) -> (Part, &str) {
    if process::is_known(key) {
        return (Part::Process, key);
    }
    if find(Scope::Broker, key).is_some() {
        return (Part::Broker, key);
    }
    let sections = [("broker.", Part::Broker), ("search.", Part::Search), ("connect.", Part::Connect)];
    let section = sections.iter().find_map(|(prefix, part)| Some((*part, key.strip_prefix(prefix)?)));
    section.unwrap_or((Part::Broker, key))
}
