//! ListGroups, v0..=5.
//!
//! v3: flexible. v4: state, and a filter on it (KIP-518). v5: type, and a filter on it (KIP-848); all are classic.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::convert::text;
use super::error::ErrorCodes;
use super::group_errors::error_code;
use super::{Call, Context};

const CLASSIC: &str = "classic";

pub(super) async fn handle(cx: &Context, _call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let matches = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let mut groups = Vec::new();
    let result = cx.groups.read_all(|group| {
        let state = group.state().as_str();
        if matches(&request.states_filter, state) && matches(&request.types_filter, CLASSIC) {
            let listed = ListedGroup::default()
                .with_group_id(GroupId(text(group.id())))
                .with_protocol_type(text(group.protocol_type()))
                .with_group_state(StrBytes::from_static_str(state))
                .with_group_type(StrBytes::from_static_str(CLASSIC));
            groups.push(listed);
        }
    });
    ListGroupsResponse::default().with_error_code(error_code(&result)).with_groups(groups)
}

impl ErrorCodes for ListGroupsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
