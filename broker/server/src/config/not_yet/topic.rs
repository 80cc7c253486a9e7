//! Topic-level keys that Kafka knows and Weir does not honour yet.

use super::row;
use crate::config::table::{ConfigKey, Kind, Synonym, same};

const fn topic(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> ConfigKey {
    row(name, kind, default, doc).cluster_wide().synonyms(synonyms)
}

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    topic(
        "compression.gzip.level",
        Kind::Int,
        "-1",
        &[same("compression.gzip.level")],
        "Level used where the broker itself compresses with gzip.",
    ),
    topic(
        "compression.lz4.level",
        Kind::Int,
        "9",
        &[same("compression.lz4.level")],
        "Level used where the broker itself compresses with lz4.",
    )
    .between(1, 17),
    topic(
        "compression.zstd.level",
        Kind::Int,
        "3",
        &[same("compression.zstd.level")],
        "Level used where the broker itself compresses with zstd.",
    )
    .between(-131_072, 22),
    topic(
        "follower.replication.throttled.replicas",
        Kind::List,
        "",
        &[],
        "Replicas whose copying is throttled on the follower, as partition:broker,… or *.",
    ),
    topic(
        "leader.replication.throttled.replicas",
        Kind::List,
        "",
        &[],
        "Replicas whose copying is throttled on the leader, as partition:broker,… or *.",
    ),
    topic(
        "local.retention.bytes",
        Kind::Long,
        "-2",
        &[same("log.local.retention.bytes")],
        "Bytes kept locally of a partition whose segments are also stored remotely.",
    )
    .at_least(-2),
    topic(
        "local.retention.ms",
        Kind::Long,
        "-2",
        &[same("log.local.retention.ms")],
        "How long segments that are also stored remotely are kept locally.",
    )
    .at_least(-2),
    topic(
        "remote.log.copy.disable",
        Kind::Boolean,
        "false",
        &[],
        "Whether copying to remote storage stops and what is there stays readable.",
    ),
    topic(
        "remote.log.delete.on.disable",
        Kind::Boolean,
        "false",
        &[],
        "Whether remote segments are deleted when remote storage is switched off.",
    ),
    topic(
        "remote.storage.enable",
        Kind::Boolean,
        "false",
        &[],
        "Whether this topic's segments are also stored remotely.",
    ),
];
