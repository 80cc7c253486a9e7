//! A `weir` process on ports of its own, in a folder of its own.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http::is_ok;
use crate::process::Process;
use crate::wait::wait_until;

const READY_LIMIT: Duration = Duration::from_secs(30);

/// The addresses that one `weir up` listens on.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub kafka: u16,
    pub http: u16,
    pub connect: u16,
    pub search: u16,
}

impl Ports {
    pub fn free() -> Result<Self> {
        Ok(Self { kafka: free_port()?, http: free_port()?, connect: free_port()?, search: free_port()? })
    }
}

/// Below the ports that systems give to outgoing connections (from 32768 on): those would take one before a server does.
const PORTS: RangeInclusive<u16> = 10_000..=32_000;
const PORT_TRIES: usize = 1000;

/// A port that nothing listens on now, and that nothing is likely to take before who asked for it.
pub fn free_port() -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut tried = std::iter::repeat_with(|| rand::random_range(PORTS)).take(PORT_TRIES);
    tried.find(is_free).context("no port from 10000 to 32000 is free")
}

/// The `weir` that was built with the tests, beside them in the target folder; or the one that `WEIR_BINARY` names.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("WEIR_BINARY") {
        return Ok(named.into());
    }
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).map(|folder| folder.join("weir")).find(|path| path.is_file());
    beside.context("no weir beside the tests: run cargo build -p weir")
}

/// `weir …` with a clean environment as far as Weir is concerned.
pub fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    Ok(command)
}

/// A running `weir up`, restartable in place.
pub struct Weir {
    pub ports: Ports,
    folder: PathBuf,
    process: Option<Process>,
    more: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Weir {
    /// `weir up` with its data, its log and its weir.yaml in `folder`; `sections` are further top-level YAML
    /// sections, `broker` are further lines of the broker's section (`key: value`).
    pub async fn up(folder: &Path, broker: &[&str], sections: &str) -> Result<Self> {
        Self::up_with(folder, broker, sections, &[]).await
    }

    /// The same with environment variables.
    pub async fn up_with(folder: &Path, broker: &[&str], sections: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let ports = Ports::free()?;
        std::fs::create_dir_all(folder)?;
        let broker: String = broker.iter().map(|line| format!("  {line}\n")).collect();
        let yaml = format!(
            "data: {data}\nbroker:\n  listeners: PLAINTEXT://127.0.0.1:{kafka}\n{broker}\
             http:\n  listeners: http://127.0.0.1:{http}\n\
             search:\n  listeners: http://127.0.0.1:{search}\n\
             connect:\n  listeners: http://127.0.0.1:{connect}\n{sections}",
            data = folder.join("data").display(),
            kafka = ports.kafka,
            http = ports.http,
            search = ports.search,
            connect = ports.connect,
        );
        std::fs::write(folder.join("weir.yaml"), yaml)?;
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut weir = Self { ports, folder: folder.to_owned(), process: None, more: Vec::new(), variables };
        weir.start().await?;
        Ok(weir)
    }

    /// Starts it again, on the same ports and folder; returns once it is ready.
    pub async fn start(&mut self) -> Result<()> {
        let config = self.folder.join("weir.yaml").to_string_lossy().into_owned();
        let mut command = command(&["up", "-c", &config])?;
        command.args(&self.more).envs(self.variables.iter().cloned()).current_dir(&self.folder);
        self.process = Some(Process::start("weir", command, &self.log_path())?);
        let url = format!("{}/health/ready", self.http());
        wait_until("weir to be ready", READY_LIMIT, async || self.has_ended() || is_ok(&url).await).await?;
        anyhow::ensure!(!self.has_ended(), "weir ended at once:\n{}", self.log());
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| !matches!(process.ended(), Ok(None)))
    }

    pub fn kill_9(&mut self) -> Result<()> {
        self.process.take().context("weir is not running")?.kill_9()
    }

    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.take().context("weir is not running")?.stop()?;
        anyhow::ensure!(status.success(), "weir ended with {status}:\n{}", self.log());
        Ok(())
    }

    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What it holds of memory now.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id().context("weir runs")?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("a figure")?.parse::<u64>()? << 10)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("weir.log")
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.kafka)
    }

    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.http)
    }

    pub fn connect(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.connect)
    }

    pub fn search(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.search)
    }
}

/// A running `weir connect run`, beside a broker that may be anything that speaks Kafka's protocol.
pub struct Worker {
    ports: Ports,
    process: Process,
}

impl Worker {
    /// In `folder`, with further arguments.
    pub fn start(folder: &Path, bootstrap: &str, arguments: &[&str]) -> Result<Self> {
        let ports = Ports::free()?;
        let settings = [
            format!("connect.bootstrap.servers={bootstrap}"),
            format!("connect.listeners=http://localhost:{}", ports.connect),
            format!("http.listeners=localhost:{}", ports.http),
        ];
        let mut command = command(&["connect", "run"])?;
        command.args(arguments).current_dir(folder);
        for setting in &settings {
            command.args(["--set", setting]);
        }
        let process = Process::start("weir connect run", command, &folder.join("worker.log"))?;
        Ok(Self { ports, process })
    }

    pub fn kill_9(mut self) -> Result<()> {
        self.process.kill_9()
    }

    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    pub fn rest(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.connect)
    }

    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.http)
    }
}

/// A running `weir search`.
pub struct SearchNode {
    ports: Ports,
    process: Process,
}

impl SearchNode {
    /// With its data in `folder`; returns once it is ready.
    pub async fn start(folder: &Path) -> Result<Self> {
        let ports = Ports::free()?;
        let mut command = command(&["search"])?;
        command.args(["--set", &format!("search.listeners=http://localhost:{}", ports.search)]);
        command.args(["--set", &format!("http.listeners=http://localhost:{}", ports.http)]).current_dir(folder);
        let process = Process::start("weir search", command, &folder.join("search.log"))?;
        let ready = format!("http://127.0.0.1:{}/health/ready", ports.http);
        wait_until("weir search to be ready", READY_LIMIT, async || is_ok(&ready).await)
            .await
            .with_context(|| process.log_tail())?;
        Ok(Self { ports, process })
    }

    pub fn ports(&self) -> Ports {
        self.ports
    }

    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.search)
    }
}
