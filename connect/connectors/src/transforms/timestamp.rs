//! `timestamp`: reads a time from a field, gives it to the record, and writes it back in one form, as Kafka's
//! `TimestampConverter$Value` does.

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Offset, SecondsFormat, Utc};
use serde_json::Value as Json;
use weir_connect_api::{Config, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform};

use super::field::Field;
use super::{Plugin, object, problem};

/// Tried in this order when no format is given: common logs, syslog's successors, databases.
const COMMON_FORMATS: [&str; 8] = [
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S",
    "%a, %d %b %Y %H:%M:%S %z",
];
/// Numbers from here on are milliseconds (March 1973), smaller ones seconds (until the year 5138).
const MILLISECONDS_FROM: f64 = 1e11;

pub(super) fn plugin() -> Plugin {
    use ConfigType::{Boolean, String};
    let keys = vec![
        ConfigKey::new("field", String, "The field that holds the time.").required(),
        ConfigKey::new("format", String, "How it is written: strftime (`%d/%b/%Y:%H:%M:%S %z`), Java's letters (`yyyy-MM-dd HH:mm:ss`), iso8601, unix, unix_ms, unix_us, unix_ns, or auto.")
            .default("auto"),
        ConfigKey::new("timezone", String, "The offset of times that name none: UTC, or as in +02:00.").default("UTC"),
        ConfigKey::new("target", String, "The field that gets the time; the same field when not set."),
        ConfigKey::new("target.type", String, "How it is written there: iso8601 in UTC, unix_ms, unix, or none to leave the fields alone.")
            .default("iso8601")
            .choices(&["iso8601", "unix_ms", "unix", "none", "string", "Timestamp"]),
        ConfigKey::new("set.record.timestamp", Boolean, "Whether the record's own time becomes this one.").default("true"),
    ];
    let aliases = &["org.apache.kafka.connect.transforms.TimestampConverter$Value", "TimestampConverter$Value"];
    Plugin::new("timestamp", aliases, keys, build)
}

struct Timestamp {
    field: Field,
    target: Field,
    format: Format,
    timezone: FixedOffset,
    written: Written,
    sets_record_timestamp: bool,
}

enum Format {
    Auto(Vec<Vec<Item<'static>>>),
    Iso8601,
    /// Units per second.
    Unix(i64),
    Pattern {
        items: Vec<Item<'static>>,
        text: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Iso8601,
    UnixMs,
    Unix,
    Nowhere,
}

fn build(config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    let timezone = timezone(config.str("timezone")).ok_or_else(|| {
        problem("timezone", format!("`{}` is not UTC or an offset as in +02:00", config.str("timezone")))
    })?;
    Ok(Box::new(Timestamp {
        field: Field::new(config.str("field")),
        target: Field::new(config.opt_str("target").unwrap_or_else(|| config.str("field"))),
        format: format(config.str("format")).map_err(|e| problem("format", e))?,
        timezone,
        written: match config.str("target.type").to_ascii_lowercase().as_str() {
            "unix_ms" | "timestamp" => Written::UnixMs,
            "unix" => Written::Unix,
            "none" => Written::Nowhere,
            _ => Written::Iso8601,
        },
        sets_record_timestamp: config.bool("set.record.timestamp"),
    }))
}

fn timezone(text: &str) -> Option<FixedOffset> {
    if ["utc", "z", "gmt"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(Utc.fix());
    }
    text.parse().ok()
}

fn format(text: &str) -> Result<Format, String> {
    Ok(match text {
        "auto" => Format::Auto(COMMON_FORMATS.iter().map(|format| items(format)).collect::<Result<_, _>>()?),
        "iso8601" | "ISO8601" | "rfc3339" => Format::Iso8601,
        "unix" | "UNIX" => Format::Unix(1),
        "unix_ms" | "UNIX_MS" => Format::Unix(1_000),
        "unix_us" => Format::Unix(1_000_000),
        "unix_ns" => Format::Unix(1_000_000_000),
        _ if text.contains('%') => Format::Pattern { items: items(text)?, text: text.to_owned() },
        _ => Format::Pattern { items: items(&from_java(text)?)?, text: text.to_owned() },
    })
}

fn items(format: &str) -> Result<Vec<Item<'static>>, String> {
    StrftimeItems::new(format).parse_to_owned().map_err(|_| format!("`{format}` has a part after % that is not known"))
}

/// Java's letters as strftime's: `dd/MMM/yyyy:HH:mm:ss Z`.
fn from_java(format: &str) -> Result<String, String> {
    let mut out = String::new();
    let characters: Vec<char> = format.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        let letter = characters[at];
        if letter == '\'' {
            let length = characters[at + 1..].iter().position(|c| *c == '\'');
            let length = length.ok_or_else(|| format!("at character {}: the closing quote is missing", at + 1))?;
            out.extend(if length == 0 { &characters[at..=at] } else { &characters[at + 1..at + 1 + length] });
            at += length + 2;
            continue;
        }
        let count = characters[at..].iter().take_while(|c| **c == letter).count();
        match (letter, count) {
            ('y' | 'u', 2) => out.push_str("%y"),
            ('y' | 'u', _) => out.push_str("%Y"),
            ('M' | 'L', 1 | 2) => out.push_str("%m"),
            ('M' | 'L', 3) => out.push_str("%b"),
            ('M' | 'L', _) => out.push_str("%B"),
            ('d', _) => out.push_str("%d"),
            ('D', _) => out.push_str("%j"),
            ('E', 1..=3) => out.push_str("%a"),
            ('E', _) => out.push_str("%A"),
            ('H', _) => out.push_str("%H"),
            ('h', _) => out.push_str("%I"),
            ('a', _) => out.push_str("%p"),
            ('m', _) => out.push_str("%M"),
            ('s', _) => out.push_str("%S"),
            ('S', _) if out.ends_with('.') => {
                out.pop();
                out.push_str("%.f");
            }
            ('S', _) => out.push_str("%f"),
            ('Z', _) => out.push_str("%z"),
            ('X' | 'x', _) => out.push_str("%#z"),
            (letter, _) if letter.is_ascii_alphabetic() => {
                return Err(format!(
                    "at character {}: `{letter}` is not a letter of Java's formats that is known here",
                    at + 1
                ));
            }
            ('%', _) => out.push_str("%%"),
            _ => out.extend(&characters[at..at + count]),
        }
        at += count;
    }
    Ok(out)
}

impl Transform for Timestamp {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        let object = object(record)?;
        let value = match self.field.get_in(object) {
            None | Some(Json::Null) => return Ok(true),
            Some(value) => value,
        };
        let time = self.read(value).ok_or_else(|| {
            let message = format!("field {} is not a time of the format {}", self.field.name(), self.format.name());
            ConnectError::record(message).quoting(value.to_string())
        })?;
        let written = match self.written {
            Written::Iso8601 => Some(time.to_rfc3339_opts(SecondsFormat::Millis, true).into()),
            Written::UnixMs => Some(time.timestamp_millis().into()),
            Written::Unix => Some(time.timestamp().into()),
            Written::Nowhere => None,
        };
        if let Some(written) = written {
            self.target.set(object, written);
        }
        if self.sets_record_timestamp {
            record.timestamp_ms = Some(time.timestamp_millis());
        }
        Ok(true)
    }
}

impl Timestamp {
    fn read(&self, value: &Json) -> Option<DateTime<Utc>> {
        match (&self.format, value) {
            (Format::Unix(per_second), Json::Number(number)) => unix(number.as_f64()?, *per_second, number.as_i64()),
            (Format::Unix(per_second), Json::String(text)) => {
                unix(text.trim().parse().ok()?, *per_second, text.trim().parse().ok())
            }
            (Format::Auto(_), Json::Number(number)) => {
                let number_f64 = number.as_f64()?;
                unix(number_f64, if number_f64.abs() >= MILLISECONDS_FROM { 1_000 } else { 1 }, number.as_i64())
            }
            (Format::Iso8601, Json::String(text)) => self.iso8601(text),
            (Format::Pattern { items, .. }, Json::String(text)) => self.by_items(text, items),
            (Format::Auto(formats), Json::String(text)) => {
                self.iso8601(text).or_else(|| formats.iter().find_map(|items| self.by_items(text, items)))
            }
            _ => None,
        }
    }

    fn iso8601(&self, text: &str) -> Option<DateTime<Utc>> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(time.to_utc());
        }
        // Without an offset, or with one without a colon.
        let naive = text.parse::<NaiveDateTime>().ok();
        let naive = naive.or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0));
        match naive {
            Some(naive) => self.in_timezone(naive),
            None => DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok().map(|time| time.to_utc()),
        }
    }

    fn by_items(&self, text: &str, items: &[Item<'static>]) -> Option<DateTime<Utc>> {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text.trim(), items.iter()).ok()?;
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            return parsed.to_datetime().ok().map(|time| time.to_utc());
        }
        let date = parsed.to_naive_date().ok()?;
        self.in_timezone(
            parsed.to_naive_time().map_or_else(|_| date.and_hms_opt(0, 0, 0), |time| Some(date.and_time(time)))?,
        )
    }

    fn in_timezone(&self, naive: NaiveDateTime) -> Option<DateTime<Utc>> {
        naive.and_local_timezone(self.timezone).single().map(|time| time.to_utc())
    }
}

fn unix(number: f64, per_second: i64, whole: Option<i64>) -> Option<DateTime<Utc>> {
    match whole {
        Some(whole) => {
            let nanos = (whole.rem_euclid(per_second)) * (1_000_000_000 / per_second);
            DateTime::from_timestamp(whole.div_euclid(per_second), u32::try_from(nanos).ok()?)
        }
        None => {
            let micros = number / per_second as f64 * 1e6;
            (micros.abs() < 9e18).then(|| DateTime::from_timestamp_micros(micros as i64))?
        }
    }
}

impl Format {
    fn name(&self) -> &str {
        match self {
            Self::Auto(_) => "auto",
            Self::Iso8601 => "iso8601",
            Self::Unix(_) => "unix",
            Self::Pattern { text, .. } => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{build, object_of, problem_of, run};

    fn read(format: &str, value: &serde_json::Value) -> serde_json::Value {
        run("timestamp", &[("field", "t"), ("format", format)], object_of(json!({"t": value}))).unwrap()["t"].clone()
    }

    #[test]
    fn times_are_read_in_many_forms() {
        for (format, value) in [
            ("%d/%b/%Y:%H:%M:%S %z", json!("10/Oct/2026:15:55:36 +0200")),
            ("dd/MMM/yyyy:HH:mm:ss Z", json!("10/Oct/2026:13:55:36 +0000")),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", json!("2026-10-10T13:55:36.000Z")),
            ("iso8601", json!("2026-10-10T15:55:36+02:00")),
            ("auto", json!("10/Oct/2026:13:55:36 +0000")),
            ("auto", json!("2026-10-10 13:55:36,000")),
            ("auto", json!("2026-10-10T13:55:36")),
            ("auto", json!(1_791_640_536)),
            ("auto", json!(1_791_640_536_000i64)),
            ("unix", json!("1791640536")),
            ("unix_ns", json!(1_791_640_536_000_000_000i64)),
        ] {
            assert_eq!(read(format, &value), json!("2026-10-10T13:55:36.000Z"), "{format} {value}");
        }
    }

    #[test]
    fn the_record_gets_the_time_and_the_target_its_form() {
        let keys = [("field", "t"), ("target", "time"), ("target.type", "unix_ms"), ("timezone", "+02:00")];
        let mut record = object_of(json!({"t": "2026-10-10 15:55:36.5"}));
        assert!(build("TimestampConverter$Value", &keys).unwrap().apply(&mut record).unwrap());
        assert_eq!(record.timestamp_ms, Some(1_791_640_536_500));
        assert_eq!(
            record.value.into_json().unwrap(),
            json!({"t": "2026-10-10 15:55:36.5", "time": 1_791_640_536_500i64})
        );
    }

    #[test]
    fn what_is_no_time_is_an_error_and_what_is_missing_is_not() {
        let error =
            build("timestamp", &[("field", "t")]).unwrap().apply(&mut object_of(json!({"t": "noon"}))).unwrap_err();
        assert_eq!(error.in_full(), "field t is not a time of the format auto: \"noon\"");
        assert!(!error.to_string().contains("noon"), "{error}");
        assert!(run("timestamp", &[("field", "t")], object_of(json!({}))).is_some());
        assert!(problem_of("timestamp", &[("field", "t"), ("format", "%Q")]).contains("not known"));
        assert!(problem_of("timestamp", &[("field", "t"), ("format", "yyyy-QQ")]).contains("at character 6"));
        assert!(problem_of("timestamp", &[("field", "t"), ("timezone", "Mars")]).contains("`Mars`"));
    }
}
