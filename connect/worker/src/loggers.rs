//! What REST knows of logging (`/admin/loggers`): the process around the worker has the one logger, and says here what it
//! logs and how that is changed.

use std::collections::BTreeMap;

use tracing::level_filters::LevelFilter;

/// The logger that all others follow, unless they were told otherwise.
pub const ROOT_LOGGER: &str = "root";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggerLevel {
    pub level: LevelFilter,
    /// When it was last set while the process runs; `None`: never.
    pub last_modified_ms: Option<u64>,
}

pub trait Loggers: Send + Sync {
    /// Every logger that is known, by name, with the level that it really has.
    fn levels(&self) -> BTreeMap<String, LoggerLevel>;

    /// Sets the level of a logger and of those below it, at once. Gives the names of those whose level changed, in order;
    /// an error says why nothing did.
    fn set(&self, logger: &str, level: LevelFilter) -> Result<Vec<String>, String>;
}
