//! What is neither lost nor doubled when work changes hands: a file tail finds again what it had delivered before a crash,
//! a sink's tasks pass partitions on.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use weir_tests::clients::kcat;
use weir_tests::http::{self, client};
use weir_tests::postgres::Postgres;
use weir_tests::process::{Process, run};
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, Worker, command};

use crate::pipeline::exactly_once;

const LIMIT: Duration = Duration::from_secs(60);
const LINES: usize = 300;
/// Longer than the test: what is delivered stays uncommitted.
const NEVER: &str = "connect.offset.flush.interval.ms=600000";
const SOON: &str = "connect.offset.flush.interval.ms=100";

fn lines(topic: &str, weir: &Weir) -> Vec<String> {
    let read = kcat(&["-b", &weir.bootstrap(), "-C", "-t", topic, "-o", "beginning", "-e", "-q"]);
    read.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn write(path: &Path, name: &str) -> Result<Vec<String>> {
    let lines: Vec<String> = (0..LINES).map(|n| format!("{name} {n:04}")).collect();
    std::fs::write(path, lines.join("\n") + "\n")?;
    Ok(lines)
}

#[tokio::test]
async fn a_file_that_was_away_while_another_was_committed_is_not_sent_twice() -> Result<()> {
    let (broker, worker) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let weir = Weir::up(broker.path(), &[], "").await?;
    let (logs, away) = (worker.path().join("logs"), worker.path().join("away.log"));
    std::fs::create_dir(&logs)?;
    let (a, b) = (logs.join("a.log"), logs.join("b.log"));
    let file = worker.path().join("tail.yaml");
    let yaml = format!("connectors:\n  tail: {{class: file-tail, paths: ['{}/*.log'], topic: app}}\n", logs.display());
    std::fs::write(&file, yaml)?;
    let file = file.to_string_lossy();
    let run = |flush: &str| Worker::start(worker.path(), &weir.bootstrap(), &["-c", &file, "--set", flush]);

    // A is delivered, and nobody has noted it when the worker dies.
    let mut expected = write(&a, "a")?;
    let first = run(NEVER)?;
    let arrived = async |count: usize| lines("app", &weir).len() >= count;
    wait_until("a to arrive", LIMIT, async || arrived(LINES).await).await.with_context(|| first.log_tail())?;
    first.kill_9()?;

    // While A is away, B is delivered and committed: the bound of the next recovery must stay before A's lines.
    std::fs::rename(&a, &away)?;
    expected.extend(write(&b, "b")?);
    let second = run(SOON)?;
    wait_until("b to arrive", LIMIT, async || arrived(2 * LINES).await).await.with_context(|| second.log_tail())?;
    let offsets = format!("{}/connectors/tail/offsets", second.rest());
    let is_committed = async || http::text(&offsets).await.is_ok_and(|text| text.contains("b.log"));
    wait_until("b to be committed", LIMIT, is_committed).await.with_context(|| second.log_tail())?;
    second.kill_9()?;

    std::fs::rename(&away, &a)?;
    let third = run(SOON)?;
    let offsets = format!("{}/connectors/tail/offsets", third.rest());
    let is_committed = async || http::text(&offsets).await.is_ok_and(|text| text.contains("a.log"));
    wait_until("a to be committed", LIMIT, is_committed).await.with_context(|| third.log_tail())?;
    let mut found = lines("app", &weir);
    found.sort();
    assert_eq!(found, expected);
    Ok(())
}

const NUMBERS: u64 = 60_000;
const PARTITIONS: usize = 4;
/// How many tasks there are, one after the other; the numbers come in as many parts.
const TASKS: [usize; 5] = [1, 4, 2, 3, 1];

/// `{"n": 0}`, `{"n": 1}`, … into all partitions of `numbers`: as many parts as the file `parts` says, slowly enough
/// that tasks change meanwhile.
fn numbers(weir: &Weir) -> Result<Process> {
    let mut create = command(&["topics", "create", "numbers", "--partitions", &PARTITIONS.to_string()])?;
    create.env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
    run(create)?;
    let mut produce = Command::new("sh");
    let script = format!(
        "for k in $(seq 0 59); do until [ $k -lt $((12 * $(cat parts))) ]; do sleep 0.1; done; \
         seq $((k * 1000)) $((k * 1000 + 999)) | sed 's/.*/&:{{\"n\": &}}/'; sleep 0.2; done \
         | kcat -P -b {} -t numbers -K : -X enable.idempotence=true",
        weir.bootstrap()
    );
    produce.current_dir(weir.folder());
    produce.args(["-c", &script]);
    Process::start("numbers", produce, &weir.folder().join("numbers.log"))
}

#[tokio::test]
async fn partitions_pass_from_task_to_task_and_each_record_is_written_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let pool = postgres.pool().await?;
    sqlx::raw_sql("create table numbers (n bigint)").execute(&pool).await?;
    let weir = Weir::up(folder.path(), &["group.initial.rebalance.delay.ms: 0"], "").await?;
    let parts = weir.folder().join("parts");
    std::fs::write(&parts, "0")?;
    let _producing = numbers(&weir)?;
    let count = async || {
        let counted = sqlx::query_as("select count(*) from numbers").fetch_one(&pool).await;
        counted.map_or(0, |(count,): (i64,)| count.unsigned_abs())
    };
    let url = format!("{}/connectors/rows/config", weir.connect());
    for (part, tasks) in TASKS.into_iter().enumerate() {
        let config = json!({
            "connector.class": "postgres", "topics": "numbers", "url": postgres.url(), "table": "numbers",
            "tasks.max": tasks.to_string(),
        });
        let request = client().put(&url).header("content-type", "application/json").body(config.to_string());
        anyhow::ensure!(request.send().await?.status().is_success());
        let before = count().await;
        std::fs::write(&parts, (part + 1).to_string())?;
        wait_until("rows to arrive", LIMIT, async || count().await > before).await.with_context(|| weir.log())?;
    }
    wait_until("all rows", LIMIT, async || count().await >= NUMBERS).await.with_context(|| weir.log())?;
    let rows: Vec<(i64,)> = sqlx::query_as("select n from numbers").fetch_all(&pool).await?;
    exactly_once("Postgres", rows.into_iter().map(|(n,)| n.unsigned_abs()), NUMBERS)
}
