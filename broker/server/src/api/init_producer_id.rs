//! InitProducerId, v0..=5, for idempotent producers. Transactional ids are refused: there are no transactions yet.
//!
//! v3: a producer may bring the id and epoch it has (KIP-360): it gets the next epoch, or a new id when epochs run out.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::error::{ErrorCodes, Failure, change_failure};
use super::{Call, Context};

pub(super) async fn handle(cx: &Context, _call: &Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    match init(cx, &request).await {
        Ok((producer_id, producer_epoch)) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(producer_id))
            .with_producer_epoch(producer_epoch),
        Err(failure) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
            .with_error_code(failure.code()),
    }
}

async fn init(cx: &Context, request: &InitProducerIdRequest) -> Result<(i64, i16), Failure> {
    if let Some(id) = &request.transactional_id {
        let (error, message) = if id.is_empty() {
            (ResponseError::InvalidRequest, "the transactional id is empty")
        } else {
            (ResponseError::TransactionalIdAuthorizationFailed, "transactions are not supported yet")
        };
        return Err(Failure::new(error, message));
    }
    let producer_id = cx.producer_ids.next(&cx.metadata).await;
    producer_id
        .map(|id| (id, 0))
        .map_err(|error| change_failure(&error, |never: &std::convert::Infallible| match *never {}))
}

impl ErrorCodes for InitProducerIdResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
