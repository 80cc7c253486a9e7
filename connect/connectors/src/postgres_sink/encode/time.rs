//! Times as Postgres stores them: microseconds and days since 2000-01-01, UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

const EPOCH_2000_DAYS: i64 = 10_957;
const DAY_US: i64 = 86_400_000_000;
const EPOCH_2000_US: i64 = EPOCH_2000_DAYS * DAY_US;

/// A number this large (from 0 up) is in the next smaller unit: seconds reach the year 5138, and what follows is
/// 1973 in the smaller one.
const SECONDS_END: i64 = 100_000_000_000;
const MILLIS_END: i64 = SECONDS_END * 1_000;
const MICROS_END: i64 = MILLIS_END * 1_000;

/// Microseconds since 2000 of a number since 1970 in seconds, milliseconds, microseconds or nanoseconds: its
/// magnitude says which.
pub(in crate::postgres_sink) fn from_epoch(number: i64) -> Option<i64> {
    let since_1970_us = match number.unsigned_abs() {
        n if n < SECONDS_END as u64 => number.checked_mul(1_000_000)?,
        n if n < MILLIS_END as u64 => number.checked_mul(1_000)?,
        n if n < MICROS_END as u64 => number,
        _ => number.div_euclid(1_000),
    };
    since_1970_us.checked_sub(EPOCH_2000_US)
}

/// The same of a number with a fraction.
pub(in crate::postgres_sink) fn from_epoch_fraction(number: f64) -> Option<i64> {
    if number.abs() < SECONDS_END as f64 {
        return ((number * 1e6).round() as i64).checked_sub(EPOCH_2000_US);
    }
    if number.abs() < MILLIS_END as f64 {
        return ((number * 1e3).round() as i64).checked_sub(EPOCH_2000_US);
    }
    // Nothing below a microsecond is kept, so the fraction may go.
    (number.abs() < i64::MAX as f64).then(|| from_epoch(number as i64)).flatten()
}

/// Microseconds since 2000 of an ISO 8601 or RFC 3339 text (a missing zone means UTC, a missing time midnight), of
/// an access log's `10/Oct/2026:13:55:36 +0000`, or of digits as [`from_epoch`] reads them.
pub(in crate::postgres_sink) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    parse_iso(text.as_bytes()).or_else(|| parse_other(text))
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction][Z|±HH:MM]`, by far the most frequent form, without a general parser.
fn parse_iso(text: &[u8]) -> Option<i64> {
    let (head, mut rest) = text.split_at_checked(19)?;
    let separators = (head[4], head[7], head[10], head[13], head[16]);
    if !matches!(separators, (b'-', b'-', b'T' | b't' | b' ', b':', b':')) {
        return None;
    }
    let days = days(number(&head[..4])?, number(&head[5..7])?, number(&head[8..10])?)?;
    let (hour, minute, second) = (number(&head[11..13])?, number(&head[14..16])?, number(&head[17..19])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut us = days * DAY_US + ((hour * 60 + minute) * 60 + second) * 1_000_000;
    if let [b'.' | b',', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        let kept = digits.min(6);
        us += number(&fraction[..kept])? * 10_i64.pow(6 - kept as u32);
        rest = &fraction[digits..];
    }
    let (sign, zone) = match rest {
        [] | [b'Z' | b'z'] => return Some(us),
        [b'+', zone @ ..] => (-1, zone),
        [b'-', zone @ ..] => (1, zone),
        _ => return None,
    };
    let minutes = match zone {
        [_, _] => number(zone)? * 60,
        [h @ .., b':', _, _] if h.len() == 2 => number(h)? * 60 + number(&zone[3..])?,
        [_, _, _, _] => number(&zone[..2])? * 60 + number(&zone[2..])?,
        _ => return None,
    };
    Some(us + sign * minutes * 60_000_000)
}

fn parse_other(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_str(text, "%d/%b/%Y:%H:%M:%S %z") {
        return time.timestamp_micros().checked_sub(EPOCH_2000_US);
    }
    if let Ok(time) = DateTime::parse_from_rfc2822(text) {
        return time.timestamp_micros().checked_sub(EPOCH_2000_US);
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M") {
        return time.and_utc().timestamp_micros().checked_sub(EPOCH_2000_US);
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return date.and_time(NaiveTime::MIN).and_utc().timestamp_micros().checked_sub(EPOCH_2000_US);
    }
    if let Ok(number) = text.parse::<i64>() {
        return from_epoch(number);
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).and_then(from_epoch_fraction)
}

/// Whether a text looks like a point in time: what `auto.create` makes a `timestamptz` of.
pub(in crate::postgres_sink) fn looks_like_a_time(text: &str) -> bool {
    parse_iso(text.as_bytes()).is_some()
}

/// The day that holds a moment.
pub(in crate::postgres_sink) fn day_of(us: i64) -> Option<i32> {
    i32::try_from(us.div_euclid(DAY_US)).ok()
}

/// Microseconds since midnight of `13:55`, `13:55:36` or `13:55:36.5`.
pub(in crate::postgres_sink) fn parse_time_of_day(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"));
    time.ok()?.signed_duration_since(NaiveTime::MIN).num_microseconds()
}

/// Days since 2000-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let index = usize::try_from(month - 1).ok().filter(|i| *i < 12)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day < 1 || day > MONTH_DAYS[index] + i64::from(is_leap && month == 2) {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400;
    // 730_119 days lie between 0001-01-01 and 2000-01-01.
    Some(before * 365 + leap_days + DAYS_BEFORE[index] + i64::from(is_leap && month > 2) + day - 1 - 730_119)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(us: Option<i64>) -> String {
        let us = us.map(|us| us + EPOCH_2000_US);
        us.and_then(DateTime::from_timestamp_micros).map_or("none".to_owned(), |time| time.to_rfc3339())
    }

    #[test]
    fn times_are_read_in_the_forms_that_logs_have() {
        for (text, expected) in [
            ("2026-10-10T13:55:36Z", "2026-10-10T13:55:36+00:00"),
            ("2026-10-10 13:55:36", "2026-10-10T13:55:36+00:00"),
            ("2026-10-10T13:55:36.123456789+02:00", "2026-10-10T11:55:36.123456+00:00"),
            ("2026-10-10T13:55:36,5-0330", "2026-10-10T17:25:36.500+00:00"),
            ("2026-10-10T13:55:36+02", "2026-10-10T11:55:36+00:00"),
            ("2026-10-10T13:55", "2026-10-10T13:55:00+00:00"),
            ("2026-10-10", "2026-10-10T00:00:00+00:00"),
            ("10/Oct/2026:13:55:36 +0200", "2026-10-10T11:55:36+00:00"),
            ("Sat, 10 Oct 2026 13:55:36 +0000", "2026-10-10T13:55:36+00:00"),
            ("1791640536", "2026-10-10T13:55:36+00:00"),
            ("1791640536.25", "2026-10-10T13:55:36.250+00:00"),
            ("1999-12-31T23:59:59.999999Z", "1999-12-31T23:59:59.999999+00:00"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(shown(parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "-", "yesterday", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-10-10T25:00:00Z", "NaN"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_magnitude_of_a_number_tells_its_unit() {
        let expected = "2026-10-10T13:55:36+00:00";
        for number in [1_791_640_536, 1_791_640_536_000, 1_791_640_536_000_000, 1_791_640_536_000_000_000] {
            assert_eq!(shown(from_epoch(number)), expected, "{number}");
        }
        assert_eq!(shown(from_epoch_fraction(1_791_640_536_000.25)), "2026-10-10T13:55:36.000250+00:00");
    }

    proptest::proptest! {
        #[test]
        fn the_calendar_agrees_with_chrono(seconds in -62_135_596_800_i64..253_402_300_799) {
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            let text = time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            proptest::prop_assert_eq!(parse_iso(text.as_bytes()), Some(seconds * 1_000_000 - EPOCH_2000_US));
        }
    }
}
