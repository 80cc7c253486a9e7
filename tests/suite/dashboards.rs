//! Every panel of every dashboard, asked of a real Prometheus and a real search node about a system under load: each has
//! something to show, what went wrong is shown, and figures are those of the system.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use weir_tests::clients::python_script;
use weir_tests::lines::{Format, LineWriter};
use weir_tests::postgres::Postgres;
use weir_tests::process::{Process, run};
use weir_tests::prometheus::{Prometheus, Target};
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

/// Rules by this much faster than as they are shipped: scrapes come each second.
const FACTOR: u32 = 30;
const BROKER: [&str; 2] = ["group.lag.window.ms: 8000", "log.retention.check.interval.ms: 500"];
const LINES_PER_ROUND: u64 = 100;
const ROUND: Duration = Duration::from_millis(500);
const ABANDONED: usize = 500;
const READ_OF_THEM: usize = 200;
const LIMIT: Duration = Duration::from_secs(60);
/// Panels that are empty when all is well, though not here.
const WRONG: [&str; 8] = [
    "What is wrong",
    "Alerts, over time",
    "Errors answered",
    "Errors",
    "Dead letters and retries",
    "Deleted",
    "Rebalances",
    "Group rebalances",
];
/// Panels that need longer than this test.
const SLOW: [&str; 2] = ["Time to drain", "to drain"];

/// What the dashboards show: answers by dashboard, panel and legend or heading.
struct Shown(Vec<Json>);

impl Shown {
    fn of(prometheus: &Prometheus, weir: &Weir) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/live.py");
        let mut live = Command::new("python3");
        live.arg(script).args(["--prometheus", prometheus.url(), "--search", &weir.search()]);
        live.args(["--seconds", "60", "--rate-interval", "10s"]);
        Ok(Self(serde_json::from_str(&run(live)?)?))
    }

    fn panels(&self) -> impl Iterator<Item = (&str, &Json, &Json)> {
        self.0.iter().flat_map(|dashboard| {
            let uid = dashboard["uid"].as_str().unwrap_or_default();
            dashboard["panels"].as_array().into_iter().flatten().map(move |one| (uid, &one["panel"], &one["answers"]))
        })
    }

    /// Why panels are not as they should be, one line each.
    fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (uid, panel, answers) in self.panels().filter(|(_, panel, _)| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap_or_default();
            // Said so by the panel: there may be nothing to show.
            let may_be_empty =
                panel["fieldConfig"]["defaults"]["noValue"].as_str().is_some_and(|text| text.contains(' '));
            let answers = answers.as_array().map(Vec::as_slice).unwrap_or_default();
            let empty =
                |answer: &&Json| !has_data(answer) && !SLOW.contains(&answer["legend"].as_str().unwrap_or_default());
            if may_be_empty && WRONG.contains(&title) && answers.iter().all(|answer| !has_data(answer)) {
                found.push(format!("{uid}: {title}: nothing, though something went wrong"));
            } else if !may_be_empty && !SLOW.contains(&title) {
                found.extend(
                    answers.iter().filter(empty).map(|answer| format!("{uid}: {title}: no data: {}", answer["query"])),
                );
            }
        }
        found
    }

    /// The value now of the series with this label, if it has it, in the answer with this legend.
    fn value(&self, uid: &str, title: &str, legend: &str, label: (&str, &str)) -> Option<f64> {
        let of_panel = |(at, panel, _): &(&str, &Json, &Json)| *at == uid && panel["title"] == title;
        let answers =
            self.panels().filter(of_panel).flat_map(|(_, _, answers)| answers.as_array().into_iter().flatten());
        let series = answers.filter(|answer| answer["legend"] == legend).flat_map(|answer| answer["series"].as_array());
        let has = |series: &&Json| series["metric"].get(label.0).is_none_or(|value| value == label.1);
        let found = series.flatten().find(has)?;
        let point = found["values"].as_array().and_then(|values| values.last()).unwrap_or(&found["value"]);
        point[1].as_str()?.parse().ok()
    }
}

fn has_data(answer: &Json) -> bool {
    let series = answer["series"].as_array().is_some_and(|series| !series.is_empty());
    let found = answer["answer"]["hits"]["total"]["value"].as_u64().is_some_and(|total| total > 0);
    series || found
}

/// A pipeline from a file into Postgres and the index; lines that are no JSON are put aside.
async fn pipeline(folder: &Path, postgres: &Postgres) -> Result<Weir> {
    let logs = folder.join("logs");
    std::fs::create_dir(&logs)?;
    let create = "create table app_log (line bigint, level text, service text, message text)";
    sqlx::raw_sql(create).execute(&postgres.pool().await?).await?;
    let yaml = format!(
        "defaults:\n  errors: {{tolerance: all, deadletterqueue.topic.name: 'dead-letters'}}\nconnectors:\n\
         \x20 tail: {{class: file-tail, paths: ['{logs}/app.log*'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n\
         \x20 rows: {{class: postgres, topics: [app], url: '{url}', table: app_log}}\n\
         \x20 docs: {{class: search, topics: [app], url: embedded, index: 'app-%Y.%m.%d'}}\n",
        logs = logs.display(),
        url = postgres.url(),
    );
    Weir::up(folder, &BROKER, &yaml).await
}

fn create_topic(weir: &Weir, topic: &str, config: &[&str]) -> Result<()> {
    let mut create = command(&["topics", "create", topic, "--partitions", "2"])?;
    create.args(config).env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
    run(create).map(drop)
}

fn client(weir: &Weir, name: &str, arguments: &[&str]) -> Result<Process> {
    let script = python_script("groups.py", arguments)?;
    Process::start(name, script, &weir.folder().join(format!("{name}.log")))
}

/// Sends each line that a shell command prints.
fn send(bootstrap: &str, topic: &str, printing: &str) -> Result<()> {
    let mut produce = Command::new("sh");
    let script = format!("{printing} | kcat -P -b {bootstrap} -t {topic} -p 0 -X batch.num.messages=500");
    produce.args(["-c", &script]);
    run(produce).map(drop)
}

/// What goes on until it is told to stop: lines, some of them poison, orders and their consumer, errors, retention at work.
struct Load {
    stop: Arc<AtomicBool>,
    rounds: JoinHandle<Result<u64>>,
    _clients: [Process; 2],
}

impl Load {
    fn start(weir: &Weir) -> Result<Self> {
        let bootstrap = weir.bootstrap();
        ["orders", "abandoned"].iter().try_for_each(|topic| create_topic(weir, topic, &[]))?;
        create_topic(weir, "brief", &["--config", "segment.bytes=16384", "--config", "retention.bytes=16384"])?;
        let clients = [
            client(weir, "producer", &["produce", &bootstrap, "100", "orders"])?,
            client(weir, "consumer", &["consume", &bootstrap, "orders", "keeps-up", "0", "0"])?,
        ];
        send(&bootstrap, "abandoned", &format!("seq {ABANDONED}"))?;
        let read = READ_OF_THEM.to_string();
        let mut consume = command(&["consume", "abandoned", "--from-beginning", "--group", "gone", "-n", &read])?;
        consume.env("WEIR_BOOTSTRAP_SERVER", &bootstrap);
        run(consume)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (until, logs) = (Arc::clone(&stop), weir.folder().join("logs"));
        let rounds = std::thread::spawn(move || rounds(&bootstrap, &logs, &until));
        Ok(Self { stop, rounds, _clients: clients })
    }

    /// How many lines were written.
    fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.rounds.join().map_err(|_| anyhow::anyhow!("the load has panicked"))?
    }
}

fn rounds(bootstrap: &str, logs: &Path, stop: &AtomicBool) -> Result<u64> {
    let mut writer = LineWriter::create(&logs.join("app.log"), Format::Json)?;
    let mut poison = OpenOptions::new().create(true).append(true).open(logs.join("app.log.poison"))?;
    while !stop.load(Ordering::Relaxed) {
        writer.write(LINES_PER_ROUND)?;
        writeln!(poison, "this is no JSON")?;
        send(bootstrap, "brief", "seq 5000")?;
        let refused = send(bootstrap, "brief", "printf '%020000d' 7");
        ensure!(refused.is_err(), "a record larger than a segment was taken");
        std::thread::sleep(ROUND);
    }
    Ok(writer.written())
}

/// Bytes of all segments of a topic's partitions.
fn bytes_on_disk(data: &Path, topic: &str) -> Result<u64> {
    let mut sum = 0;
    for partition in std::fs::read_dir(data.join("broker"))? {
        let partition = partition?;
        let is_of_topic =
            partition.file_name().to_string_lossy().rsplit_once('-').is_some_and(|(name, _)| name == topic);
        for file in is_of_topic.then(|| std::fs::read_dir(partition.path())).transpose()?.into_iter().flatten() {
            let file = file?;
            if file.path().extension().is_some_and(|extension| extension == "log") {
                sum += file.metadata()?.len();
            }
        }
    }
    Ok(sum)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_what_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let weir = pipeline(folder.path(), &postgres).await?;
    let targets = [Target { job: "weir", cluster: "test", url: weir.http() }];
    let prometheus = Prometheus::start(&folder.path().join("prometheus"), FACTOR, "", &targets).await?;
    let load = Load::start(&weir)?;

    let mut complaints = Vec::new();
    let waited = wait_until("every panel to have data", LIMIT, async || {
        let shown = Shown::of(&prometheus, &weir);
        complaints = shown.map_or_else(|error| vec![format!("{error:#}")], |shown| shown.complaints());
        complaints.is_empty()
    });
    waited.await.with_context(|| complaints.join("\n"))?;

    let lines = load.stop()?;
    let data = folder.path().join("data");
    let truth = [
        ("weir-groups", "Groups", "unread", ("group", "gone"), (ABANDONED - READ_OF_THEM) as f64),
        ("weir-groups", "Groups", "status", ("group", "gone"), 4.0),
        ("weir-topics", "Topics", "size", ("topic", "abandoned"), bytes_on_disk(&data, "abandoned")? as f64),
        ("weir-topics", "Topics", "groups", ("topic", "abandoned"), 1.0),
        ("weir-connect", "Connectors", "unwritten", ("connector", "docs"), 0.0),
        ("weir-connect", "Indexes", "documents", ("index", "app"), lines as f64),
        ("weir-cluster", "Groups in trouble", "__auto", ("cluster", "test"), 1.0),
        ("weir-cluster", "Tasks failed", "__auto", ("cluster", "test"), 0.0),
        ("weir-cluster", "Health", "__auto", ("cluster", "test"), 1.0),
        ("weir-itself", "Processes", "__auto", ("cluster", "test"), 1.0),
    ];
    let mut differs = Vec::new();
    let waited = wait_until("figures to be those of the system", LIMIT, async || {
        differs.clear();
        let shown = Shown::of(&prometheus, &weir);
        for (uid, title, legend, label, truth) in truth {
            let value = shown.as_ref().ok().and_then(|shown| shown.value(uid, title, legend, label));
            if value.is_none_or(|value| (value - truth).abs() > f64::EPSILON) {
                differs.push(format!("{title}, {legend}: shown {value:?}, is {truth}"));
            }
        }
        differs.is_empty()
    });
    waited.await.with_context(|| differs.join("\n"))
}
