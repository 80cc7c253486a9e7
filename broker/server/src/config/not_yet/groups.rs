//! Newer group protocols: keys that Kafka knows and Weir does not honour yet.

use super::row;
use crate::config::table::{ConfigKey, Kind};

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "group.consumer.assignors",
        Kind::List,
        "uniform,range",
        "Server-side assignors for the newer consumer group protocol, the default first.",
    ),
    row(
        "group.consumer.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        "Heartbeat interval told to members of the newer consumer group protocol.",
    )
    .at_least(1),
    row(
        "group.consumer.max.heartbeat.interval.ms",
        Kind::Int,
        "15000",
        "Longest heartbeat interval a group of the newer protocol may set.",
    )
    .at_least(1),
    row(
        "group.consumer.max.session.timeout.ms",
        Kind::Int,
        "60000",
        "Longest session timeout a group of the newer protocol may set.",
    )
    .at_least(1),
    row(
        "group.consumer.max.size",
        Kind::Int,
        "2147483647",
        "Most members of one group of the newer consumer protocol.",
    )
    .at_least(1),
    row(
        "group.consumer.migration.policy",
        Kind::String,
        "bidirectional",
        "Which moves between the classic and the newer group protocol are allowed.",
    ),
    row(
        "group.consumer.min.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        "Shortest heartbeat interval a group of the newer protocol may set.",
    )
    .at_least(1),
    row(
        "group.consumer.min.session.timeout.ms",
        Kind::Int,
        "45000",
        "Shortest session timeout a group of the newer protocol may set.",
    )
    .at_least(1),
    row(
        "group.consumer.regex.refresh.interval.ms",
        Kind::Int,
        "600000",
        "How often subscriptions by regular expression are looked up anew.",
    )
    .at_least(10000),
    row(
        "group.consumer.session.timeout.ms",
        Kind::Int,
        "45000",
        "How long a member of the newer protocol may be silent before it is removed.",
    )
    .at_least(1),
    row(
        "group.coordinator.append.linger.ms",
        Kind::Int,
        "-1",
        "How long the group coordinator gathers changes before it writes them; -1 adapts.",
    )
    .at_least(-1),
    row(
        "group.coordinator.rebalance.protocols",
        Kind::List,
        "classic,consumer,streams",
        "The group protocols that the broker offers.",
    ),
    row("group.coordinator.threads", Kind::Int, "4", "Threads of the group coordinator.").at_least(1),
    row("group.share.assignors", Kind::List, "simple", "Server-side assignors for share groups."),
    row(
        "group.share.delivery.count.limit",
        Kind::Int,
        "5",
        "How often a share group delivers a record before it gives up.",
    )
    .between(2, 10),
    row("group.share.enable", Kind::Boolean, "false", "Whether share groups are offered."),
    row("group.share.heartbeat.interval.ms", Kind::Int, "5000", "Heartbeat interval told to members of share groups.")
        .at_least(1),
    row(
        "group.share.initialize.retry.interval.ms",
        Kind::Int,
        "30000",
        "Pause before the state of a share group's partition is initialised again.",
    )
    .at_least(1),
    row(
        "group.share.max.heartbeat.interval.ms",
        Kind::Int,
        "15000",
        "Longest heartbeat interval a share group may set.",
    )
    .at_least(1),
    row(
        "group.share.max.record.lock.duration.ms",
        Kind::Int,
        "60000",
        "Longest time a share group's member may hold a record.",
    )
    .between(30000, 3600000),
    row("group.share.max.session.timeout.ms", Kind::Int, "60000", "Longest session timeout a share group may set.")
        .at_least(1),
    row("group.share.max.share.sessions", Kind::Int, "2000", "Most share sessions of one broker.").at_least(1),
    row("group.share.max.size", Kind::Int, "200", "Most members of one share group.").between(1, 1000),
    row(
        "group.share.min.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        "Shortest heartbeat interval a share group may set.",
    )
    .at_least(1),
    row(
        "group.share.min.record.lock.duration.ms",
        Kind::Int,
        "15000",
        "Shortest time a share group's member may hold a record.",
    )
    .between(1000, 30000),
    row("group.share.min.session.timeout.ms", Kind::Int, "45000", "Shortest session timeout a share group may set.")
        .at_least(1),
    row(
        "group.share.partition.max.record.locks",
        Kind::Int,
        "2000",
        "Most records of one partition that may be held at once.",
    )
    .between(100, 10000),
    row(
        "group.share.persister.class.name",
        Kind::String,
        "org.apache.kafka.server.share.persister.DefaultStatePersister",
        "The class that keeps the state of share groups. Weir loads no classes.",
    ),
    row(
        "group.share.record.lock.duration.ms",
        Kind::Int,
        "30000",
        "How long a share group's member holds a record before it goes to another.",
    )
    .between(1000, 3600000),
    row(
        "group.share.session.timeout.ms",
        Kind::Int,
        "45000",
        "How long a share group's member may be silent before it is removed.",
    )
    .at_least(1),
    row(
        "group.streams.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        "Heartbeat interval told to members of Streams groups.",
    )
    .at_least(1),
    row(
        "group.streams.initial.rebalance.delay.ms",
        Kind::Int,
        "3000",
        "How long the first rebalance of a Streams group waits for more members.",
    )
    .at_least(0),
    row(
        "group.streams.max.heartbeat.interval.ms",
        Kind::Int,
        "15000",
        "Longest heartbeat interval a Streams group may set.",
    )
    .at_least(1),
    row("group.streams.max.session.timeout.ms", Kind::Int, "60000", "Longest session timeout a Streams group may set.")
        .at_least(1),
    row("group.streams.max.size", Kind::Int, "2147483647", "Most members of one Streams group.").at_least(1),
    row("group.streams.max.standby.replicas", Kind::Int, "2", "Most standby replicas a Streams group may set.")
        .at_least(0),
    row(
        "group.streams.min.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        "Shortest heartbeat interval a Streams group may set.",
    )
    .at_least(1),
    row(
        "group.streams.min.session.timeout.ms",
        Kind::Int,
        "45000",
        "Shortest session timeout a Streams group may set.",
    )
    .at_least(1),
    row("group.streams.num.standby.replicas", Kind::Int, "0", "Standby replicas of each task of a Streams group.")
        .at_least(0),
    row(
        "group.streams.session.timeout.ms",
        Kind::Int,
        "45000",
        "How long a Streams group's member may be silent before it is removed.",
    )
    .at_least(1),
    row(
        "share.coordinator.append.linger.ms",
        Kind::Int,
        "-1",
        "How long the share coordinator gathers changes before it writes them.",
    )
    .at_least(-1),
    row(
        "share.coordinator.cold.partition.snapshot.interval.ms",
        Kind::Int,
        "300000",
        "How often the state of quiet share partitions is written anew.",
    )
    .at_least(1),
    row("share.coordinator.load.buffer.size", Kind::Int, "5242880", "Bytes read at a time when share state is loaded.")
        .at_least(1),
    row(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Kind::Int,
        "500",
        "Updates of a share partition's state between two whole copies.",
    )
    .at_least(0),
    row("share.coordinator.state.topic.compression.codec", Kind::Int, "0", "Compression of the share state topic."),
    row("share.coordinator.state.topic.min.isr", Kind::Short, "2", "`min.insync.replicas` of the share state topic.")
        .at_least(1),
    row("share.coordinator.state.topic.num.partitions", Kind::Int, "50", "Partitions of the share state topic.")
        .at_least(1),
    row(
        "share.coordinator.state.topic.prune.interval.ms",
        Kind::Int,
        "300000",
        "How often the share state topic is pruned.",
    )
    .at_least(1),
    row("share.coordinator.state.topic.replication.factor", Kind::Short, "3", "Replicas of the share state topic.")
        .at_least(1),
    row(
        "share.coordinator.state.topic.segment.bytes",
        Kind::Int,
        "104857600",
        "Size at which a segment of the share state topic is rolled.",
    )
    .at_least(1),
    row("share.coordinator.threads", Kind::Int, "1", "Threads of the share coordinator.").at_least(1),
    row(
        "share.coordinator.write.timeout.ms",
        Kind::Int,
        "5000",
        "How long a change of share state may wait to be durable.",
    )
    .at_least(1),
    row(
        "share.fetch.purgatory.purge.interval.requests",
        Kind::Int,
        "1000",
        "How many finished ShareFetch requests are kept before they are cleared away.",
    ),
];
