//! DescribeLogDirs, v1..=4.
//!
//! v3: a top-level error code. v4: total and usable bytes of the disk (KIP-827).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::convert::{text, topic_name};
use super::error::ErrorCodes;
use super::{Call, Context};
use crate::partition::Partition;

const USAGE_VERSION_MIN: i16 = 4;

pub(super) async fn handle(cx: &Context, call: &Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let mut topics: BTreeMap<Arc<str>, Vec<Arc<Partition>>> = BTreeMap::new();
    match request.topics {
        None => {
            let all = cx.partitions.topics();
            topics.extend(all.iter().map(|topic| (Arc::clone(&topic.name), topic.partitions.clone())));
        }
        Some(wanted) => {
            for topic in wanted {
                let found = topic.partitions.iter().filter_map(|index| cx.partitions.partition(&topic.topic, *index));
                topics.entry(Arc::from(&**topic.topic)).or_default().extend(found);
            }
        }
    }
    let topics = topics.into_iter().filter(|(_, partitions)| !partitions.is_empty()).map(|(name, partitions)| {
        let partitions = partitions.iter().map(|partition| {
            DescribeLogDirsPartition::default()
                .with_partition_index(partition.name.partition)
                .with_partition_size(partition.published().size_bytes() as i64)
        });
        DescribeLogDirsTopic::default().with_name(topic_name(&name)).with_partitions(partitions.collect())
    });
    let folder = cx.partitions.dir().path();
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut result =
        DescribeLogDirsResult::default().with_log_dir(text(&folder.to_string_lossy())).with_topics(topics.collect());
    if call.version >= USAGE_VERSION_MIN
        && let Ok(usage) = cx.partitions.dir().usage()
    {
        result = result.with_total_bytes(usage.total_bytes as i64).with_usable_bytes(usage.free_bytes as i64);
    }
    DescribeLogDirsResponse::default().with_results(vec![result])
}

impl ErrorCodes for DescribeLogDirsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code).chain(self.results.iter().map(|folder| folder.error_code))
    }
}
