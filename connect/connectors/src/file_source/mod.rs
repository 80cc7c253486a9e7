//! `file-tail`: follows files and produces their lines, each exactly once, through rotation by rename and by copy,
//! truncation, compression, inode reuse, and its own death at any moment.
//!
//! Reading order: [`config`], [`identity`] (who a file is), [`roster`] (which file is which; pure), [`lines`] (where
//! records end; pure), [`reader`] (one file), [`tail`] (all files), [`task`] (the runtime's side). [`header`] and
//! [`ranges`] are how records that were delivered before a crash are known again.
//!
//! Invariants:
//! - Never writes, renames or locks anything on disk.
//! - A position is handed over only behind the records before it, per file.
//! - Holds no bytes of a file between reads, and at most `open.files.max` descriptors.

mod compare;
mod config;
mod content;
mod header;
mod identity;
mod lines;
mod ranges;
mod reader;
mod roster;
mod scan;
mod tail;
mod task;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use async_trait::async_trait;
use weir_connect_api::{Config, ConfigDef, ConfigProblem, ConnectError, Connector, ConnectorKind, Task};

use config::Settings;

static DEFINITION: LazyLock<ConfigDef> = LazyLock::new(config::definition);

/// The connector class `file-tail`.
pub struct FileTail;

#[async_trait]
impl Connector for FileTail {
    fn class(&self) -> &'static str {
        "file-tail"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["org.apache.kafka.connect.file.FileStreamSourceConnector", "FileStreamSource", "FileStreamSourceConnector"]
    }

    fn kind(&self) -> ConnectorKind {
        ConnectorKind::Source
    }

    fn doc(&self) -> &'static str {
        "Follows files through rotation, truncation and compression and produces each line exactly once."
    }

    fn config_def(&self) -> &ConfigDef {
        &DEFINITION
    }

    fn validate(&self, config: &Config) -> Vec<ConfigProblem> {
        Settings::new(config).err().unwrap_or_default()
    }

    async fn dial(&self, config: &Config) -> Result<String, ConnectError> {
        let settings = Settings::new(config).map_err(|problems| {
            ConnectError::fatal(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let files = scan::named(&settings.paths, &settings.exclude);
        for file in &files {
            std::fs::File::open(&file.path)
                .map_err(|e| ConnectError::fatal(format!("{} cannot be read: {e}", file.path.display())))?;
        }
        Ok(match files.len() {
            0 => "no file matches yet".to_owned(),
            1 => "1 file matches and can be read".to_owned(),
            count => format!("{count} files match and can be read"),
        })
    }

    fn task_count(&self, _config: &Config, _tasks_max: usize) -> usize {
        1
    }

    fn task(&self) -> Task {
        Task::Source(Box::<task::FileTailTask>::default())
    }
}
