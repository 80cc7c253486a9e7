//! ListPartitionReassignments, v0.
//!
//! Replicas never move while a broker is alone, so nothing is ever under way.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::error::ErrorCodes;
use super::{Call, Context};

pub(super) async fn handle(
    _cx: &Context,
    _call: &Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}

impl ErrorCodes for ListPartitionReassignmentsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
