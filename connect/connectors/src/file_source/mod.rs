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
use weir_connect_api::{Config, ConnectError, Connector, ConnectorClass, ConnectorKind, Task, TypedConfig};

use config::Settings;

/// The connector class `file-tail`.
pub struct FileTail;

static CLASS: LazyLock<ConnectorClass> = LazyLock::new(|| ConnectorClass {
    name: "file-tail",
    aliases: &["org.apache.kafka.connect.file.FileStreamSourceConnector"],
    kind: ConnectorKind::Source,
    doc: "Follows files through rotation, truncation and compression and produces each line exactly once.",
    config_def: config::definition(),
    check: Settings::problems,
});

#[async_trait]
impl Connector for FileTail {
    fn about(&self) -> &'static ConnectorClass {
        &CLASS
    }

    async fn dial(&self, config: &Config) -> Result<String, ConnectError> {
        let settings = Settings::checked(config)?;
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
