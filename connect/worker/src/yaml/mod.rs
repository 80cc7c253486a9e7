//! YAML with positions: what stands where in a file, so that every error can name file, line and column.
//!
//! [`parse`] reads a file's text into [`Node`]s, [`parse_all`] one of several documents; [`flatten`] turns nested maps into the dotted string map that Kafka's
//! configurations are. Scalars are kept as they were written: what a value means is its key's business.
//!
//! Never resolves `${…}` and never knows which keys exist.

mod documents;
mod flatten;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use documents::{parse_all, parse_json};
pub use flatten::{Flat, flatten, flatten_entry};
use marked_yaml::{LoaderOptions, Marker, Span};

/// Where something was written. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct YamlError {
    pub at: Location,
    pub message: String,
}

impl YamlError {
    pub fn new(at: &Location, message: impl Into<String>) -> Self {
        Self { at: at.clone(), message: message.into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub at: Location,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As written; a null is the empty string.
    Scalar(String),
    Sequence(Vec<Node>),
    /// In the order of the file.
    Mapping(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub at: Location,
    pub node: Node,
}

impl Node {
    pub fn scalar(&self, what: &str) -> Result<&str, YamlError> {
        match &self.value {
            Value::Scalar(text) => Ok(text),
            other => Err(YamlError::new(&self.at, format!("{what} is {}, not a single value", other.kind()))),
        }
    }

    pub fn mapping(&self, what: &str) -> Result<&[Entry], YamlError> {
        match &self.value {
            Value::Mapping(entries) => Ok(entries),
            Value::Scalar(text) if text.is_empty() => Ok(&[]),
            other => Err(YamlError::new(&self.at, format!("{what} is {}, not keys with values", other.kind()))),
        }
    }

    pub fn sequence(&self, what: &str) -> Result<&[Node], YamlError> {
        match &self.value {
            Value::Sequence(items) => Ok(items),
            Value::Scalar(text) if text.is_empty() => Ok(&[]),
            other => Err(YamlError::new(&self.at, format!("{what} is {}, not a list", other.kind()))),
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "a single value",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "keys with values",
        }
    }
}

/// Reads the text of `file`, whose top level must be a mapping; an empty file is an empty mapping.
pub fn parse(file: &str, text: &str) -> Result<Node, YamlError> {
    let file: Arc<str> = file.into();
    let start = Location { file: Arc::clone(&file), line: 1, column: 1 };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node { at: start, value: Value::Mapping(Vec::new()) });
    }
    let options = LoaderOptions::default().error_on_duplicate_keys(true).prevent_coercion(true);
    match marked_yaml::parse_yaml_with_options(0, text, options) {
        Ok(node) => Ok(convert(&file, &node)),
        Err(error) => Err(loading(&file, &error)),
    }
}

fn convert(file: &Arc<str>, node: &marked_yaml::Node) -> Node {
    let value = match node {
        marked_yaml::Node::Scalar(scalar) => Value::Scalar(scalar_text(scalar)),
        marked_yaml::Node::Sequence(items) => Value::Sequence(items.iter().map(|item| convert(file, item)).collect()),
        marked_yaml::Node::Mapping(map) => {
            let entry = |(key, node): (&marked_yaml::types::MarkedScalarNode, &marked_yaml::Node)| Entry {
                key: key.as_str().to_owned(),
                at: location(file, key.span()),
                node: convert(file, node),
            };
            Value::Mapping(map.iter().map(entry).collect())
        }
    };
    let at = location(file, node.span());
    // A mapping without braces is said to begin at its first colon: its first key is the better place.
    let first_key = match &value {
        Value::Mapping(entries) => entries.first().map(|entry| &entry.at),
        _ => None,
    };
    let at = first_key.filter(|key| (key.line, key.column) < (at.line, at.column)).cloned().unwrap_or(at);
    Node { at, value }
}

/// YAML's ways to write null, unless quoted, are the empty string.
fn scalar_text(scalar: &marked_yaml::types::MarkedScalarNode) -> String {
    let text = scalar.as_str();
    if scalar.may_coerce() && matches!(text, "~" | "null") { String::new() } else { text.to_owned() }
}

fn location(file: &Arc<str>, span: &Span) -> Location {
    at(file, span.start())
}

fn at(file: &Arc<str>, marker: Option<&Marker>) -> Location {
    let (line, column) = marker.map_or((1, 1), |marker| (marker.line(), marker.column()));
    Location { file: Arc::clone(file), line, column }
}

fn loading(file: &Arc<str>, error: &marked_yaml::LoadError) -> YamlError {
    use marked_yaml::LoadError as E;
    let (marker, message) = match error {
        E::TopLevelMustBeMapping(marker) => (Some(marker), "the file must hold keys with values".to_owned()),
        E::UnexpectedAnchor(marker) => (Some(marker), "anchors and aliases are not understood here".to_owned()),
        E::MappingKeyMustBeScalar(marker) => (Some(marker), "a key must be a single value".to_owned()),
        E::UnexpectedTag(marker) => (Some(marker), "tags are not understood here".to_owned()),
        E::ScanError(marker, error) => (Some(marker), format!("this is not YAML: {}", error.info())),
        E::DuplicateKey(inner) => {
            let key = inner.key.as_str();
            (inner.key.span().start(), format!("the key `{key}` stands here a second time"))
        }
        other => (None, other.to_string()),
    };
    YamlError { at: at(file, marker), message }
}
