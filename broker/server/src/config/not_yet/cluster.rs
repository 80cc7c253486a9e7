//! A cluster of brokers, its controller and replication: keys that Kafka knows and Weir does not honour yet.

use super::{row, unset};
use crate::config::table::{ConfigKey, Kind};

/// In alphabetical order.
pub(super) const KEYS: &[ConfigKey] = &[
    row(
        "alter.log.dirs.replication.quota.window.num",
        Kind::Int,
        "11",
        "Samples kept for the quota on moving replicas between folders.",
    )
    .at_least(1),
    row(
        "alter.log.dirs.replication.quota.window.size.seconds",
        Kind::Int,
        "1",
        "Length of each sample for the quota on moving replicas between folders.",
    )
    .at_least(1),
    row(
        "auto.leader.rebalance.enable",
        Kind::Boolean,
        "true",
        "Whether leadership goes back to preferred replicas by itself.",
    ),
    row("broker.heartbeat.interval.ms", Kind::Int, "2000", "How often a broker tells the controller that it lives."),
    row(
        "broker.session.timeout.ms",
        Kind::Int,
        "9000",
        "How long a broker may be silent before the controller fences it.",
    ),
    row(
        "controlled.shutdown.enable",
        Kind::Boolean,
        "true",
        "Whether leadership is handed over before a broker stops.",
    ),
    unset("controller.listener.names", Kind::List, "Names of the listeners that the controller uses."),
    row(
        "controller.performance.always.log.threshold.ms",
        Kind::Long,
        "2000",
        "Controller events slower than this are always logged.",
    )
    .at_least(0),
    row(
        "controller.performance.sample.period.ms",
        Kind::Long,
        "60000",
        "How often the controller logs a summary of its events.",
    )
    .at_least(100),
    row(
        "controller.quorum.append.linger.ms",
        Kind::Int,
        "25",
        "How long the controller's leader gathers records before it writes them.",
    )
    .at_least(0),
    row(
        "controller.quorum.auto.join.enable",
        Kind::Boolean,
        "false",
        "Whether a controller joins the quorum by itself.",
    ),
    row("controller.quorum.bootstrap.servers", Kind::List, "", "Addresses at which the controller quorum is found."),
    row(
        "controller.quorum.election.backoff.max.ms",
        Kind::Int,
        "1000",
        "Longest pause before a new election after a failed one.",
    )
    .at_least(0),
    row("controller.quorum.election.timeout.ms", Kind::Int, "1000", "How long a candidate waits for votes.")
        .at_least(0),
    row(
        "controller.quorum.fetch.timeout.ms",
        Kind::Int,
        "2000",
        "How long a controller goes without news from its leader before it calls an election.",
    )
    .at_least(0),
    row("controller.quorum.request.timeout.ms", Kind::Int, "2000", "How long a request between controllers may take.")
        .at_least(0),
    row(
        "controller.quorum.retry.backoff.ms",
        Kind::Int,
        "20",
        "Pause before a failed request between controllers is sent again.",
    )
    .at_least(0),
    row("controller.quorum.voters", Kind::List, "", "Ids and addresses of the controllers, as `id@host:port,…`."),
    row(
        "controller.quota.window.num",
        Kind::Int,
        "11",
        "Samples kept for the quota on changes of topics and partitions.",
    )
    .at_least(1),
    row(
        "controller.quota.window.size.seconds",
        Kind::Int,
        "1",
        "Length of each sample for the quota on changes of topics and partitions.",
    )
    .at_least(1),
    row(
        "controller.socket.timeout.ms",
        Kind::Int,
        "30000",
        "How long a connection from controller to broker may be silent.",
    ),
    unset(
        "early.start.listeners",
        Kind::List,
        "Listeners that open before the broker has caught up with the metadata.",
    ),
    row(
        "initial.broker.registration.timeout.ms",
        Kind::Int,
        "60000",
        "How long a new broker tries to register with the controller before it ends.",
    ),
    unset("inter.broker.listener.name", Kind::String, "The listener that brokers use among themselves."),
    row(
        "internal.metadata.delete.delay.millis",
        Kind::Long,
        "60000",
        "How long files of deleted metadata segments stay.",
    ),
    unset("internal.metadata.log.segment.bytes", Kind::Int, "Size at which a metadata segment is rolled, for tests."),
    row("internal.metadata.max.batch.size.in.bytes", Kind::Int, "8388608", "Largest batch of metadata records."),
    row("internal.metadata.max.fetch.size.in.bytes", Kind::Int, "8388608", "Most bytes of metadata one fetch carries."),
    row("leader.imbalance.check.interval.seconds", Kind::Long, "300", "How often the balance of leaders is checked.")
        .at_least(1),
    unset("metadata.log.dir", Kind::String, "Folder of the metadata log, where it is not the first of `log.dirs`."),
    row(
        "metadata.log.max.record.bytes.between.snapshots",
        Kind::Long,
        "20971520",
        "Bytes of metadata records after which a snapshot is written.",
    )
    .at_least(1),
    row(
        "metadata.log.max.snapshot.interval.ms",
        Kind::Long,
        "3600000",
        "Time after which a snapshot of the metadata is written, if anything changed.",
    )
    .at_least(0),
    row("metadata.log.segment.bytes", Kind::Int, "1073741824", "Size at which a metadata segment is rolled.")
        .at_least(8388608),
    row("metadata.log.segment.ms", Kind::Long, "604800000", "Age at which a metadata segment is rolled."),
    row(
        "metadata.max.idle.interval.ms",
        Kind::Int,
        "500",
        "How often the controller writes a no-op record, so that silence shows.",
    )
    .at_least(0),
    row("metadata.max.retention.bytes", Kind::Long, "104857600", "Bytes of metadata log and snapshots that are kept."),
    row("metadata.max.retention.ms", Kind::Long, "604800000", "How long old metadata log and snapshots are kept."),
    unset("num.replica.alter.log.dirs.threads", Kind::Int, "Threads that move replicas between folders."),
    row("num.replica.fetchers", Kind::Int, "1", "Connections that copy partitions from each other broker.")
        .at_least(1)
        .cluster_wide(),
    unset("process.roles", Kind::List, "What this process is: `broker`, `controller` or both."),
    row("replica.fetch.backoff.ms", Kind::Int, "1000", "Pause of a follower after a failed fetch.").at_least(0),
    row("replica.fetch.max.bytes", Kind::Int, "1048576", "Bytes a follower asks for per partition.").at_least(0),
    row("replica.fetch.min.bytes", Kind::Int, "1", "Bytes a follower's fetch waits for."),
    row("replica.fetch.response.max.bytes", Kind::Int, "10485760", "Most bytes of one answer to a follower.")
        .at_least(0),
    row("replica.fetch.wait.max.ms", Kind::Int, "500", "How long a follower's fetch may wait."),
    row(
        "replica.high.watermark.checkpoint.interval.ms",
        Kind::Long,
        "5000",
        "How often the high watermarks are written down.",
    ),
    row("replica.lag.time.max.ms", Kind::Long, "30000", "How long a follower may lag before it leaves the ISR."),
    unset(
        "replica.selector.class",
        Kind::String,
        "The class that chooses the replica to read from. Weir loads no classes.",
    ),
    row("replica.socket.receive.buffer.bytes", Kind::Int, "65536", "Socket buffer for copying partitions."),
    row("replica.socket.timeout.ms", Kind::Int, "30000", "How long a request for copying partitions may take."),
    row("replication.quota.window.num", Kind::Int, "11", "Samples kept for the quota on copying partitions.")
        .at_least(1),
    row(
        "replication.quota.window.size.seconds",
        Kind::Int,
        "1",
        "Length of each sample for the quota on copying partitions.",
    )
    .at_least(1),
    row("request.timeout.ms", Kind::Int, "30000", "How long a request between brokers may take."),
    row("server.max.startup.time.ms", Kind::Long, "9223372036854775807", "How long the start may take.").at_least(0),
    row(
        "socket.connection.setup.timeout.max.ms",
        Kind::Long,
        "30000",
        "Longest time to set up a connection between brokers.",
    ),
    row(
        "socket.connection.setup.timeout.ms",
        Kind::Long,
        "10000",
        "First limit for setting up a connection between brokers.",
    ),
    row(
        "unclean.leader.election.interval.ms",
        Kind::Long,
        "300000",
        "How often partitions without a leader are looked through for such an election.",
    )
    .at_least(1),
    row(
        "unstable.api.versions.enable",
        Kind::Boolean,
        "false",
        "Whether API versions still under development are offered.",
    ),
    row(
        "unstable.feature.versions.enable",
        Kind::Boolean,
        "false",
        "Whether feature versions still under development are offered.",
    ),
];
