//! The rules of coercion: what a JSON scalar becomes in a column of each type.
//!
//! Every function appends the value without its length, or gives the reason why it cannot be one.

use std::io::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuid::Uuid;

use super::{numeric, time};
use crate::postgres_sink::catalogue::Kind;

/// Characters of a value that an error shows.
const SHOWN_MAX: usize = 80;
const JSONB_VERSION: u8 = 1;
const INET_V4: u8 = 2;
const INET_V6: u8 = 3;

pub(in crate::postgres_sink) fn boolean(kind: &Kind, value: bool, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        Kind::Bool => out.push(u8::from(value)),
        Kind::Int2 | Kind::Int4 | Kind::Int8 => return integer(kind, i64::from(value), out),
        Kind::Text => out.extend_from_slice(if value { b"true" } else { b"false" }),
        _ => return Err(format!("{value} does not fit")),
    }
    Ok(())
}

pub(in crate::postgres_sink) fn integer(kind: &Kind, value: i64, out: &mut Vec<u8>) -> Result<(), String> {
    let outside = |_| format!("{value} is out of range");
    let not_a_time = || format!("{value} is not a time");
    match kind {
        Kind::Int8 => out.extend_from_slice(&value.to_be_bytes()),
        Kind::Int4 => out.extend_from_slice(&i32::try_from(value).map_err(outside)?.to_be_bytes()),
        Kind::Int2 => out.extend_from_slice(&i16::try_from(value).map_err(outside)?.to_be_bytes()),
        Kind::Float8 => out.extend_from_slice(&(value as f64).to_be_bytes()),
        Kind::Float4 => out.extend_from_slice(&(value as f32).to_be_bytes()),
        Kind::Bool if value == 0 || value == 1 => out.push(value as u8),
        Kind::Timestamp | Kind::Timestamptz => {
            out.extend_from_slice(&time::from_epoch(value).ok_or_else(not_a_time)?.to_be_bytes());
        }
        Kind::Date => {
            let day = time::from_epoch(value).and_then(time::day_of).ok_or_else(not_a_time)?;
            out.extend_from_slice(&day.to_be_bytes());
        }
        Kind::Text => display(out, value),
        _ => return Err(format!("{value} does not fit")),
    }
    Ok(())
}

pub(in crate::postgres_sink) fn float(kind: &Kind, value: f64, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        Kind::Float8 => out.extend_from_slice(&value.to_be_bytes()),
        #[expect(clippy::cast_possible_truncation, reason = "what the column's type asks for")]
        Kind::Float4 => match value as f32 {
            narrow if narrow.is_infinite() && value.is_finite() => return Err(format!("{value} is out of range")),
            narrow => out.extend_from_slice(&narrow.to_be_bytes()),
        },
        // Whole numbers that somebody wrote as 5.0; beyond 2^53 a double is no certain integer.
        #[expect(clippy::cast_possible_truncation, reason = "has no fraction and is in range")]
        Kind::Int2 | Kind::Int4 | Kind::Int8 if value.fract() == 0.0 && value.abs() < 9e15 => {
            return integer(kind, value as i64, out);
        }
        Kind::Timestamp | Kind::Timestamptz | Kind::Date => {
            let us = time::from_epoch_fraction(value).ok_or_else(|| format!("{value} is not a time"))?;
            return moment(kind, us, out).ok_or_else(|| format!("{value} is not a time"));
        }
        Kind::Text => display(out, value),
        _ => return Err(format!("{value} does not fit")),
    }
    Ok(())
}

pub(in crate::postgres_sink) fn text(kind: &Kind, value: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let unreadable = || format!("{} cannot be read as that", shown(value));
    match kind {
        Kind::Text => out.extend_from_slice(value.as_bytes()),
        Kind::Json => json(value, out),
        Kind::Jsonb => {
            out.push(JSONB_VERSION);
            json(value, out);
        }
        Kind::Int2 | Kind::Int4 | Kind::Int8 => match value.trim().parse::<i64>() {
            Ok(number) => return integer(kind, number, out),
            Err(_) => return float(kind, value.trim().parse().map_err(|_| unreadable())?, out),
        },
        Kind::Float4 | Kind::Float8 => return float(kind, value.trim().parse().map_err(|_| unreadable())?, out),
        Kind::Numeric => return numeric::write(value.trim(), out).then_some(()).ok_or_else(unreadable),
        Kind::Bool => out.push(u8::from(truth(value).ok_or_else(unreadable)?)),
        Kind::Timestamp | Kind::Timestamptz | Kind::Date => {
            return time::parse(value).and_then(|us| moment(kind, us, out)).ok_or_else(unreadable);
        }
        Kind::Time => {
            out.extend_from_slice(&time::parse_time_of_day(value).ok_or_else(unreadable)?.to_be_bytes());
        }
        Kind::Uuid => out.extend_from_slice(Uuid::try_parse(value.trim()).map_err(|_| unreadable())?.as_bytes()),
        Kind::Inet | Kind::Cidr => return network(*kind == Kind::Cidr, value.trim(), out).ok_or_else(unreadable),
        Kind::Bytea => return bytes(value, out).ok_or_else(unreadable),
        Kind::Array { .. } | Kind::ArrayText(_) => return Err(format!("{} is not an array", shown(value))),
    }
    Ok(())
}

/// JSON text into a json or jsonb column, as it is.
pub(in crate::postgres_sink) fn raw_json(kind: &Kind, value: &str, out: &mut Vec<u8>) {
    if *kind == Kind::Jsonb {
        out.push(JSONB_VERSION);
    }
    out.extend_from_slice(value.as_bytes());
}

fn json(value: &str, out: &mut Vec<u8>) {
    // A string always serializes, and a Vec always takes it.
    let _ = serde_json::to_writer(out, value);
}

fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

/// Microseconds since 2000 as the column's type keeps them.
fn moment(kind: &Kind, us: i64, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::Date => out.extend_from_slice(&time::day_of(us)?.to_be_bytes()),
        _ => out.extend_from_slice(&us.to_be_bytes()),
    }
    Some(())
}

fn truth(value: &str) -> Option<bool> {
    let value = value.trim();
    let is = |words: [&str; 5]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    match () {
        () if is(["true", "t", "yes", "on", "1"]) => Some(true),
        () if is(["false", "f", "no", "off", "0"]) => Some(false),
        () => None,
    }
}

/// An address, perhaps with a prefix length. In a cidr column Postgres refuses bits right of the prefix.
fn network(is_cidr: bool, value: &str, out: &mut Vec<u8>) -> Option<()> {
    let (address, prefix) = match value.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (value, None),
    };
    let mut octets = [0; 16];
    let (family, size) = match address.parse().ok()? {
        IpAddr::V4(v4) => {
            octets[..4].copy_from_slice(&v4.octets());
            (INET_V4, 4)
        }
        IpAddr::V6(v6) => {
            octets = v6.octets();
            (INET_V6, 16)
        }
    };
    let bits = size * 8;
    let prefix = prefix.unwrap_or(bits);
    if prefix > bits {
        return None;
    }
    out.extend_from_slice(&[family, prefix, u8::from(is_cidr), size]);
    out.extend_from_slice(&octets[..usize::from(size)]);
    Some(())
}

/// `\x` and hexadecimal digits, as Postgres writes them, or base64, as JSON converters do.
fn bytes(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let Some(digits) = value.strip_prefix("\\x") else {
        out.extend_from_slice(&BASE64.decode(value).ok()?);
        return Some(());
    };
    let nibble = |b: u8| (b as char).to_digit(16).map(|n| n as u8);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    for [high, low] in pairs {
        out.push(nibble(*high)? << 4 | nibble(*low)?);
    }
    rest.is_empty().then_some(())
}

/// The value in quotes, cut where it gets long.
pub(in crate::postgres_sink) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}
