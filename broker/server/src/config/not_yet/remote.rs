//! Remote storage: keys that Kafka knows and Weir does not honour yet.

use super::{row, unset};
use crate::config::table::{ConfigKey, Kind};

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "log.local.retention.bytes",
        Kind::Long,
        "-2",
        "Bytes kept locally of a partition whose segments are also stored remotely.",
    )
    .at_least(-2)
    .cluster_wide(),
    row(
        "log.local.retention.ms",
        Kind::Long,
        "-2",
        "How long segments that are also stored remotely are kept locally.",
    )
    .at_least(-2)
    .cluster_wide(),
    row("remote.fetch.max.wait.ms", Kind::Int, "500", "How long a fetch from remote storage may take.")
        .at_least(1)
        .cluster_wide(),
    row(
        "remote.list.offsets.request.timeout.ms",
        Kind::Long,
        "30000",
        "How long a look-up of offsets in remote storage may take.",
    )
    .at_least(1)
    .cluster_wide(),
    row(
        "remote.log.index.file.cache.total.size.bytes",
        Kind::Long,
        "1073741824",
        "Disk space for indexes fetched from remote storage.",
    )
    .at_least(1)
    .cluster_wide(),
    row("remote.log.manager.copier.thread.pool.size", Kind::Int, "10", "Threads that copy segments to remote storage.")
        .at_least(1)
        .cluster_wide(),
    row(
        "remote.log.manager.copy.max.bytes.per.second",
        Kind::Long,
        "9223372036854775807",
        "Most bytes per second copied to remote storage.",
    )
    .at_least(1)
    .cluster_wide(),
    row(
        "remote.log.manager.copy.quota.window.num",
        Kind::Int,
        "11",
        "Samples kept for the quota on copying to remote storage.",
    )
    .at_least(1),
    row(
        "remote.log.manager.copy.quota.window.size.seconds",
        Kind::Int,
        "1",
        "Length of each sample for the quota on copying to remote storage.",
    )
    .at_least(1),
    row(
        "remote.log.manager.expiration.thread.pool.size",
        Kind::Int,
        "10",
        "Threads that delete old segments from remote storage.",
    )
    .at_least(1)
    .cluster_wide(),
    row(
        "remote.log.manager.fetch.max.bytes.per.second",
        Kind::Long,
        "9223372036854775807",
        "Most bytes per second fetched from remote storage.",
    )
    .at_least(1)
    .cluster_wide(),
    row(
        "remote.log.manager.fetch.quota.window.num",
        Kind::Int,
        "11",
        "Samples kept for the quota on fetching from remote storage.",
    )
    .at_least(1),
    row(
        "remote.log.manager.fetch.quota.window.size.seconds",
        Kind::Int,
        "1",
        "Length of each sample for the quota on fetching from remote storage.",
    )
    .at_least(1),
    row(
        "remote.log.manager.follower.thread.pool.size",
        Kind::Int,
        "2",
        "Threads that do a follower's part of remote storage.",
    )
    .at_least(1)
    .cluster_wide(),
    row(
        "remote.log.manager.task.interval.ms",
        Kind::Long,
        "30000",
        "How often segments are looked through for copying to remote storage.",
    )
    .at_least(1),
    row(
        "remote.log.manager.task.retry.backoff.max.ms",
        Kind::Long,
        "30000",
        "Longest pause before a failed remote storage task runs again.",
    )
    .at_least(1),
    row(
        "remote.log.manager.task.retry.backoff.ms",
        Kind::Long,
        "500",
        "First pause before a failed remote storage task runs again.",
    )
    .at_least(1),
    row(
        "remote.log.manager.task.retry.jitter",
        Kind::Double,
        "0.2",
        "Random part of the pauses between remote storage tasks.",
    ),
    row("remote.log.manager.thread.pool.size", Kind::Int, "2", "Threads that plan the work of remote storage.")
        .at_least(1),
    row(
        "remote.log.metadata.custom.metadata.max.bytes",
        Kind::Int,
        "128",
        "Largest custom metadata of a remote segment.",
    )
    .at_least(0),
    row(
        "remote.log.metadata.manager.class.name",
        Kind::String,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        "The class that keeps the metadata of remote segments. Weir loads no classes.",
    ),
    unset("remote.log.metadata.manager.class.path", Kind::String, "Where the class of remote metadata is found."),
    row(
        "remote.log.metadata.manager.impl.prefix",
        Kind::String,
        "rlmm.config.",
        "Prefix of the keys handed to the class of remote metadata.",
    ),
    unset(
        "remote.log.metadata.manager.listener.name",
        Kind::String,
        "The listener that the class of remote metadata uses.",
    ),
    row("remote.log.reader.max.pending.tasks", Kind::Int, "100", "Most reads from remote storage that may wait.")
        .at_least(1),
    row("remote.log.reader.threads", Kind::Int, "10", "Threads that read from remote storage.")
        .at_least(1)
        .cluster_wide(),
    unset(
        "remote.log.storage.manager.class.name",
        Kind::String,
        "The class that reaches remote storage. Weir loads no classes.",
    ),
    unset("remote.log.storage.manager.class.path", Kind::String, "Where the class of remote storage is found."),
    row(
        "remote.log.storage.manager.impl.prefix",
        Kind::String,
        "rsm.config.",
        "Prefix of the keys handed to the class of remote storage.",
    ),
    row("remote.log.storage.system.enable", Kind::Boolean, "false", "Whether segments are also stored remotely."),
];
