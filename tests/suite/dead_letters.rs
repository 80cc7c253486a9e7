//! Records that cannot be used: put aside, with what they were and why, while the others go on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};
use weir_tests::clients::kcat;
use weir_tests::http::{self, client};
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

const LIMIT: Duration = Duration::from_secs(60);
const LINES: usize = 500;
const MESSAGE_BYTES_MAX: usize = 2_000;

/// What is in a topic: kcat's JSON, one object per record.
fn records(weir: &Weir, topic: &str) -> Vec<Json> {
    let read = kcat(&["-b", &weir.bootstrap(), "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J"]);
    read.unwrap_or_default().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn payloads(weir: &Weir, topic: &str) -> Vec<String> {
    records(weir, topic).iter().filter_map(|record| record["payload"].as_str().map(str::to_owned)).collect()
}

/// kcat prints headers as a flat list: name, value, name, value.
fn headers(record: &Json) -> BTreeMap<String, String> {
    let words: Vec<&str> = record["headers"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    words.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

fn create_topic(weir: &Weir, topic: &str, message_bytes_max: usize) -> Result<()> {
    let config = format!("max.message.bytes={message_bytes_max}");
    let mut create = command(&["topics", "create", topic, "--config", &config])?;
    create.env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
    run(create).map(drop)
}

async fn set(weir: &Weir, connector: &str, config: Json) -> Result<()> {
    let url = format!("{}/connectors/{connector}/config", weir.connect());
    let request = client().put(url).header("content-type", "application/json").body(config.to_string());
    let answer = request.send().await?;
    anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
    Ok(())
}

/// Small lines, far more of them than one message may hold, and one in their midst that is too large alone.
fn write_lines(path: &Path) -> Result<Vec<String>> {
    let mut small: Vec<String> = (0..LINES).map(|n| format!("line {n} {}", "x".repeat(50))).collect();
    let mut text = String::new();
    for (n, line) in small.iter().enumerate() {
        writeln!(text, "{line}")?;
        if n == LINES / 2 {
            writeln!(text, "{}", "L".repeat(MESSAGE_BYTES_MAX * 2))?;
        }
    }
    std::fs::write(path, text)?;
    small.sort();
    Ok(small)
}

#[tokio::test]
async fn a_line_that_the_broker_refuses_is_put_aside_and_the_others_arrive_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    create_topic(&weir, "app", MESSAGE_BYTES_MAX)?;
    create_topic(&weir, "app-dlq", MESSAGE_BYTES_MAX * 4)?;
    let path = folder.path().join("app.log");
    let small = write_lines(&path)?;
    let config = json!({
        "connector.class": "file-tail", "paths": path, "topic": "app", "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": "app-dlq", "errors.deadletterqueue.context.headers.enable": "true",
    });
    set(&weir, "tail", config).await?;
    let arrived = async || payloads(&weir, "app").len() >= LINES && !payloads(&weir, "app-dlq").is_empty();
    wait_until("the lines to arrive", LIMIT, arrived).await.with_context(|| weir.log())?;
    let mut found = payloads(&weir, "app");
    found.sort();
    assert_eq!(found, small);
    let letters = records(&weir, "app-dlq");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["payload"].as_str().map(str::len), Some(MESSAGE_BYTES_MAX * 2));
    let headers = headers(&letters[0]);
    assert_eq!(headers["__connect.errors.stage"], "KAFKA_PRODUCE");
    assert!(headers["__connect.errors.exception.message"].contains("too large"), "{headers:?}");
    // The position went past it: nothing comes again.
    let offsets = format!("{}/connectors/tail/offsets", weir.connect());
    let end = std::fs::metadata(&path)?.len();
    let committed = async || http::text(&offsets).await.is_ok_and(|text| text.contains(&format!("\"position\":{end}")));
    wait_until("the position to be committed", LIMIT, committed).await
}

#[tokio::test]
async fn a_line_that_the_broker_refuses_fails_the_task_where_errors_are_not_tolerated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    create_topic(&weir, "app", MESSAGE_BYTES_MAX)?;
    let path = folder.path().join("app.log");
    std::fs::write(&path, "L".repeat(MESSAGE_BYTES_MAX * 2) + "\n")?;
    set(&weir, "tail", json!({"connector.class": "file-tail", "paths": path, "topic": "app"})).await?;
    let status = format!("{}/connectors/tail/status", weir.connect());
    let says = async || {
        let task = http::json(&status).await.map(|status| status["tasks"][0].clone()).unwrap_or_default();
        task["trace"]
            .as_str()
            .is_some_and(|trace| trace.contains("too large") && trace.contains("errors.tolerance=all"))
    };
    wait_until("the reason to show", LIMIT, says).await.with_context(|| weir.log())
}

#[tokio::test]
async fn the_dead_letter_of_a_row_is_the_record_as_it_was_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let pool = postgres.pool().await?;
    sqlx::raw_sql("create table orders (id int check (id > 0), origin text)").execute(&pool).await?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    let path = folder.path().join("orders.log");
    std::fs::write(&path, "{\"id\": 1}\n{\"id\": -7}\n{\"id\": 2}\n")?;
    set(&weir, "tail", json!({"connector.class": "file-tail", "paths": path, "topic": "orders"})).await?;
    let config = json!({
        "connector.class": "postgres", "topics": "orders", "url": postgres.url(), "table": "orders",
        "transforms": "mark", "transforms.mark.type": "insert_field", "transforms.mark.static.field": "origin",
        "transforms.mark.static.value": "shop", "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": "orders-dlq", "errors.deadletterqueue.context.headers.enable": "true",
    });
    set(&weir, "rows", config).await?;
    wait_until("the dead letter", LIMIT, async || !payloads(&weir, "orders-dlq").is_empty())
        .await
        .with_context(|| weir.log())?;
    let count = async || {
        let rows: Vec<(i32, String)> =
            sqlx::query_as("select id, origin from orders order by id").fetch_all(&pool).await?;
        anyhow::Ok(rows)
    };
    wait_until("the other rows", LIMIT, async || count().await.is_ok_and(|rows| rows.len() == 2)).await?;
    assert_eq!(count().await?, [(1, "shop".to_owned()), (2, "shop".to_owned())]);
    let letters = records(&weir, "orders-dlq");
    assert_eq!((letters.len(), letters[0]["payload"].as_str()), (1, Some("{\"id\": -7}")));
    let headers = headers(&letters[0]);
    assert_eq!(headers["__connect.errors.stage"], "TASK_PUT");
    assert_eq!((&*headers["__connect.errors.topic"], &*headers["__connect.errors.offset"]), ("orders", "1"));
    Ok(())
}
