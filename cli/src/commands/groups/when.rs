//! Times and durations as Kafka's tools take them.

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, NaiveDateTime};

const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3600;
const MINUTE_S: u64 = 60;

/// RFC 3339; a time without an offset is in UTC. Milliseconds since 1970.
pub(super) fn time_ms(text: &str) -> anyhow::Result<i64> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
    let naive =
        || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc().timestamp_millis());
    parsed.or_else(|_| naive()).with_context(|| format!("`{text}` is no time such as 2026-10-01T00:00:00Z"))
}

/// ISO 8601 from days down to seconds: `P1DT2H30M`.
pub(super) fn duration(text: &str) -> anyhow::Result<Duration> {
    parsed_duration(text).with_context(|| format!("`{text}` is no duration such as P7D, PT2H30M or PT45S"))
}

fn parsed_duration(text: &str) -> Option<Duration> {
    let upper = text.to_ascii_uppercase();
    let (date, time) =
        upper.strip_prefix('P')?.split_once('T').map_or((&upper[1..], None), |(date, time)| (date, Some(time)));
    if date.is_empty() && time.is_none_or(str::is_empty) || time == Some("") {
        return None;
    }
    let days = sum(date, &[('D', DAY_S)])?;
    days.checked_add(sum(time.unwrap_or(""), &[('H', HOUR_S), ('M', MINUTE_S), ('S', 1)])?)
}

/// Numbers that are each followed by their unit, the units in this order, none twice.
fn sum(mut text: &str, units: &[(char, u64)]) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for (unit, seconds) in units {
        let Some((number, rest)) = text.split_once(*unit) else { continue };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = whole.parse::<u64>().ok()?.checked_mul(*seconds)?;
        let fraction = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse::<f64>().ok()? };
        total = total
            .checked_add(Duration::from_secs(whole))?
            .checked_add(Duration::try_from_secs_f64(fraction * *seconds as f64).ok()?)?;
        text = rest;
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601() {
        for (text, seconds) in [("P7D", 604_800), ("PT2H30M", 9000), ("P1DT1S", 86_401), ("pt90m", 5400)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(duration("PT0.5S").unwrap(), Duration::from_millis(500));
        for text in ["", "P", "PT", "7D", "P7", "PT5D", "P1DT", "PT1M1H", "PT-5M", "P1M", "PT1H1H"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_in_utc() {
        assert_eq!(time_ms("1970-01-01T00:00:01.5Z").unwrap(), 1500);
        assert_eq!(time_ms("1970-01-01T00:00:01.5").unwrap(), 1500);
        assert_eq!(time_ms("1970-01-01T01:00:00+01:00").unwrap(), 0);
        assert!(time_ms("yesterday").is_err());
    }
}
