//! Offsets and rows move together, whatever is interrupted.

use sqlx::PgPool;
use sqlx::Row;
use weir_connect_api::ErrorClass;

use crate::server::Server;
use crate::sink::{Sink, ids, offsets, partition};

const TABLE: (&str, &str) = ("table", "items");

async fn with_table() -> (Server, PgPool) {
    let server = Server::start().await;
    let pool = server.pool().await;
    sqlx::query("create table items (id bigint, name text)").execute(&pool).await.unwrap();
    (server, pool)
}

/// Rows and distinct rows.
async fn counts(pool: &PgPool) -> (i64, i64) {
    let row = sqlx::query("select count(*), count(distinct id) from items").fetch_one(pool).await.unwrap();
    (row.get(0), row.get(1))
}

async fn stored(pool: &PgPool) -> Option<i64> {
    let next = sqlx::query_scalar("select next_offset from weir_connect_offsets where topic = 't' and partition = 0");
    next.fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn rows_and_offset_are_committed_together_and_a_new_task_goes_on_there() {
    let (server, pool) = with_table().await;
    let mut sink = Sink::start(&server.url(), &[TABLE]).await;
    assert_eq!(sink.task.open(&[partition()]).await.unwrap().get(&partition()), None);
    assert_eq!(sink.write(ids(0..1000)).await.unwrap(), Some(1000));
    assert_eq!(stored(&pool).await, Some(1000));
    sink.task.stop().await;

    let mut next = Sink::start(&server.url(), &[TABLE]).await;
    assert_eq!(next.task.open(&[partition()]).await.unwrap().get(&partition()), Some(&1000));
    // Records that the worker reads a second time are not written a second time.
    assert_eq!(next.write(ids(900..1100)).await.unwrap(), Some(1100));
    assert_eq!(counts(&pool).await, (1100, 1100));
}

#[tokio::test]
async fn a_task_that_was_replaced_can_commit_nothing() {
    let (server, pool) = with_table().await;
    let mut zombie = Sink::open(&server.url(), &[TABLE]).await;
    zombie.write(ids(0..10)).await.unwrap();
    let mut successor = Sink::open(&server.url(), &[TABLE]).await;
    let error = zombie.write(ids(10..20)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Fatal);
    assert!(error.message.contains("t-0 of connector test was taken over by another task"), "{error}");
    assert_eq!(successor.write(ids(10..20)).await.unwrap(), Some(20));
    assert_eq!(counts(&pool).await, (20, 20));
}

#[tokio::test]
async fn records_that_gave_no_row_count_as_done() {
    let (server, pool) = with_table().await;
    let mut sink = Sink::open(&server.url(), &[TABLE]).await;
    sink.task.put(ids(0..1), &[(partition(), 50)].into()).await.unwrap();
    assert_eq!(sink.flush().await.unwrap()[&partition()], 50);
    assert_eq!(stored(&pool).await, Some(50));
}

#[tokio::test]
async fn altered_offsets_are_where_the_next_task_starts() {
    let (server, pool) = with_table().await;
    Sink::open(&server.url(), &[TABLE]).await.write(ids(0..10)).await.unwrap();
    let mut idle = Sink::start(&server.url(), &[TABLE]).await;
    idle.task.alter_offsets(&offsets(Some(4))).await.unwrap();
    assert_eq!(stored(&pool).await, Some(4));
    assert_eq!(idle.task.open(&[partition()]).await.unwrap()[&partition()], 4);
    assert_eq!(idle.write(ids(4..6)).await.unwrap(), Some(6));
    idle.task.alter_offsets(&offsets(None)).await.unwrap();
    assert_eq!(Sink::start(&server.url(), &[TABLE]).await.task.open(&[partition()]).await.unwrap().len(), 0);
}
