//! LeaveGroup, v0..=5.
//!
//! Up to v2 one member leaves and the response's error is its own. v3: several, by member id or by group instance id
//! (KIP-345). v4: flexible. v5: a reason each, which goes to the log.

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use weir_control::groups::Leaver;

use super::error::ErrorCodes;
use super::group_errors::{error_code, response_error, shared, shared_option};
use super::{Call, Context};

const BATCH_VERSION_MIN: i16 = 3;

pub(super) async fn handle(cx: &Context, call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let group = shared(&request.group_id.0);
    if call.version < BATCH_VERSION_MIN {
        let leaver = Leaver { member_id: shared(&request.member_id), instance_id: None };
        let result = cx.groups.leave(group, vec![leaver]).await;
        let result = result.and_then(|results| results.into_iter().collect::<Result<Vec<()>, _>>());
        return LeaveGroupResponse::default().with_error_code(error_code(&result));
    }
    let leavers = request.members.iter().map(|member| Leaver {
        member_id: shared(&member.member_id),
        instance_id: shared_option(member.group_instance_id.as_ref()),
    });
    for member in &request.members {
        if let Some(reason) = &member.reason {
            tracing::debug!(%group, member_id = member.member_id.as_str(), reason = reason.as_str(), "a member leaves");
        }
    }
    match cx.groups.leave(group, leavers.collect()).await {
        Ok(results) => {
            let members = request.members.into_iter().zip(results).map(|(member, result)| {
                MemberResponse::default()
                    .with_member_id(member.member_id)
                    .with_group_instance_id(member.group_instance_id)
                    .with_error_code(error_code(&result))
            });
            LeaveGroupResponse::default().with_members(members.collect())
        }
        Err(error) => LeaveGroupResponse::default().with_error_code(response_error(error).code()),
    }
}

impl ErrorCodes for LeaveGroupResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code).chain(self.members.iter().map(|member| member.error_code))
    }
}
