//! Broker-level keys. Names, kinds and defaults are Kafka's; where Weir's default differs the doc says so.

use super::table::{ConfigKey, Kind, same, times};
use super::topic_keys::{UNBOUNDED_INT, UNBOUNDED_LONG};

const fn row(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, kind, Some(default), doc)
}

const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, kind, None, doc)
}

const HOUR_MS: i64 = 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    unset(
        "advertised.listeners",
        Kind::String,
        "Where clients are told to connect, one NAME://host:port per listener; by default what `listeners` says.",
    )
    .synonyms(&[same("listeners")]),
    row(
        "auto.create.topics.enable",
        Kind::Boolean,
        "true",
        "Whether a metadata request for an unknown topic creates it.",
    ),
    unset("broker.id", Kind::Int, "The older name of node.id.").at_least(0),
    unset("broker.rack", Kind::String, "The rack or zone of this broker, shown to clients."),
    row("compression.type", Kind::String, "producer", "Default of the topic key compression.type.")
        .one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
        .cluster_wide()
        .not_yet(),
    row(
        "connections.max.idle.ms",
        Kind::Long,
        "600000",
        "A connection without progress for this long, reading or writing, is closed.",
    )
    .at_least(1),
    row("default.replication.factor", Kind::Int, "1", "Replicas of topics that are created without saying how many.")
        .at_least(1),
    row("delete.topic.enable", Kind::Boolean, "true", "Whether topics can be deleted."),
    row("fetch.max.bytes", Kind::Int, "57671680", "The most bytes that one fetch answers with.").at_least(1024),
    row(
        "group.initial.rebalance.delay.ms",
        Kind::Int,
        "3000",
        "How long the first member of an empty group waits for others before the first rebalance ends.",
    )
    .at_least(0),
    row("group.lag.warn.min.ms", Kind::Long, "60000", "A group whose lag is shorter is never WARN. Weir's own key.")
        .at_least(0),
    row(
        "group.lag.warn.min.records",
        Kind::Long,
        "100",
        "A group whose lag in a partition is smaller is never WARN. Weir's own key.",
    )
    .at_least(0),
    row(
        "group.lag.window.ms",
        Kind::Long,
        "300000",
        "How long a group has to stand still, or its lag not to fall, until its status says so. Weir's own key.",
    )
    .at_least(1000),
    row("group.max.session.timeout.ms", Kind::Int, "1800000", "The longest session timeout that a member may ask for.")
        .at_least(0),
    row(
        "group.max.size",
        Kind::Int,
        UNBOUNDED_INT,
        "Members that a group may have; never more than 10,000, which is Weir's own bound.",
    )
    .at_least(1),
    row("group.min.session.timeout.ms", Kind::Int, "6000", "The shortest session timeout that a member may ask for.")
        .at_least(0),
    row(
        "http.listeners",
        Kind::List,
        "localhost:9464",
        "Weir's own: host:port of the HTTP server with /metrics and /health; empty for none.",
    ),
    row(
        "listener.security.protocol.map",
        Kind::String,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "Which security protocol each listener name speaks, as in PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT. So far there \
         is PLAINTEXT alone.",
    ),
    row(
        "listeners",
        Kind::List,
        "PLAINTEXT://localhost:9092",
        "Where the broker listens, NAME://host:port each. Kafka's default is every interface; Weir's is the loopback, \
         IPv4 and IPv6.",
    ),
    row("log.cleaner.backoff.ms", Kind::Long, "15000", "Pause of the cleaner when no log needs compaction.")
        .at_least(0)
        .cluster_wide(),
    row(
        "log.cleaner.dedupe.buffer.size",
        Kind::Long,
        "134217728",
        "Memory for the keys of a log that is being compacted; a log with more is compacted in several passes.",
    )
    .at_least(1 << 20)
    .cluster_wide(),
    row("log.cleaner.delete.retention.ms", Kind::Long, "86400000", "Default of the topic key delete.retention.ms.")
        .at_least(0)
        .cluster_wide(),
    row("log.cleaner.enable", Kind::Boolean, "true", "Whether compacted topics are compacted."),
    row(
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long,
        UNBOUNDED_LONG,
        "Default of the topic key max.compaction.lag.ms.",
    )
    .at_least(1)
    .cluster_wide(),
    row("log.cleaner.min.cleanable.ratio", Kind::Double, "0.5", "Default of the topic key min.cleanable.dirty.ratio.")
        .ratio()
        .cluster_wide(),
    row("log.cleaner.min.compaction.lag.ms", Kind::Long, "0", "Default of the topic key min.compaction.lag.ms.")
        .at_least(0)
        .cluster_wide(),
    row("log.cleanup.policy", Kind::List, "delete", "Default of the topic key cleanup.policy.")
        .each_of(&["delete", "compact"])
        .cluster_wide(),
    row("log.dir", Kind::String, "./weir-data", "The data folder, where log.dirs is not set. Weir's own default."),
    unset("log.dirs", Kind::List, "The data folder; one for now.").synonyms(&[same("log.dir")]),
    row(
        "log.flush",
        Kind::String,
        "sync",
        "Weir's own: sync answers acks=all once the records are on disk; os leaves that to the operating system, as \
         Kafka does.",
    )
    .one_of(&["sync", "os"]),
    row("log.flush.interval.messages", Kind::Long, UNBOUNDED_LONG, "Default of the topic key flush.messages.")
        .at_least(1)
        .cluster_wide(),
    unset("log.flush.interval.ms", Kind::Long, "Default of the topic key flush.ms.").cluster_wide(),
    row("log.flush.offset.checkpoint.interval.ms", Kind::Int, "60000", "How often recovery points are written down.")
        .at_least(0),
    row("log.index.interval.bytes", Kind::Int, "4096", "Default of the topic key index.interval.bytes.")
        .at_least(0)
        .cluster_wide(),
    row("log.index.size.max.bytes", Kind::Int, "10485760", "Default of the topic key segment.index.bytes.")
        .at_least(4)
        .cluster_wide(),
    row(
        "log.message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        "Default of the topic key message.timestamp.after.max.ms.",
    )
    .at_least(0)
    .cluster_wide(),
    row(
        "log.message.timestamp.before.max.ms",
        Kind::Long,
        UNBOUNDED_LONG,
        "Default of the topic key message.timestamp.before.max.ms.",
    )
    .at_least(0)
    .cluster_wide(),
    row("log.message.timestamp.type", Kind::String, "CreateTime", "Default of the topic key message.timestamp.type.")
        .one_of(&["CreateTime", "LogAppendTime"])
        .cluster_wide(),
    row("log.preallocate", Kind::Boolean, "false", "Default of the topic key preallocate.").cluster_wide(),
    row("log.retention.bytes", Kind::Long, "-1", "Default of the topic key retention.bytes.").cluster_wide(),
    row("log.retention.check.interval.ms", Kind::Long, "300000", "How often old segments are looked for.").at_least(1),
    row("log.retention.hours", Kind::Int, "168", "Default of retention.ms in hours, where no finer key is set."),
    unset("log.retention.minutes", Kind::Int, "Default of retention.ms in minutes, where log.retention.ms is not set.")
        .synonyms(&[times("log.retention.hours", 60)]),
    unset("log.retention.ms", Kind::Long, "Default of the topic key retention.ms.")
        .cluster_wide()
        .synonyms(&[times("log.retention.minutes", MINUTE_MS), times("log.retention.hours", HOUR_MS)]),
    row("log.roll.hours", Kind::Int, "168", "Default of segment.ms in hours, where log.roll.ms is not set.")
        .at_least(1),
    row("log.roll.jitter.hours", Kind::Int, "0", "Default of segment.jitter.ms in hours.").at_least(0),
    unset("log.roll.jitter.ms", Kind::Long, "Default of the topic key segment.jitter.ms.")
        .cluster_wide()
        .synonyms(&[times("log.roll.jitter.hours", HOUR_MS)]),
    unset("log.roll.ms", Kind::Long, "Default of the topic key segment.ms.")
        .cluster_wide()
        .synonyms(&[times("log.roll.hours", HOUR_MS)]),
    row("log.segment.bytes", Kind::Int, "1073741824", "Default of the topic key segment.bytes.")
        .between(14, i32::MAX as i64)
        .cluster_wide(),
    row("log.segment.delete.delay.ms", Kind::Long, "60000", "Default of the topic key file.delete.delay.ms.")
        .at_least(0)
        .cluster_wide(),
    row("max.connections", Kind::Int, UNBOUNDED_INT, "Connections in all; one more is closed at once.")
        .at_least(0)
        .cluster_wide(),
    row("max.connections.per.ip", Kind::Int, UNBOUNDED_INT, "Connections from one address.").at_least(0).cluster_wide(),
    row(
        "max.request.partition.size.limit",
        Kind::Int,
        "2000",
        "Partitions that one DescribeTopicPartitions answer holds.",
    )
    .at_least(1),
    row("message.max.bytes", Kind::Int, "1048588", "Default of the topic key max.message.bytes.")
        .at_least(0)
        .cluster_wide(),
    row(
        "metrics.compat",
        Kind::Boolean,
        "true",
        "Whether /metrics/compat shows the names of kafka_exporter, of Kafka's JMX metrics and of kafka-lag-exporter, for \
         dashboards and alerts that use them. Weir's own key.",
    ),
    row(
        "metrics.level",
        Kind::String,
        "topic",
        "How fine the series of /metrics are: cluster, topic or partition. Weir's own key.",
    )
    .one_of(&["cluster", "topic", "partition"]),
    row(
        "metrics.max.series.per.family",
        Kind::Int,
        "10000",
        "Series of one metric; what is beyond is counted under __other__. Weir's own key.",
    )
    .at_least(1),
    row("min.insync.replicas", Kind::Int, "1", "Default of the topic key min.insync.replicas.")
        .at_least(1)
        .cluster_wide(),
    row("node.id", Kind::Int, "1", "This broker's id. Weir's own default.").at_least(0).synonyms(&[same("broker.id")]),
    row("num.partitions", Kind::Int, "1", "Partitions of topics that are created without saying how many.").at_least(1),
    row("num.recovery.threads.per.data.dir", Kind::Int, "2", "Threads that open and recover partitions on start.")
        .at_least(1)
        .cluster_wide(),
    row("offset.metadata.max.bytes", Kind::Int, "4096", "The longest text that may go with a committed offset.")
        .at_least(0),
    row(
        "offsets.commit.timeout.ms",
        Kind::Int,
        "5000",
        "How long a commit may wait for replicas. Weir's commits wait for the disk, however long that takes.",
    )
    .at_least(1)
    .not_yet(),
    row(
        "offsets.load.buffer.size",
        Kind::Int,
        "5242880",
        "Bytes read at once when groups are loaded. Weir reads 4 MiB at once.",
    )
    .at_least(1)
    .not_yet(),
    row(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        "600000",
        "How often offsets are looked at that may have expired.",
    )
    .at_least(1),
    row(
        "offsets.retention.minutes",
        Kind::Int,
        "10080",
        "How long the offsets of a group without members are kept, and those of topics that a group reads no more.",
    )
    .at_least(1),
    row(
        "offsets.topic.num.partitions",
        Kind::Int,
        "50",
        "Partitions of __consumer_offsets when it is created. Changing it later loses groups.",
    )
    .at_least(1),
    row(
        "offsets.topic.replication.factor",
        Kind::Short,
        "1",
        "Replicas of __consumer_offsets when it is created. Kafka's default is 3.",
    )
    .at_least(1),
    row(
        "offsets.topic.segment.bytes",
        Kind::Int,
        "104857600",
        "segment.bytes of __consumer_offsets when it is created.",
    )
    .at_least(1),
    row(
        "producer.id.expiration.ms",
        Kind::Int,
        "86400000",
        "How long the state of a producer id that writes nothing is kept.",
    )
    .at_least(1)
    .cluster_wide(),
    row(
        "queued.max.request.bytes",
        Kind::Long,
        "-1",
        "Bytes of requests in flight in all; -1 for a quarter of memory. Kafka's -1 means no limit.",
    ),
    row(
        "socket.receive.buffer.bytes",
        Kind::Int,
        "-1",
        "Receive buffer of a client's socket; -1 lets the operating system fit it to the load. Kafka's default is \
         102400, which costs two thirds more CPU for each byte that producers send.",
    )
    .at_least(-1),
    row("socket.request.max.bytes", Kind::Int, "104857600", "The largest request that is read.").at_least(1),
    row(
        "socket.send.buffer.bytes",
        Kind::Int,
        "102400",
        "Send buffer of a client's socket; -1 leaves it to the operating system.",
    )
    .at_least(-1),
    row(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        "Default of the topic key unclean.leader.election.enable.",
    )
    .cluster_wide()
    .not_yet(),
];
