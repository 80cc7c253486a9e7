//! One row per key.

use weir_broker::config::table::{Check, ConfigKey as BrokerKey, Kind, Update};
use weir_connect_api::config::{ConfigKey, ConfigType};

const UNBOUNDED: &[i64] = &[i64::MAX, i32::MAX as i64];

/// Keys of the broker and of topics.
pub(super) fn broker_table(keys: &[&BrokerKey]) -> String {
    let mut table = "| key | type | default | changes | meaning |\n|---|---|---|---|---|\n".to_owned();
    for key in keys {
        let update = match key.update {
            Update::ReadOnly => "at start",
            Update::PerBroker | Update::ClusterWide => "at once",
        };
        let default = key.default.map(shown).unwrap_or_default();
        table += &row(&[&code(key.name), kind(key.kind), &default, update, &broker_meaning(key)]);
    }
    table
}

/// Keys of a [`weir_connect_api::ConfigDef`].
pub(super) fn connect_table(keys: &[ConfigKey]) -> String {
    let mut table = "| key | type | default | meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys {
        let default = match key.default {
            _ if key.required => "required".to_owned(),
            Some(value) => shown(value),
            None => String::new(),
        };
        table += &row(&[&code(key.name), connect_kind(key.kind), &default, &connect_meaning(key)]);
    }
    table
}

fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(texts: &[&str]) -> String {
    texts.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}

fn shown(default: &str) -> String {
    if default.is_empty() { "empty".to_owned() } else { code(default) }
}

fn broker_meaning(key: &BrokerKey) -> String {
    let mut meaning = key.doc.to_owned();
    meaning += &match key.check {
        Check::Any => String::new(),
        Check::AtLeast(least) => bounds(least, i64::MAX),
        Check::Between(least, most) => bounds(least, most),
        Check::Ratio => " 0 to 1.".to_owned(),
        Check::OneOf(values) => format!(" One of {}.", codes(values)),
        Check::EachOf(values) => format!(" Any of {}.", codes(values)),
    };
    let synonyms: Vec<_> = key
        .synonyms
        .iter()
        .map(|synonym| match synonym.factor {
            1 => code(synonym.name),
            factor => format!("{factor} × `{}`", synonym.name),
        })
        .collect();
    if !synonyms.is_empty() {
        meaning += &format!(" Not set: {}.", synonyms.join(", else "));
    }
    meaning
}

fn connect_meaning(key: &ConfigKey) -> String {
    let mut meaning = key.doc.to_owned();
    if !key.choices.is_empty() {
        meaning += &format!(" One of {}.", codes(key.choices));
    }
    if let Some((least, most)) = key.range {
        let unit = match key.kind {
            ConfigType::Duration => " ms",
            ConfigType::Size => " bytes",
            _ => "",
        };
        let bounds = bounds(least, most);
        meaning += &format!("{}{unit}.", bounds.trim_end_matches('.'));
    }
    if !key.aliases.is_empty() {
        meaning += &format!(" Also {}.", codes(key.aliases));
    }
    meaning
}

fn bounds(least: i64, most: i64) -> String {
    if UNBOUNDED.contains(&most) { format!(" At least {least}.") } else { format!(" {least} to {most}.") }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Short => "short",
        Kind::Int => "int",
        Kind::Long => "long",
        Kind::Double => "double",
        Kind::String => "string",
        Kind::List => "list",
        Kind::Password => "password",
        Kind::Class => "class",
    }
}

fn connect_kind(kind: ConfigType) -> &'static str {
    match kind {
        ConfigType::Boolean => "boolean",
        ConfigType::Int => "int",
        ConfigType::Long => "long",
        ConfigType::Double => "double",
        ConfigType::String => "string",
        ConfigType::List => "list",
        ConfigType::Password => "password",
        ConfigType::Class => "class",
        ConfigType::Duration => "duration",
        ConfigType::Size => "size",
    }
}
