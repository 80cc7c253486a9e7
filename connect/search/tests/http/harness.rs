//! A search node with known documents, asked over its HTTP routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use serde_json::{Value, json};
use tower::ServiceExt;
use weir_search::{Action, BulkLog, Document, Origin, SearchConfig, SearchNode, http};

/// 2026-11-23T08:00:00Z, the time of the first document.
pub(crate) const T0: i64 = 1_795_420_800_000;

pub(crate) struct Server {
    router: Router,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Twelve documents, one every ten minutes, in `logs-2026.11.23`.
    pub(crate) async fn with_logs() -> Self {
        Self::open(None).await
    }

    /// The same, taking `_bulk` into a log.
    pub(crate) async fn with_log(log: Arc<dyn BulkLog>) -> Self {
        Self::open(Some(log)).await
    }

    async fn open(log: Option<Arc<dyn BulkLog>>) -> Self {
        let (early, late) = ((0..5).map(document).collect(), (5..12).map(document).collect());
        // Two commits, so that there is more than one segment.
        Self::with_documents(vec![early, late], log).await
    }

    /// Documents of the caller's, a commit for each batch.
    pub(crate) async fn with_documents(batches: Vec<Vec<Document>>, log: Option<Arc<dyn BulkLog>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = SearchConfig { commit_interval: Duration::from_secs(3600), ..SearchConfig::new(dir.path()) };
        let node = SearchNode::open(config, &prometheus::Registry::new()).unwrap();
        let sink = node.sink("test");
        for batch in batches {
            let report = sink.write(batch).await.unwrap();
            assert_eq!(report.rejected, []);
            node.commit_all().await.unwrap();
        }
        Self { router: http::router(node, log), _dir: dir }
    }

    /// One search in an `_msearch`, as Grafana sends every query.
    pub(crate) async fn msearch(&self, body: Value) -> Value {
        let header = json!({"ignore_unavailable":true,"index":"logs-*","search_type":"query_then_fetch"});
        let (status, _, mut answer) =
            self.post("/_msearch?max_concurrent_shard_requests=5", format!("{header}\n{body}\n")).await;
        assert_eq!(status, 200, "{answer}");
        answer["responses"][0].take()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, HeaderMap, Value) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: String) -> (u16, HeaderMap, Value) {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// The answer's text as it is.
    pub(crate) async fn post_text(&self, path: &str, body: String) -> String {
        self.send_raw(Request::post(path).body(Body::from(body)).unwrap()).await.2
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (u16, HeaderMap, Value) {
        let (status, headers, text) = self.send_raw(request).await;
        (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn send_raw(&self, request: Request<Body>) -> (u16, HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }
}

pub(crate) fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"]["hits"].as_array().unwrap_or_else(|| panic!("no hits in {answer}"));
    hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect()
}

fn document(number: i64) -> Document {
    let at = chrono::DateTime::from_timestamp_millis(T0 + number * 600_000).unwrap().to_rfc3339();
    let message = match number {
        10 => "订单支付失败".to_owned(),
        11 => "disk full on /var".to_owned(),
        number => format!("request {number} finished"),
    };
    let (level, status) = [("info", 200), ("warn", 404), ("error", 503)][usize::try_from(number % 3).unwrap()];
    let mut source = json!({
        "@timestamp": at,
        "message": message,
        "level": level,
        "host": if number % 2 == 0 { "web-01" } else { "web-02" },
        "status": status,
        "took": 0.5 + 10.0 * number as f64,
        "ok": number % 2 == 0,
        "seen": at,
        "kubernetes": {"pod": format!("api-{number}")},
    });
    if number == 0 {
        source.as_object_mut().unwrap().remove("level");
    }
    with_source(number, &source)
}

/// Any document of the index `logs`.
pub(crate) fn with_source(number: i64, source: &Value) -> Document {
    Document {
        index: "logs".into(),
        id: format!("t-0-{number}"),
        action: Action::Append,
        origin: Origin { topic: "t".into(), partition: 0, offset: number },
        timestamp_ms: T0,
        source: Bytes::from(source.to_string()),
    }
}
