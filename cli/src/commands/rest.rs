//! What the processes serve over HTTP, as commands ask it.

use anyhow::{Context, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value as Json;

use crate::output::Progress;

/// An address that answers with JSON.
pub(super) struct Rest {
    http: Client,
    url: String,
    /// What should be there, with its article.
    server: &'static str,
}

impl Rest {
    pub(super) fn new(url: &str, server: &'static str) -> Self {
        Self { http: Client::new(), url: url.trim_end_matches('/').to_owned(), server }
    }

    pub(super) fn waiting(&self) -> Progress {
        Progress::waiting(&format!("waiting for {}", self.url))
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await;
        let answer =
            answer.with_context(|| format!("{}: is {} running there? (--url names another)", self.url, self.server))?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() {
            return if text.is_empty() { Ok(Json::Null) } else { Ok(serde_json::from_str(&text)?) };
        }
        let message =
            serde_json::from_str::<Json>(&text).ok().and_then(|json| Some(json["message"].as_str()?.to_owned()));
        match (status, message) {
            (_, Some(message)) => bail!("{message}"),
            (StatusCode::NOT_FOUND, None) => bail!("{}{path} does not exist: is this {}?", self.url, self.server),
            (status, None) => bail!("{}{path} answers {status}", self.url),
        }
    }
}
