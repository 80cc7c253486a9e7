//! Topics that come into being because a client asked about them.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use weir_control::metadata::{CreateTopicError, NewTopic, PartitionLayout, TopicImage, validate_topic_name};
use weir_types::TopicId;

use super::Context;
use super::error::{Failure, change_failure, create_topic_failure};

/// The topic of that name; created with the broker's defaults if it may be and `auto.create.topics.enable` allows it.
pub(super) async fn find_or_create(cx: &Context, name: &str, may_create: bool) -> Result<Arc<TopicImage>, Failure> {
    if let Some(found) = cx.image().topic(name) {
        return Ok(Arc::clone(found));
    }
    let settings = cx.settings();
    if let Err(message) = validate_topic_name(name) {
        return Err(Failure::new(ResponseError::InvalidTopicException, message));
    }
    if !may_create || !settings.auto_create_topics || super::metadata::is_internal(name) {
        return Err(Failure::unknown_topic());
    }
    let layout = PartitionLayout::Counts {
        partitions: settings.partition_count_default,
        replication_factor: settings.replication_factor_default,
    };
    create(cx, name, layout, Vec::new()).await
}

/// Creates a topic; one that another request has made in the meantime is as good.
pub(crate) async fn create(
    cx: &Context,
    name: &str,
    layout: PartitionLayout,
    configs: Vec<(String, String)>,
) -> Result<Arc<TopicImage>, Failure> {
    let topic = NewTopic { name: name.into(), topic_id: TopicId::random(), layout, configs };
    let brokers = cx.broker_ids();
    let decide = move |image: &weir_control::metadata::MetadataImage| match weir_control::metadata::create_topic(
        image, &brokers, topic,
    ) {
        Err(CreateTopicError::Exists(_)) => Ok((Vec::new(), ())),
        other => other.map(|records| (records, ())),
    };
    cx.metadata.change(decide).await.map_err(|error| change_failure(&error, create_topic_failure))?;
    cx.image().topic(name).cloned().ok_or_else(Failure::unknown_topic)
}
