//! The log: what others can cause is said once, lines know their trace, and nothing of a record is in them.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use weir_tests::clients::kcat;
use weir_tests::http::{self, client};
use weir_tests::traces::Receiver;
use weir_tests::wait::wait_until;
use weir_tests::weir::Weir;

const LIMIT: Duration = Duration::from_secs(40);
const CONNECTIONS: usize = 300;
const RECORDS: usize = 200;
const SECRET: &str = "hunter2";
/// Of the client that sent the records.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn lines<'a>(log: &'a str, words: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(words)).collect()
}

#[tokio::test]
async fn connections_that_are_refused_are_one_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &["max.connections: 50"], "").await?;
    let held: Vec<TcpStream> =
        (0..CONNECTIONS).filter_map(|_| TcpStream::connect(("127.0.0.1", weir.ports.kafka)).ok()).collect();
    ensure!(held.len() > CONNECTIONS / 2, "{} connections", held.len());
    let refused = async || !lines(&weir.log(), "connection refused").is_empty();
    wait_until("a line", LIMIT, refused).await?;
    ensure!(http::is_ok(&format!("{}/health/live", weir.http())).await, "it does not answer");
    let log = weir.log();
    ensure!(lines(&log, "connection refused").len() == 1, "{log}");
    Ok(())
}

/// Records that no transform of theirs can read, with a secret in each, as a client sends them within a trace.
async fn with_poison(folder: &std::path::Path, format: &str, receiver: &str) -> Result<Weir> {
    let section = format!("log: {{format: {format}}}\n");
    let weir = Weir::up_with(folder, &[], &section, &[("OTEL_EXPORTER_OTLP_ENDPOINT", receiver)]).await?;
    let records = folder.join("records");
    std::fs::write(&records, format!("card=4111 password={SECRET}\n").repeat(RECORDS))?;
    let header = format!("traceparent=00-{TRACE}-{SPAN}-01");
    kcat(&["-b", &weir.bootstrap(), "-P", "-t", "orders", "-H", &header, "-l", &records.to_string_lossy()])?;
    Ok(weir)
}

async fn sink(weir: &Weir, name: &str, more: Json) -> Result<()> {
    let mut config = json!({
        "connector.class": "search", "topics": "orders", "url": "embedded", "index": name,
        "transforms": "read", "transforms.read.type": "json", "restart.attempts.max": "0",
    });
    config.as_object_mut().context("an object")?.extend(more.as_object().cloned().unwrap_or_default());
    let url = format!("{}/connectors/{name}/config", weir.connect());
    let request = client().put(url).header("content-type", "application/json").body(config.to_string());
    let answer = request.send().await?;
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    Ok(())
}

async fn skipped(weir: &Weir, name: &str) -> Result<()> {
    let metric = format!("weir_connect_errors_total{{connector=\"{name}\",stage=\"TRANSFORMATION\"}} {RECORDS}");
    let all = async || http::text(&format!("{}/metrics", weir.http())).await.is_ok_and(|text| text.contains(&metric));
    wait_until("all records to be skipped", LIMIT, all).await.with_context(|| weir.log())
}

#[tokio::test]
async fn skipped_records_are_one_line_that_says_where_and_why_but_not_what_is_in_them() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let weir = with_poison(folder.path(), "text", &receiver.url).await?;
    sink(&weir, "quiet", json!({"errors.tolerance": "all"})).await?;
    skipped(&weir, "quiet").await?;
    let log = weir.log();
    let said = lines(&log, "a record is skipped");
    ensure!(said.len() == 1, "{log}");
    for words in ["orders-0 at offset 0", "transform read: not JSON", "TRANSFORMATION", "suppressed=0"] {
        ensure!(said[0].contains(words), "{words}: {}", said[0]);
    }
    ensure!(said[0].ends_with(&format!("trace_id={TRACE} span_id={SPAN}")), "{}", said[0]);
    sink(&weir, "strict", json!({})).await?;
    let status = format!("{}/connectors/strict/status", weir.connect());
    let failed = async || {
        http::json(&status).await.is_ok_and(|status| {
            status["tasks"][0]["trace"].as_str().is_some_and(|trace| {
                trace.contains("orders-0 at offset 0") && trace.contains("not JSON") && !trace.contains(SECRET)
            })
        })
    };
    wait_until("the task to fail", LIMIT, failed).await.with_context(|| weir.log())?;
    let log = weir.log();
    let said = lines(&log, "a task failed");
    ensure!(said.len() == 1 && said[0].contains(&format!("trace_id={TRACE}")), "{log}");
    ensure!(!log.contains(SECRET) && !log.contains("4111"), "{log}");
    // Whoever wants to see records in the log says so.
    sink(&weir, "open", json!({"errors.tolerance": "all", "errors.log.include.messages": "true"})).await?;
    skipped(&weir, "open").await?;
    ensure!(weir.log().contains(SECRET), "{}", weir.log());
    sink(&weir, "silent", json!({"errors.tolerance": "all", "errors.log.enable": "false"})).await?;
    skipped(&weir, "silent").await?;
    ensure!(!weir.log().contains("connector=\"silent\""), "{}", weir.log());
    Ok(())
}

#[tokio::test]
async fn a_line_of_json_has_its_trace_as_a_field() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let weir = with_poison(folder.path(), "json", &receiver.url).await?;
    sink(&weir, "quiet", json!({"errors.tolerance": "all"})).await?;
    skipped(&weir, "quiet").await?;
    let log = weir.log();
    let lines: Vec<Json> = log
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("this is no JSON: {line}")))
        .collect::<Result<_>>()?;
    let is_whole = |line: &Json| ["timestamp", "level", "target", "message"].iter().all(|key| line[*key].is_string());
    assert!(lines.iter().all(is_whole), "{log}");
    let said = lines.iter().find(|line| line["message"].as_str().is_some_and(|text| text.contains("is skipped")));
    let said = said.with_context(|| log.clone())?;
    assert_eq!((&said["trace_id"], &said["span_id"]), (&TRACE.into(), &SPAN.into()), "{said}");
    Ok(())
}
