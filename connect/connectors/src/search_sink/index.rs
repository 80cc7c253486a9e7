//! The name of a record's index: `nginx-%Y.%m.%d` and `${topic}`, filled in.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::DateTime;
use chrono::format::{Item, StrftimeItems};

const TOPIC_PLACEHOLDER: &str = "${topic}";

/// A checked pattern, and the last name that it gave: neighbours mostly go to the same index.
#[derive(Debug)]
pub(super) struct IndexPattern {
    pattern: String,
    last: Option<(Arc<str>, i64, Arc<str>)>,
}

impl IndexPattern {
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.trim().is_empty() {
            return Err("is empty".to_owned());
        }
        let probe = pattern.replace(TOPIC_PLACEHOLDER, "t");
        if StrftimeItems::new(&probe).any(|item| matches!(item, Item::Error)) {
            return Err(format!("`{pattern}` has an unknown pattern: use %Y, %m, %d, %H as in nginx-%Y.%m.%d"));
        }
        Ok(Self { pattern: pattern.trim().to_owned(), last: None })
    }

    /// Lower case, as servers ask for.
    pub(super) fn name(&mut self, topic: &Arc<str>, timestamp_ms: i64) -> Arc<str> {
        let second = timestamp_ms.div_euclid(1000);
        if let Some((last_topic, last_second, name)) = &self.last
            && *last_second == second
            && last_topic == topic
        {
            return Arc::clone(name);
        }
        let time = DateTime::from_timestamp(second, 0).unwrap_or_default();
        // A topic's name may hold no %, so it can be put in before the time is.
        let pattern = self.pattern.replace(TOPIC_PLACEHOLDER, topic);
        let mut name = String::new();
        if write!(name, "{}", time.format(&pattern)).is_err() {
            name = pattern;
        }
        let name: Arc<str> = name.to_lowercase().into();
        self.last = Some((Arc::clone(topic), second, Arc::clone(&name)));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_time_and_topic_fill_the_pattern() {
        let mut pattern = IndexPattern::new("Logs-${topic}-%Y.%m.%d").unwrap();
        let (a, b): (Arc<str>, Arc<str>) = ("A".into(), "b".into());
        assert_eq!(&*pattern.name(&a, 1_795_420_800_123), "logs-a-2026.11.23");
        assert_eq!(&*pattern.name(&a, 1_795_420_800_456), "logs-a-2026.11.23");
        assert_eq!(&*pattern.name(&b, 1_795_420_800_456), "logs-b-2026.11.23");
        assert_eq!(&*pattern.name(&b, -1), "logs-b-1969.12.31");
    }

    #[test]
    fn unknown_patterns_are_refused() {
        assert!(IndexPattern::new("x-%Q").is_err());
        assert!(IndexPattern::new(" ").is_err());
    }
}
