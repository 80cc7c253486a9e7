//! A private Postgres for tests: its own data folder, port and sockets.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Row as _};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// With what this SQL makes.
    pub(crate) async fn with_schema(schema: &'static str) -> (Self, PgPool) {
        let server = Self::start().await;
        let pool = server.pool().await;
        sqlx::raw_sql(schema).execute(&pool).await.unwrap();
        (server, pool)
    }

    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("weir-postgres-").tempdir().unwrap();
        if rustix::process::getuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, process: None };
        let mut initdb = as_server("initdb");
        initdb.arg("-D").arg(server.data()).args(["-U", "weir", "--auth=trust", "--no-sync", "-E", "UTF8"]);
        run(initdb.arg("--locale=C.UTF-8"));
        server.resume().await;
        server
    }

    /// Starts it again after [`Server::stop`], on the same port.
    pub(crate) async fn resume(&mut self) {
        let mut postgres = as_server("postgres");
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        postgres.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "fsync=on", "-c", "max_wal_size=4GB"]);
        self.process = Some(postgres.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let started = Instant::now();
        while self.connect().await.is_err() {
            assert!(started.elapsed() < START_LIMIT, "postgres did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As a crash: no transaction is finished, no connection is told.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let postmaster = rustix::process::Pid::from_child(&process);
            // Immediate shutdown: backends end at once.
            let _ = rustix::process::kill_process(postmaster, rustix::process::Signal::QUIT);
            process.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://weir@127.0.0.1:{}/postgres", self.port)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options().connect().await?;
        connection.ping().await?;
        Ok(connection)
    }

    pub(crate) async fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(4).connect_with(self.options()).await.unwrap()
    }

    fn options(&self) -> PgConnectOptions {
        self.url().parse().unwrap()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Postgres refuses to run as root, so root runs it as the user that Debian's package makes.
fn as_server(name: &str) -> Command {
    let program = newest(name);
    let mut command = if rustix::process::getuid().is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        setpriv
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

/// Debian keeps the servers of all versions side by side, off the PATH.
fn newest(name: &str) -> PathBuf {
    let root = Path::new("/usr/lib/postgresql");
    let versions = std::fs::read_dir(root).expect("these tests need the package postgresql");
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let programs = versions.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((version(&path)?, path.join("bin").join(name)))
    });
    programs.filter(|(_, program)| program.exists()).max().expect("these tests need the package postgresql").1
}

/// The first column of the first row.
pub(crate) async fn text(pool: &PgPool, sql: &'static str) -> Option<String> {
    sqlx::query(sql).fetch_one(pool).await.unwrap().get(0)
}
