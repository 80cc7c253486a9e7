//! `/metrics/compat` of a live process under load: every name that other people's dashboards ask for, and figures that are
//! right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use weir_tests::clients::{kcat, python_script};
use weir_tests::http;
use weir_tests::process::run;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, Worker, command};

use crate::metrics::{families, promtool_complaints};

const LIMIT: Duration = Duration::from_secs(30);
const REQUIRED: &str = include_str!("../check/compat.txt");
/// What Kafka's and its exporters' names do not keep of Prometheus's customs.
const CUSTOMS: [&str; 3] = [
    "counter metrics should have \"_total\" suffix",
    "non-histogram and non-summary metrics should not have \"_count\" suffix",
    "non-histogram and non-summary metrics should not have \"_sum\" suffix",
];
const READ: &str = "100";
const UNREAD: &str = "40";
const GROUP: &str = r#"consumergroup="analytics_group_1""#;
const TOPIC: &str = r#"topic="user_clicks""#;

/// The series of one page.
struct Page {
    text: String,
}

impl Page {
    async fn of(base: &str) -> Result<Self> {
        Ok(Self { text: http::text(&format!("{base}/metrics/compat")).await? })
    }

    /// Labels and value of each series of a name.
    fn series(&self, name: &str) -> Vec<(&str, f64)> {
        let rest = self.text.lines().filter_map(|line| line.strip_prefix(name));
        let series = rest.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit_once(' '));
        series.filter_map(|(labels, value)| Some((labels, value.parse().ok()?))).collect()
    }

    /// Over the series that have all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let found = self.series(name).into_iter().filter(|(own, _)| labels.iter().all(|label| own.contains(label)));
        found.map(|(_, value)| value).sum()
    }

    fn labels(&self, name: &str) -> BTreeSet<String> {
        let series = self.series(name);
        let labels = series.iter().flat_map(|(labels, _)| labels.trim_matches(['{', '}']).split("\","));
        labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned())).collect()
    }

    /// What is required and not there.
    fn missing(&self) -> Vec<&'static str> {
        let lines = REQUIRED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let is_missing = |line: &&str| {
            let (name, labels) = line.split_once(' ').unwrap_or((line, ""));
            let labels: BTreeSet<String> = labels.split_whitespace().map(str::to_owned).collect();
            self.series(name).is_empty() || self.labels(name) != labels
        };
        lines.filter(is_missing).collect()
    }
}

/// A group that has read a part, a connector that met lines it cannot use, a record that was refused.
async fn system(folder: &std::path::Path) -> Result<Weir> {
    fs::write(folder.join("app.log"), "{\"n\": 1}\nnot json\n{\"n\": 2}\n{\"n\": 3}\nneither\n")?;
    let yaml = format!(
        "defaults:\n  errors: {{tolerance: all, deadletterqueue.topic.name: 'dead-letters'}}\nconnectors:\n\
         \x20 tail: {{class: file-tail, paths: ['{}/app.log'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n",
        folder.display()
    );
    let weir = Weir::up(folder, &["num.partitions: 3"], &yaml).await?;
    run(python_script("clicks.py", &["produce", &weir.bootstrap(), READ])?)?;
    run(python_script("clicks.py", &["consume", &weir.bootstrap(), READ])?)?;
    run(python_script("clicks.py", &["produce", &weir.bootstrap(), UNREAD])?)?;
    let small = ["topics", "create", "small", "--config", "max.message.bytes=100", "--partitions", "1"];
    run({
        let mut create = command(&small)?;
        create.env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
        create
    })?;
    let large = folder.join("large");
    fs::write(&large, "x".repeat(1000))?;
    let refused = kcat(&["-b", &weir.bootstrap(), "-P", "-t", "small", &large.to_string_lossy()]);
    ensure!(refused.is_err(), "a record beyond max.message.bytes was taken");
    Ok(weir)
}

/// The series of `/metrics` that is written so.
async fn native(weir: &Weir, series: &str) -> Result<f64> {
    let text = http::text(&format!("{}/metrics", weir.http())).await?;
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(found.with_context(|| format!("no {series}"))?.parse()?)
}

fn equal(name: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{name}: {found}, not {expected}");
}

#[tokio::test]
async fn every_name_is_there_and_its_figure_is_right() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = system(folder.path()).await?;
    let told = async || {
        let page = Page::of(&weir.http()).await;
        page.is_ok_and(|page| {
            page.sum("kafka_producer_outgoing_byte_total", &[]) > 0.0
                && page.sum("kafka_connect_task_error_total_record_failures", &[]) >= 2.0
        })
    };
    wait_until("the worker's clients to tell what they sent", LIMIT, told).await?;
    let page = Page::of(&weir.http()).await?;
    let missing = page.missing();
    ensure!(missing.is_empty(), "not there: {missing:#?} in\n{}", page.text);
    let complaints = promtool_complaints(&page.text)?;
    let unusual: Vec<&String> =
        complaints.iter().filter(|said| !CUSTOMS.iter().any(|custom| said.ends_with(custom))).collect();
    ensure!(unusual.is_empty(), "promtool: {unusual:#?}");
    families(&page.text)?;

    groups_and_partitions(&page);
    traffic(&page, &weir).await?;
    broker(&page);
    requests(&page);
    connect(&page, &weir).await
}

fn groups_and_partitions(page: &Page) {
    let (read, unread): (f64, f64) = (100.0, 40.0);
    for (name, labels, expected) in [
        ("kafka_topic_partitions", vec![TOPIC], 3.0),
        ("kafka_topic_partition_current_offset", vec![TOPIC], read + unread),
        ("kafka_topic_partition_oldest_offset", vec![TOPIC], 0.0),
        ("kafka_partition_latest_offset", vec![TOPIC], read + unread),
        ("kafka_log_log_logendoffset", vec![TOPIC], read + unread),
        ("kafka_topic_partition_replicas", vec![TOPIC], 3.0),
        ("kafka_topic_partition_in_sync_replica", vec![TOPIC], 3.0),
        ("kafka_topic_partition_leader_is_preferred", vec![TOPIC], 3.0),
        ("kafka_topic_partition_under_replicated_partition", vec![], 0.0),
        ("kafka_consumergroup_current_offset", vec![GROUP, TOPIC], read),
        ("kafka_consumergroup_current_offset_sum", vec![GROUP, TOPIC], read),
        ("kafka_consumergroup_lag", vec![GROUP, TOPIC], unread),
        ("kafka_consumergroup_lag_sum", vec![GROUP, TOPIC], unread),
        ("kafka_consumergroup_members", vec![GROUP], 0.0),
        ("kafka_consumergroup_group_lag", vec![TOPIC], unread),
        ("kafka_consumergroup_group_offset", vec![TOPIC], read),
    ] {
        equal(name, page.sum(name, &labels), expected);
    }
    let largest = |name: &str| page.series(name).into_iter().map(|(_, value)| value).fold(0.0, f64::max);
    equal("max", page.sum("kafka_consumergroup_group_max_lag", &[]), largest("kafka_consumergroup_group_lag"));
    let (millis, seconds) =
        (largest("kafka_consumer_lag_millis"), largest("kafka_consumergroup_group_max_lag_seconds"));
    assert!(seconds > 0.0 && seconds < 120.0 && (millis / 1000.0 - seconds).abs() < 2.0, "{millis} ms, {seconds} s");
}

async fn traffic(page: &Page, weir: &Weir) -> Result<()> {
    let of = |what: &str, topic: &str| page.sum(&format!("kafka_server_brokertopicmetrics_{what}_total"), &[topic]);
    equal("records", of("messagesin", TOPIC), 140.0);
    equal("bytes in", of("bytesin", TOPIC), native(weir, r#"weir_bytes_in_total{topic="user_clicks"}"#).await?);
    let out = native(weir, r#"weir_bytes_out_total{topic="user_clicks",kind="consume"}"#).await?;
    equal("bytes out", of("bytesout", TOPIC), out);
    assert!(of("totalproducerequests", TOPIC) >= 2.0 && of("totalfetchrequests", TOPIC) >= 3.0);
    equal("failed", of("failedproducerequests", TOPIC), 0.0);
    let small = r#"topic="small""#;
    assert!(of("failedproducerequests", small) >= 1.0, "{}", of("failedproducerequests", small));
    equal("refused", of("failedproducerequests", small), of("totalproducerequests", small));
    Ok(())
}

fn broker(page: &Page) {
    let partitions = page.series("kafka_log_log_size").len() as f64;
    for (name, expected) in [
        ("kafka_brokers", 1.0),
        ("kafka_server_kafkaserver_brokerstate", 3.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_server_replicamanager_leadercount", partitions),
        ("kafka_server_replicamanager_partitioncount", partitions),
        ("kafka_cluster_partition_replicascount", partitions),
        ("kafka_cluster_partition_atminisr", partitions),
        ("kafka_log_logmanager_offlinelogdirectorycount", 0.0),
    ] {
        equal(name, page.sum(name, &[]), expected);
    }
    for idle in [
        "kafka_network_socketserver_networkprocessoravgidle_percent",
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
    ] {
        assert!((0.0..=1.0).contains(&page.sum(idle, &[])), "{idle}");
    }
    let listener = r#"listener="PLAINTEXT""#;
    assert!(page.sum("kafka_server_socket_server_metrics_connection_count", &[listener]) >= 1.0);
}

fn requests(page: &Page) {
    let name = |phase: &str| format!("kafka_network_requestmetrics_{phase}timems");
    for phase in ["requestqueue", "local", "remote", "responsequeue", "responsesend"] {
        let quantile = |quantile: &str| {
            let quantile = format!(r#"quantile="{quantile}""#);
            page.sum(&name(phase), &[r#"request="Produce""#, &quantile])
        };
        let quantiles = ["0.50", "0.75", "0.95", "0.98", "0.99", "0.999"].map(quantile);
        assert!(quantiles.is_sorted() && quantiles[0] > 0.0 && quantiles[5] < 20_000.0, "{phase}: {quantiles:?}");
        let total = |what: &str| page.sum(&format!("{}_{what}", name(phase)), &[r#"request="Produce""#]);
        assert!(total("count") >= 3.0 && total("sum") > 0.0 && total("sum") / total("count") < 20_000.0);
        equal("followers", page.sum(&format!("{}_count", name(phase)), &[r#"request="FetchFollower""#]), 0.0);
    }
    // A consumer waits for records, not for the broker's work.
    let fetch = |phase: &str| page.sum(&format!("{}_sum", name(phase)), &[r#"request="FetchConsumer""#]);
    assert!(fetch("remote") > fetch("local"), "{} {}", fetch("remote"), fetch("local"));
}

async fn connect(page: &Page, weir: &Weir) -> Result<()> {
    let connectors = http::json(&format!("{}/connectors", weir.connect())).await?;
    let count = connectors.as_array().map_or(0, Vec::len) as f64;
    equal("connectors", page.sum("kafka_connect_worker_connector_count", &[]), count);
    let tail = r#"connector="tail""#;
    let statuses = page.series("kafka_connect_connector_status");
    let of_tail: Vec<_> = statuses.iter().filter(|(labels, _)| labels.contains(tail)).collect();
    assert!(of_tail.len() == 1 && of_tail[0].0.contains(r#"status="running""#), "{of_tail:?}");
    equal("running", page.sum("kafka_connect_worker_connector_running_task_count", &[tail]), 1.0);
    equal("failed", page.sum("kafka_connect_worker_connector_failed_task_count", &[]), 0.0);
    equal("failures", page.sum("kafka_connect_task_error_total_record_failures", &[tail, r#"task="0""#]), 2.0);
    equal("source", page.sum("kafka_connect_connector_connector_type", &[tail, r#"connector_type="source""#]), 1.0);
    assert!(page.sum("kafka_producer_connection_count", &[]) >= 1.0);
    Ok(())
}

#[tokio::test]
async fn a_failed_task_and_a_deleted_connector_are_told_and_a_page_that_is_off_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &["metrics.compat: false"], "").await?;
    let off = http::client().get(format!("{}/metrics/compat", weir.http())).send().await?;
    assert_eq!(off.status().as_u16(), 404);
    assert!(off.text().await?.contains("metrics.compat is false"));

    // The worker alone, whose page is on.
    let worker = Worker::start(folder.path(), &weir.bootstrap(), &[])?;
    wait_until("the worker", LIMIT, async || http::is_ok(&format!("{}/health/ready", worker.http())).await).await?;
    fs::write(folder.path().join("bad.log"), "not json\n")?;
    let path = format!("{}/bad.log", folder.path().display());
    let config = serde_json::json!({"name": "bad", "config": {
        "connector.class": "file-tail", "paths": path, "topic": "bad", "restart.attempts.max": "0",
        "transforms": "parse", "transforms.parse.type": "parse", "transforms.parse.format": "json"}});
    let _: Json = http::post(&format!("{}/connectors", worker.rest()), &config).await?;
    let failed = async || {
        let page = Page::of(&worker.http()).await;
        page.is_ok_and(|page| {
            let status = [r#"connector="bad""#, r#"status="failed""#, r#"task="0""#];
            page.sum("kafka_connect_connector_task_status", &status) > 0.5
                && page.sum("kafka_connect_worker_connector_failed_task_count", &[r#"connector="bad""#]) > 0.5
        })
    };
    wait_until("the failed task to be shown", LIMIT, failed).await?;
    http::client().delete(format!("{}/connectors/bad", worker.rest())).send().await?.error_for_status()?;
    let page = Page::of(&worker.http()).await?;
    ensure!(!page.text.contains("connector=\"bad\""), "{}", page.text);
    let names: BTreeMap<&str, &str> = families(&page.text)?;
    assert!(names.contains_key("kafka_connect_worker_connector_count") && !names.contains_key("kafka_brokers"));
    Ok(())
}
