//! Configuration as Kafka Connect keeps it: a flat map of strings, and a [`ConfigDef`] that says what each key means.
//!
//! Never resolves `${env:…}` or `${file:…}`: the worker does that just before a task starts, so that secrets stay out
//! of storage, REST and logs.

use std::time::Duration;

use indexmap::IndexMap;

/// Kafka's words for types, with two of our own at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    Boolean,
    Int,
    Long,
    Double,
    String,
    /// Comma-separated.
    List,
    /// Hidden in REST and logs.
    Password,
    Class,
    /// Milliseconds, or a number with `ms`, `s`, `m`, `h`, `d`.
    Duration,
    /// Bytes, or a number with `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`.
    Size,
}

impl ConfigType {
    /// The name in `…/config` and `…/validate`. Kafka knows no durations and sizes: they show as `LONG`.
    pub fn kafka_name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Int => "INT",
            Self::Long | Self::Duration | Self::Size => "LONG",
            Self::Double => "DOUBLE",
            Self::String => "STRING",
            Self::List => "LIST",
            Self::Password => "PASSWORD",
            Self::Class => "CLASS",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

#[derive(Debug, Clone)]
pub struct ConfigKey {
    pub name: &'static str,
    pub kind: ConfigType,
    /// `None` with `required: false` means "not set".
    pub default: Option<&'static str>,
    pub required: bool,
    pub importance: Importance,
    /// One or two sentences for people.
    pub doc: &'static str,
    /// Allowed values, or empty when anything of the type will do.
    pub choices: &'static [&'static str],
    /// Smallest and largest value of a number (for durations in ms, for sizes in bytes).
    pub range: Option<(i64, i64)>,
    /// Other spellings, of other products' connectors, that mean this key.
    pub aliases: &'static [&'static str],
}

impl ConfigKey {
    pub const fn new(name: &'static str, kind: ConfigType, doc: &'static str) -> Self {
        let importance = Importance::Medium;
        Self { name, kind, default: None, required: false, importance, doc, choices: &[], range: None, aliases: &[] }
    }

    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self.importance = Importance::High;
        self
    }

    #[must_use]
    pub const fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    #[must_use]
    pub const fn range(mut self, least: i64, most: i64) -> Self {
        self.range = Some((least, most));
        self
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

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

/// A value that still holds a `${…}` is only checked once that is resolved.
fn check(key: &ConfigKey, value: &str) -> Result<(), String> {
    if value.contains("${") {
        return Ok(());
    }
    let trimmed = value.trim();
    let number = match key.kind {
        ConfigType::Boolean if !["true", "false"].contains(&trimmed.to_ascii_lowercase().as_str()) => {
            return Err(format!("`{value}` is not true or false"));
        }
        ConfigType::Int => {
            Some(trimmed.parse::<i32>().map(i64::from).map_err(|_| format!("`{value}` is not a whole number"))?)
        }
        ConfigType::Long => Some(trimmed.parse::<i64>().map_err(|_| format!("`{value}` is not a whole number"))?),
        ConfigType::Duration => Some(i64::try_from(parse_duration(value)?.as_millis()).unwrap_or(i64::MAX)),
        ConfigType::Size => Some(i64::try_from(parse_size(value)?).unwrap_or(i64::MAX)),
        ConfigType::Double => {
            trimmed.parse::<f64>().map_err(|_| format!("`{value}` is not a number"))?;
            None
        }
        _ => None,
    };
    match (number, key.range) {
        (Some(number), Some((least, most))) if number < least || number > most => {
            return Err(format!("`{value}` is not between {least} and {most}"));
        }
        _ => {}
    }
    if !key.choices.is_empty() && !key.choices.iter().any(|choice| choice.eq_ignore_ascii_case(trimmed)) {
        return Err(format!("`{value}` is not one of {}", key.choices.join(", ")));
    }
    Ok(())
}

/// `250`, `250ms`, `5s`, `1m`, `2h`, `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let ms: f64 = match unit {
        "" | "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        "d" => 86_400e3,
        _ => return Err(format!("`{text}` is not a duration: use ms, s, m, h or d, as in 5s")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is not a duration, as in 250ms or 5s"))?;
    Duration::try_from_secs_f64(number * ms / 1e3).map_err(|_| format!("`{text}` is not a duration that can be kept"))
}

/// `4096`, `64KiB`, `4MiB`, `1GB`; in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("`{text}` is not a size: use KiB, MiB, GiB, kB, MB or GB, as in 4MiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size, as in 64KiB or 4MiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is more than a size can be"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// The candidate with the smallest edit distance, when it is at most a third of the word's length.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    candidates.map(|c| (distance(name, c), c)).filter(|(d, _)| *d <= most).min_by_key(|(d, _)| *d).map(|(_, c)| c)
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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

    #[test]
    fn sizes_and_durations_take_units() {
        assert_eq!(parse_size("4MiB"), Ok(4 << 20));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(parse_size("99999999999GiB").is_err());
    }
}
