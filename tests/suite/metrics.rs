//! What `/metrics` says of a live process: valid, documented, as fine as it is told to be, and gone with what it was of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_tests::clients::{kafka_tool, python_script};
use weir_tests::http;
use weir_tests::process::run;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

const LIMIT: Duration = Duration::from_secs(20);
/// How it ends when it can read all and finds something to improve.
const PROMTOOL_COMPLAINS: i32 = 3;
const REFERENCE: &str = include_str!("../../docs/metrics-reference.md");

async fn scrape(weir: &Weir) -> Result<String> {
    http::text(&format!("{}/metrics", weir.http())).await
}

/// The value of the series that is written so.
async fn value(weir: &Weir, series: &str) -> Result<f64> {
    let text = scrape(weir).await?;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no series {series} in\n{text}"))?.parse()?)
}

async fn load(weir: &Weir) -> Result<()> {
    run(python_script("clicks.py", &["produce", &weir.bootstrap(), "100"])?)?;
    run(python_script("clicks.py", &["consume", &weir.bootstrap(), "100"])?)?;
    Ok(())
}

/// Type by name, from the `# TYPE` lines; each has its `# HELP`.
pub(crate) fn families(text: &str) -> Result<BTreeMap<&str, &str>> {
    let helped: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<&str, &str> = types.collect();
    ensure!(types.keys().all(|name| helped.contains(name)), "a metric has no HELP");
    Ok(types)
}

/// What promtool has to say, a line each. What it cannot read is an error.
pub(crate) fn promtool_complaints(text: &str) -> Result<Vec<String>> {
    let mut promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // It may give up before it has read all: then it says why.
    let _ = promtool.stdin.take().context("stdin is piped")?.write_all(text.as_bytes());
    let output = promtool.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() || output.status.code() == Some(PROMTOOL_COMPLAINS), "promtool: {said}");
    Ok(said.lines().map(str::to_owned).collect())
}

pub(crate) fn promtool_accepts(text: &str) -> Result<()> {
    let complaints = promtool_complaints(text)?;
    ensure!(complaints.is_empty(), "promtool: {complaints:#?}");
    Ok(())
}

#[tokio::test]
async fn every_metric_is_documented_and_valid() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    load(&weir).await?;
    let text = scrape(&weir).await?;
    for (name, kind) in families(&text)? {
        let row = format!("| `{name}` | {kind} |");
        ensure!(REFERENCE.contains(&row), "docs/metrics-reference.md has no row {row}");
    }
    promtool_accepts(&text)?;

    assert!((value(&weir, r#"weir_records_in_total{topic="user_clicks"}"#).await? - 100.0).abs() < f64::EPSILON);
    let out = value(&weir, r#"weir_bytes_out_total{topic="user_clicks",kind="consume"}"#).await?;
    assert!(out >= value(&weir, r#"weir_bytes_in_total{topic="user_clicks"}"#).await?);
    assert!((value(&weir, "weir_broker_state").await? - 3.0).abs() < f64::EPSILON);
    for phase in ["queue", "local", "remote", "response_queue", "send"] {
        let series = format!(r#"weir_request_phase_seconds_count{{api="Produce",phase="{phase}"}}"#);
        assert!(value(&weir, &series).await? >= 1.0, "{series}");
    }
    assert!(value(&weir, "weir_group_rebalance_seconds_count").await? >= 1.0);
    let idle = value(&weir, "weir_network_idle_ratio").await?;
    assert!((0.0..=1.0).contains(&idle), "{idle}");
    Ok(())
}

#[tokio::test]
async fn a_long_poll_waits_in_purgatory_and_connections_are_counted_by_listener() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    let connections = r#"weir_connections{listener="PLAINTEXT"}"#;
    run(command(&["topics", "create", "t", "--bootstrap-server", &weir.bootstrap()])?)?;
    let mut reader = command(&["consume", "t", "--bootstrap-server", &weir.bootstrap()])?.spawn()?;
    let waits = async || value(&weir, r#"weir_purgatory_size{api="Fetch"}"#).await.is_ok_and(|waiting| waiting >= 1.0);
    wait_until("the fetch to wait", LIMIT, waits).await?;
    let with_reader = value(&weir, connections).await?;
    assert!(with_reader >= 1.0);
    reader.kill()?;
    reader.wait()?;
    let is_over = async || value(&weir, connections).await.is_ok_and(|now| now < with_reader);
    wait_until("the connection to be counted as closed", LIMIT, is_over).await
}

#[tokio::test]
async fn levels_and_limits_decide_how_many_series_there_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let records = r#"weir_records_in_total{topic="user_clicks""#;
    for (level, expected) in [("cluster", 0), ("topic", 1), ("partition", 3)] {
        let weir = Weir::up(&folder.path().join(level), &[&format!("metrics.level: {level}"), "num.partitions: 3"], "")
            .await?;
        load(&weir).await?;
        let text = scrape(&weir).await?;
        let starts = [
            records,
            r#"weir_records_in_total{partition="0",topic="user_clicks""#,
            r#"weir_records_in_total{partition="1",topic="user_clicks""#,
            r#"weir_records_in_total{partition="2",topic="user_clicks""#,
        ];
        let series = text.lines().filter(|line| starts.iter().any(|start| line.starts_with(start))).count();
        assert_eq!(series, expected, "{level}");
        let sum: f64 = text
            .lines()
            .filter(|line| line.starts_with("weir_records_in_total") && !line.contains("__consumer_offsets"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        assert!(sum >= 100.0, "{level}: {sum}");
        // Other people's names know no levels.
        let compat = http::text(&format!("{}/metrics/compat", weir.http())).await?;
        assert!(compat.contains("kafka_server_brokertopicmetrics_messagesin_total{topic=\"user_clicks\"} 100\n"));
        assert!(compat.contains("kafka_log_log_logendoffset{topic=\"user_clicks\",partition=\"2\"} "));
    }

    let tails =
        ["a", "b", "c"].map(|name| format!("  {name}: {{class: file-tail, paths: [none.log], topic: {name}}}\n"));
    let connectors = format!("connectors:\n{}", tails.concat());
    let weir = Weir::up(&folder.path().join("limited"), &["metrics.max.series.per.family: 2"], &connectors).await?;
    let tail = |name: &str| format!(r#"weir_connect_retries_total{{connector="{name}"}}"#);
    wait_until("the connectors' series", LIMIT, async || value(&weir, &tail("__other__")).await.is_ok()).await?;
    assert!(value(&weir, &tail("b")).await.is_ok() && value(&weir, &tail("c")).await.is_err());
    let create =
        |topic: &str| ["--bootstrap-server", &weir.bootstrap(), "--create", "--topic", topic].map(str::to_owned);
    for topic in ["a", "b", "c", "d", "e"] {
        kafka_tool("kafka-topics", &create(topic).iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    assert!(value(&weir, "weir_metrics_dropped_series").await? >= 3.0);
    value(&weir, r#"weir_records_in_total{topic="__other__"}"#).await?;
    assert!(value(&weir, r#"weir_metrics_series{family="weir_records_in_total"}"#).await? <= 3.0);
    Ok(())
}
