//! The names that Kafka's own metrics get from jmx_exporter under Strimzi's rules. A partition is shown by its leader; what
//! belongs to the cluster by the controller, and is 0 elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use super::look::{Look, TopicLook};
use crate::api::Context;
use crate::metrics::cluster::Counts;
use crate::metrics::page::{Family, Page};
use crate::metrics::process::ProcessUsage;
use crate::metrics::topics::Counters;

const OF_PARTITION: [&str; 2] = ["topic", "partition"];

const AT_MIN_ISR: Family<2> = Family::gauge(
    "kafka_cluster_partition_atminisr",
    OF_PARTITION,
    "1 where just min.insync.replicas are in sync; with one replica always.",
);
const UNDER_MIN_ISR: Family<2> = Family::gauge(
    "kafka_cluster_partition_underminisr",
    OF_PARTITION,
    "1 where fewer than min.insync.replicas are in sync.",
);
const UNDER_REPLICATED: Family<2> = Family::gauge(
    "kafka_cluster_partition_underreplicated",
    OF_PARTITION,
    "1 where fewer replicas are in sync than there are replicas.",
);
const REPLICAS: Family<2> =
    Family::gauge("kafka_cluster_partition_replicascount", OF_PARTITION, "Replicas of the partition.");
const LOG_SIZE: Family<2> = Family::gauge("kafka_log_log_size", OF_PARTITION, "Bytes of the partition's log.");
const LOG_START: Family<2> =
    Family::gauge("kafka_log_log_logstartoffset", OF_PARTITION, "The partition's first offset.");
const LOG_END: Family<2> =
    Family::gauge("kafka_log_log_logendoffset", OF_PARTITION, "The offset that the next record gets.");
const ACTIVE_CONTROLLER: Family<0> = Family::gauge(
    "kafka_controller_kafkacontroller_activecontrollercount",
    [],
    "1 on the broker that is the controller.",
);
const OFFLINE_PARTITIONS: Family<0> = Family::gauge(
    "kafka_controller_kafkacontroller_offlinepartitionscount",
    [],
    "Partitions that nobody can lead, whose log cannot be opened, or that take no more writes.",
);
const IMBALANCE: Family<0> = Family::gauge(
    "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
    [],
    "Partitions that another than their preferred replica leads.",
);
const UNCLEAN_ELECTIONS: Family<0> = Family::counter(
    "kafka_controller_controllerstats_uncleanleaderelections_total",
    [],
    "Elections of a leader that was not in sync.",
);
const LEADERS: Family<0> =
    Family::gauge("kafka_server_replicamanager_leadercount", [], "Partitions that this broker leads.");
const PARTITIONS: Family<0> =
    Family::gauge("kafka_server_replicamanager_partitioncount", [], "Replicas online on this broker.");
const UNDER_REPLICATED_COUNT: Family<0> = Family::gauge(
    "kafka_server_replicamanager_underreplicatedpartitions",
    [],
    "Partitions led here that have fewer replicas in sync than replicas.",
);
const UNDER_MIN_ISR_COUNT: Family<0> = Family::gauge(
    "kafka_server_replicamanager_underminisrpartitioncount",
    [],
    "Partitions led here that have fewer replicas in sync than min.insync.replicas.",
);
const ISR_SHRINKS: Family<0> =
    Family::counter("kafka_server_replicamanager_isrshrinks_total", [], "Replicas that fell out of sync.");
const ISR_EXPANDS: Family<0> =
    Family::counter("kafka_server_replicamanager_isrexpands_total", [], "Replicas that came back in sync.");
const BROKER_STATE: Family<0> = Family::gauge(
    "kafka_server_kafkaserver_brokerstate",
    [],
    "3 running, 7 shutting down; there is none while it recovers its logs.",
);
const DISK_READ: Family<0> =
    Family::counter("kafka_server_kafkaserver_linux_disk_read_bytes", [], "Bytes that this process made disks read.");
const DISK_WRITE: Family<0> =
    Family::counter("kafka_server_kafkaserver_linux_disk_write_bytes", [], "Bytes that this process made disks write.");
const OFFLINE_LOG_DIRS: Family<0> = Family::gauge(
    "kafka_log_logmanager_offlinelogdirectorycount",
    [],
    "Data folders whose disk does not answer, or has failed a write or a sync.",
);
const NETWORK_IDLE: Family<0> = Family::gauge(
    "kafka_network_socketserver_networkprocessoravgidle_percent",
    [],
    "Share of time, 0 to 1, that the threads which serve sockets and requests had nothing to do.",
);
const HANDLER_IDLE: Family<0> = Family::gauge(
    "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
    [],
    "Share of time, 0 to 1, that the threads which serve sockets and requests had nothing to do.",
);
const CONNECTIONS: Family<1> = Family::gauge(
    "kafka_server_socket_server_metrics_connection_count",
    ["listener"],
    "Open client connections, by listener.",
);
const CPU: Family<0> = Family::counter("process_cpu_seconds_total", [], "CPU time, user and system.");
const MEMORY: Family<0> = Family::gauge("process_resident_memory_bytes", [], "Resident memory.");
const OPEN_FDS: Family<0> = Family::gauge("process_open_fds", [], "Open file descriptors.");
const MAX_FDS: Family<0> = Family::gauge("process_max_fds", [], "Limit of open file descriptors.");
const START_TIME: Family<0> = Family::gauge("process_start_time_seconds", [], "Start, in seconds since 1970.");

type TopicFamily = (Family<1>, fn(&Counters) -> &AtomicU64);

/// Families of topics. There is none over all topics, so that sums count nothing twice.
const OF_TOPICS: [TopicFamily; 7] = [
    (of_topic("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of batches appended by clients."), |counters| {
        &counters.bytes_in
    }),
    (of_topic("kafka_server_brokertopicmetrics_bytesout_total", "Bytes of batches sent to consumers."), |counters| {
        &counters.bytes_out
    }),
    (of_topic("kafka_server_brokertopicmetrics_messagesin_total", "Records appended by clients."), |counters| {
        &counters.records_in
    }),
    (
        of_topic("kafka_server_brokertopicmetrics_totalproducerequests_total", "Appends asked for, one a partition."),
        |counters| &counters.produce_requests,
    ),
    (
        of_topic("kafka_server_brokertopicmetrics_failedproducerequests_total", "Appends that were refused."),
        |counters| &counters.failed_produce_requests,
    ),
    (
        of_topic("kafka_server_brokertopicmetrics_totalfetchrequests_total", "Reads asked for, one a partition."),
        |counters| &counters.fetch_requests,
    ),
    (of_topic("kafka_server_brokertopicmetrics_failedfetchrequests_total", "Reads that were refused."), |counters| {
        &counters.failed_fetch_requests
    }),
];
/// None: batches pass through untouched.
const CONVERSIONS: [Family<1>; 2] = [
    of_topic("kafka_server_brokertopicmetrics_producemessageconversions_total", "Batches converted for the log: none."),
    of_topic("kafka_server_brokertopicmetrics_fetchmessageconversions_total", "Batches converted for consumers: none."),
];

const fn of_topic(name: &'static str, help: &'static str) -> Family<1> {
    Family::counter(name, ["topic"], help)
}

pub(super) fn write(page: &mut Page, cx: &Context, look: &Look, idle_ratio: f64) {
    partitions(page, look);
    let counts = Counts::of(cx);
    controller(page, &counts);
    replicas(page, &counts);
    server(page, cx, idle_ratio);
    for (family, counter) in &OF_TOPICS {
        let count = |topic: &TopicLook| counter(topic.metrics.of_topic()).load(Ordering::Relaxed) as f64;
        page.family(family, look.topics.iter().map(|topic| ([&*topic.name], count(topic))));
    }
    for family in &CONVERSIONS {
        page.family(family, look.topics.iter().map(|topic| ([&*topic.name], 0.0)));
    }
}

fn partitions(page: &mut Page, look: &Look) {
    let is = |yes: bool| f64::from(u8::from(yes));
    let all = || look.partitions.iter();
    page.family(&AT_MIN_ISR, all().map(|p| (p.labels(), is(p.replication.is_at_min_isr()))));
    page.family(&UNDER_MIN_ISR, all().map(|p| (p.labels(), is(p.replication.is_under_min_isr()))));
    page.family(&UNDER_REPLICATED, all().map(|p| (p.labels(), is(p.replication.is_under_replicated()))));
    page.family(&REPLICAS, all().map(|p| (p.labels(), p.replication.replicas as f64)));
    page.family(&LOG_SIZE, look.readable().map(|p| (p.labels(), p.size_bytes as f64)));
    page.family(&LOG_START, look.readable().map(|p| (p.labels(), p.log_start_offset as f64)));
    page.family(&LOG_END, look.readable().map(|p| (p.labels(), p.log_end_offset as f64)));
}

fn controller(page: &mut Page, counts: &Counts) {
    // The one broker is its own quorum, and there is nobody else to elect.
    page.single(&ACTIVE_CONTROLLER, 1.0);
    page.single(&OFFLINE_PARTITIONS, f64::from(counts.offline));
    page.single(&IMBALANCE, f64::from(counts.not_preferred));
    page.single(&UNCLEAN_ELECTIONS, 0.0);
}

fn replicas(page: &mut Page, counts: &Counts) {
    page.single(&LEADERS, f64::from(counts.online));
    page.single(&PARTITIONS, f64::from(counts.online));
    page.single(&UNDER_REPLICATED_COUNT, f64::from(counts.under_replicated));
    page.single(&UNDER_MIN_ISR_COUNT, f64::from(counts.under_min_isr));
    // With one replica each there is nothing to fall out of sync.
    page.single(&ISR_SHRINKS, 0.0);
    page.single(&ISR_EXPANDS, 0.0);
}

fn server(page: &mut Page, cx: &Context, idle_ratio: f64) {
    let usage = ProcessUsage::read();
    page.single(&BROKER_STATE, cx.metrics.state() as f64);
    page.single(&DISK_READ, usage.read_bytes);
    page.single(&DISK_WRITE, usage.written_bytes);
    page.single(&OFFLINE_LOG_DIRS, f64::from(u8::from(!cx.partitions.dir().is_online())));
    page.single(&NETWORK_IDLE, idle_ratio);
    page.single(&HANDLER_IDLE, idle_ratio);
    let connections = cx.metrics.connections_by_listener();
    page.family(&CONNECTIONS, connections.iter().map(|(listener, count)| ([&**listener], *count as f64)));
    page.single(&CPU, usage.cpu_seconds);
    page.single(&MEMORY, usage.resident_bytes);
    page.single(&OPEN_FDS, usage.open_fds);
    page.single(&MAX_FDS, usage.max_fds);
    page.single(&START_TIME, usage.start_time_seconds);
}
