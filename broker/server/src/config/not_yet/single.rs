//! One broker: keys that Kafka knows and Weir does not honour, mostly because nothing in Weir needs that tuning.

use super::{row, unset};
use crate::config::table::{ConfigKey, Kind};

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    unset(
        "alter.config.policy.class.name",
        Kind::Class,
        "A class that may refuse configuration changes. Weir loads no classes.",
    ),
    row("background.threads", Kind::Int, "10", "Threads for background work such as retention.")
        .at_least(1)
        .cluster_wide(),
    row("compression.gzip.level", Kind::Int, "-1", "Level used where the broker itself compresses with gzip.")
        .cluster_wide(),
    row("compression.lz4.level", Kind::Int, "9", "Level used where the broker itself compresses with lz4.")
        .between(1, 17)
        .cluster_wide(),
    row("compression.zstd.level", Kind::Int, "3", "Level used where the broker itself compresses with zstd.")
        .between(-131072, 22)
        .cluster_wide(),
    row("config.providers", Kind::List, "", "Names of providers that fill in `${…}` in the configuration.")
        .cluster_wide(),
    unset("create.topic.policy.class.name", Kind::Class, "A class that may refuse new topics. Weir loads no classes."),
    row(
        "delete.records.purgatory.purge.interval.requests",
        Kind::Int,
        "1",
        "How many finished DeleteRecords requests are kept before they are cleared away.",
    ),
    row(
        "fetch.purgatory.purge.interval.requests",
        Kind::Int,
        "1000",
        "How many finished Fetch requests are kept before they are cleared away.",
    ),
    row(
        "kafka.metrics.polling.interval.secs",
        Kind::Int,
        "10",
        "How often metrics reporters are asked. Weir has none: it serves /metrics.",
    )
    .at_least(1),
    row(
        "kafka.metrics.reporters",
        Kind::List,
        "",
        "Metrics reporter classes. Weir loads no classes: it serves /metrics.",
    ),
    row("log.cleaner.io.buffer.load.factor", Kind::Double, "0.9", "How full the cleaner's table of keys may get.")
        .cluster_wide(),
    row("log.cleaner.io.buffer.size", Kind::Int, "524288", "Memory for the cleaner's reading and writing.")
        .at_least(0)
        .cluster_wide(),
    row(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double,
        "1.7976931348623157E308",
        "Most bytes per second that the cleaner reads and writes.",
    )
    .cluster_wide(),
    row("log.cleaner.threads", Kind::Int, "1", "Threads that compact.").at_least(0).cluster_wide(),
    row(
        "log.dir.failure.timeout.ms",
        Kind::Long,
        "30000",
        "How long a broker with a failed folder waits for the controller before it stops.",
    )
    .at_least(1),
    row(
        "log.flush.scheduler.interval.ms",
        Kind::Long,
        "9223372036854775807",
        "How often partitions are looked through for `log.flush.interval.ms`.",
    ),
    row(
        "log.flush.start.offset.checkpoint.interval.ms",
        Kind::Int,
        "60000",
        "How often the log start offsets are written down.",
    )
    .at_least(0),
    row("log.initial.task.delay.ms", Kind::Long, "30000", "How long background work waits after the start.")
        .at_least(0),
    row("max.connection.creation.rate", Kind::Int, "2147483647", "Most new connections per second.")
        .at_least(0)
        .cluster_wide(),
    row("max.connections.per.ip.overrides", Kind::String, "", "Other limits for single addresses, as `host:count,…`.")
        .cluster_wide(),
    row(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int,
        "1000",
        "Most incremental fetch sessions that are kept.",
    )
    .at_least(0),
    row(
        "metric.reporters",
        Kind::List,
        "org.apache.kafka.common.metrics.JmxReporter",
        "Metrics reporter classes. Weir loads no classes: it serves /metrics.",
    )
    .cluster_wide(),
    row("metrics.num.samples", Kind::Int, "2", "Samples kept for the metrics of Kafka's own library.").at_least(1),
    row("metrics.recording.level", Kind::String, "INFO", "Level of detail for the metrics of Kafka's own library."),
    row("metrics.sample.window.ms", Kind::Long, "30000", "Length of a sample for the metrics of Kafka's own library.")
        .at_least(1),
    row("num.io.threads", Kind::Int, "8", "Threads that work on requests.").at_least(1).cluster_wide(),
    row("num.network.threads", Kind::Int, "3", "Threads that read requests and write answers.")
        .at_least(1)
        .cluster_wide(),
    row(
        "offsets.topic.compression.codec",
        Kind::Int,
        "0",
        "Compression of `__consumer_offsets`: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.",
    ),
    row(
        "producer.id.expiration.check.interval.ms",
        Kind::Int,
        "600000",
        "How often expired producer ids are looked for.",
    )
    .at_least(1),
    row(
        "producer.purgatory.purge.interval.requests",
        Kind::Int,
        "1000",
        "How many finished Produce requests are kept before they are cleared away.",
    ),
    row("queued.max.requests", Kind::Int, "500", "Most requests that wait before reading from connections stops.")
        .at_least(1),
    row("quota.window.num", Kind::Int, "11", "Samples kept for client quotas.").at_least(1),
    row("quota.window.size.seconds", Kind::Int, "1", "Length of each sample for client quotas.").at_least(1),
    row("socket.listen.backlog.size", Kind::Int, "50", "Connections that may wait to be accepted.").at_least(1),
    row("telemetry.max.bytes", Kind::Int, "1048576", "Largest push of a client's own metrics.").at_least(1),
];
