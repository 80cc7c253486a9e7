//! The pipeline end to end: numbered lines in files that rotate, through kill -9 of the whole process, into Postgres
//! and the index, each exactly once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value as Json, json};
use sqlx::postgres::PgPool;
use weir_tests::http;
use weir_tests::lines::{Format, LineWriter, Rotation};
use weir_tests::postgres::Postgres;
use weir_tests::wait::wait_until;
use weir_tests::weir::Weir;

const DRAIN_LIMIT: Duration = Duration::from_secs(90);
const KILLS: usize = 50;
const LINES_PER_ROUND: u64 = 400;
const PAGE: usize = 10_000;

struct Pipeline {
    weir: Weir,
    postgres: Postgres,
    pool: PgPool,
}

impl Pipeline {
    async fn start(folder: &Path) -> Result<Self> {
        let logs = folder.join("logs");
        std::fs::create_dir(&logs)?;
        let postgres = Postgres::start().await?;
        let pool = postgres.pool().await?;
        sqlx::raw_sql("create table app_log (line bigint, level text, service text, message text)")
            .execute(&pool)
            .await?;
        let yaml = format!(
            "connectors:\n\
             \x20 tail: {{class: file-tail, paths: ['{logs}/app.log*'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n\
             \x20 rows: {{class: postgres, topics: [app], url: '{url}', table: app_log}}\n\
             \x20 docs: {{class: search, topics: [app], url: embedded, index: 'app-%Y.%m.%d'}}\n",
            logs = logs.display(),
            url = postgres.url(),
        );
        let weir = Weir::up(folder, &[], &yaml).await?;
        Ok(Self { weir, postgres, pool })
    }

    fn writer(&self) -> Result<LineWriter> {
        LineWriter::create(&self.weir.folder().join("logs/app.log"), Format::Json)
    }

    async fn rows(&self) -> u64 {
        let counted = sqlx::query_as("select count(*) from app_log").fetch_one(&self.pool).await;
        counted.map_or(0, |(count,): (i64,)| count.unsigned_abs())
    }

    async fn documents(&self) -> u64 {
        let answer = self.search(&json!({"size": 0, "track_total_hits": true})).await;
        answer.ok().and_then(|answer| answer["hits"]["total"]["value"].as_u64()).unwrap_or(0)
    }

    async fn search(&self, body: &Json) -> Result<Json> {
        let url = format!("{}/app-*/_search", self.weir.search());
        http::post(&url, body).await
    }

    /// Waits until everything has arrived, then counts each number in both places.
    async fn each_line_came_once(&self, written: u64) -> Result<()> {
        let drained = async || self.rows().await >= written && self.documents().await >= written;
        let waited = wait_until("the pipeline to drain", DRAIN_LIMIT, drained).await;
        waited.with_context(|| {
            format!("status: {}", self.weir.log().lines().rev().take(20).collect::<Vec<_>>().join("\n"))
        })?;
        let rows: Vec<(i64,)> = sqlx::query_as("select line from app_log").fetch_all(&self.pool).await?;
        exactly_once("Postgres", rows.into_iter().map(|(n,)| n.unsigned_abs()), written)?;
        exactly_once("the index", self.indexed().await?.into_iter(), written)
    }

    async fn indexed(&self) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        let mut body = json!({"size": PAGE, "sort": [{"@timestamp": "asc"}, {"_doc": "asc"}]});
        loop {
            let answer = self.search(&body).await?;
            let hits = answer["hits"]["hits"].as_array().context("hits")?;
            numbers.extend(hits.iter().filter_map(|hit| hit["_source"]["line"].as_u64()));
            match hits.last() {
                Some(last) if hits.len() == PAGE => body["search_after"] = last["sort"].clone(),
                _ => return Ok(numbers),
            }
        }
    }
}

pub(crate) fn exactly_once(place: &str, numbers: impl Iterator<Item = u64>, written: u64) -> Result<()> {
    let mut counts = vec![0u32; usize::try_from(written)?];
    for number in numbers {
        *counts
            .get_mut(usize::try_from(number)?)
            .with_context(|| format!("{place}: line {number} was never written"))? += 1;
    }
    let lost: Vec<usize> = (0..counts.len()).filter(|n| counts[*n] == 0).collect();
    let doubled: Vec<usize> = (0..counts.len()).filter(|n| counts[*n] > 1).collect();
    ensure!(lost.is_empty(), "{place}: {} lines are lost: {:?} …", lost.len(), &lost[..lost.len().min(9)]);
    ensure!(
        doubled.is_empty(),
        "{place}: {} lines came twice: {:?} …",
        doubled.len(),
        &doubled[..doubled.len().min(9)]
    );
    Ok(())
}

#[tokio::test]
async fn every_line_arrives_once_through_rotations() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pipeline = Pipeline::start(folder.path()).await?;
    let mut writer = pipeline.writer()?;
    for rotation in [Rotation::Rename, Rotation::CopyTruncate, Rotation::CopyTruncate, Rotation::Rename] {
        writer.write(2_000)?;
        writer.rotate(rotation)?;
        writer.write(500)?;
        let arrived = async || pipeline.rows().await > writer.written() / 2;
        wait_until("rows to arrive", DRAIN_LIMIT, arrived).await?;
    }
    pipeline.each_line_came_once(writer.written()).await
}

#[tokio::test]
async fn kill_9_of_the_whole_process_fifty_times_loses_and_doubles_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut pipeline = Pipeline::start(folder.path()).await?;
    let mut writer = pipeline.writer()?;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for kill in 0..KILLS {
        writer.write(LINES_PER_ROUND)?;
        if kill % 7 == 3 {
            writer.rotate(if kill % 2 == 0 { Rotation::Rename } else { Rotation::CopyTruncate })?;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1500))).await;
        pipeline.weir.kill_9()?;
        if kill % 5 == 4 {
            writer.rotate(Rotation::Rename)?;
        }
        pipeline.weir.start().await?;
    }
    pipeline.each_line_came_once(writer.written()).await?;
    pipeline.weir.stop()?;
    crate::crash::kafka_agrees_with_every_byte(&folder.path().join("data"))
}

#[tokio::test]
async fn postgres_stopped_and_started_loses_nothing_and_its_absence_shows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut pipeline = Pipeline::start(folder.path()).await?;
    let mut writer = pipeline.writer()?;
    writer.write(1_000)?;
    wait_until("first rows", DRAIN_LIMIT, async || pipeline.rows().await > 0).await?;
    pipeline.postgres.stop()?;
    writer.write(1_000)?;
    let metrics = format!("{}/metrics", pipeline.weir.http());
    let shows = async || {
        let text = http::text(&metrics).await.unwrap_or_default();
        text.lines().any(|l| l.starts_with("weir_connect_retries_total{connector=\"rows\"}") && !l.ends_with(" 0"))
    };
    wait_until("the metrics to show retries", DRAIN_LIMIT, shows).await?;
    let status = format!("{}/connectors/rows/status", pipeline.weir.connect());
    let task = http::json(&status).await?["tasks"][0].clone();
    assert_eq!(task["state"], "RUNNING", "{task}");
    assert!(task["trace"].as_str().is_some_and(|trace| trace.starts_with("trying again: ")), "{task}");
    pipeline.postgres.resume().await?;
    pipeline.each_line_came_once(writer.written()).await?;
    assert_eq!(http::json(&status).await?["tasks"][0]["trace"], Json::Null, "the trouble is over");
    Ok(())
}
