//! SyncGroup, v0..=5.
//!
//! v3: group instance id (KIP-345). v4: flexible. v5: protocol type and name, checked and answered (KIP-559).

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use weir_control::groups::Sync;

use super::convert::text;
use super::error::ErrorCodes;
use super::group_errors::{response_error, shared, shared_option};
use super::{Call, Context};

const PROTOCOL_VERSION_MIN: i16 = 5;

pub(super) async fn handle(cx: &Context, call: &Call, request: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        group: shared(&request.group_id.0),
        member_id: shared(&request.member_id),
        instance_id: shared_option(request.group_instance_id.as_ref()),
        generation: request.generation_id,
        protocol_type: shared_option(request.protocol_type.as_ref()),
        protocol: shared_option(request.protocol_name.as_ref()),
        assignments: assignments.map(|assigned| (shared(&assigned.member_id), assigned.assignment)).collect(),
    };
    match cx.groups.sync(sync).await {
        Ok(synced) if call.version >= PROTOCOL_VERSION_MIN => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type.as_deref().map(text))
            .with_protocol_name(synced.protocol.as_deref().map(text))
            .with_assignment(synced.assignment),
        Ok(synced) => SyncGroupResponse::default().with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(response_error(error).code()),
    }
}

impl ErrorCodes for SyncGroupResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
