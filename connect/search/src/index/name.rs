//! Which shard a document belongs to.
//!
//! A shard is an index over one span of time, and its name says so: `nginx-2026.11.23`, `nginx-2026.11.23.07`. An index
//! name that already ends like that (as shippers' daily patterns do) is the shard; any other name gets the span of
//! the document's timestamp appended, and then names all of its shards in queries.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};

use crate::config::ShardSpan;
use crate::limits::INDEX_NAME_BYTES_MAX;

/// Why a name cannot be an index name. Elasticsearch's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the index name is empty")]
    Empty,
    #[error("index name {name:?}: longer than {INDEX_NAME_BYTES_MAX} bytes")]
    TooLong { name: String },
    #[error("index name {name:?}: must not contain {character:?}")]
    Character { name: String, character: char },
    #[error("index name {name:?}: must not start with '-', '_', '+' or '.'")]
    Start { name: String },
    #[error("index name {name:?}: must be lower case")]
    UpperCase { name: String },
}

/// The name of a shard: a valid index name that is also a safe directory name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShardName {
    full: String,
    base_len: usize,
    end: DateTime<Utc>,
}

impl ShardName {
    /// The shard of a document of `index` at `timestamp_ms`.
    pub(crate) fn of(index: &str, timestamp_ms: i64, span: ShardSpan) -> Result<Self, NameError> {
        validate(index)?;
        if let Some(name) = Self::parse(index) {
            return Ok(name);
        }
        let at = DateTime::from_timestamp_millis(timestamp_ms).unwrap_or_default();
        let suffix = match span {
            ShardSpan::Day => at.format("%Y.%m.%d"),
            ShardSpan::Hour => at.format("%Y.%m.%d.%H"),
        };
        let full = format!("{index}-{suffix}");
        let end = span_end(&full[index.len() + 1..]).unwrap_or(at);
        Ok(Self { full, base_len: index.len(), end })
    }

    /// A name that says its span itself; `None` when it doesn't or is no index name.
    pub(crate) fn parse(full: &str) -> Option<Self> {
        validate(full).ok()?;
        let (base, suffix) = full.rsplit_once('-')?;
        if base.is_empty() {
            return None;
        }
        let end = span_end(suffix)?;
        Some(Self { full: full.to_owned(), base_len: base.len(), end })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.full
    }

    /// The index name without the span.
    pub(crate) fn base(&self) -> &str {
        &self.full[..self.base_len]
    }

    /// The end of the span, exclusive.
    pub(crate) fn end(&self) -> DateTime<Utc> {
        self.end
    }
}

impl std::fmt::Display for ShardName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.full)
    }
}

/// The exclusive end of the span that `2026.11.23`, `2026.11.23.07` or `2026.11` names.
fn span_end(suffix: &str) -> Option<DateTime<Utc>> {
    let parts: Vec<&str> = suffix.split('.').collect();
    let widths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let numbers: Vec<u32> =
        if digits { parts.iter().filter_map(|part| part.parse().ok()).collect() } else { return None };
    let day = |month, day| NaiveDate::from_ymd_opt(i32::try_from(numbers[0]).ok()?, month, day);
    let end: NaiveDateTime = match widths.as_slice() {
        [4, 2] => day(numbers[1], 1)?.checked_add_months(chrono::Months::new(1))?.and_hms_opt(0, 0, 0)?,
        [4, 2, 2] => day(numbers[1], numbers[2])?.succ_opt()?.and_hms_opt(0, 0, 0)?,
        [4, 2, 2, 2] => {
            let start = day(numbers[1], numbers[2])?.and_hms_opt(0, 0, 0)?.with_hour(numbers[3])?;
            start.checked_add_signed(TimeDelta::hours(1))?
        }
        _ => return None,
    };
    Some(end.and_utc())
}

pub(crate) fn validate(name: &str) -> Result<(), NameError> {
    let Some(first) = name.chars().next() else {
        return Err(NameError::Empty);
    };
    let name_of = || name.to_owned();
    if name.len() > INDEX_NAME_BYTES_MAX {
        return Err(NameError::TooLong { name: name.chars().take(40).collect() });
    }
    if matches!(first, '-' | '_' | '+' | '.') {
        return Err(NameError::Start { name: name_of() });
    }
    for character in name.chars() {
        if r#"\/*?"<>| ,#:"#.contains(character) || character.is_control() {
            return Err(NameError::Character { name: name_of(), character });
        }
        if character.is_uppercase() {
            return Err(NameError::UpperCase { name: name_of() });
        }
    }
    Ok(())
}

/// Whether an index expression (a name, or one with `*` and `?`) means this shard: by its full name, or by its index.
pub(crate) fn matches(pattern: &str, shard: &ShardName) -> bool {
    pattern == "_all" || wildcard_matches(pattern, shard.as_str()) || wildcard_matches(pattern, shard.base())
}

/// `*` is any run of characters, `?` any single one.
pub(crate) fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOV_23: i64 = 1_795_420_800_000; // 2026-11-23T08:00:00Z

    #[test]
    fn a_plain_index_name_gets_the_day_of_the_document() {
        let name = ShardName::of("nginx", NOV_23, ShardSpan::Day).unwrap();
        assert_eq!((name.as_str(), name.base()), ("nginx-2026.11.23", "nginx"));
        assert_eq!(name.end().to_rfc3339(), "2026-11-24T00:00:00+00:00");
    }

    #[test]
    fn a_plain_index_name_gets_the_hour_where_shards_are_hourly() {
        let name = ShardName::of("nginx", NOV_23, ShardSpan::Hour).unwrap();
        assert_eq!(name.as_str(), "nginx-2026.11.23.08");
        assert_eq!(name.end().to_rfc3339(), "2026-11-23T09:00:00+00:00");
    }

    #[test]
    fn a_dated_index_name_is_itself_the_shard() {
        let name = ShardName::of("nginx-2020.02.29", NOV_23, ShardSpan::Day).unwrap();
        assert_eq!((name.as_str(), name.base()), ("nginx-2020.02.29", "nginx"));
        assert_eq!(
            ShardName::of("n-2020.12", 0, ShardSpan::Day).unwrap().end().to_rfc3339(),
            "2021-01-01T00:00:00+00:00"
        );
        assert_eq!(ShardName::of("n-2020.02.30", 0, ShardSpan::Day).unwrap().as_str(), "n-2020.02.30-1970.01.01");
    }

    #[test]
    fn names_that_could_leave_the_data_folder_or_confuse_a_pattern_are_refused() {
        for name in ["", "../x", "a/b", "a*", "A", ".hidden", "_x", "a b", "a,b", "a:b", "a\0"] {
            assert!(ShardName::of(name, 0, ShardSpan::Day).is_err(), "{name:?} was taken");
        }
        assert!(ShardName::of(&"x".repeat(INDEX_NAME_BYTES_MAX + 1), 0, ShardSpan::Day).is_err());
    }

    #[test]
    fn an_index_expression_finds_shards_by_full_name_and_by_index() {
        let name = ShardName::parse("nginx-2026.11.23").unwrap();
        for pattern in ["nginx", "nginx-*", "*", "_all", "nginx-2026.11.23", "ng?nx*", "nginx-2026.11.*"] {
            assert!(matches(pattern, &name), "{pattern}");
        }
        for pattern in ["ngin", "nginx-2026.11.24", "apache-*", ""] {
            assert!(!matches(pattern, &name), "{pattern}");
        }
    }
}
