//! Settings of the process itself: where data goes, how it logs.

use std::path::PathBuf;

use weir_connect_api::config::{ConfigDef, ConfigKey, ConfigType};

use super::{Config, ConfigError, checked};

const DATA: &str = "data";
const LOG_FORMAT: &str = "log.format";
const LOG_LEVEL: &str = "log.level";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug)]
pub(crate) struct ProcessSettings {
    pub(crate) data_dir: PathBuf,
    pub(crate) log_format: LogFormat,
    /// `None`: as the command has it.
    pub(crate) log_level: Option<String>,
}

pub(crate) fn definition() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(DATA, ConfigType::String, "The folder of everything that is kept.").default("./weir-data"),
        ConfigKey::new(LOG_FORMAT, ConfigType::String, "How log lines look.")
            .default("text")
            .choices(&["text", "json"]),
        ConfigKey::new(LOG_LEVEL, ConfigType::String, "What is logged: error, warn, info, debug, trace, or a filter."),
    ])
}

pub(super) fn is_known(key: &str) -> bool {
    [DATA, LOG_FORMAT, LOG_LEVEL].contains(&key)
}

impl Config {
    pub(crate) fn process_settings(&self) -> Result<ProcessSettings, ConfigError> {
        let checked = checked(&definition(), &self.process)?;
        let log_level = checked.opt_str(LOG_LEVEL).map(str::to_owned);
        let log_format = if checked.str(LOG_FORMAT) == "json" { LogFormat::Json } else { LogFormat::Text };
        Ok(ProcessSettings { data_dir: PathBuf::from(checked.str(DATA)), log_format, log_level })
    }
}
