//! `weir.yaml`: one file for all parts of a process.
//!
//! `broker:` has Kafka's own keys, `http:`, `search:`, `connect:` and `log:` theirs, nested or dotted; `data:` is the
//! folder of everything. `defaults:`, `connectors:` and `tests:` are read by the worker.

use weir_broker::Property;
use weir_connect::yaml::{Entry, Flat, YamlError, flatten, parse};
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
    let document = parse(file, text)?;
    let mut config = Config::default();
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
        let settings = flat.into_iter().map(|(key, (value, at))| (key, Property::new(value, at.to_string())));
        config.part(part).extend(settings);
    }
    config.document = Some(document);
    Ok(config)
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
