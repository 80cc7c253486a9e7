//! Health, replication and balance, as the metadata image and the partitions say it. One broker leads everything and is
//! the controller; the families are those of a cluster.

use std::sync::Arc;
use std::time::Instant;

use weir_control::metadata::{ConfigResource, PartitionImage};

use super::throughput::Throughput;
use super::{Bounds, Computed, Rows};
use crate::api::Context;
use crate::partition::Partition;

/// Kafka's numbers for what a broker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerState {
    Recovery = 2,
    Running = 3,
    ShuttingDown = 7,
}

/// What can be wrong with a cluster, each shown as 0 until it is.
const HEALTH_REASONS: [&str; 5] = [
    "offline_partitions",
    "under_min_isr_partitions",
    "under_replicated_partitions",
    "log_dir_offline",
    "no_controller",
];

pub(super) fn add(computed: &Computed, cx: &Arc<Context>) {
    let (cx, throughput) = (Arc::clone(cx), Throughput::new(Instant::now()));
    computed.add(move || Cluster::read(&cx, &throughput).into_rows());
}

/// All of them, empty.
pub(super) fn families(_: Bounds) -> Vec<Rows> {
    Cluster::new().into_rows()
}

struct Cluster {
    broker_info: Rows,
    brokers: Rows,
    health: Rows,
    partitions: Rows,
    under_replicated: Rows,
    under_min_isr: Rows,
    at_min_isr: Rows,
    offline: Rows,
    reassigning: Rows,
    isr_changes: Rows,
    active_controller: Rows,
    elections: Rows,
    imbalance: Rows,
    load: Rows,
    skew: Rows,
}

/// How well a partition is replicated.
pub(super) struct Replication {
    pub(super) replicas: usize,
    pub(super) isr: usize,
    min_isr: usize,
    pub(super) is_preferred: bool,
}

impl Replication {
    fn new(image: &PartitionImage, min_isr: usize) -> Self {
        let replicas = image.replicas.len();
        let is_preferred = image.replicas.first() == Some(&image.leader);
        // A topic cannot ask for more in-sync replicas than it has.
        Self { replicas, isr: image.isr.len(), min_isr: min_isr.min(replicas), is_preferred }
    }

    pub(super) fn is_under_replicated(&self) -> bool {
        self.isr < self.replicas
    }

    pub(super) fn is_under_min_isr(&self) -> bool {
        self.isr < self.min_isr
    }

    pub(super) fn is_at_min_isr(&self) -> bool {
        self.isr == self.min_isr
    }
}

/// What the partitions add up to.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) online: u32,
    pub(super) offline: u32,
    pub(super) under_replicated: u32,
    pub(super) under_min_isr: u32,
    at_min_isr: u32,
    reassigning: u32,
    pub(super) not_preferred: u32,
    replicas: usize,
    size_bytes: u64,
}

impl Counts {
    pub(super) fn of(cx: &Context) -> Self {
        let mut counts = Self::default();
        for_each_partition(cx, |_, partition, replication| counts.add(partition, &replication));
        counts
    }

    fn add(&mut self, partition: &Partition, replication: &Replication) {
        let published = partition.published();
        if published.is_online() {
            self.online += 1;
        } else {
            self.offline += 1;
        }
        self.under_replicated += u32::from(replication.is_under_replicated());
        self.under_min_isr += u32::from(replication.is_under_min_isr());
        self.at_min_isr += u32::from(replication.is_at_min_isr());
        self.not_preferred += u32::from(!replication.is_preferred);
        self.replicas += replication.replicas;
        self.size_bytes += published.size_bytes();
    }
}

impl Cluster {
    fn new() -> Self {
        let count = |name, help| Rows::gauge(name, &[], help);
        Self {
            broker_info: Rows::gauge("weir_broker_info", &["broker", "rack"], "1, with this broker's id and rack."),
            brokers: count("weir_brokers", "Brokers that the cluster's metadata knows, as the controller says it."),
            health: Rows::gauge(
                "weir_cluster_health_reason",
                &["reason"],
                "1 for each reason why the cluster is not well.",
            )
            .of_each(),
            partitions: Rows::gauge("weir_partitions", &["state"], "Partitions of this broker, by state."),
            under_replicated: count(
                "weir_under_replicated_partitions",
                "Partitions led here that have fewer replicas in sync than replicas.",
            ),
            under_min_isr: count(
                "weir_under_min_isr_partitions",
                "Partitions led here that refuse acks=all: fewer replicas in sync than min.insync.replicas.",
            ),
            at_min_isr: count(
                "weir_at_min_isr_partitions",
                "Partitions led here that have just min.insync.replicas in sync; with one replica always.",
            ),
            offline: count(
                "weir_offline_partitions",
                "Partitions that nobody can lead, whose log cannot be opened, or that take no more writes since their disk failed.",
            ),
            reassigning: count("weir_reassigning_partitions", "Partitions that are moving between brokers."),
            isr_changes: Rows::counter(
                "weir_isr_changes_total",
                &["direction"],
                "Replicas that fell out of sync (shrink) or came back (expand).",
            ),
            active_controller: count("weir_active_controller", "1 on the broker that is the controller."),
            elections: Rows::counter("weir_leader_elections_total", &["kind"], "Changes of leaders since the start."),
            imbalance: count(
                "weir_preferred_leader_imbalance_partitions",
                "Partitions that another than their preferred replica leads.",
            ),
            load: Rows::gauge(
                "weir_broker_load",
                &["resource"],
                "What this broker carries: leaders, replicas, bytes of disk, bytes per second in and out over the last minute.",
            )
            .of_each(),
            skew: Rows::gauge(
                "weir_balance_skew_ratio",
                &["resource"],
                "The most loaded broker over the mean of all brokers; 1 is balanced.",
            )
            .of_each(),
        }
    }

    fn read(cx: &Context, throughput: &Throughput) -> Self {
        let mut cluster = Self::new();
        let counts = Counts::of(cx);
        let log_dir_offline = !cx.partitions.dir().is_online();
        cluster.describe(cx);
        cluster.partitions.add([&"online".into()], f64::from(counts.online));
        cluster.partitions.add([&"offline".into()], f64::from(counts.offline));
        for (rows, count) in [
            (&mut cluster.under_replicated, counts.under_replicated),
            (&mut cluster.under_min_isr, counts.under_min_isr),
            (&mut cluster.at_min_isr, counts.at_min_isr),
            (&mut cluster.offline, counts.offline),
            (&mut cluster.reassigning, counts.reassigning),
            (&mut cluster.imbalance, counts.not_preferred),
            // The one broker is its own quorum.
            (&mut cluster.active_controller, 1),
        ] {
            rows.set(f64::from(count));
        }
        // The one broker is the controller.
        cluster.brokers.set(cx.broker_ids().len() as f64);
        let is_wrong =
            [counts.offline > 0, counts.under_min_isr > 0, counts.under_replicated > 0, log_dir_offline, false];
        for (reason, is_wrong) in HEALTH_REASONS.into_iter().zip(is_wrong) {
            cluster.health.add([&reason.into()], f64::from(u8::from(is_wrong)));
        }
        // With one replica each there is nothing to fall out of sync, and nobody else to elect.
        ["shrink", "expand"].into_iter().for_each(|direction| cluster.isr_changes.add([&direction.into()], 0.0));
        ["clean", "unclean", "preferred"].into_iter().for_each(|kind| cluster.elections.add([&kind.into()], 0.0));
        let leaders = counts.online as f64;
        let [bytes_in, bytes_out] = throughput.per_second(Instant::now(), bytes(cx));
        for (resource, load) in [
            ("leaders", leaders),
            ("replicas", counts.replicas as f64),
            ("disk", counts.size_bytes as f64),
            ("bytes_in", bytes_in),
            ("bytes_out", bytes_out),
        ] {
            cluster.load.add([&resource.into()], load);
            cluster.skew.add([&resource.into()], 1.0);
        }
        cluster
    }

    fn describe(&mut self, cx: &Context) {
        let rack = cx.settings().rack.clone().unwrap_or_default();
        self.broker_info.add([&cx.node_id.to_string().into(), &rack.into()], 1.0);
    }

    fn into_rows(self) -> Vec<Rows> {
        vec![
            self.broker_info,
            self.brokers,
            self.health,
            self.partitions,
            self.under_replicated,
            self.under_min_isr,
            self.at_min_isr,
            self.offline,
            self.reassigning,
            self.isr_changes,
            self.active_controller,
            self.elections,
            self.imbalance,
            self.load,
            self.skew,
        ]
    }
}

/// In and out of this broker since its start.
fn bytes(cx: &Context) -> [u64; 2] {
    let topics = cx.partitions.topics();
    cx.metrics.topics.bytes(topics.iter().map(|topic| &*topic.metrics))
}

/// Every partition that the image has and this broker serves.
pub(super) fn for_each_partition(cx: &Context, mut visit: impl FnMut(&PartitionImage, &Partition, Replication)) {
    let image = cx.image();
    for topic in image.topics() {
        let Some(found) = cx.partitions.topic_named(&topic.name) else { continue };
        let configs = image.configs(&ConfigResource::Topic(Arc::clone(&topic.name)));
        let min_isr = configs.get("min.insync.replicas").and_then(|text| text.parse().ok());
        let min_isr = min_isr.unwrap_or(cx.settings().min_insync_replicas);
        for (image, partition) in topic.partitions.iter().zip(&found.partitions) {
            visit(image, partition, Replication::new(image, min_isr));
        }
    }
}
