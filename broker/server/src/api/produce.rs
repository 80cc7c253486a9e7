//! Produce, v3..=13; 0 is advertised (KAFKA-18659).
//!
//! v5: log start offset. v8: error messages. v13: topics by id (KIP-516).
//! acks=0 has no answer, whatever happens; acks=1 is answered after the append, acks=all after the commit.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use weir_protocol::produce::{self, ProducePartition, ProduceRequest, TopicRef};
use weir_storage::{AppendOrigin, Appended};
use weir_types::batch::RecordBatch;

use super::convert::{text, topic_name};
use super::error::{ErrorCodes, Failure, partition_failure};
use super::{Call, CallError, Context, Handled, Handling, Reply};
use crate::partition::{Partition, Topic, committed};

/// First versions of fields that the codec refuses to drop.
const LOG_START_OFFSET_VERSION_MIN: i16 = 5;
const ERROR_MESSAGE_VERSION_MIN: i16 = 8;

/// Begins a Produce. The answer's first poll appends everything, in order.
pub(super) fn begin(cx: Arc<Context>, call: Call, body: BytesMut) -> Result<Handling, CallError> {
    let request = produce::decode(call.version, body)?;
    Ok(Box::pin(handle(cx, call, request)))
}

/// What an append came to, and how far the log must be committed before an acks=all answer.
struct Outcome {
    index: i32,
    result: Result<Written, Failure>,
}

struct Written {
    partition: Arc<Partition>,
    appended: Appended,
    log_start_offset: i64,
}

async fn handle(cx: Arc<Context>, call: Call, request: ProduceRequest) -> Result<Handled, CallError> {
    let ProduceRequest { acks, timeout_ms, topics, .. } = request;
    let mut answered = Vec::with_capacity(topics.len());
    for topic in topics {
        let found = cx.partitions.topic(&topic.topic);
        let outcomes = topic.partitions.into_iter().map(|partition| {
            let index = partition.index;
            let result = append(&call, found.as_deref(), &topic.topic, partition, acks);
            if let Some(topic) = &found {
                topic.metrics.asked_to_append(result.is_ok());
            }
            Outcome { index, result }
        });
        answered.push((topic.topic.clone(), outcomes.collect::<Vec<_>>()));
    }
    if acks == 0 {
        // Nobody is told, so that only the count says that records were lost.
        let mut outcomes = answered.iter().flat_map(|(_, outcomes)| outcomes);
        let error = outcomes.find_map(|outcome| Some(outcome.result.as_ref().err()?.error));
        return Ok(Handled { reply: Reply::None, error });
    }
    if acks == -1 {
        await_commit(&mut answered, timeout_ms).await;
    }
    let responses = answered.into_iter().map(|(topic, outcomes)| {
        let mut response = TopicProduceResponse::default();
        match topic {
            TopicRef::Name(name) => response.name = topic_name(&name),
            TopicRef::Id(id) => response.topic_id = uuid::Uuid::from_bytes(id),
        }
        response.partition_responses = outcomes.into_iter().map(|outcome| answer(&call, outcome)).collect();
        response
    });
    call.reply(&ProduceResponse::default().with_responses(responses.collect()))
}

fn append(
    call: &Call,
    topic: Option<&Topic>,
    named: &TopicRef,
    data: ProducePartition,
    acks: i16,
) -> Result<Written, Failure> {
    if !matches!(acks, -1..=1) {
        return Err(Failure::new(ResponseError::InvalidRequiredAcks, format!("acks={acks} is not -1, 0 or 1")));
    }
    let Some(topic) = topic else {
        return Err(match named {
            TopicRef::Name(_) => Failure::unknown_topic(),
            TopicRef::Id(_) => Failure::unknown_topic_id(),
        });
    };
    let partition = topic.partition(data.index).ok_or_else(Failure::unknown_topic)?;
    if super::metadata::is_internal(&topic.name) {
        let message = format!("{} is written by the broker alone", topic.name);
        return Err(Failure::new(ResponseError::InvalidTopicException, message));
    }
    let records = data.records.filter(|records| !records.is_empty()).ok_or_else(|| {
        Failure::new(ResponseError::InvalidRecord, "one record batch per partition is needed, but there is none")
    })?;
    refuse_transactional(&records)?;
    call.carries(&topic.name, &records);
    let appended = partition.append(records, AppendOrigin::Client).map_err(|error| partition_failure(&error))?;
    let log_start_offset = partition.offsets().map_or(-1, |offsets| offsets.log_start_offset);
    Ok(Written { partition: Arc::clone(partition), appended, log_start_offset })
}

/// Without a coordinator nobody would ever commit or abort such a batch. What does not parse is the log's to refuse.
fn refuse_transactional(records: &[u8]) -> Result<(), Failure> {
    match RecordBatch::parse(records) {
        Ok(batch) if batch.is_transactional() => {
            let message = "transactions are not supported yet";
            Err(Failure::new(ResponseError::TransactionalIdAuthorizationFailed, message))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Waits for the flush rounds of all partitions; what is not committed in time becomes an error of its partition.
async fn await_commit(answered: &mut [(TopicRef, Vec<Outcome>)], timeout_ms: i32) {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(timeout_ms.max(0) as u64);
    for outcome in answered.iter_mut().flat_map(|(_, outcomes)| outcomes) {
        let Ok(written) = &outcome.result else { continue };
        let commit = committed(&written.partition, written.appended.log_end_offset);
        match tokio::time::timeout_at(deadline, commit).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => outcome.result = Err(partition_failure(&error)),
            Err(_) => {
                let message = format!("not committed within the request's timeout of {timeout_ms} ms");
                outcome.result = Err(Failure::new(ResponseError::RequestTimedOut, message));
            }
        }
    }
}

fn answer(call: &Call, outcome: Outcome) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(outcome.index);
    match outcome.result {
        Ok(Written { appended, log_start_offset, .. }) => {
            let response = response
                .with_base_offset(appended.base_offset)
                .with_log_append_time_ms(appended.log_append_time.unwrap_or(-1));
            let has_start = call.version >= LOG_START_OFFSET_VERSION_MIN;
            if has_start { response.with_log_start_offset(log_start_offset) } else { response }
        }
        Err(failure) => {
            let response = response.with_base_offset(-1).with_log_append_time_ms(-1).with_error_code(failure.code());
            let has_message = call.version >= ERROR_MESSAGE_VERSION_MIN;
            if has_message { response.with_error_message(Some(text(&failure.message))) } else { response }
        }
    }
}

impl ErrorCodes for ProduceResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.responses.iter().flat_map(|topic| &topic.partition_responses).map(|partition| partition.error_code)
    }
}
