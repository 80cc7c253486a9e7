//! One socket to one broker, one request at a time.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes, VersionRange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{ClientError, check};

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for an answer, beyond what the request itself lets the broker wait.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Largest answer: Kafka's own `socket.request.max.bytes`.
const ANSWER_BYTES_MAX: usize = 100 << 20;
const API_VERSIONS_VERSION: i16 = 3;
const LENGTH_BYTES: usize = 4;

/// A connection whose versions are agreed. Not cancel safe: drop it when a request was given up half way.
pub struct Connection {
    address: String,
    stream: TcpStream,
    client_id: StrBytes,
    correlation_id: i32,
    versions: HashMap<i16, VersionRange>,
    answer_limit: Duration,
}

impl Connection {
    /// Connects to `host:port` and asks which versions the broker speaks.
    pub async fn open(address: &str, client_id: &str) -> Result<Self, ClientError> {
        let connected = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
        let connected =
            connected.map_err(|_| ClientError::TimedOut { address: address.to_owned(), limit: CONNECT_LIMIT })?;
        let failed = |source| ClientError::Connect { address: address.to_owned(), source };
        let stream = connected.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let client_id = StrBytes::from_string(client_id.to_owned());
        let (correlation_id, versions) = (0, HashMap::new());
        let mut connection = Self {
            address: address.to_owned(),
            stream,
            client_id,
            correlation_id,
            versions,
            answer_limit: ANSWER_LIMIT,
        };
        connection.agree().await?;
        Ok(connection)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// For requests that may wait at the broker, such as a rebalance.
    pub fn set_answer_limit(&mut self, limit: Duration) {
        self.answer_limit = limit;
    }

    async fn agree(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("weir"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = self.exchange(&request, API_VERSIONS_VERSION).await?;
        check(|| format!("{}: ApiVersions", self.address), answer.error_code, None)?;
        let range = |api: &ApiVersion| (api.api_key, VersionRange { min: api.min_version, max: api.max_version });
        self.versions = answer.api_keys.iter().map(range).collect();
        Ok(())
    }

    /// Sends in the newest version that both sides speak, at most `version_max`, and waits for the answer. Gives the
    /// version used, too: what a field means may depend on it.
    pub async fn request_up_to<R: Request>(
        &mut self,
        request: &R,
        version_max: i16,
    ) -> Result<(R::Response, i16), ClientError> {
        let version = self.common_version::<R>(version_max)?;
        Ok((self.exchange(request, version).await?, version))
    }

    /// Sends what a broker does not answer: a produce request with `acks=0`.
    pub async fn send_up_to<R: Request>(&mut self, request: &R, version_max: i16) -> Result<(), ClientError> {
        let version = self.common_version::<R>(version_max)?;
        let frame = self.encode(request, version)?;
        let written = timeout(self.answer_limit, self.stream.write_all(&frame)).await;
        let written =
            written.map_err(|_| ClientError::TimedOut { address: self.address.clone(), limit: self.answer_limit })?;
        written.map_err(|source| ClientError::Broken { address: self.address.clone(), source })
    }

    fn common_version<R: Request>(&self, version_max: i16) -> Result<i16, ClientError> {
        let ours = VersionRange { min: R::VERSIONS.min, max: R::VERSIONS.max.min(version_max) };
        let Some(theirs) = self.versions.get(&R::KEY).copied() else {
            return Err(ClientError::Unknown { address: self.address.clone(), api: api_name(R::KEY) });
        };
        let common = ours.intersect(&theirs);
        if common.is_empty() {
            return Err(ClientError::Unsupported {
                address: self.address.clone(),
                api: api_name(R::KEY),
                theirs: theirs.to_string(),
                ours: ours.to_string(),
            });
        }
        Ok(common.max)
    }

    pub async fn request<R: Request>(&mut self, request: &R) -> Result<R::Response, ClientError> {
        self.request_up_to(request, i16::MAX).await.map(|(answer, _)| answer)
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        let limit = self.answer_limit;
        let frame = self.encode(request, version)?;
        match timeout(limit, self.send_and_receive(frame)).await {
            Ok(answer) => self.decode::<R>(answer?, version),
            Err(_) => Err(ClientError::TimedOut { address: self.address.clone(), limit }),
        }
    }

    fn encode<R: Request>(&mut self, request: &R, version: i16) -> Result<Bytes, ClientError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::zeroed(LENGTH_BYTES);
        let encoded = header.encode(&mut frame, R::header_version(version));
        encoded.and_then(|()| request.encode(&mut frame, version)).map_err(|e| self.malformed(&e))?;
        let length = u32::try_from(frame.len() - LENGTH_BYTES).map_err(|e| self.malformed(&e))?;
        frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }

    async fn send_and_receive(&mut self, frame: Bytes) -> Result<Bytes, ClientError> {
        let address = &self.address;
        let broken = |source| ClientError::Broken { address: address.clone(), source };
        self.stream.write_all(&frame).await.map_err(broken)?;
        let length = self.stream.read_u32().await.map_err(broken)? as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(self.malformed(&format_args!("an answer of {length} bytes")));
        }
        let mut answer = BytesMut::zeroed(length);
        self.stream.read_exact(&mut answer).await.map_err(broken)?;
        Ok(answer.freeze())
    }

    fn decode<R: Request>(&self, mut answer: Bytes, version: i16) -> Result<R::Response, ClientError> {
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version));
        let header = header.map_err(|e| self.malformed(&e))?;
        if header.correlation_id != self.correlation_id {
            return Err(
                self.malformed(&format_args!("answer {} to request {}", header.correlation_id, self.correlation_id))
            );
        }
        R::Response::decode(&mut answer, version).map_err(|e| self.malformed(&e))
    }

    fn malformed(&self, what: &dyn std::fmt::Display) -> ClientError {
        ClientError::Malformed { address: self.address.clone(), what: what.to_string() }
    }
}

fn api_name(key: i16) -> &'static str {
    weir_protocol::api::ALL.iter().find(|api| api.key == key).map_or("an API unknown to Weir", |api| api.name)
}
