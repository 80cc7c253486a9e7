//! Requests to the servers of one cluster, in turn.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;
use weir_connect_api::{ConnectError, ErrorClass};
use weir_trace::{SpanContext, TRACEPARENT, traceparent};

use super::reply::{self, Outcome};
use crate::search_sink::config::{Authorization, Servers};

/// Characters of an answer that an error shows.
const SHOWN_MAX: usize = 300;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Sent {
    /// Item by item.
    Answered(Vec<Outcome>),
    /// The body is more than the server takes.
    TooLarge(ConnectError),
    /// The body as a whole is not understood, because of some document in it.
    Refused(ConnectError),
    Failed(ConnectError),
}

pub(in crate::search_sink) struct Client {
    http: reqwest::Client,
    servers: Servers,
    next: AtomicUsize,
}

impl Client {
    pub(in crate::search_sink) fn new(servers: &Servers) -> Result<Self, ConnectError> {
        // An error only says that the process has a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(servers.timeout).build();
        let http = http.map_err(|e| ConnectError::fatal(format!("HTTP client: {}", causes(&e))))?;
        Ok(Self { http, servers: servers.clone(), next: AtomicUsize::new(0) })
    }

    /// What answers at the first address.
    pub(in crate::search_sink) async fn about(&self) -> Result<String, ConnectError> {
        let url = self.url("");
        let response = self.authorized(self.http.get(url.clone())).send().await;
        let response = response.map_err(|e| unreachable_server(&url, &e))?;
        if !response.status().is_success() {
            return Err(refusal(&url, response).await);
        }
        let about: Value = response.json().await.map_err(|e| unreachable_server(&url, &e))?;
        let version = about["version"]["number"].as_str().unwrap_or("of unknown version");
        let product = about["version"]["distribution"].as_str().unwrap_or("elasticsearch");
        Ok(format!("{product} {version}, cluster {}", about["cluster_name"].as_str().unwrap_or("without a name")))
    }

    /// `trace` is that of a record in it, to go on in the server.
    pub(super) async fn bulk(&self, body: Bytes, trace: Option<SpanContext>) -> Sent {
        let mut url = self.url("_bulk");
        url.set_query(Some("filter_path=items.*.status,items.*.error"));
        let request = self.http.post(url.clone()).header(CONTENT_TYPE, "application/x-ndjson");
        let request = match trace {
            Some(trace) => request.header(TRACEPARENT, traceparent(&trace)),
            None => request,
        };
        let request = if self.servers.compresses {
            match compressed(&body) {
                Ok(compressed) => request.header(CONTENT_ENCODING, "gzip").body(compressed),
                Err(e) => return Sent::Failed(ConnectError::retriable(format!("compressing a request: {e}"))),
            }
        } else {
            request.body(body)
        };
        let response = match self.authorized(request).send().await {
            Ok(response) => response,
            Err(error) => return Sent::Failed(unreachable_server(&url, &error)),
        };
        match response.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Sent::TooLarge(bad_document(&url, response).await),
            StatusCode::BAD_REQUEST => Sent::Refused(bad_document(&url, response).await),
            status if status.is_success() => match response.bytes().await {
                Ok(body) => match reply::outcomes(&body) {
                    Ok(outcomes) => Sent::Answered(outcomes),
                    Err(e) => Sent::Failed(ConnectError::retriable(format!(
                        "{url} answered what is no answer to a bulk request ({e}): {}",
                        shown(&body)
                    ))),
                },
                Err(error) => Sent::Failed(unreachable_server(&url, &error)),
            },
            _ => Sent::Failed(refusal(&url, response).await),
        }
    }

    /// The next server's address of a path.
    fn url(&self, path: &str) -> Url {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.servers.urls.len();
        let mut url = self.servers.urls[turn].clone();
        // `http` and `https` addresses always have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        url
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.servers.authorization {
            Authorization::None => request,
            Authorization::Basic { user, password } => request.basic_auth(user, password.as_deref()),
            Authorization::ApiKey(key) => request.header("authorization", format!("ApiKey {key}")),
        }
    }
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// An answer that is about the request as a whole.
async fn refusal(url: &Url, response: Response) -> ConnectError {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let message = message(url, response).await;
    match status {
        StatusCode::UNAUTHORIZED => ConnectError::fatal(format!("{message}; correct user and password, or api.key")),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            ConnectError::fatal(format!("{message}; is `url` the address of Elasticsearch or OpenSearch?"))
        }
        // Among these 403: a role or a block that somebody can lift, without a restart of the task.
        _ => {
            let class = ErrorClass::Retriable { retry_after: retry_after.map(Duration::from_secs) };
            ConnectError { class, ..ConnectError::retriable(message) }
        }
    }
}

/// An answer that is about some document in the request, which it may quote.
async fn bad_document(url: &Url, response: Response) -> ConnectError {
    let answered = format!("{url} answered {}", response.status());
    ConnectError::record(answered).quoting(shown(&response.bytes().await.unwrap_or_default()))
}

async fn message(url: &Url, response: Response) -> String {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    format!("{url} answered {status}: {}", shown(&body))
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(SHOWN_MAX).collect()
}

fn unreachable_server(url: &Url, error: &reqwest::Error) -> ConnectError {
    ConnectError::retriable(format!("{url}: {}", causes(error)))
}

/// An error with what is behind it: by itself it only says that sending failed.
fn causes(error: &reqwest::Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        message += &format!(": {inner}");
        cause = inner.source();
    }
    message
}
