//! The Connect worker beside a real Apache Kafka: nothing in it may lean on what only Weir's broker does.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgPool;
use weir_tests::clients::kafka_tool;
use weir_tests::kafka::Kafka;
use weir_tests::lines::{Format, LineWriter, Rotation};
use weir_tests::postgres::Postgres;
use weir_tests::wait::wait_until;
use weir_tests::weir::Worker;

use crate::pipeline::exactly_once;

const DRAIN_LIMIT: Duration = Duration::from_secs(90);
const LINES_PER_ROUND: u64 = 2_000;
const KILLS: usize = 3;

async fn count(pool: &PgPool) -> u64 {
    let counted = sqlx::query_as("select count(*) from app_log").fetch_one(pool).await;
    counted.map_or(0, |(count,): (i64,)| count.unsigned_abs())
}

fn connectors(folder: &Path, postgres: &Postgres) -> Result<String> {
    let yaml = format!(
        "connectors:\n\
         \x20 tail: {{class: file-tail, paths: ['{logs}/app.log*'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n\
         \x20 rows: {{class: postgres, topics: [app], url: '{url}', table: app_log}}\n",
        logs = folder.display(),
        url = postgres.url(),
    );
    let path = folder.join("connectors.yaml");
    std::fs::write(&path, yaml)?;
    Ok(path.to_string_lossy().into_owned())
}

#[tokio::test]
async fn each_line_arrives_once_through_apache_kafka_and_kill_9_of_the_worker() -> Result<()> {
    let (folder, of_kafka) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let kafka = Kafka::start(of_kafka.path()).await?;
    let postgres = Postgres::start().await?;
    let pool = postgres.pool().await?;
    sqlx::raw_sql("create table app_log (line bigint, level text, service text, message text)").execute(&pool).await?;
    let file = connectors(folder.path(), &postgres)?;
    let mut writer = LineWriter::create(&folder.path().join("app.log"), Format::Json)?;
    for kill in 0..KILLS {
        let worker = Worker::start(folder.path(), &kafka.bootstrap, &["-c", &file])?;
        writer.write(LINES_PER_ROUND)?;
        let before = count(&pool).await;
        let waited = wait_until("rows to arrive", DRAIN_LIMIT, async || count(&pool).await > before).await;
        waited.with_context(|| worker.log_tail())?;
        writer.write(LINES_PER_ROUND)?;
        worker.kill_9()?;
        writer.rotate(if kill == 1 { Rotation::CopyTruncate } else { Rotation::Rename })?;
    }
    let worker = Worker::start(folder.path(), &kafka.bootstrap, &["-c", &file])?;
    let written = writer.written();
    let drained = async || count(&pool).await >= written;
    wait_until("the pipeline to drain", DRAIN_LIMIT, drained).await.with_context(|| worker.log_tail())?;
    let rows: Vec<(i64,)> = sqlx::query_as("select line from app_log").fetch_all(&pool).await?;
    exactly_once("Postgres", rows.into_iter().map(|(line,)| line.unsigned_abs()), written)?;
    its_topics_are_compacted(&kafka.bootstrap)
}

fn its_topics_are_compacted(bootstrap: &str) -> Result<()> {
    for topic in ["connect-configs", "connect-offsets", "connect-status"] {
        let described = kafka_tool("kafka-topics", &["--bootstrap-server", bootstrap, "--describe", "--topic", topic])?;
        assert!(described.contains("cleanup.policy=compact"), "{described}");
    }
    Ok(())
}
