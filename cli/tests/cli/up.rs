//! Several parts in one process: `weir up`, `weir connect run --search`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::process::{Process, free_port, weir};

const LIMIT: Duration = Duration::from_secs(30);

/// The body of the answer.
fn http(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n");
    write!(stream, "{head}Content-Type: application/x-ndjson\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[test]
fn documents_that_come_in_over_http_go_through_a_topic_and_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, metrics, connect, search) = (free_port(), free_port(), free_port(), free_port());
    let yaml = format!(
        "broker: {{listeners: 'PLAINTEXT://localhost:{kafka}'}}\nhttp: {{listeners: 'http://localhost:{metrics}'}}\n\
         connect: {{listeners: 'http://localhost:{connect}'}}\n\
         search: {{listeners: 'http://localhost:{search}', bulk.topic: docs}}\n"
    );
    std::fs::write(folder.path().join("weir.yaml"), yaml).unwrap();
    let mut process = Process::start(folder.path(), &["up", "-c", "weir.yaml"]);
    let places = [
        format!("  kafka    localhost:{kafka}"),
        format!("  metrics  http://localhost:{metrics}/metrics"),
        format!("  connect  http://localhost:{connect}"),
        format!("  search   http://localhost:{search}"),
        "  data     ./weir-data".to_owned(),
    ];
    assert_eq!(process.banner[1..], places);

    let items: String = (0..100)
        .map(|n| format!("{{\"create\":{{\"_index\":\"app\",\"_id\":\"{n}\"}}}}\n{{\"message\":\"number {n}\"}}\n"))
        .collect();
    let answer: Json = serde_json::from_str(&http(search, "POST", "/_bulk", &items)).unwrap();
    assert_eq!((&answer["errors"], answer["items"].as_array().unwrap().len()), (&Json::Bool(false), 100));
    wait_for_hits(search, "message:number", 100);
    assert!(process.terminate().success());
}

#[test]
fn a_worker_with_a_search_node_of_its_own_indexes_what_another_process_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, metrics, connect, search) = (free_port(), free_port(), free_port(), free_port());
    let broker = [format!("listeners=PLAINTEXT://localhost:{kafka}"), "http.listeners=".to_owned()];
    let mut broker = Process::start(folder.path(), &["broker", "--set", &broker[0], "--set", &broker[1]]);
    let yaml = format!(
        "data: ./worker\nhttp: {{listeners: 'http://localhost:{metrics}'}}\n\
         connect: {{bootstrap.servers: 'localhost:{kafka}', listeners: 'http://localhost:{connect}'}}\n\
         search: {{listeners: 'http://localhost:{search}'}}\n\
         connectors: {{into-search: {{class: search, topics: [app], url: embedded, index: app}}}}\n"
    );
    std::fs::write(folder.path().join("worker.yaml"), yaml).unwrap();
    let mut worker = Process::start(folder.path(), &["connect", "run", "--search", "-c", "worker.yaml"]);
    let server = format!("localhost:{kafka}");
    weir(folder.path())
        .args(["produce", "app", "--bootstrap-server", &server])
        .write_stdin("{\"message\":\"over the wire\"}\n")
        .assert()
        .success();
    wait_for_hits(search, "message:wire", 1);
    assert!(worker.terminate().success());
    assert!(broker.terminate().success());
}

fn wait_for_hits(search: u16, query: &str, expected: u64) {
    let began = Instant::now();
    let hits = || {
        let found: Json = serde_json::from_str(&http(search, "GET", &format!("/_search?q={query}"), "")).ok()?;
        found["hits"]["total"]["value"].as_u64()
    };
    while hits() != Some(expected) {
        assert!(began.elapsed() < LIMIT, "{:?} of {expected} documents are found", hits());
        std::thread::sleep(Duration::from_millis(100));
    }
}
