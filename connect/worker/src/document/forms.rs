//! Connectors as other products write them: a file is one of these when it is no weir.yaml.
//!
//! | form | told by | is |
//! |---|---|---|
//! | REST | `name`, `config` | what Kafka Connect's REST takes and gives, and kcctl applies |
//! | flat | `connector.class` | a bare configuration with its `name`, as in Kafka's .properties files |
//! | manifest | `kind`, `apiVersion` | Strimzi's `KafkaConnector` |

use weir_connect_api::config::nearest;

use super::{NamedConfig, WantedState};
use crate::state::TargetState;
use crate::yaml::{Entry, Flat, Location, Node, YamlError, flatten, flatten_entry};

const CLASS: &str = "connector.class";
const TASKS_MAX: &str = "tasks.max";
const RESTARTS_MAX: &str = "restart.attempts.max";
const NAME: &str = "name";
const MANIFEST_KIND: &str = "KafkaConnector";
/// Of a manifest, what is for Kubernetes alone.
const NOT_OURS: &[&str] = &["apiVersion", "status"];
/// Of a connector as REST gives it, what the worker knows better.
const GIVEN_BY_REST: &[&str] = &["tasks", "type"];

/// How a file, or one document of it, is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `connectors` and other sections.
    Weir,
    Rest,
    Flat,
    Manifest,
}

impl Form {
    pub fn of(root: &Node) -> Result<Self, YamlError> {
        let entries = root.mapping("the file")?;
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        Ok(if has("kind") || has("apiVersion") {
            Self::Manifest
        } else if has(CLASS) {
            Self::Flat
        } else if has(NAME) || has("config") {
            Self::Rest
        } else {
            Self::Weir
        })
    }
}

/// `{"name": …, "config": {…}}`.
pub(super) fn rest(root: &Node) -> Result<NamedConfig, YamlError> {
    let (mut name, mut config, mut state) = (None, None, None);
    for entry in root.mapping("a connector")? {
        match entry.key.as_str() {
            NAME => name = Some(named(entry)?),
            "config" => config = Some(entry),
            "initial_state" => state = Some(WantedState::Initially(target(entry)?)),
            key if GIVEN_BY_REST.contains(&key) => {}
            _ => return Err(unknown(entry, "a connector", &[NAME, "config", "initial_state"])),
        }
    }
    let config = config.ok_or_else(|| YamlError::new(&root.at, "a connector needs a `config`"))?;
    let mut flat = Flat::new();
    flatten("", &config.node, &mut flat)?;
    connector(name, &root.at, flat, state)
}

pub(super) fn flat(root: &Node) -> Result<NamedConfig, YamlError> {
    let mut flat = Flat::new();
    flatten("", root, &mut flat)?;
    connector(None, &root.at, flat, None)
}

/// `kind: KafkaConnector`, `metadata.name`, `spec`.
pub(super) fn manifest(root: &Node) -> Result<NamedConfig, YamlError> {
    let (mut name, mut spec, mut kind) = (None, None, None);
    for entry in root.mapping("a manifest")? {
        match entry.key.as_str() {
            "kind" => kind = Some((entry.node.scalar("`kind`")?, &entry.at)),
            "metadata" => {
                let found = entry.node.mapping("`metadata`")?.iter().find(|entry| entry.key == NAME);
                name = found.map(named).transpose()?;
            }
            "spec" => spec = Some(entry),
            key if NOT_OURS.contains(&key) => {}
            _ => return Err(unknown(entry, "a manifest", &["kind", "metadata", "spec"])),
        }
    }
    match kind {
        Some((MANIFEST_KIND, _)) => {}
        Some((kind, at)) => return Err(YamlError::new(at, format!("`{kind}` is not a connector: {MANIFEST_KIND} is"))),
        None => return Err(YamlError::new(&root.at, "a manifest needs a `kind`")),
    }
    let name = name.ok_or_else(|| YamlError::new(&root.at, "a manifest needs a `metadata.name`"))?;
    let spec = spec.ok_or_else(|| YamlError::new(&root.at, "a manifest needs a `spec`"))?;
    let (flat, state) = of_spec(spec)?;
    connector(Some(name), &root.at, flat, state)
}

fn of_spec(spec: &Entry) -> Result<(Flat, Option<WantedState>), YamlError> {
    const KEYS: &[&str] = &["class", "tasksMax", "config", "state", "pause", "autoRestart"];
    let (mut flat, mut state, mut pause) = (Flat::new(), None, None);
    let moved = |entry: &Entry, key: &str, flat: &mut Flat| {
        flatten_entry("", &Entry { key: key.to_owned(), ..entry.clone() }, flat)
    };
    for entry in spec.node.mapping("`spec`")? {
        match entry.key.as_str() {
            "class" => moved(entry, CLASS, &mut flat)?,
            "tasksMax" => moved(entry, TASKS_MAX, &mut flat)?,
            "config" => flatten("", &entry.node, &mut flat)?,
            "state" => state = Some(target(entry)?),
            "pause" if is_true(entry)? => pause = Some(TargetState::Paused),
            "pause" => pause = Some(TargetState::Started),
            "autoRestart" => auto_restart(entry, &mut flat)?,
            _ => return Err(unknown(entry, "`spec`", KEYS)),
        }
    }
    Ok((flat, state.or(pause).map(WantedState::Always)))
}

/// Left out, a connector is restarted as any other of this worker.
fn auto_restart(entry: &Entry, flat: &mut Flat) -> Result<(), YamlError> {
    let mut restarts_max = None;
    for entry in entry.node.mapping("`autoRestart`")? {
        match entry.key.as_str() {
            "enabled" if is_true(entry)? => {}
            "enabled" => restarts_max = Some("0".to_owned()),
            "maxRestarts" => {
                let text = entry.node.scalar("`maxRestarts`")?.to_owned();
                restarts_max.get_or_insert(text);
            }
            _ => return Err(unknown(entry, "`autoRestart`", &["enabled", "maxRestarts"])),
        }
    }
    if let Some(restarts_max) = restarts_max {
        flat.insert(RESTARTS_MAX.to_owned(), (restarts_max, entry.at.clone()));
    }
    Ok(())
}

/// The name may stand beside the configuration, in it, or, when it is the same, in both places.
fn connector(
    name: Option<(String, Location)>,
    at: &Location,
    flat: Flat,
    state: Option<WantedState>,
) -> Result<NamedConfig, YamlError> {
    let (name, at) = match (name, flat.get(NAME)) {
        (Some((name, _)), Some((inner, at))) if name != *inner => {
            return Err(YamlError::new(at, format!("the connector is called `{name}` and, here, `{inner}`")));
        }
        (Some(name), _) => name,
        (None, Some(inner)) => inner.clone(),
        (None, None) => return Err(YamlError::new(at, "a connector needs a `name`")),
    };
    Ok(NamedConfig::new(name, at, flat, state))
}

fn named(entry: &Entry) -> Result<(String, Location), YamlError> {
    Ok((entry.node.scalar("`name`")?.to_owned(), entry.at.clone()))
}

/// Strimzi writes states in small letters, REST in capitals.
fn target(entry: &Entry) -> Result<TargetState, YamlError> {
    let text = entry.node.scalar(&format!("`{}`", entry.key))?;
    let message = || format!("`{text}` is no state: running, paused or stopped");
    TargetState::parse(&text.to_uppercase()).ok_or_else(|| YamlError::new(&entry.node.at, message()))
}

fn is_true(entry: &Entry) -> Result<bool, YamlError> {
    match entry.node.scalar(&format!("`{}`", entry.key))? {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(YamlError::new(&entry.node.at, format!("`{other}` is neither true nor false"))),
    }
}

fn unknown(entry: &Entry, place: &str, known: &[&str]) -> YamlError {
    let hint = match nearest(&entry.key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    YamlError::new(&entry.at, format!("unknown key `{}` of {place}; {hint}", entry.key))
}
