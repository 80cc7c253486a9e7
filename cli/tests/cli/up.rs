//! `weir up`: every part in one process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::process::{Process, free_port};

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
    let mut weir = Process::start(folder.path(), &["up", "-c", "weir.yaml"]);
    let places = [
        format!("  kafka    localhost:{kafka}"),
        format!("  metrics  http://localhost:{metrics}/metrics"),
        format!("  connect  http://localhost:{connect}"),
        format!("  search   http://localhost:{search}"),
        "  data     ./weir-data".to_owned(),
    ];
    assert_eq!(weir.banner[1..], places);

    let items: String = (0..100)
        .map(|n| format!("{{\"create\":{{\"_index\":\"app\",\"_id\":\"{n}\"}}}}\n{{\"message\":\"number {n}\"}}\n"))
        .collect();
    let answer: Json = serde_json::from_str(&http(search, "POST", "/_bulk", &items)).unwrap();
    assert_eq!((&answer["errors"], answer["items"].as_array().unwrap().len()), (&Json::Bool(false), 100));
    let began = Instant::now();
    let count = || {
        let found: Json = serde_json::from_str(&http(search, "GET", "/_search?q=message:number", "")).ok()?;
        found["hits"]["total"]["value"].as_u64()
    };
    while count() != Some(100) {
        assert!(began.elapsed() < LIMIT, "{:?} of 100 documents are found", count());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(weir.terminate().success());
}
