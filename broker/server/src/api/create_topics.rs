//! CreateTopics, v2..=7.
//!
//! v4: -1 partitions or replicas mean the broker's default (KIP-464). v5: answers with the layout and settings
//! (KIP-525). v7: answers with the topic id (KIP-516).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use weir_control::metadata::{CreateTopicError, MetadataRecord, NewTopic, PartitionLayout};
use weir_types::TopicId;

use super::configs::{check_topic_config, describe_topic_configs};
use super::convert::{text, topic_name, uuid};
use super::error::{ErrorCodes, Failure, change_failure, create_topic_failure};
use super::{Call, Context};

/// First versions of what an answer holds.
const LAYOUT_VERSION_MIN: i16 = 5;
const TOPIC_ID_VERSION_MIN: i16 = 7;

pub(super) async fn handle(cx: &Context, call: &Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let doubles = request.topics.iter().filter(|other| other.name == topic.name).count();
        let outcome = if doubles > 1 {
            Err(Failure::new(ResponseError::InvalidRequest, "topic is named more than once in the request"))
        } else {
            create(cx, topic, request.validate_only).await
        };
        if doubles > 1 && results.iter().any(|result: &CreatableTopicResult| result.name == topic.name) {
            continue;
        }
        results.push(result(cx, call, topic, outcome));
    }
    CreateTopicsResponse::default().with_topics(results)
}

/// What a topic was, or would be, created as.
struct Created {
    topic_id: TopicId,
    partitions: i32,
    replication_factor: i16,
    configs: BTreeMap<String, String>,
}

async fn create(cx: &Context, topic: &CreatableTopic, validate_only: bool) -> Result<Created, Failure> {
    let settings = cx.settings();
    let layout = layout(topic, settings.partition_count_default, settings.replication_factor_default)?;
    let mut configs = Vec::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            return Err(Failure::new(ResponseError::InvalidConfig, format!("null value for config {}", &*config.name)));
        };
        check_topic_config(&config.name, value)?;
        configs.push((config.name.to_string(), value.to_string()));
    }
    let new_topic =
        NewTopic { name: Arc::from(&**topic.name), topic_id: TopicId::random(), layout, configs: configs.clone() };
    let topic_id = new_topic.topic_id;
    let brokers = cx.broker_ids();
    let decide = move |image: &weir_control::metadata::MetadataImage| {
        let records = weir_control::metadata::create_topic(image, &brokers, new_topic)?;
        let replicas = records.iter().filter_map(|record| match record {
            MetadataRecord::Partition { replicas, .. } => Some(replicas.len()),
            _ => None,
        });
        let (partitions, replication_factor) = (replicas.clone().count() as i32, replicas.max().unwrap_or(0) as i16);
        Ok::<_, CreateTopicError>((records, (partitions, replication_factor)))
    };
    let (partitions, replication_factor) = if validate_only {
        decide(&cx.image()).map_err(|error| create_topic_failure(&error))?.1
    } else {
        cx.metadata.change(decide).await.map_err(|error| change_failure(&error, create_topic_failure))?
    };
    let topic_id = if validate_only { TopicId::ZERO } else { topic_id };
    Ok(Created { topic_id, partitions, replication_factor, configs: configs.into_iter().collect() })
}

fn layout(topic: &CreatableTopic, partitions: i32, replication_factor: i16) -> Result<PartitionLayout, Failure> {
    if topic.assignments.is_empty() {
        let or_default = |value: i32, default: i32| if value == -1 { default } else { value };
        return Ok(PartitionLayout::Counts {
            partitions: or_default(topic.num_partitions, partitions),
            replication_factor: or_default(topic.replication_factor.into(), replication_factor.into()) as i16,
        });
    }
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "partitions and replication factor must be -1 where replicas are assigned";
        return Err(Failure::new(ResponseError::InvalidRequest, message));
    }
    let mut assigned: Vec<_> = topic.assignments.iter().collect();
    assigned.sort_by_key(|assignment| assignment.partition_index);
    if assigned.iter().zip(0..).any(|(assignment, index)| assignment.partition_index != index) {
        let message = "partitions must be numbered from 0 without gaps";
        return Err(Failure::new(ResponseError::InvalidReplicaAssignment, message));
    }
    let replicas = assigned.iter().map(|assignment| assignment.broker_ids.iter().map(|id| id.0).collect());
    Ok(PartitionLayout::Assigned(replicas.collect()))
}

fn result(
    cx: &Context,
    call: &Call,
    topic: &CreatableTopic,
    outcome: Result<Created, Failure>,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(topic_name(&topic.name));
    match outcome {
        Err(failure) => {
            let result = result.with_error_code(failure.code()).with_error_message(Some(text(&failure.message)));
            if call.version >= LAYOUT_VERSION_MIN { result.with_configs(Some(Vec::new())) } else { result }
        }
        Ok(created) if call.version >= LAYOUT_VERSION_MIN => {
            let configs = describe_topic_configs(cx, &created.configs).into_iter().map(|config| {
                CreatableTopicConfigs::default()
                    .with_name(text(config.key.name))
                    .with_value(config.value.as_deref().map(text))
                    .with_config_source(config.source_code())
                    .with_is_sensitive(config.key.is_sensitive())
            });
            let result = result
                .with_num_partitions(created.partitions)
                .with_replication_factor(created.replication_factor)
                .with_configs(Some(configs.collect()));
            let has_id = call.version >= TOPIC_ID_VERSION_MIN;
            if has_id { result.with_topic_id(uuid(created.topic_id)) } else { result }
        }
        Ok(_) => result,
    }
}

impl ErrorCodes for CreateTopicsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().map(|topic| topic.error_code)
    }
}
