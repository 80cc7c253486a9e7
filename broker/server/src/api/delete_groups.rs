//! DeleteGroups, v0..=2.
//!
//! Only groups without members go; their offsets go with them. v2: flexible.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::error::ErrorCodes;
use super::group_errors::{error_code, shared};
use super::{Call, Context};

pub(super) async fn handle(cx: &Context, _call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group in request.groups_names {
        let result = cx.groups.delete(shared(&group.0)).await;
        results.push(DeletableGroupResult::default().with_error_code(error_code(&result)).with_group_id(group));
    }
    DeleteGroupsResponse::default().with_results(results)
}

impl ErrorCodes for DeleteGroupsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.results.iter().map(|result| result.error_code)
    }
}
