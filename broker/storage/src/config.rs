//! The topic-level settings that a log honours, with Kafka's names and defaults.

use std::time::Duration;

use weir_types::batch::TimestampType;
use weir_types::limits::MESSAGE_BYTES_MAX;

const DAY_MS: u64 = Duration::from_hours(24).as_millis() as u64;

/// Settings of one topic. `_ms` are milliseconds, `None` is Kafka's -1.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    pub segment_bytes: u64,
    pub segment_ms: u64,
    pub segment_index_bytes: u64,
    pub segment_jitter_ms: u64,
    pub index_interval_bytes: u64,
    pub retention_bytes: Option<u64>,
    pub retention_ms: Option<u64>,
    pub max_message_bytes: usize,
    pub timestamp_type: TimestampType,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_after_max_ms: i64,
    /// `cleanup.policy` contains `delete`.
    pub cleanup_delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub cleanup_compact: bool,
    pub delete_retention_ms: u64,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: u64,
    pub max_compaction_lag_ms: u64,
    /// `flush.messages`
    pub flush_messages: Option<u64>,
    pub flush_ms: Option<u64>,
    pub preallocate: bool,
    pub file_delete_delay_ms: u64,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: u64,
    /// `log.flush.offset.checkpoint.interval.ms`: how often `append-time-checkpoint` is written, too.
    pub checkpoint_interval_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_index_bytes: 10 << 20,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            retention_bytes: None,
            retention_ms: Some(7 * DAY_MS),
            max_message_bytes: MESSAGE_BYTES_MAX,
            timestamp_type: TimestampType::CreateTime,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
            cleanup_delete: true,
            cleanup_compact: false,
            delete_retention_ms: DAY_MS,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX as u64,
            flush_messages: None,
            flush_ms: None,
            preallocate: false,
            file_delete_delay_ms: 60_000,
            producer_id_expiration_ms: DAY_MS,
            checkpoint_interval_ms: 60_000,
        }
    }
}
