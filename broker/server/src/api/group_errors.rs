//! What a group's refusal is on the wire, and the words that group requests share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use weir_control::groups::GroupError;

pub(super) fn response_error(error: GroupError) -> ResponseError {
    match error {
        GroupError::CoordinatorNotAvailable => ResponseError::CoordinatorNotAvailable,
        GroupError::NotCoordinator => ResponseError::NotCoordinator,
        GroupError::CoordinatorLoading => ResponseError::CoordinatorLoadInProgress,
        GroupError::InvalidGroupId => ResponseError::InvalidGroupId,
        GroupError::InvalidRequest => ResponseError::InvalidRequest,
        GroupError::InvalidSessionTimeout => ResponseError::InvalidSessionTimeout,
        GroupError::UnknownMemberId => ResponseError::UnknownMemberId,
        GroupError::MemberIdRequired => ResponseError::MemberIdRequired,
        GroupError::FencedInstanceId => ResponseError::FencedInstanceId,
        GroupError::IllegalGeneration => ResponseError::IllegalGeneration,
        GroupError::RebalanceInProgress => ResponseError::RebalanceInProgress,
        GroupError::InconsistentGroupProtocol => ResponseError::InconsistentGroupProtocol,
        GroupError::GroupMaxSizeReached => ResponseError::GroupMaxSizeReached,
        GroupError::TooManyGroups => ResponseError::PolicyViolation,
        GroupError::GroupIdNotFound => ResponseError::GroupIdNotFound,
        GroupError::NonEmptyGroup => ResponseError::NonEmptyGroup,
        GroupError::SubscribedToTopic => ResponseError::GroupSubscribedToTopic,
        GroupError::OffsetMetadataTooLarge => ResponseError::OffsetMetadataTooLarge,
        GroupError::RecordTooLarge => ResponseError::InvalidCommitOffsetSize,
    }
}

/// 0 for success.
pub(super) fn error_code<T>(result: &Result<T, GroupError>) -> i16 {
    result.as_ref().map_or_else(|error| response_error(*error).code(), |_| 0)
}

pub(super) fn shared(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}

pub(super) fn shared_option(text: Option<&StrBytes>) -> Option<Arc<str>> {
    text.map(shared)
}

/// As Kafka shows a member's host: `/127.0.0.1`.
pub(super) fn client_host(address: SocketAddr) -> Arc<str> {
    let ip: IpAddr = address.ip().to_canonical();
    format!("/{ip}").into()
}
