//! Where log lines go: stderr, as text for people or JSON for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogFormat};

/// Libraries that say more at info than an operator wants to know.
const QUIETER: &[&str] = &["tantivy=warn", "rdkafka=warn", "librdkafka=warn", "sqlx=warn"];

/// Starts logging. `level` is a level or a filter of several.
pub(crate) fn init(format: LogFormat, level: &str) -> Result<(), ConfigError> {
    let malformed = |error| ConfigError::at("log.level", format!("`{level}` is not a level or a filter: {error}"));
    let filter = EnvFilter::try_new(format!("{},{level}", QUIETER.join(","))).map_err(malformed)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(has_colours()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// <https://no-color.org>
fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
