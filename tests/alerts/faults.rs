//! The faults, real ones: processes are killed, disks filled or held up, records poisoned, groups stopped.

use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_tests::disk::FreezableDisk;
use weir_tests::http;
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::prometheus::Target;
use weir_tests::weir::Worker;

use crate::stage::Stage;

const DISK_BYTES: u64 = 256 << 20;
const INDEX_BYTES: u64 = 128 << 20;
/// Topics of the cluster `groups`, one for each group that goes wrong.
const TOPICS: [&str; 8] = ["high", "critical", "growing", "stalled", "gone", "rewound", "storm", "risk"];
/// A group whose lag in time is no trouble to anybody: it waits for retention.
pub(super) const OBJECTIVES: &str = "groups:\n  - name: of-this-test\n    rules:\n\
    \x20     - record: weir:threshold:group_lag_seconds\n        labels: {group: risk}\n        expr: vector(+Inf)\n";
/// A disk is held up for so long, so that a scrape sees it each time, then for a moment not.
const HOLD: Duration = Duration::from_millis(2_000);
const RELEASE: Duration = Duration::from_millis(2_000);

/// What faults hold until the end.
pub(super) struct Held {
    /// Of the healthy pipeline, and of the connector that loses it.
    _postgres: Postgres,
    away: Postgres,
    worker: Option<Worker>,
    connections: Vec<TcpStream>,
    _shakers: [Shaker; 2],
}

/// Freezes and thaws a disk in turn until dropped.
struct Shaker {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Shaker {
    fn start(disk: FreezableDisk) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            loop {
                let is_over = |wait| stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
                if disk.freeze().is_err() || is_over(HOLD) || disk.thaw().is_err() || is_over(RELEASE) {
                    return;
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Shaker {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Everything that runs and is well, before anything goes wrong; but for disks that are full from the beginning.
pub(super) async fn set_up(stage: &mut Stage) -> Result<Held> {
    let (postgres, away) = (Postgres::start().await?, Postgres::start().await?);
    sqlx::raw_sql("create table rows (line bigint)").execute(&postgres.pool().await?).await?;
    sqlx::raw_sql("create table orders (line bigint)").execute(&away.pool().await?).await?;
    for name in ["down", "log-dir", "offline", "descriptors", "disk-fills", "groups"] {
        stage.cluster(name, "256m", 0, &[]).await?;
    }
    stage.cluster("disk-low", "256m", 230 << 20, &[]).await?;
    stage.cluster("disk-full", "24m", 0, &[]).await?;
    stage.cluster("series", "256m", 0, &["metrics.max.series.per.family: 5"]).await?;
    group_producers(stage)?;
    healthy(stage, &postgres.url()).await?;
    connectors(stage, &away.url()).await?;
    let shakers = [slow_index(stage).await?, slow_log(stage).await?];
    let worker = Worker::start(stage.folder(), &stage.weir("groups")?.bootstrap(), &[])?;
    stage.targets.push(Target { job: "weir-connect", cluster: "worker", url: worker.http() });
    stage.weir_says("offline", &["topics", "create", "broken"])?;
    Ok(Held { _postgres: postgres, away, worker: Some(worker), connections: Vec::new(), _shakers: shakers })
}

/// A pipeline and a group, both of which keep up.
async fn healthy(stage: &mut Stage, url: &str) -> Result<()> {
    stage.disk("healthy", "256m")?;
    let logs = stage.folder().join("healthy/logs");
    std::fs::create_dir(&logs)?;
    let yaml = format!(
        "connectors:\n\
         \x20 tail: {{class: file-tail, paths: ['{logs}/app.log'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n\
         \x20 rows: {{class: postgres, topics: [app], url: '{url}', table: rows}}\n\
         \x20 docs: {{class: search, topics: [app], url: embedded, index: app}}\n",
        logs = logs.display(),
    );
    stage.cluster_on_its_disk("healthy", &[], &yaml).await?;
    stage.weir_says("healthy", &["topics", "create", "orders", "--partitions", "3"])?;
    stage.client("healthy-producer", "healthy", "produce", &["50", "orders"])?;
    stage.client("healthy-consumer", "healthy", "consume", &["orders", "keeps-up", "0", "0"])?;
    stage.repeat("healthy-lines", "echo '{\"line\": 1}' >> healthy/logs/app.log; sleep 0.05")
}

/// Connectors, one for each fault, which all are well as yet but for the one whose table is missing.
async fn connectors(stage: &mut Stage, url: &str) -> Result<()> {
    stage.disk("connect", "256m")?;
    let logs = stage.folder().join("connect/logs");
    std::fs::create_dir(&logs)?;
    let yaml = format!(
        "connectors:\n\
         \x20 no-table: {{class: postgres, topics: [orders], url: '{url}', table: missing, auto.create: 'false'}}\n\
         \x20 away: {{class: postgres, topics: [orders], url: '{url}', table: orders}}\n\
         \x20 letters: {{class: file-tail, paths: ['{logs}/letters.log'], topic: letters, transforms: [{{parse: {{type: json}}}}], \
         errors: {{tolerance: all, deadletterqueue.topic.name: dead}}}}\n\
         \x20 refuses: {{class: file-tail, paths: ['{logs}/refuses.log'], topic: refuses, transforms: [{{parse: {{type: json}}}}], \
         errors: {{tolerance: all}}}}\n\
         \x20 odd: {{class: search, topics: [odd], url: embedded, index: odd, errors: {{tolerance: all}}}}\n",
        logs = logs.display(),
    );
    stage.cluster_on_its_disk("connect", &[], &yaml).await?;
    stage.client("connect-producer", "connect", "produce", &["50", "orders", "odd"])?;
    let good = "for n in 1 2 3 4 5; do echo '{\"line\": 1}'; done";
    stage.repeat("letters", &format!("{good} >> connect/logs/letters.log; sleep 0.05"))?;
    stage.repeat("refuses", &format!("{good} >> connect/logs/refuses.log; sleep 0.05"))
}

/// An index whose disk is held up again and again.
async fn slow_index(stage: &mut Stage) -> Result<Shaker> {
    stage.disk("index", "256m")?;
    let disk = FreezableDisk::mount(&stage.folder().join("index/data/search"), INDEX_BYTES)?;
    let yaml = "connectors:\n  docs: {class: search, topics: [orders], url: embedded, index: orders}\n";
    stage.cluster_on_its_disk("index", &[], yaml).await?;
    stage.client("index-producer", "index", "produce", &["20", "orders"])?;
    Ok(Shaker::start(disk))
}

/// A log whose disk is held up again and again.
async fn slow_log(stage: &mut Stage) -> Result<Shaker> {
    let disk = FreezableDisk::mount(&stage.folder().join("slow/data"), DISK_BYTES)?;
    stage.cluster_on_its_disk("slow", &[], "").await?;
    stage.client("slow-producer", "slow", "produce", &["10", "orders"])?;
    Ok(Shaker::start(disk))
}

/// Topics that get records all the time, and groups that have read some of them.
fn group_producers(stage: &mut Stage) -> Result<()> {
    let short = ["--config", "retention.ms=20000", "--config", "segment.ms=1000"];
    let shortest = ["--config", "retention.ms=3000", "--config", "segment.ms=500"];
    for topic in TOPICS {
        stage.weir_says(
            "groups",
            &[&["topics", "create", topic][..], if topic == "risk" { &short[..] } else { &[] }].concat(),
        )?;
    }
    stage.weir_says("groups", &[&["topics", "create", "lost"], &shortest[..]].concat())?;
    stage.client("groups-producer", "groups", "produce", &[&["50", "lost"], &TOPICS[..]].concat())?;
    // They start before the faults do: records have to grow old first, and nothing may have gathered.
    stage.client("growing", "groups", "consume", &["growing", "growing", "1.5", "0.03", "4.5"])?;
    stage.client("critical", "groups", "consume", &["critical", "critical", "45", "0"])?;
    stage.client("risk", "groups", "consume", &["risk", "risk", "18", "0"])
}

/// Everything goes wrong.
pub(super) async fn cause(stage: &mut Stage, held: &mut Held) -> Result<()> {
    stage.weir_mut("down")?.kill_9()?;
    held.worker.take().context("the worker runs")?.kill_9()?;
    let broker = stage.folder().join("log-dir/data/broker");
    std::fs::rename(&broker, broker.with_extension("away"))?;
    break_a_log(stage).await?;
    held.connections = use_up_descriptors(stage).await?;
    stage.repeat("filling", "head -c 400000 /dev/zero >> disk-fills/ballast; sleep 0.5")?;
    stage.repeat(
        "full",
        &format!(
            "seq -f '%01000g' 2000 | kcat -P -b {} -t full -X message.timeout.ms=1000 -X queue.buffering.max.ms=5",
            stage.weir("disk-full")?.bootstrap()
        ),
    )?;
    held.away.stop()?;
    for topic in TOPICS {
        stage.weir_says("series", &["topics", "create", topic])?;
    }
    poison(stage)?;
    groups(stage)
}

/// A partition whose log cannot be opened.
async fn break_a_log(stage: &mut Stage) -> Result<()> {
    let partition = stage.folder().join("offline/data/broker/broken-0");
    let weir = stage.weir_mut("offline")?;
    weir.stop()?;
    std::fs::remove_dir_all(&partition)?;
    std::fs::write(&partition, "not a folder")?;
    weir.start().await
}

/// Connections until four of five descriptors are taken, of a process that may have few.
async fn use_up_descriptors(stage: &Stage) -> Result<Vec<TcpStream>> {
    let weir = stage.weir("descriptors")?;
    let text = http::text(&format!("{}/metrics", weir.http())).await?;
    let open = text.lines().find_map(|line| line.strip_prefix("process_open_fds ")).context("process_open_fds")?;
    let limit = open.parse::<f64>()? as u64 + 100;
    let process = weir.id().context("it runs")?.to_string();
    let mut limited = Command::new("prlimit");
    limited.args(["--pid", &process, &format!("--nofile={limit}:{limit}")]);
    run(limited)?;
    (0..85).map(|_| Ok(TcpStream::connect(("127.0.0.1", weir.ports.kafka))?)).collect()
}

/// Lines that are no JSON: few for one connector, many for another; and documents that are none.
fn poison(stage: &mut Stage) -> Result<()> {
    stage.repeat("poison-letters", "echo poison >> connect/logs/letters.log; sleep 1")?;
    stage.repeat("poison-refuses", "echo poison >> connect/logs/refuses.log; sleep 0.05")?;
    let bootstrap = stage.weir("connect")?.bootstrap();
    stage.repeat(
        "poison-odd",
        &format!("echo '{{\"@timestamp\": \"yesterday\"}}' | kcat -P -b {bootstrap} -t odd; sleep 1"),
    )
}

fn groups(stage: &mut Stage) -> Result<()> {
    stage.client("high", "groups", "consume", &["high", "high", "10", "0"])?;
    for group in ["stalled", "gone", "lost", "rewound"] {
        stage.weir_says("groups", &["consume", group, "--from-beginning", "--group", group, "-n", "100"])?;
    }
    stage.client("stalled", "groups", "hold", &["stalled", "stalled"])?;
    stage.client("storm", "groups", "storm", &["storm", "storm"])?;
    let back = ["groups", "reset-offsets", "rewound", "--topic", "rewound", "--to-earliest", "--execute"];
    stage.weir_says("groups", &back)?;
    stage.client("rewound", "groups", "consume", &["rewound", "rewound", "0", "0"])
}
