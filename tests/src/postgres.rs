//! A private Postgres: own data folder, own port, own socket folder, nothing of the machine's own server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;

use crate::process::{Process, run};
use crate::wait::wait_for;
use crate::weir::free_port;

const START_LIMIT: Duration = Duration::from_secs(30);
const DATABASE: &str = "weir";

pub struct Postgres {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// Makes a cluster in a temporary folder and starts it; returns once it answers.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("weir-postgres-").tempdir()?;
        if rustix::process::getuid().is_root() {
            run(command("chown", &["postgres", &path(folder.path())]))?;
        }
        let mut postgres = Self { process: None, folder, port: free_port()? };
        let data = path(&postgres.data());
        let superuser = ["-U", "weir", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"];
        run(as_server(&binary("initdb")?, &[&["-D", &data], &superuser[..]].concat()))?;
        postgres.resume().await?;
        let pool = postgres.connect("postgres").await?;
        sqlx::query("create database weir").execute(&pool).await?;
        Ok(postgres)
    }

    /// Starts the server again after [`Postgres::stop`], on the same port.
    pub async fn resume(&mut self) -> Result<()> {
        let (port, data, sockets) = (self.port.to_string(), path(&self.data()), path(self.folder.path()));
        let arguments = ["-D", &data, "-p", &port, "-k", &sockets, "-h", "127.0.0.1"];
        let log = std::env::temp_dir().join(format!("weir-postgres-{port}.log"));
        self.process = Some(Process::start("postgres", as_server(&binary("postgres")?, &arguments), &log)?);
        wait_for("postgres to answer", START_LIMIT, async || self.connect("postgres").await.ok()).await?;
        Ok(())
    }

    /// Stops the server at once, as an administrator's `fast` shutdown does.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::INT)?;
            process.stop()?;
        }
        Ok(())
    }

    /// From here on nobody gets an answer: connections stay, and new ones are taken by the system, but say nothing.
    pub fn freeze(&self) -> Result<()> {
        self.signal_all(Signal::STOP)
    }

    fn signal_all(&self, signal: Signal) -> Result<()> {
        let server = self.process.as_ref().context("Postgres is not running")?;
        // The one that forks first: it may make no more of them.
        server.signal(signal)?;
        let id = server.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
            // One that has ended meanwhile is no trouble.
            let _ = kill_process(child, signal);
        }
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("postgres://weir@127.0.0.1:{}/{DATABASE}", self.port)
    }

    pub async fn pool(&self) -> Result<PgPool> {
        self.connect(DATABASE).await
    }

    async fn connect(&self, database: &str) -> Result<PgPool> {
        let options = PgConnectOptions::new().host("127.0.0.1").port(self.port).username("weir").database(database);
        Ok(PgPoolOptions::new().max_connections(4).connect_with(options).await?)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A frozen one does not end.
        let _ = self.signal_all(Signal::CONT);
        let _ = self.stop();
    }
}

/// Postgres refuses to run as root, so root runs it as the user that Debian's package makes.
fn as_server(program: &Path, arguments: &[&str]) -> Command {
    if !rustix::process::getuid().is_root() {
        return command(program, arguments);
    }
    let mut command = command("setpriv", &["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
    command.arg(program).args(arguments).current_dir("/");
    command
}

fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The newest installed version's program; Debian keeps them off the PATH.
fn binary(name: &str) -> Result<PathBuf> {
    let root = Path::new("/usr/lib/postgresql");
    let versions = std::fs::read_dir(root).with_context(|| format!("{}: install postgresql", root.display()))?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let program = entry.path().join("bin").join(name);
            Some((entry.file_name().to_str()?.parse().ok()?, program.exists().then_some(program)?))
        })
        .collect();
    found.sort();
    match found.pop() {
        Some((_, program)) => Ok(program),
        None => bail!("no {name} below {}: install postgresql", root.display()),
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
