//! DeleteTopics, v1..=6.
//!
//! v5: error messages. v6: topics by name or by id (KIP-516).

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use weir_control::metadata::{MetadataImage, delete_topic};
use weir_protocol::produce::TopicRef;

use super::convert::{find_topic, text, topic_id, topic_name, uuid};
use super::error::{ErrorCodes, Failure, change_failure};
use super::metadata::is_internal;
use super::{Call, Context};

const ID_VERSION_MIN: i16 = 6;
const MESSAGE_VERSION_MIN: i16 = 5;

pub(super) async fn handle(cx: &Context, call: &Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let topics: Vec<TopicRef> = if call.version >= ID_VERSION_MIN {
        let by_either = request.topics.iter().map(|topic| match &topic.name {
            Some(name) => TopicRef::Name((***name).into()),
            None => TopicRef::Id(topic_id(topic.topic_id).0),
        });
        by_either.collect()
    } else {
        request.topic_names.iter().map(|name| TopicRef::Name((***name).into())).collect()
    };
    let mut responses = Vec::with_capacity(topics.len());
    for topic in topics {
        let image = cx.image();
        let found = find_topic(&image, &topic);
        let mut response = DeletableTopicResult::default();
        response.name = match (&topic, found) {
            (TopicRef::Name(name), _) => Some(topic_name(name)),
            (TopicRef::Id(_), Some(found)) => Some(topic_name(&found.name)),
            (TopicRef::Id(_), None) => None,
        };
        if call.version >= ID_VERSION_MIN {
            response.topic_id = match &topic {
                TopicRef::Id(id) => uuid::Uuid::from_bytes(*id),
                TopicRef::Name(_) => found.map(|found| uuid(found.id)).unwrap_or_default(),
            };
        }
        if let Err(failure) = delete(cx, topic).await {
            response.error_code = failure.code();
            if call.version >= MESSAGE_VERSION_MIN {
                response.error_message = Some(text(&failure.message));
            }
        }
        responses.push(response);
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

async fn delete(cx: &Context, topic: TopicRef) -> Result<(), Failure> {
    if !cx.settings().delete_topics {
        let message = "topics cannot be deleted here: delete.topic.enable is false";
        return Err(Failure::new(ResponseError::TopicDeletionDisabled, message));
    }
    let decide = move |image: &MetadataImage| match (find_topic(image, &topic), &topic) {
        (Some(found), _) if is_internal(&found.name) => {
            let message = format!("{} belongs to the broker: it cannot be deleted", found.name);
            Err(Failure::new(ResponseError::InvalidRequest, message))
        }
        (Some(found), _) => Ok((delete_topic(found), Arc::clone(&found.name))),
        (None, TopicRef::Name(_)) => Err(Failure::unknown_topic()),
        (None, TopicRef::Id(_)) => Err(Failure::unknown_topic_id()),
    };
    let deleted = cx.metadata.change(decide).await.map_err(|error| change_failure(&error, Clone::clone))?;
    cx.groups.topics_deleted(&[deleted]);
    Ok(())
}

impl ErrorCodes for DeleteTopicsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.responses.iter().map(|topic| topic.error_code)
    }
}
