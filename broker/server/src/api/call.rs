//! One request on its way through: who asks, in which version, and what an answer looks like.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::Encodable;
use weir_protocol::api::ApiSpec;
use weir_protocol::decode::DecodeError;
use weir_protocol::fetch::{Payload, Piece};
use weir_protocol::response::{EncodeError, encode_response};

use super::error::ErrorCodes;
use super::trace::RequestTrace;

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub address: SocketAddr,
    /// The name of the listener it came through.
    pub listener: Arc<str>,
}

/// What a handler may know of a request beyond its body.
#[derive(Debug)]
pub(crate) struct Call {
    pub api: &'static ApiSpec,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<Arc<str>>,
    pub peer: Arc<Peer>,
    /// While traces are on.
    pub trace: Option<Arc<RequestTrace>>,
}

/// What goes back to the peer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing at all (Produce with acks=0).
    None,
    Frame(Bytes),
    /// A frame whose record bytes are still in their files.
    Pieces(Vec<Piece<RecordRange>>),
}

/// What a handler comes to.
#[derive(Debug)]
pub(super) struct Handled {
    pub reply: Reply,
    /// The first one that it tells, under which the request counts as failed.
    pub error: Option<ResponseError>,
}

/// Whole batches, where they lie.
#[derive(Debug, Clone)]
pub(crate) struct RecordRange {
    pub file: Arc<File>,
    pub position: u64,
    pub len: usize,
}

impl Payload for RecordRange {
    fn size_bytes(&self) -> usize {
        self.len
    }
}

/// Why a request has no answer but the end of its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("api key {api_key} is not served")]
    UnknownApi { api_key: i16 },
    #[error("{api} v{version} is not served")]
    UnsupportedVersion { api: &'static str, version: i16 },
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Call {
    pub(super) fn new(api: &'static ApiSpec, version: i16, correlation_id: i32, peer: &Arc<Peer>) -> Self {
        let trace = weir_trace::is_on().then(Arc::default);
        Self { api, version, correlation_id, client_id: None, peer: Arc::clone(peer), trace }
    }

    /// Frames a response. An error here is a bug: a field was set that the version lacks.
    pub(super) fn reply<R: Encodable + ErrorCodes>(&self, response: &R) -> Result<Handled, CallError> {
        let frame = encode_response(self.api, self.version, self.correlation_id, response)?;
        Ok(Handled { reply: Reply::Frame(frame.freeze()), error: response.first_error() })
    }
}
