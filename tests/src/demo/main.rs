//! `make demo`: log files, rotated under load, through Weir into Postgres and the search index, live in a terminal.
//!
//! Ends on Ctrl-C, or after `DEMO_SECONDS`; then it proves by each line's own number that every line is in Postgres
//! exactly once and in the index exactly once, and exits 1 if not. `DEMO_RATE` is lines per second and file.

mod figures;
mod generator;
mod proof;
mod screen;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use weir_tests::postgres::Postgres;
use weir_tests::process::Process;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Ports, binary, free_port};

use crate::figures::{Figures, Gauge};
use crate::generator::Generator;
use crate::screen::Screen;

const RATE_DEFAULT: u64 = 2_000;
const REDRAW_EVERY: Duration = Duration::from_millis(500);
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long the pipeline may take to drain after the last line.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// What this demo needs to know of one log file and where its lines go.
pub(crate) struct Stream {
    pub(crate) file: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) table: &'static str,
    pub(crate) index: &'static str,
    pub(crate) format: weir_tests::lines::Format,
}

/// The streams of `examples/access-log/weir.yaml`.
pub(crate) const STREAMS: [Stream; 2] = [
    Stream {
        file: "access.log",
        topic: "access",
        table: "access_log",
        index: "access-*",
        format: weir_tests::lines::Format::Nginx,
    },
    Stream { file: "app.log", topic: "app", table: "app_log", index: "app-*", format: weir_tests::lines::Format::Json },
];

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(1)
        }
    }
}

async fn demo() -> Result<bool> {
    let seconds: Option<u64> = number_from("DEMO_SECONDS")?;
    let rate = number_from("DEMO_RATE")?.unwrap_or(RATE_DEFAULT);
    let folder = tempfile::Builder::new().prefix("weir-demo-").tempdir()?;
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs)?;

    println!("starting a private Postgres …");
    let mut postgres = Postgres::start().await?;
    create_tables(&postgres).await?;
    let ports = usual_or_free()?;
    println!("starting weir up -c examples/access-log/weir.yaml …");
    let mut weir = start_weir(folder.path(), &logs, &postgres.url(), ports).await?;

    let gauge = Gauge::new(ports, postgres.pool().await?);
    let generator = Generator::start(&logs, rate)?;
    let mut screen = Screen::new(ports, &postgres.url(), folder.path());
    let began = Instant::now();
    let over = async || seconds.is_some_and(|limit| began.elapsed().as_secs() >= limit);
    let interrupted = watch(&gauge, &generator, &mut screen, &mut weir, over).await?;
    let written = generator.stop()?;

    screen.say("the last line is written; waiting for the pipeline to drain …");
    let drained = async || {
        let figures = gauge.read(&written).await;
        screen.draw(&figures);
        figures.is_drained()
    };
    let drained = wait_until("the pipeline to drain", DRAIN_LIMIT, drained).await;
    let proved = proof::prove(&gauge, &written).await?;
    weir.stop()?;
    postgres.stop()?;
    if interrupted {
        println!("stopped cleanly");
    }
    drained.map(|()| proved)
}

/// Redraws until `over` or Ctrl-C; true for the latter.
async fn watch(
    gauge: &Gauge,
    generator: &Generator,
    screen: &mut Screen,
    weir: &mut Process,
    over: impl AsyncFn() -> bool,
) -> Result<bool> {
    let mut ticks = tokio::time::interval(REDRAW_EVERY);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        tokio::select! {
            _ = &mut interrupt => return Ok(true),
            _ = ticks.tick() => {}
        }
        anyhow::ensure!(weir.ended()?.is_none(), "weir ended by itself:\n{}", weir.log_tail());
        let figures: Figures = gauge.read(&generator.written()).await;
        screen.draw(&figures);
        if over().await {
            return Ok(false);
        }
    }
}

async fn create_tables(postgres: &Postgres) -> Result<()> {
    let sql = include_str!("../../../examples/access-log/schema.sql");
    sqlx::raw_sql(sql).execute(&postgres.pool().await?).await.context("examples/access-log/schema.sql")?;
    Ok(())
}

async fn start_weir(folder: &Path, logs: &Path, postgres_url: &str, ports: Ports) -> Result<Process> {
    let mut command = Command::new(binary()?);
    command.args(["up", "-c"]).arg(example()).current_dir(folder);
    for (key, value) in [
        ("broker.listeners", format!("PLAINTEXT://localhost:{}", ports.kafka)),
        ("http.listeners", format!("http://localhost:{}", ports.http)),
        ("connect.listeners", format!("http://localhost:{}", ports.connect)),
        ("search.listeners", format!("http://localhost:{}", ports.search)),
    ] {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command.env("LOGS", logs).env("POSTGRES_URL", postgres_url);
    // Ctrl-C in the terminal reaches the whole foreground group: Weir is to end only when told to.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut weir = Process::start("weir", command, &folder.join("weir.log"))?;
    let url = format!("http://localhost:{}/health/ready", ports.http);
    let ready = async || weir_tests::http::is_ok(&url).await;
    if let Err(error) = wait_until("weir to be ready", READY_LIMIT, ready).await {
        weir.ended()?;
        anyhow::bail!("{error}\n{}", weir.log_tail());
    }
    Ok(weir)
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/access-log/weir.yaml")
}

/// Weir's usual ports where they are free, else any.
fn usual_or_free() -> Result<Ports> {
    let or_free = |port: u16| {
        let taken = std::net::TcpListener::bind(("127.0.0.1", port)).is_err();
        if taken { free_port() } else { Ok(port) }
    };
    Ok(Ports { kafka: or_free(9092)?, http: or_free(9464)?, connect: or_free(8083)?, search: or_free(9200)? })
}

fn number_from(variable: &str) -> Result<Option<u64>> {
    match std::env::var(variable) {
        Ok(text) => Ok(Some(text.parse().with_context(|| format!("{variable}={text} is not a number"))?)),
        Err(_) => Ok(None),
    }
}
