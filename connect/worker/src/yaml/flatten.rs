//! Nested maps as a flat map with dotted keys: `errors: {tolerance: all}` is `errors.tolerance=all`.

use indexmap::IndexMap;

use super::{Entry, Location, Node, Value, YamlError};

/// Dotted key → value, with the place where the key was written.
pub type Flat = IndexMap<String, (String, Location)>;

/// Flattens one node below `prefix` into `flat`. Lists of single values are joined by commas, as Kafka writes lists; an
/// item that has a comma itself cannot be, which is an error.
pub fn flatten(prefix: &str, node: &Node, flat: &mut Flat) -> Result<(), YamlError> {
    match &node.value {
        Value::Scalar(text) => insert(prefix, text.clone(), &node.at, flat),
        Value::Sequence(items) => insert(prefix, joined(prefix, items)?, &node.at, flat),
        Value::Mapping(entries) => entries.iter().try_for_each(|entry| flatten_entry(prefix, entry, flat)),
    }
}

/// Flattens one key and its value below `prefix` into `flat`.
pub fn flatten_entry(prefix: &str, entry: &Entry, flat: &mut Flat) -> Result<(), YamlError> {
    let key = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
    match &entry.node.value {
        // The key's place says more than the value's.
        Value::Scalar(text) => insert(&key, text.clone(), &entry.at, flat),
        Value::Sequence(items) => insert(&key, joined(&key, items)?, &entry.at, flat),
        Value::Mapping(_) => flatten(&key, &entry.node, flat),
    }
}

fn insert(key: &str, value: String, at: &Location, flat: &mut Flat) -> Result<(), YamlError> {
    match flat.insert(key.to_owned(), (value, at.clone())) {
        Some((_, earlier)) => Err(YamlError::new(at, format!("`{key}` was given before, at {earlier}"))),
        None => Ok(()),
    }
}

fn joined(key: &str, items: &[Node]) -> Result<String, YamlError> {
    let item = |node: &Node| {
        let text = node.scalar(&format!("an item of `{key}`"))?;
        if text.contains(',') {
            let message = format!("an item of `{key}` has a comma, which would make two of it: `{text}`");
            return Err(YamlError::new(&node.at, message));
        }
        Ok(text.to_owned())
    };
    Ok(items.iter().map(item).collect::<Result<Vec<_>, _>>()?.join(","))
}
