//! Borders of time buckets, with calendars and zones, and how a border is written.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta};

use crate::query::time::{Unit, Zone};

/// The length of a time bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    Fixed { ms: i64 },
    Calendar(Unit),
}

impl Interval {
    /// `30s`, `500ms`, `1d`.
    pub(crate) fn fixed(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: i64 = if digits == 0 { return None } else { text[..digits].parse().ok()? };
        let unit_ms = match &text[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        let ms = count.checked_mul(unit_ms)?;
        // A century is more than any log spans, and keeps nanoseconds within 64 bits.
        (1..=100 * 366 * 86_400_000_i64).contains(&ms).then_some(Self::Fixed { ms })
    }

    /// `1d`, `day`, `1M`, `month`: one of a unit.
    pub(crate) fn calendar(text: &str) -> Option<Self> {
        Some(Self::Calendar(match text {
            "1s" | "second" => Unit::Second,
            "1m" | "minute" => Unit::Minute,
            "1h" | "hour" => Unit::Hour,
            "1d" | "day" => Unit::Day,
            "1w" | "week" => Unit::Week,
            "1M" | "month" => Unit::Month,
            "1q" | "quarter" => Unit::Quarter,
            "1y" | "year" => Unit::Year,
            _ => return None,
        }))
    }

    /// The fixed length it has in a zone whose clocks don't change.
    pub(crate) fn fixed_ms(self) -> Option<i64> {
        match self {
            Self::Fixed { ms } => Some(ms),
            Self::Calendar(Unit::Second) => Some(1_000),
            Self::Calendar(Unit::Minute) => Some(60_000),
            Self::Calendar(Unit::Hour) => Some(3_600_000),
            Self::Calendar(Unit::Day) => Some(86_400_000),
            Self::Calendar(_) => None,
        }
    }

    fn floor(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Calendar(unit) => unit.floor(local),
            Self::Fixed { ms } => {
                let at = local.and_utc().timestamp_millis();
                DateTime::from_timestamp_millis(at - at.rem_euclid(ms)).map(|at| at.naive_utc())
            }
        }
    }

    fn next(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Calendar(unit) => unit.add(local, 1),
            Self::Fixed { ms } => local.checked_add_signed(TimeDelta::milliseconds(ms)),
        }
    }
}

/// The borders of the buckets that hold `min_ms..=max_ms`: one more than buckets. `None` when there are more than
/// `count_max`.
pub(crate) fn borders(
    interval: Interval,
    zone: Zone,
    offset_ms: i64,
    min_ms: i64,
    max_ms: i64,
    count_max: usize,
) -> Option<Vec<i64>> {
    let mut local = interval.floor(zone.to_local(min_ms - offset_ms)?)?;
    let mut borders = vec![zone.to_utc_ms(local) + offset_ms];
    while *borders.last()? <= max_ms {
        if borders.len() > count_max {
            return None;
        }
        local = interval.next(local)?;
        let border = zone.to_utc_ms(local) + offset_ms;
        // Local hours that the clock skips or repeats give no bucket of their own.
        if *borders.last()? < border {
            borders.push(border);
        }
    }
    Some(borders)
}

/// A border as the answer's `key_as_string`. `None` when the format is not known.
pub(crate) fn format(ms: i64, zone: Zone, format: Option<&str>) -> Option<String> {
    let at = DateTime::from_timestamp_millis(ms)?;
    let offset = FixedOffset::east_opt(i32::try_from(zone.offset_ms(ms) / 1_000).ok()?)?;
    let local = at.with_timezone(&offset);
    match format {
        None | Some("strict_date_optional_time" | "date_optional_time" | "strict_date_time" | "date_time") => {
            Some(local.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        }
        Some("epoch_millis") => Some(ms.to_string()),
        Some("epoch_second") => Some(ms.div_euclid(1_000).to_string()),
        Some(pattern) => Some(local.format(&strftime(pattern)?).to_string()),
    }
}

/// Java's letters as chrono's. `None` for letters that are not known.
fn strftime(pattern: &str) -> Option<String> {
    let mut format = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (literal, after) = rest[1..].split_once('\'')?;
            format.push_str(&literal.replace('%', "%%"));
            rest = after;
            continue;
        }
        let run = rest.len() - rest.trim_start_matches(first).len();
        let (letters, after) = rest.split_at(run);
        rest = after;
        format.push_str(match letters {
            "yyyy" | "uuuu" | "YYYY" => "%Y",
            "yy" | "uu" => "%y",
            "MMM" => "%b",
            "MM" => "%m",
            "M" => "%-m",
            "dd" => "%d",
            "d" => "%-d",
            "HH" => "%H",
            "H" => "%-H",
            "mm" => "%M",
            "ss" => "%S",
            "SSS" => "%3f",
            "EEE" => "%a",
            "XXX" | "xxx" => "%:z",
            "Z" => "%z",
            "%" => "%%",
            _ if first.is_ascii_alphabetic() => return None,
            other => other,
        });
    }
    Some(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn border_texts(interval: Interval, zone: &str, min: &str, max: &str) -> Vec<String> {
        let zone = Zone::parse(zone).unwrap();
        let borders = borders(interval, zone, 0, at(min), at(max), 100).unwrap();
        borders.into_iter().map(|ms| format(ms, zone, None).unwrap()).collect()
    }

    #[test]
    fn intervals_read_both_spellings() {
        assert_eq!(Interval::fixed("30s"), Some(Interval::Fixed { ms: 30_000 }));
        assert_eq!(Interval::calendar("month"), Some(Interval::Calendar(Unit::Month)));
        for text in ["", "s", "0s", "1M", "-1s", "1.5h", "99999999999d"] {
            assert_eq!(Interval::fixed(text), None, "{text:?}");
        }
    }

    #[test]
    fn months_have_their_own_length() {
        assert_eq!(
            border_texts(Interval::Calendar(Unit::Month), "UTC", "2026-01-31T10:00:00Z", "2026-03-01T00:00:00Z"),
            [
                "2026-01-01T00:00:00.000Z",
                "2026-02-01T00:00:00.000Z",
                "2026-03-01T00:00:00.000Z",
                "2026-04-01T00:00:00.000Z"
            ]
        );
    }

    #[test]
    fn a_day_on_which_clocks_change_has_23_or_25_hours() {
        let days = border_texts(
            Interval::Calendar(Unit::Day),
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z",
        );
        assert_eq!(
            days,
            ["2026-03-28T00:00:00.000+01:00", "2026-03-29T00:00:00.000+01:00", "2026-03-30T00:00:00.000+02:00"]
        );
    }

    #[test]
    fn too_many_buckets_are_noticed_before_they_are_made() {
        let day = Interval::Fixed { ms: 1 };
        assert_eq!(borders(day, Zone::UTC, 0, 0, 1_000_000, 1_000), None);
    }

    #[test]
    fn formats_are_javas() {
        let ms = at("2026-11-23T08:05:09.007Z");
        let text = |pattern: &str| format(ms, Zone::UTC, Some(pattern));
        assert_eq!(text("epoch_millis").unwrap(), ms.to_string());
        assert_eq!(text("yyyy-MM-dd'T'HH:mm:ss.SSS").unwrap(), "2026-11-23T08:05:09.007");
        assert_eq!(text("d.M. H'%'").unwrap(), "23.11. 8%");
        assert_eq!(text("QQQ"), None);
    }
}
