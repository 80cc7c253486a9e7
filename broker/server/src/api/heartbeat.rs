//! Heartbeat, v0..=4.
//!
//! v3: group instance id (KIP-345). v4: flexible.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::error::ErrorCodes;
use super::group_errors::{error_code, shared, shared_option};
use super::{Call, Context};

pub(super) async fn handle(cx: &Context, _call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let instance_id = shared_option(request.group_instance_id.as_ref());
    let (group, member_id) = (shared(&request.group_id.0), shared(&request.member_id));
    let result = cx.groups.heartbeat(group, member_id, instance_id, request.generation_id).await;
    HeartbeatResponse::default().with_error_code(error_code(&result))
}

impl ErrorCodes for HeartbeatResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
