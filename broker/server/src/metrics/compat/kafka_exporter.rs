//! The names of kafka_exporter. Topics, partitions and brokers are shown by the controller, groups by their coordinator.

use super::look::{GroupPosition, Look};
use crate::api::Context;
use crate::metrics::page::{Family, Page};

const OF_PARTITION: [&str; 2] = ["topic", "partition"];
const OF_GROUP: [&str; 3] = ["consumergroup", "topic", "partition"];

const BROKERS: Family<0> = Family::gauge("kafka_brokers", [], "Brokers of the cluster.");
const BROKER_INFO: Family<2> =
    Family::gauge("kafka_broker_info", ["id", "address"], "1, with a broker's id and address.").of_each();
const PARTITIONS: Family<1> = Family::gauge("kafka_topic_partitions", ["topic"], "Partitions of the topic.");
const CURRENT_OFFSET: Family<2> = Family::gauge(
    "kafka_topic_partition_current_offset",
    OF_PARTITION,
    "The partition's high watermark: the offset of the next record that readers will see.",
);
const OLDEST_OFFSET: Family<2> =
    Family::gauge("kafka_topic_partition_oldest_offset", OF_PARTITION, "The partition's first offset.");
const LEADER: Family<2> =
    Family::gauge("kafka_topic_partition_leader", OF_PARTITION, "Id of the partition's leader; -1 for none.").of_each();
const REPLICAS: Family<2> = Family::gauge("kafka_topic_partition_replicas", OF_PARTITION, "Replicas of the partition.");
const IN_SYNC: Family<2> =
    Family::gauge("kafka_topic_partition_in_sync_replica", OF_PARTITION, "Replicas of the partition in sync.");
const IS_PREFERRED: Family<2> = Family::gauge(
    "kafka_topic_partition_leader_is_preferred",
    OF_PARTITION,
    "1 where the preferred replica leads the partition.",
);
const UNDER_REPLICATED: Family<2> = Family::gauge(
    "kafka_topic_partition_under_replicated_partition",
    OF_PARTITION,
    "1 where fewer replicas are in sync than there are replicas.",
);
const COMMITTED: Family<3> =
    Family::gauge("kafka_consumergroup_current_offset", OF_GROUP, "The offset that the group has committed.");
const LAG: Family<3> = Family::gauge(
    "kafka_consumergroup_lag",
    OF_GROUP,
    "Records that the group has not read up to the partition's end.",
);
const COMMITTED_SUM: Family<2> = Family::gauge(
    "kafka_consumergroup_current_offset_sum",
    ["consumergroup", "topic"],
    "The offsets that the group has committed, added up over the topic's partitions.",
);
const LAG_SUM: Family<2> = Family::gauge(
    "kafka_consumergroup_lag_sum",
    ["consumergroup", "topic"],
    "Records of the topic that the group has not read.",
);
const MEMBERS: Family<1> = Family::gauge("kafka_consumergroup_members", ["consumergroup"], "Members of the group.");
const LAG_MILLIS: Family<3> = Family::gauge(
    "kafka_consumer_lag_millis",
    OF_GROUP,
    "For how long the first record that the group has not read has been there; 0 when it has read all.",
)
.of_each();

pub(super) fn write(page: &mut Page, cx: &Context, look: &Look) {
    brokers(page, cx);
    page.family(&PARTITIONS, look.topics.iter().map(|topic| ([&*topic.name], topic.partition_count as f64)));
    partitions(page, look);
    groups(page, look);
}

fn brokers(page: &mut Page, cx: &Context) {
    let id = cx.node_id.to_string();
    // Where clients go that say nothing else.
    let address = cx.advertised.first().map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port));
    page.single(&BROKERS, cx.broker_ids().len() as f64);
    page.family(&BROKER_INFO, address.iter().map(|address| ([&*id, address], 1.0)));
}

fn partitions(page: &mut Page, look: &Look) {
    let is = |yes: bool| f64::from(u8::from(yes));
    page.family(&CURRENT_OFFSET, look.readable().map(|p| (p.labels(), p.high_watermark as f64)));
    page.family(&OLDEST_OFFSET, look.readable().map(|p| (p.labels(), p.log_start_offset as f64)));
    let all = || look.partitions.iter();
    page.family(&LEADER, all().map(|p| (p.labels(), if p.is_online { f64::from(p.leader) } else { -1.0 })));
    page.family(&REPLICAS, all().map(|p| (p.labels(), p.replication.replicas as f64)));
    page.family(&IN_SYNC, all().map(|p| (p.labels(), p.replication.isr as f64)));
    page.family(&IS_PREFERRED, all().map(|p| (p.labels(), is(p.replication.is_preferred))));
    page.family(&UNDER_REPLICATED, all().map(|p| (p.labels(), is(p.replication.is_under_replicated()))));
}

fn groups(page: &mut Page, look: &Look) {
    let positions = || look.positions.iter();
    page.family(&COMMITTED, positions().map(|at| (at.labels(), at.committed_offset as f64)));
    page.family(&LAG, positions().map(|at| (at.labels(), at.lag_records as f64)));
    page.family(&LAG_MILLIS, positions().map(|at| (at.labels(), at.lag_ms as f64)));
    let by_topic = || look.positions.chunk_by(|a, b| a.group == b.group && a.topic == b.topic);
    page.family(&COMMITTED_SUM, by_topic().map(|of| topic_sum(of, |at| at.committed_offset as f64)));
    page.family(&LAG_SUM, by_topic().map(|of| topic_sum(of, |at| at.lag_records as f64)));
    page.family(&MEMBERS, look.groups.iter().map(|(group, count)| ([&**group], *count as f64)));
}

/// Of one group in one topic.
fn topic_sum(positions: &[GroupPosition], value: impl Fn(&GroupPosition) -> f64) -> ([&str; 2], f64) {
    let [group, topic, _] = positions[0].labels();
    ([group, topic], positions.iter().map(value).sum())
}
