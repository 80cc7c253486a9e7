//! ApiVersions, v0..=4.
//!
//! v3: client software name and version, checked (KIP-511); flexible body, but the response header stays v0.
//! v4: features with a minimum of 0 may be listed (KIP-584).
//! An unknown version is answered in v0 with UNSUPPORTED_VERSION and the range of this API.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use weir_protocol::api::{API_VERSIONS, ApiSpec};

use super::error::ErrorCodes;
use super::{Call, Context, advertised};

/// First version that carries the client's software name and version.
const SOFTWARE_NAME_VERSION_MIN: i16 = 3;

pub(super) async fn handle(_cx: &Context, call: &Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    if call.version >= SOFTWARE_NAME_VERSION_MIN
        && !(is_software_word(&request.client_software_name) && is_software_word(&request.client_software_version))
    {
        return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    ApiVersionsResponse::default().with_api_keys(advertised().map(api_version).collect())
}

/// The v0 answer to a version from the future.
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(vec![api_version(&API_VERSIONS)])
}

fn api_version(spec: &ApiSpec) -> ApiVersion {
    ApiVersion::default().with_api_key(spec.key).with_min_version(spec.advertised_min).with_max_version(spec.max)
}

/// Kafka's pattern `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_word(text: &str) -> bool {
    let is_alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    is_alphanumeric(bytes.first())
        && is_alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

impl ErrorCodes for ApiVersionsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        std::iter::once(self.error_code)
    }
}
