//! An HTTP server in Elasticsearch's place: it keeps documents, and answers requests and items as a test says.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

/// What the server has seen and what it will say.
#[derive(Default)]
pub(crate) struct Script {
    /// Answers to the next requests as a whole; then it is well.
    pub(crate) requests: VecDeque<(StatusCode, &'static str)>,
    /// Statuses of an item by its id, one per try; then it is well.
    pub(crate) items: HashMap<String, VecDeque<u16>>,
    /// A larger body is answered 413.
    pub(crate) body_bytes_max: Option<usize>,
    /// By index and id: the source and, of external versions, the version.
    pub(crate) documents: BTreeMap<(String, String), (Value, Option<i64>)>,
    /// How many times each id was sent.
    pub(crate) sent: HashMap<String, usize>,
    pub(crate) bodies: usize,
    pub(crate) authorization: Option<String>,
}

type Shared = Arc<Mutex<Script>>;

pub(crate) struct Scripted {
    pub(crate) url: String,
    script: Shared,
}

impl Scripted {
    pub(crate) async fn start(script: Script) -> Self {
        let script = Arc::new(Mutex::new(script));
        let app = Router::new()
            .route("/", get(root))
            .route("/_bulk", post(bulk))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, script }
    }

    pub(crate) fn see<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.script.lock().unwrap())
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.see(|script| script.documents.keys().map(|(_, id)| id.clone()).collect())
    }
}

async fn root(State(script): State<Shared>) -> Response {
    if let Some((status, text)) = script.lock().unwrap().requests.pop_front() {
        return (status, text).into_response();
    }
    axum::Json(json!({"cluster_name": "test", "version": {"number": "8.17.0"}})).into_response()
}

async fn bulk(State(script): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut script = script.lock().unwrap();
    script.bodies += 1;
    script.authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if let Some((status, text)) = script.requests.pop_front() {
        return (status, [("retry-after", "0")], text).into_response();
    }
    if script.body_bytes_max.is_some_and(|most| body.len() > most) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let mut text = String::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(body.to_vec()).unwrap();
    }
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut items = Vec::new();
    while let Some(line) = lines.next() {
        let (action, target) = line.as_object().unwrap().iter().next().unwrap();
        let source = if action == "delete" { Value::Null } else { lines.next().unwrap() };
        let status = script.apply(action, target, source);
        items.push(json!({ action: { "status": status, "error": { "type": "scripted", "reason": "so it is" } } }));
    }
    axum::Json(json!({"took": 1, "errors": false, "items": items})).into_response()
}

impl Script {
    fn apply(&mut self, action: &str, target: &Value, source: Value) -> u16 {
        let name = |field: &str| target[field].as_str().unwrap().to_owned();
        let (index, id) = (name("_index"), name("_id"));
        *self.sent.entry(id.clone()).or_default() += 1;
        if let Some(status) = self.items.get_mut(&id).and_then(VecDeque::pop_front) {
            return status;
        }
        let version = target["version"].as_i64();
        let known = self.documents.get(&(index.clone(), id.clone()));
        let is_conflict = match (action, known) {
            ("create", Some(_)) => true,
            (_, Some((_, known))) => *known >= version,
            (_, None) => false,
        };
        if is_conflict {
            return 409;
        }
        if action == "delete" {
            return if self.documents.remove(&(index, id)).is_some() { 200 } else { 404 };
        }
        self.documents.insert((index, id), (source, version));
        201
    }
}
