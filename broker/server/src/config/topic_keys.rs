//! Topic-level keys, and the broker keys that give them their defaults.

use super::table::{ConfigKey, Kind, Synonym, same, times};

const HOUR_MS: i64 = 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;
const INT_MAX: &str = "2147483647";
const LONG_MAX: &str = "9223372036854775807";

const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> ConfigKey {
    ConfigKey::new(name, kind, Some(default), doc).cluster_wide().synonyms(synonyms)
}

/// In alphabetical order, as Kafka's tools show them.
pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "cleanup.policy",
        Kind::List,
        "delete",
        &[same("log.cleanup.policy")],
        "What happens to old segments: delete discards them by time and size, compact keeps the last record of each key.",
    )
    .each_of(&["delete", "compact"]),
    row(
        "compression.type",
        Kind::String,
        "producer",
        &[same("compression.type")],
        "The codec that batches are stored with; producer keeps what the producer chose.",
    )
    .one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
    .not_yet(),
    row(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        &[same("log.cleaner.delete.retention.ms")],
        "How long tombstones stay in a compacted topic.",
    )
    .at_least(0),
    row(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        &[same("log.segment.delete.delay.ms")],
        "How long a deleted segment stays on disk. Those of a deleted topic go at once: who reads them still keeps them open.",
    )
    .at_least(0),
    row(
        "flush.messages",
        Kind::Long,
        LONG_MAX,
        &[same("log.flush.interval.messages")],
        "Records after which a partition is flushed, where log.flush=os leaves it to the operating system.",
    )
    .at_least(1),
    row(
        "flush.ms",
        Kind::Long,
        LONG_MAX,
        &[same("log.flush.interval.ms")],
        "Time after which a partition is flushed, where log.flush=os leaves it to the operating system.",
    )
    .at_least(0),
    row(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        &[same("log.index.interval.bytes")],
        "Bytes of log between two entries of the offset index.",
    )
    .at_least(0),
    row(
        "max.compaction.lag.ms",
        Kind::Long,
        LONG_MAX,
        &[same("log.cleaner.max.compaction.lag.ms")],
        "The longest time a record stays out of reach of compaction.",
    )
    .at_least(1),
    row(
        "max.message.bytes",
        Kind::Int,
        "1048588",
        &[same("message.max.bytes")],
        "The largest batch that is accepted, after compression.",
    )
    .at_least(0),
    row(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        &[same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may lie ahead of the broker's clock.",
    )
    .at_least(0),
    row(
        "message.timestamp.before.max.ms",
        Kind::Long,
        LONG_MAX,
        &[same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may lie behind the broker's clock.",
    )
    .at_least(0),
    row(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        &[same("log.message.timestamp.type")],
        "Whose clock stamps records: the producer's (CreateTime) or the broker's (LogAppendTime).",
    )
    .one_of(&["CreateTime", "LogAppendTime"]),
    row(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        &[same("log.cleaner.min.cleanable.ratio")],
        "Share of a log that must be uncompacted before compaction looks at it.",
    )
    .ratio(),
    row(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        &[same("log.cleaner.min.compaction.lag.ms")],
        "The shortest time a record stays out of reach of compaction.",
    )
    .at_least(0),
    row(
        "min.insync.replicas",
        Kind::Int,
        "1",
        &[same("min.insync.replicas")],
        "In-sync replicas that an acks=all write needs; never more than the topic has replicas, as in Kafka, so that one broker always has enough.",
    )
    .at_least(1),
    row(
        "preallocate",
        Kind::Boolean,
        "false",
        &[same("log.preallocate")],
        "Reserve a segment's space on disk when it is created.",
    ),
    row(
        "retention.bytes",
        Kind::Long,
        "-1",
        &[same("log.retention.bytes")],
        "Size a partition may reach before its oldest segments go; -1 for no limit.",
    ),
    row(
        "retention.ms",
        Kind::Long,
        "604800000",
        &[same("log.retention.ms"), times("log.retention.minutes", MINUTE_MS), times("log.retention.hours", HOUR_MS)],
        "Age at which segments go; -1 for no limit.",
    )
    .at_least(-1),
    row(
        "segment.bytes",
        Kind::Int,
        "1073741824",
        &[same("log.segment.bytes")],
        "Size at which a partition begins its next segment.",
    )
    .between(14, i32::MAX as i64),
    row(
        "segment.index.bytes",
        Kind::Int,
        "10485760",
        &[same("log.index.size.max.bytes")],
        "Size at which an index is full, and its segment with it.",
    )
    .at_least(4),
    row(
        "segment.jitter.ms",
        Kind::Long,
        "0",
        &[same("log.roll.jitter.ms"), times("log.roll.jitter.hours", HOUR_MS)],
        "Random time taken off segment.ms, so that segments do not all roll at once.",
    )
    .at_least(0),
    row(
        "segment.ms",
        Kind::Long,
        "604800000",
        &[same("log.roll.ms"), times("log.roll.hours", HOUR_MS)],
        "Age at which a partition begins its next segment.",
    )
    .at_least(1),
    row(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        &[same("unclean.leader.election.enable")],
        "Whether a replica that lacks acknowledged records may lead when no other is left.",
    )
    .not_yet(),
];

/// Defaults that broker rows share with topic rows.
pub(super) const UNBOUNDED_INT: &str = INT_MAX;
pub(super) const UNBOUNDED_LONG: &str = LONG_MAX;
