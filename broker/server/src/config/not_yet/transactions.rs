//! Transactions: keys that Kafka knows and Weir does not honour yet.

use super::row;
use crate::config::table::{ConfigKey, Kind};

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "add.partitions.to.txn.retry.backoff.max.ms",
        Kind::Int,
        "100",
        "Longest pause between the broker's own attempts to add partitions to a transaction.",
    )
    .at_least(0),
    row(
        "add.partitions.to.txn.retry.backoff.ms",
        Kind::Int,
        "20",
        "First pause between the broker's own attempts to add partitions to a transaction.",
    )
    .at_least(1),
    row(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Kind::Int,
        "10000",
        "How often transactions past their time are looked for.",
    )
    .at_least(1),
    row("transaction.max.timeout.ms", Kind::Int, "900000", "Longest transaction timeout a producer may ask for.")
        .at_least(1),
    row(
        "transaction.partition.verification.enable",
        Kind::Boolean,
        "true",
        "Whether a write in a transaction is checked against the coordinator.",
    )
    .cluster_wide(),
    row(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Kind::Int,
        "3600000",
        "How often expired transactional ids are looked for.",
    )
    .at_least(1),
    row(
        "transaction.state.log.load.buffer.size",
        Kind::Int,
        "5242880",
        "Bytes read at a time when transactions are loaded.",
    )
    .at_least(1),
    row("transaction.state.log.min.isr", Kind::Int, "2", "`min.insync.replicas` of `__transaction_state`.").at_least(1),
    row(
        "transaction.state.log.num.partitions",
        Kind::Int,
        "50",
        "Partitions of `__transaction_state`; may not change once it exists.",
    )
    .at_least(1),
    row("transaction.state.log.replication.factor", Kind::Short, "3", "Replicas of `__transaction_state`.").at_least(1),
    row(
        "transaction.state.log.segment.bytes",
        Kind::Int,
        "104857600",
        "Size at which a segment of `__transaction_state` is rolled.",
    )
    .at_least(1),
    row(
        "transaction.two.phase.commit.enable",
        Kind::Boolean,
        "false",
        "Whether a producer may take part in a two-phase commit.",
    ),
    row(
        "transactional.id.expiration.ms",
        Kind::Int,
        "604800000",
        "How long the state of a silent transactional id is kept.",
    )
    .at_least(1),
];
