//! One key: its name, its type, its default, and what a value may be.

use super::units::{parse_duration, parse_size};

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

/// A value that still holds a `${…}` is only checked once that is resolved.
pub(super) fn check(key: &ConfigKey, value: &str) -> Result<(), String> {
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
