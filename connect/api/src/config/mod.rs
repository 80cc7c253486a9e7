//! Configuration as Kafka Connect keeps it: a flat map of strings, and a [`ConfigDef`] that says what each key means.
//!
//! Never resolves `${env:…}` or `${file:…}`: the worker does that just before a task starts, so that secrets stay out
//! of storage, REST and logs.
//!
//! Reading order: `key`, `units`, then here, `typed` (what a connector makes of it), `nearest`.

mod key;
mod nearest;
mod typed;
mod units;

use std::time::Duration;

use indexmap::IndexMap;

use key::check;
pub use key::{ConfigKey, ConfigType, Importance};
pub use nearest::nearest;
pub use typed::TypedConfig;
pub use units::{parse_duration, parse_size};

/// What is wrong with one key, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct ConfigProblem {
    pub key: String,
    pub message: String,
}

impl ConfigProblem {
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// All of them in one line.
pub fn problems_text(problems: &[ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The keys that a connector or transform knows.
#[derive(Debug, Clone, Default)]
pub struct ConfigDef {
    keys: Vec<ConfigKey>,
    /// Keys that begin so are accepted with any ending (`transforms.`, `producer.override.`).
    prefixes: Vec<&'static str>,
}

impl ConfigDef {
    pub fn new(keys: Vec<ConfigKey>) -> Self {
        Self { keys, prefixes: Vec::new() }
    }

    #[must_use]
    pub fn with_prefix(mut self, prefix: &'static str) -> Self {
        self.prefixes.push(prefix);
        self
    }

    /// This definition with `other`'s keys and prefixes behind its own.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.keys.extend(other.keys.iter().cloned());
        self.prefixes.extend(&other.prefixes);
        self
    }

    pub fn keys(&self) -> &[ConfigKey] {
        &self.keys
    }

    /// The key of that name or alias.
    pub fn key(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name || key.aliases.contains(&name))
    }

    /// The known key that is spelled most like `name`, if any is close.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.keys.iter().map(|key| key.name))
    }

    /// Checks `raw` and gives the typed view: aliases replaced by their keys, defaults filled in. All problems are
    /// reported at once.
    pub fn parse(&self, raw: &IndexMap<String, String>) -> Result<Config, Vec<ConfigProblem>> {
        let mut values = IndexMap::new();
        let mut problems = Vec::new();
        for (name, value) in raw {
            match self.key(name) {
                Some(key) => {
                    if let Err(message) = check(key, value) {
                        problems.push(ConfigProblem::new(name, message));
                    }
                    if values.insert(key.name.to_owned(), value.clone()).is_some() {
                        problems.push(ConfigProblem::new(name, format!("also given as `{}`", key.name)));
                    }
                }
                None if self.prefixes.iter().any(|prefix| name.starts_with(prefix)) => {
                    values.insert(name.clone(), value.clone());
                }
                None => problems.push(ConfigProblem::new(name, self.unknown(name))),
            }
        }
        for key in &self.keys {
            match key.default {
                _ if values.contains_key(key.name) => {}
                Some(default) => {
                    values.insert(key.name.to_owned(), default.to_owned());
                }
                None if key.required => problems.push(ConfigProblem::new(key.name, "is required and has no default")),
                None => {}
            }
        }
        if problems.is_empty() { Ok(Config { values }) } else { Err(problems) }
    }

    fn unknown(&self, name: &str) -> String {
        match self.nearest(name) {
            Some(near) => format!("unknown key; did you mean `{near}`?"),
            None => "unknown key".to_owned(),
        }
    }
}

/// A checked configuration: every accessor is for a declared key of that type. Asking for a key that its
/// [`ConfigDef`] does not declare as required or with a default, other than by `opt_…`, is a bug and panics.
#[derive(Debug, Clone, Default)]
pub struct Config {
    values: IndexMap<String, String>,
}

impl Config {
    pub fn opt_str(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn str(&self, key: &str) -> &str {
        self.opt_str(key).unwrap_or_else(|| panic!("config key {key} has neither a value nor a default"))
    }

    pub fn bool(&self, key: &str) -> bool {
        self.str(key).trim().eq_ignore_ascii_case("true")
    }

    pub fn i64(&self, key: &str) -> i64 {
        parsed(key, self.str(key).trim().parse())
    }

    pub fn usize(&self, key: &str) -> usize {
        parsed(key, self.str(key).trim().parse())
    }

    pub fn f64(&self, key: &str) -> f64 {
        parsed(key, self.str(key).trim().parse())
    }

    pub fn duration(&self, key: &str) -> Duration {
        parsed(key, parse_duration(self.str(key)))
    }

    pub fn size_bytes(&self, key: &str) -> u64 {
        parsed(key, parse_size(self.str(key)))
    }

    /// The items of a list, trimmed; an empty string is an empty list.
    pub fn list(&self, key: &str) -> Vec<&str> {
        self.str(key).split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// The keys below `prefix`, without it.
    pub fn below(&self, prefix: &str) -> IndexMap<String, String> {
        self.values.iter().filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone()))).collect()
    }

    pub fn entries(&self) -> &IndexMap<String, String> {
        &self.values
    }

    /// The same with every value passed through `resolve`; used to fill in secrets.
    pub fn try_map<E>(&self, mut resolve: impl FnMut(&str, &str) -> Result<String, E>) -> Result<Self, E> {
        let values = self.values.iter().map(|(k, v)| Ok((k.clone(), resolve(k, v)?))).collect::<Result<_, E>>()?;
        Ok(Self { values })
    }
}

fn parsed<T, E: std::fmt::Display>(key: &str, value: Result<T, E>) -> T {
    value.unwrap_or_else(|e| panic!("config key {key} was checked and yet does not parse: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> ConfigDef {
        ConfigDef::new(vec![
            ConfigKey::new("topic", ConfigType::String, "").required(),
            ConfigKey::new("batch.rows", ConfigType::Int, "")
                .default("5000")
                .range(1, 100_000)
                .aliases(&["batch.size"]),
            ConfigKey::new("linger", ConfigType::Duration, "").default("200ms"),
        ])
        .with_prefix("transforms.")
    }

    fn raw(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let problems = definition().parse(&raw(&[("topic", "t"), ("batch.row", "1")])).unwrap_err();
        assert_eq!(problems[0].to_string(), "batch.row: unknown key; did you mean `batch.rows`?");
    }

    #[test]
    fn defaults_aliases_and_prefixes_are_filled_in() {
        let config =
            definition().parse(&raw(&[("topic", "t"), ("batch.size", "7"), ("transforms.x.type", "drop")])).unwrap();
        assert_eq!(config.i64("batch.rows"), 7);
        assert_eq!(config.duration("linger"), Duration::from_millis(200));
        assert_eq!(config.below("transforms.")["x.type"], "drop");
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let problems = definition().parse(&raw(&[("batch.rows", "0"), ("linger", "5 parsecs")])).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
