//! The names of kafka-lag-exporter. Its `cluster_name` and `namespace` are the scrape's to add.

use super::look::{GroupPosition, Look};
use crate::metrics::page::{Family, Page};

const OF_GROUP: [&str; 3] = ["group", "topic", "partition"];

const LATEST: Family<2> = Family::gauge(
    "kafka_partition_latest_offset",
    ["topic", "partition"],
    "The partition's high watermark: the offset of the next record that readers will see.",
);
const OFFSET: Family<3> =
    Family::gauge("kafka_consumergroup_group_offset", OF_GROUP, "The offset that the group has committed.");
const LAG: Family<3> = Family::gauge(
    "kafka_consumergroup_group_lag",
    OF_GROUP,
    "Records that the group has not read up to the partition's end.",
);
const LAG_SECONDS: Family<3> = Family::gauge(
    "kafka_consumergroup_group_lag_seconds",
    OF_GROUP,
    "For how long the first record that the group has not read has been there; 0 when it has read all.",
)
.of_each();
const MAX_LAG: Family<1> = Family::gauge(
    "kafka_consumergroup_group_max_lag",
    ["group"],
    "The group's lag in records in the partition where it is largest.",
)
.of_each();
const MAX_LAG_SECONDS: Family<1> = Family::gauge(
    "kafka_consumergroup_group_max_lag_seconds",
    ["group"],
    "The group's lag in seconds in the partition where it is largest.",
)
.of_each();

pub(super) fn write(page: &mut Page, look: &Look) {
    page.family(&LATEST, look.readable().map(|p| (p.labels(), p.high_watermark as f64)));
    let positions = || look.positions.iter();
    page.family(&OFFSET, positions().map(|at| (at.labels(), at.committed_offset as f64)));
    page.family(&LAG, positions().map(|at| (at.labels(), at.lag_records as f64)));
    page.family(&LAG_SECONDS, positions().map(|at| (at.labels(), seconds(at))));
    let by_group = || look.positions.chunk_by(|a, b| a.group == b.group);
    page.family(&MAX_LAG, by_group().map(|of| max(of, |at| at.lag_records as f64)));
    page.family(&MAX_LAG_SECONDS, by_group().map(|of| max(of, seconds)));
}

fn seconds(at: &GroupPosition) -> f64 {
    at.lag_ms as f64 / 1000.0
}

/// Of one group.
fn max(positions: &[GroupPosition], value: impl Fn(&GroupPosition) -> f64) -> ([&str; 1], f64) {
    let [group, ..] = positions[0].labels();
    ([group], positions.iter().map(value).fold(0.0, f64::max))
}
