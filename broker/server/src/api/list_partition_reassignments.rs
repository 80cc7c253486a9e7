//! ListPartitionReassignments, v0.
//!
//! Replicas never move while a broker is alone, so nothing is ever under way.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::{Call, Context};

pub(super) async fn handle(
    _cx: &Context,
    _call: &Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
