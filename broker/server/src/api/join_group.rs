//! JoinGroup, v0..=9.
//!
//! v0 is advertised because older librdkafka, kafka-go and brod break without it (KAFKA-19444).
//! v1: rebalance timeout; before, the session timeout serves as one.
//! v4: MEMBER_ID_REQUIRED (KIP-394). v5: group instance id (KIP-345). v6: flexible. v7: protocol type in the response.
//! v8: a reason, which goes to the log. v9: skip assignment (KIP-814).

use std::time::Duration;

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;
use weir_control::groups::{Join, JoinRefused, Joined, Protocol};

use super::convert::text;
use super::error::ErrorCodes;
use super::group_errors::{client_host, response_error, shared, shared_option};
use super::{Call, Context};

const REBALANCE_TIMEOUT_VERSION_MIN: i16 = 1;
const MEMBER_ID_REQUIRED_VERSION_MIN: i16 = 4;
const INSTANCE_ID_VERSION_MIN: i16 = 5;
const PROTOCOL_TYPE_VERSION_MIN: i16 = 7;
const SKIP_ASSIGNMENT_VERSION_MIN: i16 = 9;
/// What generation a refused client is told.
const NO_GENERATION: i32 = -1;

pub(super) async fn handle(cx: &Context, call: &Call, request: JoinGroupRequest) -> JoinGroupResponse {
    if let Some(reason) = &request.reason {
        let (group, member_id) = (request.group_id.as_str(), request.member_id.as_str());
        tracing::debug!(group, member_id, reason = reason.as_str(), "a member joins");
    }
    match cx.groups.join(as_join(call, request)).await {
        Ok(joined) => accepted(call, &joined),
        Err(refused) => self::refused(call, &refused),
    }
}

fn as_join(call: &Call, request: JoinGroupRequest) -> Join {
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let session_timeout = millis(request.session_timeout_ms);
    let client_id = call.client_id.clone().unwrap_or_default();
    let instance_id = shared_option(request.group_instance_id.as_ref());
    let name = instance_id.as_ref().unwrap_or(&client_id);
    let protocols = request.protocols.into_iter();
    Join {
        group: shared(&request.group_id.0),
        member_id: shared(&request.member_id),
        new_member_id: format!("{name}-{}", Uuid::new_v4()).into(),
        client_host: client_host(call.peer.address),
        session_timeout,
        rebalance_timeout: match call.version {
            REBALANCE_TIMEOUT_VERSION_MIN.. => millis(request.rebalance_timeout_ms),
            _ => session_timeout,
        },
        protocol_type: shared(&request.protocol_type),
        protocols: protocols.map(|p| Protocol { name: shared(&p.name), metadata: p.metadata }).collect(),
        requires_known_member_id: call.version >= MEMBER_ID_REQUIRED_VERSION_MIN,
        can_skip_assignment: call.version >= SKIP_ASSIGNMENT_VERSION_MIN,
        client_id,
        instance_id,
    }
}

fn accepted(call: &Call, joined: &Joined) -> JoinGroupResponse {
    let members = joined.members.iter().map(|member| {
        let instance_id = member.instance_id.as_deref().filter(|_| call.version >= INSTANCE_ID_VERSION_MIN);
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(instance_id.map(text))
            .with_metadata(member.metadata.clone())
    });
    let protocol_type = joined.protocol_type.as_deref().filter(|_| call.version >= PROTOCOL_TYPE_VERSION_MIN);
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(protocol_type.map(text))
        .with_protocol_name(Some(text(joined.protocol.as_deref().unwrap_or_default())))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member_id))
        .with_members(members.collect())
}

fn refused(call: &Call, refused: &JoinRefused) -> JoinGroupResponse {
    // Null is only for versions that know it.
    let no_protocol = (call.version < PROTOCOL_TYPE_VERSION_MIN).then(StrBytes::default);
    JoinGroupResponse::default()
        .with_error_code(response_error(refused.error).code())
        .with_generation_id(NO_GENERATION)
        .with_protocol_name(no_protocol)
        .with_member_id(text(&refused.member_id))
}

impl ErrorCodes for JoinGroupResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
