//! `weir.yaml`: one file for all parts of a process.
//!
//! `broker:` has Kafka's own keys, `http:`, `search:`, `connect:` and `log:` theirs, nested or dotted; `data:` is the
//! folder of everything. `defaults:`, `connectors:` and `tests:` are read by the worker, and so are documents that are one
//! connector in another product's form.

use weir_broker::Property;
use weir_connect::document::Form;
use weir_connect::yaml::{Entry, Flat, Node, YamlError, flatten, parse_all};
use weir_connect_api::config::nearest;

use super::{Config, ConfigError, Part};

const DATA: &str = "data";
/// Sections, the part that each is for, and what its keys begin with there.
const SECTIONS: &[(&str, Part, &str)] = &[
    (DATA, Part::Process, DATA),
    ("log", Part::Process, "log"),
    ("broker", Part::Broker, ""),
    ("http", Part::Broker, "http"),
    ("search", Part::Search, ""),
    ("connect", Part::Connect, ""),
];
/// Sections that the worker reads itself.
const WORKER_SECTIONS: &[&str] = &["defaults", "connectors", "tests"];

pub(super) fn read(file: &str, text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for document in parse_all(file, text)? {
        if Form::of(&document)? == Form::Weir {
            read_sections(&document, &mut config)?;
        }
        config.documents.push(document);
    }
    Ok(config)
}

fn read_sections(document: &Node, config: &mut Config) -> Result<(), ConfigError> {
    for entry in document.mapping("the file")? {
        if WORKER_SECTIONS.contains(&entry.key.as_str()) {
            continue;
        }
        let section = SECTIONS.iter().find(|(name, ..)| *name == entry.key).ok_or_else(|| unknown(entry))?;
        let (_, part, prefix) = *section;
        let mut flat = Flat::new();
        if entry.key == DATA {
            entry.node.scalar(DATA)?;
        } else if entry.node.mapping(&format!("`{}`", entry.key))?.is_empty() {
            continue;
        }
        flatten(prefix, &entry.node, &mut flat)?;
        for (key, (value, at)) in flat {
            let (at, settings) = (at.to_string(), config.part(part));
            if let Some(earlier) = settings.get(&key) {
                let message = format!("`{key}` was given before, at {}", earlier.origin);
                return Err(ConfigError::at(&at, message));
            }
            settings.insert(key, Property::new(value, at));
        }
    }
    Ok(())
}

fn unknown(entry: &Entry) -> ConfigError {
    let known = SECTIONS.iter().map(|(name, ..)| *name).chain(WORKER_SECTIONS.iter().copied());
    let hint = match nearest(&entry.key, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    };
    ConfigError::at(&entry.at.to_string(), format!("unknown section `{}`; {hint}", entry.key))
}

impl From<YamlError> for ConfigError {
    fn from(error: YamlError) -> Self {
        Self::new(error.to_string())
    }
}
