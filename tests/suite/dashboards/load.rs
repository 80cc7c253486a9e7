//! A system under load, some of which goes wrong, and what the test knows of it.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::runtime::Handle;
use weir_tests::clients::Programs;
use weir_tests::http;
use weir_tests::lines::{Format, LineWriter};
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::weir::{Weir, command};

const BROKER: [&str; 2] = ["group.lag.window.ms: 8000", "log.retention.check.interval.ms: 500"];
const LINES_PER_ROUND: u64 = 100;
const ROUND: Duration = Duration::from_millis(500);
pub(super) const ORDERS_PER_SECOND: u64 = 100;
/// A topic with so many records, of which a group that is gone has read the first.
pub(super) struct Left {
    pub(super) topic: &'static str,
    records: usize,
    pub(super) group: &'static str,
    read: usize,
}

impl Left {
    pub(super) fn unread(&self) -> f64 {
        (self.records - self.read) as f64
    }
}

pub(super) const ABANDONED: Left = Left { topic: "abandoned", records: 500, group: "gone", read: 200 };
pub(super) const DOTTED: Left = Left { topic: "billing.paid", records: 70, group: "away", read: 20 };
/// What the name of the dotted one means, too, where it is taken for a regular expression.
const UNDOTTED: &str = "billing-paid";
/// How much is remembered.
const MARKS_MAX: usize = 1000;

/// A pipeline from a file into Postgres and the index; lines that are no JSON are put aside.
pub(super) async fn pipeline(folder: &Path, postgres: &Postgres) -> Result<Weir> {
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

/// What had come to pass at some time.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    lines: u64,
    /// Of the topic `orders`, on disk.
    orders_bytes: u64,
}

/// By the second, of late.
pub(super) struct Rates {
    pub(super) lines: f64,
    pub(super) orders_bytes: f64,
}

/// What goes on until it is told to stop: lines, some of them poison, orders and their consumer, members that come
/// and go, searches, errors, retention at work.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    marks: Arc<Mutex<VecDeque<Mark>>>,
    rounds: Option<JoinHandle<Result<u64>>>,
    _programs: Programs,
}

impl Load {
    pub(super) fn start(weir: &Weir) -> Result<Self> {
        let bootstrap = weir.bootstrap();
        for topic in [ABANDONED.topic, DOTTED.topic, UNDOTTED, "orders"] {
            create_topic(weir, topic, &[])?;
        }
        create_topic(weir, "brief", &["--config", "segment.bytes=16384", "--config", "retention.bytes=16384"])?;
        let mut programs = Programs::start(&weir.folder().join("programs.log"))?;
        programs.add(&["produce", &bootstrap, &ORDERS_PER_SECOND.to_string(), "orders"])?;
        programs.add(&["consume", &bootstrap, "orders", "keeps-up", "0"])?;
        programs.add(&["storm", &bootstrap, "abandoned", "restless"])?;
        send(&bootstrap, UNDOTTED, "seq 30")?;
        for left in [ABANDONED, DOTTED] {
            send(&bootstrap, left.topic, &format!("seq {}", left.records))?;
            let read = left.read.to_string();
            let mut consume =
                command(&["consume", left.topic, "--from-beginning", "--group", left.group, "-n", &read])?;
            consume.env("WEIR_BOOTSTRAP_SERVER", &bootstrap);
            run(consume)?;
        }
        let (stop, marks) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let rounds = Rounds {
            stop: Arc::clone(&stop),
            marks: Arc::clone(&marks),
            bootstrap,
            search: weir.search(),
            folder: weir.folder().to_owned(),
            runtime: Handle::current(),
        };
        Ok(Self { stop, marks, rounds: Some(std::thread::spawn(move || rounds.run())), _programs: programs })
    }

    /// Over that time, up to the last round.
    pub(super) fn rates(&self, over: Duration) -> Result<Rates> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = marks.back().context("a round has passed")?;
        let first =
            marks.iter().rev().find(|mark| last.at - mark.at >= over).context("it has not gone on for so long")?;
        let by_the_second = |from: u64, to: u64| to.saturating_sub(from) as f64 / (last.at - first.at).as_secs_f64();
        Ok(Rates {
            lines: by_the_second(first.lines, last.lines),
            orders_bytes: by_the_second(first.orders_bytes, last.orders_bytes),
        })
    }

    /// No more lines: how many were written. Orders and their consumer go on.
    pub(super) fn end_of_lines(&mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let rounds = self.rounds.take().context("they ended before")?;
        rounds.join().map_err(|_| anyhow::anyhow!("the load has panicked"))?
    }
}

struct Rounds {
    stop: Arc<AtomicBool>,
    marks: Arc<Mutex<VecDeque<Mark>>>,
    bootstrap: String,
    search: String,
    folder: PathBuf,
    runtime: Handle,
}

impl Rounds {
    fn run(self) -> Result<u64> {
        let logs = self.folder.join("logs");
        let mut writer = LineWriter::create(&logs.join("app.log"), Format::Json)?;
        let mut poison = OpenOptions::new().create(true).append(true).open(logs.join("app.log.poison"))?;
        while !self.stop.load(Ordering::Relaxed) {
            writer.write(LINES_PER_ROUND)?;
            self.mark(writer.written())?;
            writeln!(poison, "this is no JSON")?;
            send(&self.bootstrap, "brief", "seq 5000")?;
            let refused = send(&self.bootstrap, "brief", "printf '%020000d' 7");
            ensure!(refused.is_err(), "a record larger than a segment was taken");
            self.look_for("level:error")?;
            std::thread::sleep(ROUND);
        }
        Ok(writer.written())
    }

    fn mark(&self, lines: u64) -> Result<()> {
        let orders_bytes = bytes_on_disk(&self.folder.join("data"), "orders")?;
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push_back(Mark { at: Instant::now(), lines, orders_bytes });
        if marks.len() > MARKS_MAX {
            marks.pop_front();
        }
        Ok(())
    }

    fn look_for(&self, query: &str) -> Result<()> {
        let url = format!("{}/_search?q={query}", self.search);
        self.runtime.block_on(http::json(&url)).map(drop)
    }
}

fn create_topic(weir: &Weir, topic: &str, config: &[&str]) -> Result<()> {
    let mut create = command(&["topics", "create", topic, "--partitions", "2"])?;
    create.args(config).env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
    run(create).map(drop)
}

/// Sends each line that a shell command prints.
fn send(bootstrap: &str, topic: &str, printing: &str) -> Result<()> {
    let mut produce = Command::new("sh");
    let script = format!("{printing} | kcat -P -b {bootstrap} -t {topic} -p 0 -X batch.num.messages=500");
    produce.args(["-c", &script]);
    run(produce).map(drop)
}

/// Bytes of all segments of a topic's partitions.
pub(super) fn bytes_on_disk(data: &Path, topic: &str) -> Result<u64> {
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
