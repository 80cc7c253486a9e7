//! Decoding bodies that a stranger wrote.
//!
//! The codec reserves room for as many array elements as the wire claims. With a global allocator that only reserves
//! address space (the binary's), a hostile length ends in an ordinary error; where the count overflows the address
//! space itself, the codec panics, which is caught here. Either way the caller sees a [`DecodeError`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use kafka_protocol::protocol::Decodable;

use crate::reader::ReadError;

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("malformed header: {0}")]
    Header(#[source] ReadError),
    #[error("malformed {api} v{version} request: {reason}")]
    Body { api: &'static str, version: i16, reason: String },
}

/// Decodes a body; its byte fields are slices of `body`.
pub fn decode<R: Decodable>(api: &'static str, version: i16, mut body: Bytes) -> Result<R, DecodeError> {
    let outcome = catch_unwind(AssertUnwindSafe(|| R::decode(&mut body, version)));
    match outcome {
        Ok(Ok(request)) => Ok(request),
        Ok(Err(error)) => Err(DecodeError::Body { api, version, reason: error.to_string() }),
        Err(_) => Err(DecodeError::Body { api, version, reason: "a length in it overflows".to_owned() }),
    }
}
