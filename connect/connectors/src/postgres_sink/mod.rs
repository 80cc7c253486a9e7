//! The Postgres sink: rows by binary COPY or upsert, each record exactly once.
//!
//! Reading order: `config`, `task` (records to batches), `encode` (records to bytes), `write` (a batch to a
//! transaction; `append` and `upsert` below it), `offsets` (how exactly once is kept), `error` (what each SQLSTATE
//! means), `catalogue` and `create` (tables).
//!
//! Invariants:
//! - The offsets of the records move in the transaction that writes their rows, and nowhere else.
//! - A record is written, or its dead letter is acknowledged, before its offset moves.
//! - No value is ever put into the text of a statement; names are quoted.

mod append;
mod batch;
mod catalogue;
mod config;
mod create;
mod encode;
mod error;
mod name;
mod offsets;
mod session;
mod task;
mod upsert;
mod write;

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::Connection as _;
use weir_connect_api::{Config, ConnectError, Connector, ConnectorClass, ConnectorKind, Task, TypedConfig};

use config::Settings;
use session::within;
use task::PostgresSinkTask;

/// The connector class `postgres`.
pub struct PostgresSink;

static CLASS: LazyLock<ConnectorClass> = LazyLock::new(|| ConnectorClass {
    name: "postgres",
    aliases: &["io.confluent.connect.jdbc.JdbcSinkConnector", "io.aiven.connect.jdbc.JdbcSinkConnector"],
    kind: ConnectorKind::Sink,
    doc: "Writes records into Postgres tables, each exactly once.",
    config_def: config::definition(),
    check: Settings::problems,
});

#[async_trait]
impl Connector for PostgresSink {
    fn about(&self) -> &'static ConnectorClass {
        &CLASS
    }

    async fn dial(&self, config: &Config) -> Result<String, ConnectError> {
        let settings = Settings::checked(config)?;
        let limit = settings.connect_timeout;
        let mut connection = session::connect(&settings.connect, limit).await?;
        let about = sqlx::query_scalar::<_, String>(
            "select 'PostgreSQL ' || current_setting('server_version') || ', database ' || current_database() || ', user ' || current_user",
        );
        let mut about = within(limit, "asking for the version", about.fetch_one(&mut connection)).await?;
        if settings.has_one_table() {
            let name = settings.table_for("").map_err(ConnectError::fatal)?;
            let table = within(limit, "finding the table", catalogue::load(&mut connection, &name)).await?;
            about += &match table {
                Some(table) => format!(", table {} with {} columns", table.name, table.columns.len()),
                None if settings.auto_create => format!(", table {name} to be created"),
                None => return Err(task::no_table(&name)),
            };
        }
        // The answer stands, whether or not the server takes note of the farewell.
        let _ = connection.close().await;
        Ok(about)
    }

    /// Rows of different partitions can be written side by side: as many as the user allows.
    fn task_count(&self, _config: &Config, tasks_max: usize) -> usize {
        tasks_max
    }

    fn task(&self) -> Task {
        Task::Sink(Box::<PostgresSinkTask>::default())
    }
}
