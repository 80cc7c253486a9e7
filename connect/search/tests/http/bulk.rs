//! What shippers send to `_bulk`, and what they ask before.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::harness::Server;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use weir_search::{Action, BulkAppendError, BulkItem, BulkLog};

/// Keeps what it is given; refuses items of the index `full`.
#[derive(Default)]
struct Log(Mutex<Vec<BulkItem>>);

#[async_trait::async_trait]
impl BulkLog for Log {
    async fn append(&self, items: Vec<BulkItem>) -> Vec<Result<i64, BulkAppendError>> {
        let mut taken = self.0.lock().unwrap();
        let mut append = |item: BulkItem| {
            if item.index == "full" {
                return Err(BulkAppendError::Busy("the topic is full".to_owned()));
            }
            taken.push(item);
            Ok(taken.len() as i64 - 1)
        };
        items.into_iter().map(&mut append).collect()
    }
}

async fn server() -> (Server, Arc<Log>) {
    let log = Arc::new(Log::default());
    (Server::with_log(log.clone()).await, log)
}

#[tokio::test]
async fn all_actions_reach_the_log_in_order_and_are_answered_in_order() {
    let (server, log) = server().await;
    let body = r#"{"index":{"_index":"a","_id":"1"}}
{"x":1}
{"create":{"_index":"a"}}
{"x":2}

{"update":{"_index":"a","_id":"1"}}
{"doc":{"x":3},"doc_as_upsert":true}
{"delete":{"_index":"a","_id":"1"}}
"#;
    let (status, headers, answer) = server.post("/_bulk?refresh=wait_for", body.to_owned()).await;
    assert_eq!((status, headers["x-elastic-product"].as_bytes()), (200, b"Elasticsearch".as_slice()));
    let statuses: Vec<_> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let (verb, answer) = item.as_object().unwrap().iter().next().unwrap();
            (verb.clone(), answer["status"].as_u64().unwrap())
        })
        .collect();
    let expected = [("index", 201), ("create", 201), ("update", 200), ("delete", 200)];
    assert_eq!(statuses, expected.map(|(verb, status)| (verb.to_owned(), status)));
    let items = log.0.lock().unwrap();
    let actions: Vec<_> = items.iter().map(|item| item.action).collect();
    assert_eq!(actions, [Action::Index, Action::Append, Action::Update { upsert: true }, Action::Delete]);
    assert_eq!((items[0].id.as_str(), &items[2].source[..]), ("1", br#"{"x":3}"#.as_slice()));
    assert_eq!(answer["items"][1]["create"]["_id"], items[1].id.as_str());
}

/// What became of each item, and what the log was given.
async fn outcomes(server: &Server, log: &Log, body: &str) -> (Vec<u64>, Vec<String>) {
    let (status, _, answer) = server.post("/_bulk", body.to_owned()).await;
    assert_eq!(status, 200, "{answer}");
    let item = |item: &Value| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap();
    let logged = log.0.lock().unwrap().drain(..).map(|item| item.id).collect();
    (answer["items"].as_array().unwrap().iter().map(item).collect(), logged)
}

#[tokio::test]
async fn creating_what_exists_is_a_conflict_of_that_item() {
    let (server, log) = server().await;
    let create = |id: &str| format!("{{\"create\":{{\"_index\":\"logs\",\"_id\":\"{id}\"}}}}\n{{\"x\":1}}\n");
    let body = create("t-0-3") + &create("new") + &create("new");
    assert_eq!(outcomes(&server, &log, &body).await, (vec![409, 201, 409], vec!["new".to_owned()]));
    let (_, _, answer) = server.post("/_bulk", create("t-0-3")).await;
    assert_eq!(answer["errors"], true);
    let conflict = &answer["items"][0]["create"];
    assert_eq!(
        (&conflict["_id"], &conflict["error"]["type"]),
        (&json!("t-0-3"), &json!("version_conflict_engine_exception"))
    );
    // In another index the id is free, and replacing is no conflict.
    let other = create("t-0-3").replace("logs", "other") + &create("t-0-3").replace("create", "index");
    assert_eq!(outcomes(&server, &log, &other).await.0, [201, 201]);
    // What is deleted before may be created, also by the next request: the index sees things in order.
    let delete = "{\"delete\":{\"_index\":\"logs\",\"_id\":\"t-0-3\"}}\n".to_owned();
    let anew = delete + &create("t-0-3");
    assert_eq!(outcomes(&server, &log, &anew).await, (vec![200, 201], vec!["t-0-3".to_owned(); 2]));
    assert_eq!(outcomes(&server, &log, &create("t-0-3")).await.0, [201]);
}

#[tokio::test]
async fn the_text_is_what_shippers_search_in() {
    let (server, _) = server().await;
    let text = async |body: &str| server.post_text("/logs/_bulk", body.to_owned()).await;
    let answer = text("{\"index\":{}}\n{\"x\":1}\n").await;
    assert!(answer.starts_with(r#"{"took":"#) && answer.contains(r#","errors":false,"items":[{"index":{"#), "{answer}");
    let answer = text("{\"index\":{}}\n[1]\n").await;
    assert!(answer.contains(r#""errors":true"#), "{answer}");
}

#[tokio::test]
async fn one_bad_item_does_not_stop_the_others() {
    let (server, log) = server().await;
    let body = r#"{"index":{"_index":"UPPER"}}
{"x":1}
{"index":{"_index":"full"}}
{"x":2}
{"index":{"_index":"ok"}}
{"x":
{"delete":{"_index":"ok"}}
{"update":{"_index":"ok","_id":"1"}}
{"script":"ctx._source.x++"}
{"index":{"_index":"ok","_id":7}}
{"x":3}
"#;
    let (status, _, answer) = server.post("/_bulk", body.to_owned()).await;
    assert_eq!((status, &answer["errors"]), (200, &json!(true)));
    let items = answer["items"].as_array().unwrap();
    let statuses: Vec<_> = items
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [400, 429, 400, 400, 400, 201]);
    assert_eq!(log.0.lock().unwrap().iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["7"]);
    assert_eq!(items[0]["index"]["error"]["type"], "invalid_index_name_exception");
}

#[tokio::test]
async fn compressed_bodies_and_vendor_content_types_are_read() {
    let (server, log) = server().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"{\"index\":{\"_index\":\"a\"}}\n{\"x\":1}\n").unwrap();
    let request = Request::post("/_bulk")
        .header("content-encoding", "gzip")
        .header("content-type", "application/vnd.elasticsearch+x-ndjson; compatible-with=8")
        .body(Body::from(gzip.finish().unwrap()))
        .unwrap();
    let (status, _, answer) = server.send(request).await;
    assert_eq!((status, &answer["errors"], log.0.lock().unwrap().len()), (200, &json!(false), 1));
}

#[tokio::test]
async fn bodies_that_are_no_bulk_are_refused_as_a_whole() {
    let (server, log) = server().await;
    for (body, part) in [
        ("", "body is required"),
        ("hello\n", "line [1]"),
        ("{\"index\":{\"_index\":\"a\"}}\n", "no document after it"),
        ("{\"destroy\":{}}\n{}\n", "expected one of"),
        ("{\"index\":{},\"create\":{}}\n{}\n", "one key"),
    ] {
        let (status, _, answer) = server.post("/_bulk", body.to_owned()).await;
        let reason = answer["error"]["reason"].as_str().unwrap_or_default();
        assert!(status == 400 && reason.contains(part), "{body:?}: {answer}");
    }
    assert!(log.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_also_when_it_is_a_gzip_bomb() {
    let (server, _) = server().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..110 {
        gzip.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    }
    let request = Request::post("/_bulk").header("content-encoding", "gzip");
    let (status, _, answer) = server.send(request.body(Body::from(gzip.finish().unwrap())).unwrap()).await;
    assert_eq!((status, &answer["error"]["type"]), (413, &json!("content_too_long_exception")));
}

#[tokio::test]
async fn without_a_log_bulk_says_so() {
    let server = Server::with_logs().await;
    let (status, _, answer) = server.post("/_bulk", "{\"index\":{\"_index\":\"a\"}}\n{}\n".to_owned()).await;
    assert_eq!(status, 503);
    assert!(answer["error"]["reason"].as_str().unwrap().contains("without a broker"), "{answer}");
}

#[tokio::test]
async fn what_shippers_ask_before_is_answered_with_what_is_so() {
    let (server, _) = server().await;
    for (path, status) in [
        ("/_license", 200),
        ("/_nodes/http", 200),
        ("/_ilm/policy/filebeat", 404),
        ("/_index_template/filebeat", 404),
        ("/_template/fluent", 404),
        ("/_ingest/pipeline/x", 404),
        ("/_logstash/pipeline", 200),
    ] {
        assert_eq!(server.get(path).await.0, status, "{path}");
    }
    let put = async |path: &str| {
        let request = Request::put(path).header("content-type", "application/json");
        server.send(request.body(Body::from("{}")).unwrap()).await
    };
    let (status, headers, answer) = put("/_index_template/filebeat").await;
    assert_eq!((status, answer), (200, json!({"acknowledged":true})));
    assert!(headers["warning"].to_str().unwrap().contains("no effect"));
    let (status, _, answer): (_, _, Value) = put("/_ingest/pipeline/x").await;
    assert!(status == 400 && answer["error"]["reason"].as_str().unwrap().contains("Connect"), "{answer}");
}
