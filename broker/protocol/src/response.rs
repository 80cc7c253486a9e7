//! Framing answers: length, response header, body.

use bytes::{BufMut, BytesMut};
use kafka_protocol::protocol::Encodable;

use crate::api::ApiSpec;
use crate::frame::LENGTH_BYTES;

#[derive(Debug, thiserror::Error)]
#[error("cannot encode {api} v{version} response: {reason}")]
pub struct EncodeError {
    pub api: &'static str,
    pub version: i16,
    pub reason: String,
}

/// A whole frame, ready to be written.
pub fn encode_response(
    api: &ApiSpec,
    version: i16,
    correlation_id: i32,
    body: &impl Encodable,
) -> Result<BytesMut, EncodeError> {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    put_response_header(&mut frame, api, version, correlation_id);
    body.encode(&mut frame, version).map_err(|error| EncodeError {
        api: api.name,
        version,
        reason: error.to_string(),
    })?;
    set_length(&mut frame, 0);
    Ok(frame)
}

/// The correlation id and, in flexible versions, an empty tagged section.
pub(crate) fn put_response_header(frame: &mut BytesMut, api: &ApiSpec, version: i16, correlation_id: i32) {
    frame.put_i32(correlation_id);
    if api.response_header_version(version) >= 1 {
        frame.put_u8(0);
    }
}

/// Writes the prefix of a frame that goes on for `payload_bytes` beyond this buffer.
pub(crate) fn set_length(frame: &mut BytesMut, payload_bytes: usize) {
    let length = (frame.len() - LENGTH_BYTES + payload_bytes) as i32;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}
