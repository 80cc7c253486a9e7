//! What a search node is opened with.

use std::path::PathBuf;
use std::time::Duration;

/// Elasticsearch's version that Grafana and shippers accept (they refuse older than 7.16) and that Weir's answers
/// are shaped after.
pub const REPORTED_VERSION_DEFAULT: &str = "8.17.0";

/// Settings of one node. Fields have defaults through [`SearchConfig::new`].
#[derive(Debug, Clone)]
pub struct SearchConfig {
    /// Holds everything the node keeps. One process at a time may have it open.
    pub data_dir: PathBuf,
    /// Shards whose span ended longer ago than this are deleted; `None` keeps them for ever.
    pub retention: Option<Duration>,
    /// The time span of one shard.
    pub shard_span: ShardSpan,
    /// How long a written document may stay invisible.
    pub commit_interval: Duration,
    /// Memory that the writer of one shard may hold before it writes a segment.
    pub writer_memory_bytes: usize,
    /// `version.number` of `GET /`.
    pub reported_version: String,
    pub cluster_name: String,
    pub node_name: String,
}

/// The time span of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardSpan {
    Day,
    Hour,
}

impl SearchConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            retention: None,
            shard_span: ShardSpan::Day,
            commit_interval: Duration::from_secs(1),
            writer_memory_bytes: 64 << 20,
            reported_version: REPORTED_VERSION_DEFAULT.to_owned(),
            cluster_name: "weir".to_owned(),
            node_name: "weir".to_owned(),
        }
    }
}
