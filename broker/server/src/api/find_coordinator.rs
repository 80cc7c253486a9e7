//! FindCoordinator, v0..=6.
//!
//! v1: key type. v3: flexible. v4: several keys (KIP-699). v5, v6: as v4; the codes of transactions v2 and the key type
//! of share groups don't occur.
//! The first question for a group creates `__consumer_offsets`. Until it is there: COORDINATOR_NOT_AVAILABLE.
//! Key types other than groups have no coordinator yet: INVALID_REQUEST with the reason.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use weir_control::metadata::PartitionLayout;
use weir_repeats::Repeats;

use super::auto_create::create;
use super::convert::text;
use super::error::{ErrorCodes, Failure};
use super::{Call, Context};
use crate::groups::OFFSETS_TOPIC;

const BATCH_VERSION_MIN: i16 = 4;
const KEY_TYPE_VERSION_MIN: i16 = 1;
const GROUP: i8 = 0;
const NO_NODE: i32 = -1;
const NO_PORT: i32 = -1;

static NOT_CREATED: Repeats = Repeats::new();

pub(super) async fn handle(cx: &Context, call: &Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let found = find(cx, call, request.key_type).await;
    if call.version >= BATCH_VERSION_MIN {
        let coordinators = request.coordinator_keys.into_iter().map(|key| answer(&found).with_key(key));
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } = answer(&found);
    let error_message = error_message.filter(|_| call.version >= KEY_TYPE_VERSION_MIN);
    FindCoordinatorResponse::default()
        .with_node_id(node_id)
        .with_host(host)
        .with_port(port)
        .with_error_code(error_code)
        .with_error_message(error_message)
}

async fn find(cx: &Context, call: &Call, key_type: i8) -> Result<Coordinator, Failure> {
    if key_type != GROUP {
        let message = format!("key type {key_type} has no coordinator here: only groups (0) have one");
        return Err(Failure::new(ResponseError::InvalidRequest, message));
    }
    create_offsets_topic(cx).await?;
    let not_yet = || Failure::new(ResponseError::CoordinatorNotAvailable, "__consumer_offsets is being created");
    let topic = cx.partitions.topic_named(OFFSETS_TOPIC).ok_or_else(not_yet)?;
    cx.groups.open(topic.partitions.len());
    // One broker coordinates everything until there are several.
    let broker = cx.brokers(&call.peer.listener).into_iter().next();
    let broker =
        broker.ok_or_else(|| Failure::new(ResponseError::CoordinatorNotAvailable, "no broker is registered"))?;
    let coordinator = Coordinator::default().with_node_id(BrokerId(broker.node_id));
    Ok(coordinator.with_host(text(&broker.host)).with_port(i32::from(broker.port)))
}

/// The topic of groups, made on the first need. Whatever keeps it from being made may pass: the client asks again.
async fn create_offsets_topic(cx: &Context) -> Result<(), Failure> {
    if cx.image().topic(OFFSETS_TOPIC).is_some() {
        return Ok(());
    }
    let settings = &cx.settings().groups;
    let layout = PartitionLayout::Counts {
        partitions: settings.topic_partition_count,
        replication_factor: settings.topic_replication_factor,
    };
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("segment.bytes", settings.topic_segment_bytes.to_string()),
        ("compression.type", "producer".to_owned()),
    ];
    let configs = configs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let created = create(cx, OFFSETS_TOPIC, layout, configs).await;
    created.map(|_| ()).map_err(|failure| {
        if let Some(suppressed) = NOT_CREATED.say(()) {
            let error = &failure.message;
            tracing::error!(topic = OFFSETS_TOPIC, error, suppressed, "cannot create the topic of groups");
        }
        Failure::new(ResponseError::CoordinatorNotAvailable, failure.message)
    })
}

fn answer(found: &Result<Coordinator, Failure>) -> Coordinator {
    found.clone().unwrap_or_else(|failure| {
        Coordinator::default()
            .with_node_id(BrokerId(NO_NODE))
            .with_port(NO_PORT)
            .with_error_code(failure.code())
            .with_error_message(Some(text(&failure.message)))
    })
}

impl ErrorCodes for FindCoordinatorResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let found = self.coordinators.iter().map(|coordinator| coordinator.error_code);
        std::iter::once(self.error_code).chain(found)
    }
}
