//! Rows per second of the Postgres sink beside a plain COPY of the same rows, from records prepared in memory.
//!
//! `cargo run --release -p weir-connectors --example postgres_rows -- postgres://user@localhost/database [rows]`
//!
//! Creates and drops the tables `postgres_rows_sink` and `postgres_rows_copy`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use weir_connect_api::{
    ConnectError, Connector, Payload, Record, RecordReporter, SinkContext, SinkRecord, Task, TopicPartition,
};
use weir_connectors::postgres_sink::PostgresSink;

const ROWS_DEFAULT: i64 = 2_000_000;
/// What a consumer hands over at once.
const POLL_RECORDS: usize = 5_000;
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
const ROUNDS: usize = 3;
const COLUMNS: &str = "line bigint, time timestamptz, clientip inet, verb text, request text, status integer, \
                       bytes bigint, duration double precision, cached boolean";

struct Refuse;

#[async_trait]
impl RecordReporter for Refuse {
    async fn report(&self, _record: &SinkRecord, error: &ConnectError) -> Result<(), ConnectError> {
        Err(error.clone())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: postgres_rows URL [ROWS]")?;
    let rows: i64 = arguments.next().map_or(Ok(ROWS_DEFAULT), |rows| rows.parse())?;
    let mut connection = PgConnection::connect(&url).await?;
    for _ in 0..ROUNDS {
        let copied = copy(&mut connection, rows).await?;
        let sunk = sink(&mut connection, &url, rows).await?;
        println!("copy {copied:.0} rows/s, sink {sunk:.0} rows/s: {:.0} %", sunk / copied * 100.0);
    }
    Ok(())
}

async fn recreate(connection: &mut PgConnection, table: &str) -> Result<(), sqlx::Error> {
    let sql = format!("drop table if exists {table}; create table {table} ({COLUMNS}); checkpoint");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Text of a second and of the values that vary.
fn values(line: i64) -> (String, i64, i64) {
    (
        format!("2026-10-10T13:{:02}:{:02}.{:03}Z", line / 60_000 % 60, line / 1_000 % 60, line % 1_000),
        line % 250,
        line * 37 % 100_000,
    )
}

async fn copy(connection: &mut PgConnection, rows: i64) -> Result<f64, sqlx::Error> {
    let mut text = String::new();
    for line in 0..rows {
        let (time, host, bytes) = values(line);
        let _ = writeln!(
            text,
            "{line}\t{time}\t10.20.30.{host}\tGET\t/articles/{bytes}/comments?page=2\t200\t{bytes}\t0.{host:03}\ttrue"
        );
    }
    recreate(connection, "postgres_rows_copy").await?;
    let started = Instant::now();
    let mut copy = connection.copy_in_raw("copy postgres_rows_copy from stdin").await?;
    for chunk in text.as_bytes().chunks(1 << 16) {
        copy.send(chunk).await?;
    }
    copy.finish().await?;
    let speed = rows as f64 / started.elapsed().as_secs_f64();
    sqlx::raw_sql("drop table postgres_rows_copy").execute(connection).await?;
    Ok(speed)
}

async fn sink(connection: &mut PgConnection, url: &str, rows: i64) -> Result<f64, Box<dyn std::error::Error>> {
    recreate(connection, "postgres_rows_sink").await?;
    let partition = TopicPartition::new("postgres_rows", 0);
    let record = |offset: i64| {
        let (time, host, bytes) = values(offset);
        let value = format!(
            r#"{{"line":{offset},"time":"{time}","clientip":"10.20.30.{host}","verb":"GET","request":"/articles/{bytes}/comments?page=2","status":200,"bytes":{bytes},"duration":0.{host:03},"cached":true}}"#
        );
        let record = Record {
            topic: Some(Arc::clone(&partition.topic)),
            value: Payload::JsonText(Bytes::from(value)),
            ..Record::default()
        };
        SinkRecord { origin: partition.clone(), offset, record, original: None }
    };
    let mut polls: Vec<Vec<SinkRecord>> = Vec::new();
    for offset in 0..rows {
        match polls.last_mut() {
            Some(poll) if poll.len() < POLL_RECORDS => poll.push(record(offset)),
            _ => polls.push(vec![record(offset)]),
        }
    }
    let connector = PostgresSink;
    let raw = [("url", url), ("table", "postgres_rows_sink")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let config = connector.config_def().parse(&raw.into()).map_err(|problems| format!("{problems:?}"))?;
    let Task::Sink(mut task) = connector.task() else { return Err("not a sink".into()) };
    let name = Arc::from("postgres_rows");
    task.start(SinkContext { connector: name, task_index: 0, config, reporter: Arc::new(Refuse) }).await?;
    task.alter_offsets(&[(partition.clone(), None)].into()).await?;
    task.open(std::slice::from_ref(&partition)).await?;
    let started = Instant::now();
    let mut flushed = started;
    for poll in polls {
        let read_to = poll.last().map(|last| (partition.clone(), last.offset + 1)).into_iter().collect();
        task.put(poll, &read_to).await?;
        if flushed.elapsed() > FLUSH_INTERVAL {
            task.flush().await?;
            flushed = Instant::now();
        }
    }
    task.flush().await?;
    let speed = rows as f64 / started.elapsed().as_secs_f64();
    task.stop().await;
    let written: i64 =
        sqlx::query_scalar("select count(*) from postgres_rows_sink").fetch_one(&mut *connection).await?;
    if written != rows {
        return Err(format!("{written} rows instead of {rows}").into());
    }
    sqlx::raw_sql("drop table postgres_rows_sink").execute(connection).await?;
    Ok(speed)
}
