//! DescribeGroups, v0..=6.
//!
//! v3: authorized operations. v4: group instance ids. v5: flexible.
//! v6: a group that does not exist is GROUP_ID_NOT_FOUND (KIP-1043); before, it is one in the state Dead.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;
use weir_control::groups::{Group, GroupState, Member};

use super::convert::{OPERATIONS_NOT_ASKED, text};
use super::error::ErrorCodes;
use super::group_errors::response_error;
use super::{Call, Context};

const INSTANCE_ID_VERSION_MIN: i16 = 4;
const NOT_FOUND_VERSION_MIN: i16 = 6;
/// Bits of READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS: without an authorizer everything is allowed.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub(super) async fn handle(cx: &Context, call: &Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let operations = if request.include_authorized_operations { ALL_OPERATIONS } else { OPERATIONS_NOT_ASKED };
    let groups = request.groups.into_iter().map(|id| {
        let described = match cx.groups.read(&id, |group| describe(call, group)) {
            Ok(Some(described)) => described.with_authorized_operations(operations),
            Ok(None) => missing(call, &id),
            Err(error) => DescribedGroup::default().with_error_code(response_error(error).code()),
        };
        described.with_group_id(id)
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn missing(call: &Call, id: &GroupId) -> DescribedGroup {
    let described = DescribedGroup::default().with_group_state(StrBytes::from_static_str(GroupState::Dead.as_str()));
    if call.version < NOT_FOUND_VERSION_MIN {
        return described;
    }
    described
        .with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(text(&format!("Group {} not found.", id.as_str()))))
}

/// Only a stable group has a protocol and assignments to show.
fn describe(call: &Call, group: &Group) -> DescribedGroup {
    let stable_protocol = group.protocol().filter(|_| group.state() == GroupState::Stable);
    let members = group.members().map(|member| describe_member(call, member, stable_protocol));
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state().as_str()))
        .with_protocol_type(text(group.protocol_type()))
        .with_protocol_data(text(stable_protocol.unwrap_or_default()))
        .with_members(members.collect())
}

fn describe_member(call: &Call, member: &Member, stable_protocol: Option<&str>) -> DescribedGroupMember {
    let instance_id = member.instance_id().filter(|_| call.version >= INSTANCE_ID_VERSION_MIN);
    let described = DescribedGroupMember::default()
        .with_member_id(text(member.id()))
        .with_group_instance_id(instance_id.map(|id| text(id)))
        .with_client_id(text(member.client_id()))
        .with_client_host(text(member.client_host()));
    match stable_protocol {
        Some(protocol) => described
            .with_member_metadata(member.metadata(protocol))
            .with_member_assignment(member.assignment().clone()),
        None => described,
    }
}

impl ErrorCodes for DescribeGroupsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.groups.iter().map(|group| group.error_code)
    }
}
