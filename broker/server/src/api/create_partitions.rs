//! CreatePartitions, v0..=3.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use weir_control::metadata::{CreatePartitionsError, MetadataImage, create_partitions};

use super::convert::text;
use super::error::{ErrorCodes, Failure, change_failure};
use super::metadata::is_internal;
use super::{Call, Context};

pub(super) async fn handle(cx: &Context, _call: &Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        results.push(match create(cx, topic, request.validate_only).await {
            Ok(()) => result,
            Err(failure) => result.with_error_code(failure.code()).with_error_message(Some(text(&failure.message))),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn create(cx: &Context, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Failure> {
    let (name, count, brokers) = (topic.name.clone(), topic.count, cx.broker_ids());
    let assignments: Option<Vec<Vec<i32>>> = topic.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|assignment| assignment.broker_ids.iter().map(|id| id.0).collect()).collect()
    });
    let decide = move |image: &MetadataImage| {
        let topic = image.topic(&name).ok_or_else(Failure::unknown_topic)?;
        if is_internal(&topic.name) {
            let message = format!("{} finds its keys by the number of its partitions: it stays", topic.name);
            return Err(Failure::new(ResponseError::InvalidPartitions, message));
        }
        let records = create_partitions(image, &brokers, topic, count, assignments).map_err(|error| failure(&error))?;
        Ok((records, ()))
    };
    if validate_only {
        return decide(&cx.image()).map(|_| ());
    }
    cx.metadata.change(decide).await.map_err(|error| change_failure(&error, Clone::clone))
}

fn failure(error: &CreatePartitionsError) -> Failure {
    let code = match error {
        CreatePartitionsError::NotAnIncrease { .. } | CreatePartitionsError::TooManyPartitions(_) => {
            ResponseError::InvalidPartitions
        }
        CreatePartitionsError::InvalidAssignment(_) => ResponseError::InvalidReplicaAssignment,
    };
    Failure::new(code, error.to_string())
}

impl ErrorCodes for CreatePartitionsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.results.iter().map(|result| result.error_code)
    }
}
