//! What a process is told to do: a file, over it `WEIR_…` variables, over these `--set`.
//!
//! [`ConfigArgs`] is how the command line names these; [`Config`] is what they come to, sorted by the part of the
//! process that each key is for. [`properties`] and [`yaml`] read files, [`overrides`] the rest, [`search`] and
//! [`process`] check the keys of parts that have no reader of their own.
//!
//! Every value keeps the place where it was written, and every error names it. Which broker keys exist is the broker's
//! business, which connect keys the worker's.

mod broker;
mod check;
mod connect;
mod http;
mod overrides;
mod process;
mod properties;
mod search;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Args;
use indexmap::IndexMap;
use weir_broker::Properties;
use weir_connect::document::Form;
use weir_connect::yaml::{Node, parse_json};
use weir_connect_api::config::{Config as Checked, ConfigDef, ConfigProblem};

pub(crate) use check::{Counts, Findings};
pub(crate) use process::{LogFormat, ProcessSettings, definition as process_definition};
pub(crate) use search::{SearchSettings, definition as search_definition};

/// Which configuration a process runs with.
#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// weir.yaml, or Kafka's server.properties
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting over those of the file: a Kafka key, or one of search.…, connect.…, http.…, data, log.level, log.format
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// error, warn, info, debug, trace, or a filter such as info,weir_broker=debug
    #[arg(long, env = "WEIR_LOG", value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Why a configuration was refused: one line that names the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn at(origin: &str, message: impl std::fmt::Display) -> Self {
        Self(format!("{origin}: {message}"))
    }
}

/// Settings by the part that they are for, each with its origin.
#[derive(Debug, Default)]
pub(crate) struct Config {
    process: Properties,
    broker: Properties,
    search: Properties,
    connect: Properties,
    /// What the worker reads connectors from: a YAML file's documents, or one file per connector.
    documents: Vec<Node>,
}

/// The part of a process that a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Process,
    Broker,
    Search,
    Connect,
}

impl Config {
    /// Reads the file, the environment and the command line. `properties` is the part that a .properties file is for.
    pub(crate) fn load(args: &ConfigArgs, properties: Part) -> Result<Self, ConfigError> {
        let read = |path| Self::read_for(path, properties);
        let mut config = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        overrides::from_environment(&mut config, std::env::vars_os())?;
        overrides::from_arguments(&mut config, &args.set)?;
        if let Some(level) = &args.log_level {
            overrides::log_level(&mut config, level);
        }
        config.http_listeners_without_scheme();
        Ok(config)
    }

    /// Reads one file, by its ending; .properties without a connector are the broker's.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_for(path, Part::Broker)
    }

    /// Reads the connectors of files, whose settings are for somebody else.
    pub(crate) fn read_connectors(paths: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for path in paths {
            let file = Self::read(path)?;
            if file.documents.is_empty() {
                let name = path.display().to_string();
                return Err(ConfigError::at(&name, "this is no connector: it has no `connector.class`"));
            }
            all.documents.extend(file.documents);
        }
        Ok(all)
    }

    /// Adds the connectors of a file that has no settings, which would have no effect.
    pub(crate) fn add_connectors(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = Self::read(path)?;
        let settings = [&file.process, &file.broker, &file.search, &file.connect];
        if let Some(property) = settings.into_iter().find_map(|part| part.values().next()) {
            let message =
                "a file of connectors is asked for, and this is a setting of a process: name that file with -c";
            return Err(ConfigError::at(&property.origin, message));
        }
        self.documents.extend(file.documents);
        Ok(())
    }

    fn read_for(path: &Path, properties: Part) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| ConfigError::at(&name, error))?;
        let text = String::from_utf8(text).map_err(|error| not_utf8(&name, error.as_bytes()))?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => yaml::read(&name, &text),
            Some("json") => {
                let root = parse_json(&name, &text)?;
                if Form::of(&root)? == Form::Weir {
                    return Err(ConfigError::at(&root.at.to_string(), "a connector has a `name` and a `config`"));
                }
                Ok(Self { documents: vec![root], ..Self::default() })
            }
            Some("properties") => properties::read(&name, &text, properties),
            _ => Err(ConfigError::at(&name, "cannot tell what this is: name it .yaml, .json or .properties")),
        }
    }

    fn part(&mut self, part: Part) -> &mut Properties {
        match part {
            Part::Process => &mut self.process,
            Part::Broker => &mut self.broker,
            Part::Search => &mut self.search,
            Part::Connect => &mut self.connect,
        }
    }

    /// `http://localhost:9464` and `localhost:9464` say the same.
    fn http_listeners_without_scheme(&mut self) {
        if let Some(property) = self.broker.get_mut("http.listeners") {
            let bare = |address: &str| address.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
            property.value = property.value.split(',').map(bare).collect::<Vec<_>>().join(",");
        }
    }
}

/// Checks a part's settings against its definition; all that is wrong is said, one line each.
fn checked(definition: &ConfigDef, settings: &Properties) -> Result<Checked, ConfigError> {
    definition.parse(&values(settings)).map_err(|problems| located(settings, &problems))
}

fn values(settings: &Properties) -> IndexMap<String, String> {
    settings.iter().map(|(key, property)| (key.clone(), property.value.clone())).collect()
}

/// Problems with the places of their keys.
fn located(settings: &Properties, problems: &[ConfigProblem]) -> ConfigError {
    let line = |problem: &ConfigProblem| match settings.get(&problem.key) {
        Some(property) => format!("{}: {problem}", property.origin),
        None => problem.to_string(),
    };
    ConfigError(problems.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn not_utf8(name: &str, bytes: &[u8]) -> ConfigError {
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let line = bytes[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
    ConfigError::at(&format!("{name}:{line}"), "this is not UTF-8")
}
