//! Times in queries: milliseconds, dates with parts left out, and date math (`now-1h`, `2026-11-23||+1d/d`).

use chrono::{DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TimeError {
    #[error("failed to parse date field [{0}]: expected milliseconds, a date, or date math such as now-1h")]
    Malformed(String),
    #[error("unknown time zone [{0}]")]
    Zone(String),
    #[error("the date [{0}] is out of range")]
    Range(String),
}

/// Which end of a span a text with parts left out means: `2026-11-23` is a whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Down,
    Up,
}

/// A zone: a fixed offset, or rules that change over the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Fixed(FixedOffset),
    Rules(Tz),
}

impl Zone {
    pub(crate) const UTC: Self = Self::Rules(Tz::UTC);

    /// `UTC`, `+01:00`, `Europe/Berlin`.
    pub(crate) fn parse(text: &str) -> Result<Self, TimeError> {
        if text.eq_ignore_ascii_case("utc") || text == "Z" {
            return Ok(Self::UTC);
        }
        if let Ok(offset) = text.parse::<FixedOffset>() {
            return Ok(Self::Fixed(offset));
        }
        text.parse().map(Self::Rules).map_err(|_| TimeError::Zone(text.to_owned()))
    }

    /// Local time minus UTC at a moment.
    pub(crate) fn offset_ms(self, at_ms: i64) -> i64 {
        let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default().naive_utc();
        let offset = match self {
            Self::Fixed(offset) => offset,
            Self::Rules(tz) => tz.offset_from_utc_datetime(&at).fix(),
        };
        i64::from(offset.local_minus_utc()) * 1_000
    }

    pub(crate) fn to_local(self, at_ms: i64) -> Option<NaiveDateTime> {
        DateTime::from_timestamp_millis(at_ms.checked_add(self.offset_ms(at_ms))?).map(|at| at.naive_utc())
    }

    /// The moment of a local time: the first of two where clocks are turned back, the end of the gap where they are
    /// turned forward.
    pub(crate) fn to_utc_ms(self, local: NaiveDateTime) -> i64 {
        let earliest = |local: &NaiveDateTime| match self {
            Self::Fixed(offset) => offset.from_local_datetime(local).earliest().map(|at| at.timestamp_millis()),
            Self::Rules(tz) => tz.from_local_datetime(local).earliest().map(|at| at.timestamp_millis()),
        };
        earliest(&local).unwrap_or_else(|| {
            let before = local - TimeDelta::hours(3);
            let before_ms = before.and_utc().timestamp_millis();
            local.and_utc().timestamp_millis() - self.offset_ms(before_ms)
        })
    }
}

/// A calendar unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    pub(crate) fn floor(self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let day = at.date();
        let start = match self {
            Self::Second | Self::Minute | Self::Hour => {
                let seconds = match self {
                    Self::Second => 1,
                    Self::Minute => 60,
                    _ => 3_600,
                };
                let at = at.and_utc().timestamp();
                return DateTime::from_timestamp(at - at.rem_euclid(seconds), 0).map(|at| at.naive_utc());
            }
            Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))),
            Self::Month => day.with_day(1),
            Self::Quarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        };
        start?.and_hms_opt(0, 0, 0)
    }

    pub(crate) fn add(self, at: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
        let months = |per_unit: i64| {
            let months = count.checked_mul(per_unit)?;
            let magnitude = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
            if months < 0 { at.checked_sub_months(magnitude) } else { at.checked_add_months(magnitude) }
        };
        let seconds = |per_unit: i64| at.checked_add_signed(TimeDelta::try_seconds(count.checked_mul(per_unit)?)?);
        match self {
            Self::Second => seconds(1),
            Self::Minute => seconds(60),
            Self::Hour => seconds(3_600),
            Self::Day => seconds(86_400),
            Self::Week => seconds(7 * 86_400),
            Self::Month => months(1),
            Self::Quarter => months(3),
            Self::Year => months(12),
        }
    }

    fn of_math(letter: char) -> Option<Self> {
        Some(match letter {
            's' => Self::Second,
            'm' => Self::Minute,
            'h' | 'H' => Self::Hour,
            'd' => Self::Day,
            'w' => Self::Week,
            'M' => Self::Month,
            'y' => Self::Year,
            _ => return None,
        })
    }
}

/// The milliseconds that a text means, at `now_ms`, in a zone where it names none itself.
pub(crate) fn resolve(text: &str, now_ms: i64, zone: Zone, round: Round) -> Result<i64, TimeError> {
    let malformed = || TimeError::Malformed(text.to_owned());
    let text_ = text.trim();
    let (base_ms, math) = if let Some(math) = text_.strip_prefix("now") {
        (now_ms, math)
    } else {
        let (date, math) = text_.split_once("||").unwrap_or((text_, ""));
        (parse_date(date, zone, round).ok_or_else(malformed)?, math)
    };
    apply_math(base_ms, math, zone, round).ok_or_else(malformed).and_then(|ms| {
        if ms.abs() > crate::limits::TIMESTAMP_MS_MAX { Err(TimeError::Range(text.to_owned())) } else { Ok(ms) }
    })
}

fn parse_date(text: &str, zone: Zone, round: Round) -> Option<i64> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Some(zone.to_utc_ms(at));
        }
    }
    let Some((start, unit)) = parse_partial(text).or_else(|| parse_partial_minutes(text)) else {
        return text.parse().ok();
    };
    match round {
        Round::Down => Some(zone.to_utc_ms(start)),
        Round::Up => Some(zone.to_utc_ms(unit.add(start, 1)?) - 1),
    }
}

/// `2026`, `2026-11`, `2026-11-23`; other numbers are milliseconds.
fn parse_partial(text: &str) -> Option<(NaiveDateTime, Unit)> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |index: usize| parts.get(index).map_or(Some(1), |part| part.parse::<u32>().ok());
    let unit = match parts.iter().map(|part| part.len()).collect::<Vec<_>>().as_slice() {
        [4] => Unit::Year,
        [4, 2] => Unit::Month,
        [4, 2, 2] => Unit::Day,
        _ => return None,
    };
    let day = NaiveDate::from_ymd_opt(i32::try_from(number(0)?).ok()?, number(1)?, number(2)?)?;
    Some((day.and_hms_opt(0, 0, 0)?, unit))
}

/// `2026-11-23T08:15`.
fn parse_partial_minutes(text: &str) -> Option<(NaiveDateTime, Unit)> {
    let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok()?;
    Some((at, Unit::Minute))
}

fn apply_math(base_ms: i64, math: &str, zone: Zone, round: Round) -> Option<i64> {
    let mut local = zone.to_local(base_ms)?;
    if math.is_empty() {
        return Some(base_ms);
    }
    let mut rest = math.trim();
    let mut is_rounded_up = false;
    while let Some(operator) = rest.chars().next() {
        rest = &rest[operator.len_utf8()..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: i64 = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
        rest = &rest[digits..];
        let unit = Unit::of_math(rest.chars().next()?)?;
        rest = &rest[1..];
        match operator {
            '+' => local = unit.add(local, count)?,
            '-' => local = unit.add(local, count.checked_neg()?)?,
            '/' if digits == 0 => {
                local = unit.floor(local)?;
                if round == Round::Up {
                    local = unit.add(local, 1)?;
                    is_rounded_up = true;
                }
            }
            _ => return None,
        }
    }
    Some(zone.to_utc_ms(local) - i64::from(is_rounded_up))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_420_800_000; // 2026-11-23T08:00:00Z, a Monday

    fn at(text: &str, round: Round) -> String {
        let ms = resolve(text, NOW, Zone::UTC, round).unwrap();
        DateTime::from_timestamp_millis(ms).unwrap().format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
    }

    #[test]
    fn dates_with_parts_left_out_are_spans() {
        assert_eq!(at("2026-11-23", Round::Down), "2026-11-23T00:00:00.000");
        assert_eq!(at("2026-11-23", Round::Up), "2026-11-23T23:59:59.999");
        assert_eq!(at("2026-02", Round::Up), "2026-02-28T23:59:59.999");
        assert_eq!(at("2026-11-23T08:00:00.5Z", Round::Up), "2026-11-23T08:00:00.500");
        assert_eq!(at("2026-11-23T08:00:00", Round::Down), "2026-11-23T08:00:00.000");
        assert_eq!(at("1795420800001", Round::Down), "2026-11-23T08:00:00.001");
    }

    #[test]
    fn date_math_adds_and_rounds() {
        assert_eq!(at("now-90m", Round::Down), "2026-11-23T06:30:00.000");
        assert_eq!(at("now/d", Round::Down), "2026-11-23T00:00:00.000");
        assert_eq!(at("now/d", Round::Up), "2026-11-23T23:59:59.999");
        assert_eq!(at("now-1M/M", Round::Down), "2026-10-01T00:00:00.000");
        assert_eq!(at("2026-11-25||/w", Round::Down), "2026-11-23T00:00:00.000");
        assert_eq!(at("2026-11-25||+1d", Round::Down), "2026-11-26T00:00:00.000");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "now-", "now-1x", "now*2h", "2026-13-01", "now/5d", "9300000000000"] {
            let result = resolve(text, NOW, Zone::UTC, Round::Down);
            assert!(result.is_err(), "{text:?} gave {result:?}");
        }
        assert!(Zone::parse("Mars/Olympus").is_err());
    }

    #[test]
    fn zones_shift_days_and_survive_changes_of_the_clock() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        assert_eq!(resolve("2026-11-23", NOW, berlin, Round::Down).unwrap(), NOW - 9 * 3_600_000);
        assert_eq!(Zone::parse("+05:30").unwrap().offset_ms(NOW), 19_800_000);
        // 02:30 does not exist on the day clocks go forward.
        let gap = NaiveDate::from_ymd_opt(2026, 3, 29).unwrap().and_hms_opt(2, 30, 0).unwrap();
        assert_eq!(
            DateTime::from_timestamp_millis(berlin.to_utc_ms(gap)).unwrap().to_rfc3339(),
            "2026-03-29T01:30:00+00:00"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(now)?[-+/|0-9a-zTZ:.]{0,24}") {
            let _ = resolve(&text, NOW, Zone::UTC, Round::Up);
        }
    }
}
