//! What fails: the server, the connection, the configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{Connection, PgPool};
use weir_connect_api::{Connector, ErrorClass};
use weir_connectors::postgres_sink::PostgresSink;

use crate::server::Server;
use crate::sink::{Sink, config, ids, json, partition};

const TABLE: (&str, &str) = ("table", "items");
const FLUSH_TRIES: usize = 200;

/// As the worker does: again until it succeeds.
async fn flush(sink: &mut Sink) -> i64 {
    for _ in 0..FLUSH_TRIES {
        match sink.flush().await {
            Ok(offsets) => return offsets[&partition()],
            Err(error) => assert!(error.is_retriable(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("flush did not succeed");
}

async fn stored_ids(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select id from items order by id").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_postgres_restarts() {
    let (mut server, pool) = Server::with_schema("create table items (id bigint, name text)").await;
    let mut sink = Sink::open(&server.url(), &[TABLE, ("batch.rows", "100")]).await;
    assert_eq!(sink.write(ids(0..1000)).await.unwrap(), Some(1000));
    server.stop();
    // Some of it is met while the records are taken, the rest by the flush.
    let _ = sink.put(ids(1000..1500)).await;
    let error = sink.flush().await.unwrap_err();
    assert!(error.is_retriable() && error.message.contains("127.0.0.1"), "{error}");
    server.resume().await;
    assert_eq!(flush(&mut sink).await, 1500);
    assert_eq!(stored_ids(&pool).await, (0..1500).collect::<Vec<_>>());
}

/// A trigger that pauses each statement gives the test time to cut the connection in the middle of it, or at the
/// commit: its `deferred` twin runs there.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_at_any_moment_loses_and_doubles_nothing() {
    let (server, pool) = Server::with_schema(
        "create table items (id bigint, name text);
         create function pause() returns trigger language plpgsql as 'begin perform pg_sleep(0.002); return null; end';
         create trigger within after insert on items for each statement execute function pause();
         create constraint trigger at_commit after insert on items deferrable initially deferred
             for each row when (new.id % 50 = 0) execute function pause()",
    )
    .await;
    let mut sink = Sink::open(&server.url(), &[TABLE, ("batch.rows", "50")]).await;
    let killer = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut steps = BTreeSet::new();
            for pause_ms in (0..30).map(|i| i % 12) {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                let cut = "with ours as materialized (
                               select pid, left(query, 6) as step from pg_stat_activity where application_name = 'weir')
                           select step from ours where pg_terminate_backend(pid)";
                steps.extend(sqlx::query_scalar::<_, String>(cut).fetch_all(&pool).await.unwrap());
            }
            steps
        }
    });
    let mut next = 0;
    while !killer.is_finished() {
        if let Err(error) = sink.put(ids(next..next + 120)).await {
            assert!(error.is_retriable(), "{error}");
        }
        next += 120;
        flush(&mut sink).await;
    }
    let steps = killer.await.unwrap();
    assert!(steps.len() >= 2, "the connection was cut at too few different statements: {steps:?}");
    assert_eq!(flush(&mut sink).await, next);
    assert_eq!(stored_ids(&pool).await, (0..next).collect::<Vec<_>>());
    assert_eq!(sink.reported(), []);
}

#[tokio::test]
async fn what_only_a_person_can_mend_fails_at_once_and_says_how() {
    let (server, pool) = Server::with_schema("create table items (id bigint, name text)").await;
    sqlx::raw_sql("create role reader login; grant select on items to reader; create table nokey (id int)")
        .execute(&pool)
        .await
        .unwrap();
    let upsert = [("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "id")];
    let cases = [
        (server.url(), vec![("table", "absent")], "there is no table \"absent\": create it"),
        (server.url(), [&[("table", "nokey")], &upsert[..]].concat(), "create a unique index"),
        (server.url(), [&[TABLE], &upsert[..2], &[("pk.fields", "key")]].concat(), "no column \"key\""),
        (
            server.url().replace("/postgres", "/nowhere").replacen("/nowhere://", "postgres://", 1),
            vec![TABLE],
            "create the database",
        ),
        (server.url().replace("weir@", "stranger@"), vec![TABLE], "SQLSTATE 28000"),
    ];
    for (url, pairs, expected) in cases {
        let mut sink = Sink::start(&url, &pairs).await;
        let error = match sink.task.open(&[partition()]).await {
            Ok(_) => sink.write(vec![json(0, r#"{"id": 1}"#)]).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.class, ErrorClass::Fatal, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
    // The offsets table exists by now, so that the reader gets as far as the grants go.
    let error = Sink::start(&server.url().replace("weir@", "reader@"), &[TABLE]).await;
    let error = { error }.task.open(&[partition()]).await.unwrap_err();
    assert!(error.class == ErrorClass::Fatal && error.message.contains("grant"), "{error}");
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_waited_for() {
    let (server, pool) = Server::with_schema("create table items (id bigint, name text)").await;
    let mut sink = Sink::open(&server.url(), &[TABLE, ("statement.timeout", "1s")]).await;
    let mut holder = pool.begin().await.unwrap();
    sqlx::raw_sql("lock table items").execute(&mut *holder).await.unwrap();
    sink.put(ids(0..10)).await.unwrap();
    let error = sink.flush().await.unwrap_err();
    assert!(error.is_retriable() && error.message.contains("57014"), "{error}");
    holder.rollback().await.unwrap();
    assert_eq!(flush(&mut sink).await, 10);
    assert_eq!(stored_ids(&pool).await.len(), 10);
}

#[tokio::test]
async fn a_server_that_has_no_connection_left_is_waited_for() {
    let (server, pool) = Server::with_schema(
        "create role busy login connection limit 1; grant all on schema public to busy;
         create table items (id bigint, name text); alter table items owner to busy",
    )
    .await;
    let url = server.url().replace("weir@", "busy@");
    let holder = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut sink = Sink::start(&url, &[TABLE]).await;
    let error = sink.task.open(&[partition()]).await.unwrap_err();
    assert!(error.is_retriable() && error.message.contains("53300"), "{error}");
    holder.close().await.unwrap();
    // The server may take a moment to notice.
    for _ in 0..FLUSH_TRIES {
        match sink.task.open(&[partition()]).await {
            Ok(_) => break,
            Err(error) => assert!(error.is_retriable(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sink.write(ids(0..10)).await.unwrap(), Some(10));
    assert_eq!(stored_ids(&pool).await.len(), 10);
}

#[tokio::test]
async fn dialling_names_the_server_and_the_table() {
    let (server, _pool) = Server::with_schema("create table items (id bigint, name text)").await;
    let connector = PostgresSink;
    let about = connector.dial(&config(&server.url(), &[TABLE])).await.unwrap();
    assert!(about.starts_with("PostgreSQL ") && about.contains("\"items\" with 2 columns"), "{about}");
    let error = connector.dial(&config(&server.url(), &[("table", "absent")])).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Fatal);
}
