//! The request header: what can be known of a request before its API is.
//!
//! | bytes | field |
//! |---|---|
//! | 2 | api key |
//! | 2 | api version |
//! | 4 | correlation id |
//! | 2 + n | client id, nullable, never compact (header version 2 too) |
//! | varint … | tagged fields, header version 2 only |

use std::sync::Arc;

use crate::api::ApiSpec;
use crate::reader::{ReadError, Reader};

/// Key, version and correlation id: the same in every header version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPrefix {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
}

/// A whole header. `size_bytes` is where the body begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    pub prefix: RequestPrefix,
    pub client_id: Option<Arc<str>>,
    pub size_bytes: usize,
}

impl RequestPrefix {
    /// Reads the first 8 bytes of a frame.
    pub fn parse(frame: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(frame);
        Ok(Self { api_key: reader.i16()?, api_version: reader.i16()?, correlation_id: reader.i32()? })
    }
}

impl RequestHeader {
    /// Reads the header of a frame whose API is `api`.
    pub fn parse(frame: &[u8], api: &ApiSpec) -> Result<Self, ReadError> {
        let mut reader = Reader::new(frame);
        let prefix =
            RequestPrefix { api_key: reader.i16()?, api_version: reader.i16()?, correlation_id: reader.i32()? };
        let client_id = reader.nullable_string(false)?.map(Arc::from);
        if api.request_header_version(prefix.api_version) >= 2 {
            reader.skip_tagged_fields()?;
        }
        Ok(Self { prefix, client_id, size_bytes: reader.position() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;

    fn header_bytes(version: i16, client_id: &[u8], tagged: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 3];
        bytes.extend(version.to_be_bytes());
        bytes.extend(77i32.to_be_bytes());
        bytes.extend(client_id);
        bytes.extend(tagged);
        bytes
    }

    #[test]
    fn unknown_tagged_fields_are_skipped_and_the_client_id_is_never_compact() {
        let bytes = header_bytes(12, &[0, 3, b'a', b'p', b'p'], &[2, 9, 1, 0xaa, 10, 2, 1, 2]);
        let header = RequestHeader::parse(&bytes, &api::METADATA).unwrap();
        assert_eq!(header.client_id.as_deref(), Some("app"));
        assert_eq!(header.prefix, RequestPrefix { api_key: 3, api_version: 12, correlation_id: 77 });
        assert_eq!(header.size_bytes, bytes.len());
    }

    #[test]
    fn null_client_id_is_none() {
        let header = RequestHeader::parse(&header_bytes(1, &[0xff, 0xff], &[]), &api::METADATA).unwrap();
        assert_eq!(header.client_id, None);
        assert_eq!(header.size_bytes, 10);
    }

    #[test]
    fn every_cut_of_a_header_is_an_error_and_never_a_panic() {
        let bytes = header_bytes(12, &[0, 3, b'a', b'p', b'p'], &[1, 9, 1, 0xaa]);
        for len in 0..bytes.len() {
            assert!(RequestHeader::parse(&bytes[..len], &api::METADATA).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn client_id_that_is_not_utf8_is_an_error() {
        let result = RequestHeader::parse(&header_bytes(1, &[0, 1, 0xff], &[]), &api::METADATA);
        assert!(matches!(result, Err(ReadError::NotUtf8 { .. })));
    }
}
