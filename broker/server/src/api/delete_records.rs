//! DeleteRecords, v0..=2. Offset -1 means the high watermark.

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use weir_protocol::produce::TopicRef;

use super::error::{ErrorCodes, Failure, partition_failure};
use super::{Call, Context};

const UP_TO_HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(cx: &Context, _call: &Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let found = cx.partitions.topic(&TopicRef::Name((**topic.name).into()));
        let partitions = topic.partitions.iter().map(|wanted| {
            let to = (wanted.offset != UP_TO_HIGH_WATERMARK).then_some(wanted.offset);
            let partition = found.as_ref().and_then(|found| found.partition(wanted.partition_index));
            let deleted = partition
                .ok_or_else(Failure::unknown_topic)
                .and_then(|partition| partition.delete_records(to).map_err(|error| partition_failure(&error)));
            let result = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
            match deleted {
                Ok(log_start_offset) => result.with_low_watermark(log_start_offset),
                Err(failure) => result.with_low_watermark(-1).with_error_code(failure.code()),
            }
        });
        DeleteRecordsTopicResult::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    let response = DeleteRecordsResponse::default().with_topics(topics.collect());
    cx.lags.want();
    response
}

impl ErrorCodes for DeleteRecordsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code)
    }
}
