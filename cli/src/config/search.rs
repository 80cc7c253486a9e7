//! The keys of `search:`.

use std::path::Path;

use weir_connect_api::config::{ConfigDef, ConfigKey, ConfigType};
use weir_search::{SearchConfig, ShardSpan};

use super::{Config, ConfigError, checked};

const FOLDER: &str = "search";
const LISTENERS: &str = "listeners";
const DATA_DIR: &str = "data.dir";
const RETENTION: &str = "retention";
const SHARD_SPAN: &str = "shard.span";
const COMMIT_INTERVAL: &str = "commit.interval";
const WRITER_MEMORY: &str = "writer.memory";
const BULK_TOPIC: &str = "bulk.topic";
const CLUSTER_NAME: &str = "cluster.name";
const NODE_NAME: &str = "node.name";
const WRITER_MEMORY_BYTES_MIN: i64 = 16 << 20;
const WRITER_MEMORY_BYTES_MAX: i64 = 4 << 30;

pub(crate) struct SearchSettings {
    pub(crate) node: SearchConfig,
    /// `host:port`, one or several.
    pub(crate) listeners: Vec<String>,
    /// Where documents go that come in over HTTP; `None`: they are refused.
    pub(crate) bulk_topic: Option<String>,
}

pub(crate) fn definition() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(LISTENERS, ConfigType::List, "Where it answers, http://host:port each.")
            .default("http://localhost:9200"),
        ConfigKey::new(DATA_DIR, ConfigType::String, "Where the index is; `search` in the data folder by default."),
        ConfigKey::new(
            RETENTION,
            ConfigType::Duration,
            "Shards that ended longer ago are deleted; for ever if not set.",
        )
        .range(1, i64::MAX),
        ConfigKey::new(SHARD_SPAN, ConfigType::String, "The time that one shard holds.")
            .default("day")
            .choices(&["day", "hour"]),
        ConfigKey::new(COMMIT_INTERVAL, ConfigType::Duration, "How long a written document may stay invisible.")
            .default("1s")
            .range(10, 3_600_000),
        ConfigKey::new(WRITER_MEMORY, ConfigType::Size, "Memory of one shard's writer before it writes a segment.")
            .default("64MiB")
            .range(WRITER_MEMORY_BYTES_MIN, WRITER_MEMORY_BYTES_MAX),
        ConfigKey::new(
            BULK_TOPIC,
            ConfigType::String,
            "The topic that documents of `_bulk` go through on their way into the index; without it `_bulk` is refused. \
             Needs a worker beside the node: `weir up`, or `weir connect run --search`.",
        ),
        ConfigKey::new(CLUSTER_NAME, ConfigType::String, "`cluster_name` of its answers.").default("weir"),
        ConfigKey::new(NODE_NAME, ConfigType::String, "`name` of its answers.").default("weir"),
    ])
}

impl Config {
    pub(crate) fn search_settings(&self, data_dir: &Path) -> Result<SearchSettings, ConfigError> {
        let checked = checked(&definition(), &self.search)?;
        let folder = checked.opt_str(DATA_DIR).map_or_else(|| data_dir.join(FOLDER), Into::into);
        let mut node = SearchConfig::new(folder);
        node.retention = checked.opt_str(RETENTION).map(|_| checked.duration(RETENTION));
        node.shard_span = if checked.str(SHARD_SPAN) == "hour" { ShardSpan::Hour } else { ShardSpan::Day };
        node.commit_interval = checked.duration(COMMIT_INTERVAL);
        node.writer_memory_bytes = usize::try_from(checked.size_bytes(WRITER_MEMORY)).unwrap_or(usize::MAX);
        node.cluster_name = checked.str(CLUSTER_NAME).to_owned();
        node.node_name = checked.str(NODE_NAME).to_owned();
        let bare = |address: &&str| address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listeners = checked.list(LISTENERS).iter().map(bare).collect();
        Ok(SearchSettings { node, listeners, bulk_topic: checked.opt_str(BULK_TOPIC).map(str::to_owned) })
    }
}
