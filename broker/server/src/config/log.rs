//! A topic's settings as its logs honour them.

use std::sync::Arc;

use weir_control::metadata::{ConfigResource, MetadataImage};
use weir_storage::LogConfig;
use weir_types::batch::TimestampType;

use super::Properties;
use super::layers::{BrokerLayers, broker_values, topic_values};
use super::table::{self, Scope};
use super::value::elements;

/// What the topic's own settings, the broker's and the defaults come to. Values were checked when they were set.
pub fn log_config(file: &Properties, node_id: i32, image: &MetadataImage, topic: &str) -> LogConfig {
    let overrides = image.configs(&ConfigResource::Topic(Arc::from(topic)));
    let dynamic_broker = image.configs(&ConfigResource::Broker(node_id));
    let dynamic_default = image.configs(&ConfigResource::BrokerDefault);
    let layers = BrokerLayers { file, dynamic_broker: &dynamic_broker, dynamic_default: &dynamic_default };
    let text = |name: &str| {
        let key = table::find(Scope::Topic, name)?;
        topic_values(key, &overrides, layers).into_iter().next().map(|found| found.value)
    };
    let number = |name: &str| text(name).and_then(|text| text.trim().parse::<i64>().ok());
    let size = |name: &str, default: u64| number(name).and_then(|value| u64::try_from(value).ok()).unwrap_or(default);
    let limit = |name: &str| number(name).and_then(|value| u64::try_from(value).ok());
    let bounded = |name: &str| limit(name).filter(|value| *value < i64::MAX as u64);
    let is_true = |name: &str| text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let of_broker = |name: &str| {
        let key = table::find(Scope::Broker, name)?;
        broker_values(key, layers).into_iter().next().map(|found| found.value)
    };
    let policy = text("cleanup.policy").unwrap_or_default();
    let defaults = LogConfig::default();
    LogConfig {
        segment_bytes: size("segment.bytes", defaults.segment_bytes),
        segment_ms: size("segment.ms", defaults.segment_ms),
        segment_index_bytes: size("segment.index.bytes", defaults.segment_index_bytes),
        segment_jitter_ms: size("segment.jitter.ms", defaults.segment_jitter_ms),
        index_interval_bytes: size("index.interval.bytes", defaults.index_interval_bytes),
        retention_bytes: limit("retention.bytes"),
        retention_ms: limit("retention.ms"),
        max_message_bytes: size("max.message.bytes", defaults.max_message_bytes as u64) as usize,
        timestamp_type: match text("message.timestamp.type").as_deref() {
            Some("LogAppendTime") => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        },
        message_timestamp_before_max_ms: number("message.timestamp.before.max.ms").unwrap_or(i64::MAX),
        message_timestamp_after_max_ms: number("message.timestamp.after.max.ms").unwrap_or(i64::MAX),
        cleanup_delete: elements(&policy).any(|element| element == "delete"),
        cleanup_compact: elements(&policy).any(|element| element == "compact"),
        delete_retention_ms: size("delete.retention.ms", defaults.delete_retention_ms),
        min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(defaults.min_cleanable_dirty_ratio),
        min_compaction_lag_ms: size("min.compaction.lag.ms", defaults.min_compaction_lag_ms),
        max_compaction_lag_ms: size("max.compaction.lag.ms", defaults.max_compaction_lag_ms),
        flush_messages: bounded("flush.messages"),
        flush_ms: bounded("flush.ms"),
        preallocate: is_true("preallocate"),
        file_delete_delay_ms: size("file.delete.delay.ms", defaults.file_delete_delay_ms),
        producer_id_expiration_ms: of_broker("producer.id.expiration.ms")
            .and_then(|text| text.parse().ok())
            .unwrap_or(defaults.producer_id_expiration_ms),
        checkpoint_interval_ms: of_broker("log.flush.offset.checkpoint.interval.ms")
            .and_then(|text| text.parse().ok())
            .unwrap_or(defaults.checkpoint_interval_ms),
    }
}
