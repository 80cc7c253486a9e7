//! Is this text a value of that key? And what number does it mean?

use super::table::{Check, ConfigKey, Kind};

pub fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{text}` is not true or false")),
    }
}

/// Checks `text` against the key's kind and bounds; the error says what is wrong, without the key's name.
pub fn check(key: &ConfigKey, text: &str) -> Result<(), String> {
    let text = text.trim();
    match key.kind {
        Kind::Boolean => boolean(text).map(drop),
        Kind::Short => check_integer(key, text, i64::from(i16::MIN), i64::from(i16::MAX)),
        Kind::Int => check_integer(key, text, i64::from(i32::MIN), i64::from(i32::MAX)),
        Kind::Long => check_integer(key, text, i64::MIN, i64::MAX),
        Kind::Double => check_double(key, text),
        Kind::List => check_list(key, text),
        Kind::String | Kind::Class | Kind::Password => check_text(key, text),
    }
}

fn check_integer(key: &ConfigKey, text: &str, kind_min: i64, kind_max: i64) -> Result<(), String> {
    let value: i64 = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    let (min, max) = match key.check {
        Check::AtLeast(min) => (min, kind_max),
        Check::Between(min, max) => (min, max),
        _ => (kind_min, kind_max),
    };
    if value < min {
        return Err(format!("{value} is less than {min}"));
    }
    if value > max {
        return Err(format!("{value} is more than {max}"));
    }
    Ok(())
}

fn check_double(key: &ConfigKey, text: &str) -> Result<(), String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    match key.check {
        Check::Ratio if !(0.0..=1.0).contains(&value) => Err(format!("{value} is not between 0 and 1")),
        _ => Ok(()),
    }
}

fn check_list(key: &ConfigKey, text: &str) -> Result<(), String> {
    let Check::EachOf(known) = key.check else { return Ok(()) };
    match elements(text).find(|element| !known.contains(element)) {
        Some(unknown) => Err(format!("`{unknown}` is not one of {}", known.join(", "))),
        None => Ok(()),
    }
}

fn check_text(key: &ConfigKey, text: &str) -> Result<(), String> {
    match key.check {
        Check::OneOf(known) if !known.contains(&text) => Err(format!("`{text}` is not one of {}", known.join(", "))),
        _ => Ok(()),
    }
}

/// The elements of a comma-separated list.
pub fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}
