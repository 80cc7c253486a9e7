//! HTTP as the suites and the demo need it: plain GETs and JSON.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value as Json;

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // Fails only when a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(ANSWER_LIMIT).build().expect("these settings are valid")
});

/// The one client of this process.
pub fn client() -> reqwest::Client {
    CLIENT.clone()
}

pub async fn is_ok(url: &str) -> bool {
    matches!(client().get(url).send().await, Ok(answer) if answer.status().is_success())
}

/// The body of a 2xx answer.
pub async fn text(url: &str) -> Result<String> {
    let answer = client().get(url).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url} answers {status}: {text}");
    Ok(text)
}

pub async fn json(url: &str) -> Result<Json> {
    Ok(serde_json::from_str(&text(url).await?)?)
}

pub async fn post(url: &str, body: &Json) -> Result<Json> {
    let request = client().post(url).header("content-type", "application/json").body(body.to_string());
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url} answers {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}
