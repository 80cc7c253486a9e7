//! How far a sink says it is behind: over all its tasks, and not by the clocks of producers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use weir_tests::clients::{kcat, python_script};
use weir_tests::http;
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

const LIMIT: Duration = Duration::from_secs(60);
/// The producer's clock is an hour late.
const SECONDS_MAX: f64 = 300.0;

/// Records and seconds.
async fn lag(weir: &Weir) -> Result<[f64; 2]> {
    let text = http::text(&format!("{}/metrics", weir.http())).await?;
    let value = |name: &str| -> Result<f64> {
        let series = format!("weir_connect_lag_{name}{{connector=\"rows\"}} ");
        Ok(text.lines().find_map(|line| line.strip_prefix(&series)).with_context(|| series.clone())?.parse()?)
    };
    Ok([value("records")?, value("seconds")?])
}

/// One record after the other into one partition.
fn produce(weir: &Weir, partition: &str, count: usize) -> Result<()> {
    let file = weir.folder().join("records");
    std::fs::write(&file, "{\"n\": 1}\n".repeat(count))?;
    kcat(&["-P", "-b", &weir.bootstrap(), "-t", "orders", "-p", partition, "-l", &file.to_string_lossy()]).map(drop)
}

#[tokio::test]
async fn a_sinks_lag_is_that_of_all_its_tasks_and_not_of_its_producers_clocks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut postgres = Postgres::start().await?;
    let pool = postgres.pool().await?;
    sqlx::raw_sql("create table rows (n bigint)").execute(&pool).await?;
    let yaml = format!(
        "connectors:\n  rows: {{class: postgres, topics: [orders], url: '{}', table: rows, tasks.max: 2}}\n",
        postgres.url()
    );
    let weir = Weir::up(folder.path(), &["num.partitions: 2"], &yaml).await?;
    ["0", "1"].into_iter().try_for_each(|partition| produce(&weir, partition, 1))?;
    let has_both = async || {
        let counted = sqlx::query_as("select count(*) from rows").fetch_one(&pool).await;
        counted.is_ok_and(|(count,): (i64,)| count == 2) && lag(&weir).await.is_ok_and(|lag| lag == [0.0, 0.0])
    };
    wait_until("both tasks to have written", LIMIT, has_both).await.with_context(|| weir.log())?;

    postgres.stop()?;
    run(python_script("lag.py", &["produce", &weir.bootstrap(), "orders", "1", "20"])?)?;
    produce(&weir, "1", 10)?;
    let holds_all = async || lag(&weir).await.is_ok_and(|[records, seconds]| records == 30.0 && seconds > 2.0);
    wait_until("both tasks to be behind", LIMIT, holds_all).await.with_context(|| weir.log())?;
    let [_, seconds] = lag(&weir).await?;
    ensure!(seconds < SECONDS_MAX, "{seconds}");

    postgres.resume().await?;
    let is_over = async || lag(&weir).await.is_ok_and(|lag| lag == [0.0, 0.0]);
    wait_until("all to be written", LIMIT, is_over).await.with_context(|| weir.log())?;
    let status: Json = http::json(&format!("{}/connectors/rows/status", weir.connect())).await?;
    ensure!(status["tasks"].as_array().is_some_and(|tasks| tasks.len() == 2), "{status}");
    run(command(&["connect", "delete", "rows", "--url", &weir.connect()])?)?;
    ensure!(lag(&weir).await.is_err(), "a connector that is gone has no lag");
    Ok(())
}
