//! The built-in transforms, one file each. They share the fields' addresses ([`field`]), the condition language
//! ([`expression`]) and this module's [`Plugin`], which gives every transform the key `if`.
//!
//! Invariant: a transform that fails leaves the record as it was, or at least usable: it may go to a dead letter.

mod cast;
mod expression;
mod field;
mod filter;
mod grok;
mod insert_field;
mod mask_field;
mod parse;
mod replace_field;
mod timestamp;

use std::sync::Arc;

use weir_connect_api::{
    Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform, TransformPlugin,
};

use expression::Expression;

/// Every transform, in the order in which people meet them.
pub(crate) fn all() -> Vec<Arc<dyn TransformPlugin>> {
    let mut plugins = parse::plugins();
    plugins.push(filter::plugin());
    plugins.extend([mask_field::plugin(), insert_field::plugin()]);
    plugins.extend(replace_field::plugins());
    plugins.extend([timestamp::plugin(), cast::plugin()]);
    plugins.into_iter().map(|plugin| Arc::new(plugin) as Arc<dyn TransformPlugin>).collect()
}

type Build = fn(&Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>>;

/// A transform as a value: its names, its keys, and how it is built.
struct Plugin {
    name: &'static str,
    aliases: &'static [&'static str],
    definition: ConfigDef,
    build: Build,
}

impl Plugin {
    /// With the key `if`, which lets the transform see only some records.
    fn new(name: &'static str, aliases: &'static [&'static str], mut keys: Vec<ConfigKey>, build: Build) -> Self {
        keys.push(ConfigKey::new(
            "if",
            ConfigType::String,
            "Which records are transformed, as in `status >= 500 && path contains \"/api/\"`; others pass unchanged.",
        ));
        Self { name, aliases, definition: ConfigDef::new(keys), build }
    }
}

impl TransformPlugin for Plugin {
    fn name(&self) -> &'static str {
        self.name
    }

    fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    fn config_def(&self) -> &ConfigDef {
        &self.definition
    }

    fn build(&self, config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
        let transform = (self.build)(config)?;
        match config.opt_str("if") {
            // A filter's condition is its own.
            Some(condition) if self.name != filter::NAME => {
                let condition =
                    Expression::parse(condition).map_err(|e| vec![ConfigProblem::new("if", e.to_string())])?;
                Ok(Box::new(Conditional { condition, transform }))
            }
            _ => Ok(transform),
        }
    }
}

struct Conditional {
    condition: Expression,
    transform: Box<dyn Transform>,
}

impl Transform for Conditional {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        if self.condition.is_true(json(record)?) { self.transform.apply(record) } else { Ok(true) }
    }
}

/// The record's value as JSON.
fn json(record: &mut Record) -> Result<&mut serde_json::Value, ConnectError> {
    record.value.json_mut().map_err(|e| ConnectError::record(e.to_string()))
}

/// The record's value as an object, which most transforms need.
fn object(record: &mut Record) -> Result<&mut serde_json::Map<String, serde_json::Value>, ConnectError> {
    let value = json(record)?;
    let kind = field::kind(value);
    value.as_object_mut().ok_or_else(|| {
        ConnectError::record(format!("the value is {kind}, not an object with fields: put a `parse` transform before"))
    })
}

fn problem(key: &str, message: impl std::fmt::Display) -> Vec<ConfigProblem> {
    vec![ConfigProblem::new(key, message.to_string())]
}

/// `a:b, c:d`, as Kafka's `renames` and `spec` are written.
fn pairs(key: &str, config: &Config) -> Result<Vec<(String, String)>, Vec<ConfigProblem>> {
    let (mut pairs, mut problems) = (Vec::new(), Vec::new());
    for item in config.list(key) {
        match item.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                pairs.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => problems.push(ConfigProblem::new(key, format!("`{item}` is not of the form name:value"))),
        }
    }
    if problems.is_empty() { Ok(pairs) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
