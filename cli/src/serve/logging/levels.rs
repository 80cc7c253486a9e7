//! Which logger has which level: what the filter's text says, and what is set while the process runs.
//!
//! A logger is named by a crate or a module (`weir_connect`, `weir_connect::source`), the one above all others `root`. A
//! logger of which nothing was said has the level of the one above it.

use std::collections::BTreeMap;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use weir_connect::{LoggerLevel, ROOT_LOGGER};

/// Loggers that are shown whether or not something was said of them, with the levels of those libraries that say more at
/// info than an operator wants to know.
const KNOWN: &[(&str, Option<LevelFilter>)] = &[
    ("librdkafka", Some(LevelFilter::WARN)),
    ("rdkafka", Some(LevelFilter::WARN)),
    ("sqlx", Some(LevelFilter::WARN)),
    ("tantivy", Some(LevelFilter::WARN)),
    ("weir", None),
    ("weir_broker", None),
    ("weir_connect", None),
    ("weir_connectors", None),
    ("weir_search", None),
    ("weir_storage", None),
];
const PATH_SEPARATOR: &str = "::";
/// Loggers of which something is remembered: REST can name any.
const LOGGERS_MAX: usize = 1_000;
/// What is logged where a filter names no level for the rest.
const REST: LevelFilter = LevelFilter::ERROR;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Levels {
    said: BTreeMap<String, LoggerLevel>,
    /// Directives about spans and fields: they stand as they were written.
    others: Vec<String>,
}

impl Levels {
    /// Reads a filter that `EnvFilter` takes; a later directive replaces an earlier one.
    pub(super) fn parse(filter: &str) -> Self {
        let said = |level| LoggerLevel { level, last_modified_ms: None };
        let quiet = KNOWN.iter().filter_map(|(name, level)| Some(((*name).to_owned(), said((*level)?))));
        let mut levels = Self { said: quiet.collect(), others: Vec::new() };
        levels.said.insert(ROOT_LOGGER.to_owned(), said(REST));
        for directive in filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (name, level) = match directive.split_once('=') {
                _ if directive.contains('[') => (directive, None),
                Some((name, level)) => (name, LevelFilter::from_str(level).ok()),
                None => match LevelFilter::from_str(directive) {
                    Ok(level) => (ROOT_LOGGER, Some(level)),
                    // A name alone lets everything through.
                    Err(_) => (directive, Some(LevelFilter::TRACE)),
                },
            };
            match level {
                Some(level) => {
                    levels.said.insert(name.to_owned(), said(level));
                }
                None => levels.others.push(directive.to_owned()),
            }
        }
        levels
    }

    /// As `EnvFilter` takes it. Every logger stands there: a directive's name would else stand for all that begin so.
    pub(super) fn directives(&self) -> String {
        let directive = |(name, level): (String, LoggerLevel)| match name.as_str() {
            ROOT_LOGGER => level.level.to_string(),
            name => format!("{name}={}", level.level),
        };
        self.all().into_iter().map(directive).chain(self.others.iter().cloned()).collect::<Vec<_>>().join(",")
    }

    pub(super) fn all(&self) -> BTreeMap<String, LoggerLevel> {
        let mut all: BTreeMap<_, _> = KNOWN.iter().map(|(name, _)| ((*name).to_owned(), self.of(name))).collect();
        all.extend(self.said.clone());
        all
    }

    /// What was said of the logger, or of the nearest above it.
    fn of(&self, name: &str) -> LoggerLevel {
        let mut path = name;
        loop {
            if let Some(level) = self.said.get(path) {
                return *level;
            }
            path = path.rsplit_once(PATH_SEPARATOR).map_or(ROOT_LOGGER, |(above, _)| above);
        }
    }

    /// These levels with the one of `logger`, and of all below it, set; and the names of those that this changes.
    pub(super) fn with(&self, logger: &str, level: LevelFilter, now_ms: u64) -> Result<(Self, Vec<String>), String> {
        if !is_name(logger) {
            return Err(format!("`{logger}` is not a logger's name: a crate or a module, such as weir_connect"));
        }
        let below = |name: &str| {
            logger == ROOT_LOGGER || name.strip_prefix(logger).is_some_and(|rest| rest.starts_with(PATH_SEPARATOR))
        };
        let all = self.all();
        let mut names: Vec<String> = all.keys().filter(|name| *name == logger || below(name)).cloned().collect();
        if !all.contains_key(logger) {
            names.push(logger.to_owned());
        }
        names.retain(|name| self.of(name).level != level);
        names.sort();
        let mut next = self.clone();
        for name in &names {
            next.said.insert(name.clone(), LoggerLevel { level, last_modified_ms: Some(now_ms) });
        }
        if next.said.len() > LOGGERS_MAX {
            return Err(format!("levels of more than {LOGGERS_MAX} loggers are not remembered"));
        }
        Ok((next, names))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(levels: &Levels, name: &str) -> LevelFilter {
        levels.all()[name].level
    }

    #[test]
    fn a_filters_text_becomes_levels_and_levels_a_filter() {
        let levels = Levels::parse("info, weir_broker=debug,sqlx,weir[request{id=7}]=trace,rdkafka=error");
        assert_eq!(level(&levels, "root"), LevelFilter::INFO);
        assert_eq!(
            (level(&levels, "weir_broker"), level(&levels, "weir_search")),
            (LevelFilter::DEBUG, LevelFilter::INFO)
        );
        assert_eq!((level(&levels, "sqlx"), level(&levels, "rdkafka")), (LevelFilter::TRACE, LevelFilter::ERROR));
        let text = levels.directives();
        assert!(text.contains(",weir[request{id=7}]=trace"), "{text}");
        assert!(tracing_subscriber::EnvFilter::try_new(&text).is_ok(), "{text}");
        assert_eq!(Levels::parse(&text).all(), levels.all(), "{text}");
    }

    #[test]
    fn a_logger_takes_those_below_it_along_and_no_others() {
        let levels = Levels::parse("warn,weir_connect::rest=error");
        let (next, changed) = levels.with("weir_connect", LevelFilter::DEBUG, 7).unwrap();
        assert_eq!(changed, ["weir_connect", "weir_connect::rest"]);
        assert_eq!(level(&next, "weir_connectors"), LevelFilter::WARN, "its name only begins alike");
        assert_eq!(next.all()["weir_connect::rest"].last_modified_ms, Some(7));
        assert_eq!(next.all()["weir_connectors"].last_modified_ms, None);
        let (_, changed) = next.with("weir_connect", LevelFilter::DEBUG, 8).unwrap();
        assert_eq!(changed, [""; 0], "nothing is new");
    }

    #[test]
    fn root_sets_all_and_a_module_may_be_named_that_nobody_spoke_of() {
        let levels = Levels::parse("warn");
        let (next, changed) = levels.with("root", LevelFilter::DEBUG, 1).unwrap();
        assert!(changed.contains(&"root".to_owned()) && changed.contains(&"sqlx".to_owned()), "{changed:?}");
        assert!(next.all().values().all(|set| set.level == LevelFilter::DEBUG));
        let (next, changed) = next.with("weir_connect::source", LevelFilter::TRACE, 2).unwrap();
        assert_eq!(
            (changed, level(&next, "weir_connect::source")),
            (vec!["weir_connect::source".to_owned()], LevelFilter::TRACE)
        );
    }

    #[test]
    fn what_is_no_name_cannot_smuggle_a_directive_in() {
        let error = Levels::parse("warn").with("weir=trace,x", LevelFilter::INFO, 1).unwrap_err();
        assert!(error.starts_with("`weir=trace,x` is not a logger's name"), "{error}");
    }
}
