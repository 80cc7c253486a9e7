//! The settings of consumer groups and of the topic that keeps them.

use std::time::Duration;

use weir_control::groups::GroupConfig;
use weir_control::lag::LagConfig;

use super::ConfigError;
use super::settings::Reader;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct GroupSettings {
    pub config: GroupConfig,
    pub lag: LagConfig,
    pub retention_check_interval: Duration,
    /// Of `__consumer_offsets`, when it is created.
    pub topic_partition_count: i32,
    pub topic_replication_factor: i16,
    pub topic_segment_bytes: usize,
}

impl GroupSettings {
    pub(super) fn resolve(read: &Reader<'_>) -> Result<Self, ConfigError> {
        let shortest = read.duration("group.min.session.timeout.ms")?;
        let longest = read.duration("group.max.session.timeout.ms")?;
        if shortest > longest {
            let reason = format!("{shortest:?} is more than group.max.session.timeout.ms, {longest:?}");
            return Err(read.refused("group.min.session.timeout.ms", reason));
        }
        let retention_minutes = read.count("offsets.retention.minutes")?;
        Ok(Self {
            config: GroupConfig {
                initial_rebalance_delay: read.duration("group.initial.rebalance.delay.ms")?,
                session_timeout: shortest..=longest,
                group_size_max: read.count("group.max.size")?,
                offset_metadata_bytes_max: read.count("offset.metadata.max.bytes")?,
                offsets_retention: MINUTE * u32::try_from(retention_minutes).unwrap_or(u32::MAX),
            },
            lag: LagConfig {
                window: read.duration("group.lag.window.ms")?,
                warn_min_records: read.number("group.lag.warn.min.records")?,
                warn_min: read.duration("group.lag.warn.min.ms")?,
            },
            retention_check_interval: read.duration("offsets.retention.check.interval.ms")?,
            topic_partition_count: read.number("offsets.topic.num.partitions")? as i32,
            topic_replication_factor: read.number("offsets.topic.replication.factor")? as i16,
            topic_segment_bytes: read.count("offsets.topic.segment.bytes")?,
        })
    }
}
