//! ListConfigResources, v0..=1 (KIP-1142).
//!
//! v0 lists client-metrics subscriptions, of which there are none. v1: any kind; topics and brokers are listed whether
//! they have settings of their own or not.

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::configs::{BROKER, TOPIC};
use super::convert::text;
use super::error::ErrorCodes;
use super::{Call, Context};

pub(super) async fn handle(
    cx: &Context,
    call: &Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    if call.version == 0 {
        return ListConfigResourcesResponse::default();
    }
    let wants = |kind: i8| request.resource_types.is_empty() || request.resource_types.contains(&kind);
    let listed =
        |name: &str, kind: i8| ConfigResource::default().with_resource_name(text(name)).with_resource_type(kind);
    let mut resources = Vec::new();
    if wants(TOPIC) {
        resources.extend(cx.image().topics().map(|topic| listed(&topic.name, TOPIC)));
    }
    if wants(BROKER) {
        resources.extend(cx.broker_ids().into_iter().map(|id| listed(&id.to_string(), BROKER)));
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}

impl ErrorCodes for ListConfigResourcesResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
