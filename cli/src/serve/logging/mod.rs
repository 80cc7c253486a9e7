//! Where log lines go: stderr, as text for people or JSON for machines; and which, until somebody says otherwise.

mod levels;
mod traced;

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use std::collections::BTreeMap;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Error as ReloadError;
use weir_connect::{LoggerLevel, Loggers};

use crate::config::{ConfigError, LogFormat};
use levels::Levels;
use traced::Traced;

/// Puts another filter in the place of the one that counts.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), ReloadError> + Send + Sync>;

/// The process's log, whose levels can be set while it runs.
pub(super) struct Logging {
    levels: Mutex<Levels>,
    reload: Reload,
}

/// Starts logging. `level` is a level or a filter of several.
pub(super) fn init(format: LogFormat, level: &str) -> Result<Arc<Logging>, ConfigError> {
    let malformed = |error| ConfigError::at("log.level", format!("`{level}` is not a level or a filter: {error}"));
    EnvFilter::try_new(level).map_err(malformed)?;
    let levels = Levels::parse(level);
    let filter = EnvFilter::try_new(levels.directives()).map_err(malformed)?;
    // What cannot be written is lost. To say so, too, on the same stderr, would panic.
    let lines = tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_writer(io::stderr);
    let reload: Reload = match format {
        LogFormat::Text => {
            let has_colours = has_colours();
            let lines = lines.with_ansi(has_colours).map_event_format(|format| Traced::text(format, has_colours));
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Box::new(move |filter| handle.reload(filter))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).map_event_format(Traced::json).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Box::new(move |filter| handle.reload(filter))
        }
    };
    Ok(Arc::new(Logging { levels: Mutex::new(levels), reload }))
}

impl Loggers for Logging {
    fn levels(&self) -> BTreeMap<String, LoggerLevel> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    fn set(&self, logger: &str, level: LevelFilter) -> Result<Vec<String>, String> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, changed) = levels.with(logger, level, now_ms)?;
        let filter = EnvFilter::try_new(next.directives()).map_err(|error| format!("logger `{logger}`: {error}"))?;
        (self.reload)(filter).map_err(|error| format!("logger `{logger}`: {error}"))?;
        *levels = next;
        Ok(changed)
    }
}

/// <https://no-color.org>
fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
