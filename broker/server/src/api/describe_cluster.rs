//! DescribeCluster, v0..=2.
//!
//! v1: endpoint type (KIP-919); only brokers (1) are reachable through a broker's listener.
//! v2: fenced brokers (KIP-1073); a broker alone is never fenced.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::convert::{OPERATIONS_NOT_ASKED, text};
use super::error::ErrorCodes;
use super::{Call, Context};

const ENDPOINT_TYPE_BROKERS: i8 = 1;

pub(super) async fn handle(cx: &Context, call: &Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    if call.version >= 1 && request.endpoint_type != ENDPOINT_TYPE_BROKERS {
        let message = format!("endpoint type {} is not served here, only brokers (1)", request.endpoint_type);
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(message.into()));
    }
    let brokers = cx.brokers(&call.peer.listener).into_iter().map(|broker| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(broker.node_id))
            .with_host(text(&broker.host))
            .with_port(i32::from(broker.port))
            .with_rack(broker.rack.as_deref().map(text))
    });
    DescribeClusterResponse::default()
        .with_cluster_id(text(&cx.cluster_id))
        .with_controller_id(BrokerId(cx.node_id))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(OPERATIONS_NOT_ASKED)
}

impl ErrorCodes for DescribeClusterResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
