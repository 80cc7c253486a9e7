//! Bad rows, upserts and deletes.

use weir_connect_api::ErrorClass;

use crate::server::{Server, text};
use crate::sink::{Reported, Sink, ids, json, keyed, partition};

const TABLE: (&str, &str) = ("table", "items");
const UPSERT: [(&str, &str); 4] =
    [TABLE, ("insert.mode", "upsert"), ("pk.mode", "record_key"), ("delete.enabled", "true")];

#[tokio::test]
async fn bad_rows_are_reported_alone_and_the_others_are_written() {
    let (server, pool) = Server::with_schema(
        "create table items (id int primary key, name varchar(5) not null, constraint small check (id < 1000));
         insert into items values (7, 'seven')",
    )
    .await;
    let mut sink = Sink::open(&server.url(), &[TABLE]).await;
    let mut records = ids(0..100);
    // Refused by Postgres, each for another reason, and by the encoder.
    records[20] = json(20, r#"{"id": 20, "name": "longer than five"}"#);
    records[21] = json(21, r#"{"id": 2000, "name": "big"}"#);
    records[50] = json(50, r#"{"id": 50}"#);
    records[60] = json(60, r#"{"id": 60, "name": "a\u0000b"}"#);
    records[70] = json(70, r#"{"id": "seventy", "name": "x"}"#);
    records[71] = json(71, r#"{"id": 71, "name": "#);
    assert_eq!(sink.write(records).await.unwrap(), Some(100));
    let mut offsets = sink.reported_offsets();
    offsets.sort_unstable();
    assert_eq!(offsets, [7, 20, 21, 50, 60, 70, 71]);
    let reason = |offset| sink.reported().into_iter().find(|(o, _)| *o == offset).unwrap().1;
    assert!(reason(7).contains("23505"), "{}", reason(7));
    assert!(reason(21).contains("\"small\""), "{}", reason(21));
    assert!(reason(70).contains("column \"id\" (integer): the value does not fit: \"seventy\""), "{}", reason(70));
    assert!(reason(71).starts_with("the value is not JSON"), "{}", reason(71));
    assert_eq!(text(&pool, "select count(*)::text from items").await.unwrap(), "94");
}

#[tokio::test]
async fn a_row_that_only_a_deferred_constraint_refuses_is_found() {
    let (server, pool) = Server::with_schema(
        "create table parents (id int primary key); insert into parents values (1);
         create table items (id int, parent int references parents deferrable initially deferred)",
    )
    .await;
    let mut sink = Sink::open(&server.url(), &[TABLE]).await;
    let parent =
        |offset| json(offset, &format!(r#"{{"id": {offset}, "parent": {}}}"#, if offset == 3 { 9 } else { 1 }));
    assert_eq!(sink.write((0..8).map(parent).collect()).await.unwrap(), Some(8));
    assert_eq!(sink.reported_offsets(), [3]);
    assert_eq!(text(&pool, "select count(*)::text from items").await.unwrap(), "7");
}

#[tokio::test]
async fn without_tolerance_a_bad_row_fails_the_task_and_nothing_moves() {
    let (server, pool) = Server::with_schema("create table items (id int, name text)").await;
    let refusing = Reported { refuses: true, ..Reported::default() };
    let mut sink = Sink::start_with(&server.url(), &[TABLE], refusing).await;
    sink.task.open(&[partition()]).await.unwrap();
    let error = sink.write(vec![json(0, r#"{"id": 1}"#), json(1, r#"{"id": "x"}"#)]).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Fatal);
    assert_eq!(text(&pool, "select count(*)::text from items").await.unwrap(), "0");
}

#[tokio::test]
async fn the_last_record_of_a_key_counts_and_a_tombstone_deletes() {
    let (server, pool) = Server::with_schema(
        "create table items (id int primary key, name text, tags text[], at timestamptz default '2000-01-01Z')",
    )
    .await;
    let mut sink = Sink::open(&server.url(), &UPSERT).await;
    let records = vec![
        keyed(0, r#"{"id": 1}"#, Some(r#"{"name": "first", "tags": ["a", "b \"c\", \\d", null]}"#)),
        keyed(1, r#"{"id": 2}"#, Some(r#"{"name": "gone"}"#)),
        keyed(2, r#"{"id": 1}"#, Some(r#"{"name": "second", "tags": ["x", "y \"z\", \\", null]}"#)),
        keyed(3, r#"{"id": 2}"#, None),
        // A bare key does for a key of one column.
        keyed(4, "3", Some(r#"{"name": "three", "at": "2026-10-10T00:00:00Z"}"#)),
    ];
    assert_eq!(sink.write(records).await.unwrap(), Some(5));
    let rows = "select string_agg(concat_ws('|', id, name, tags, extract(year from at)), ' ' order by id) from items";
    let expected = r#"1|second|{x,"y \"z\", \\",NULL}|2000 3|three|2026"#;
    assert_eq!(text(&pool, rows).await.unwrap(), expected);
    assert_eq!(
        sink.write(vec![keyed(5, "1", None), keyed(6, "3", Some(r#"{"name": "drei"}"#))]).await.unwrap(),
        Some(7)
    );
    assert_eq!(text(&pool, rows).await.unwrap(), "3|drei|2026");
}

#[tokio::test]
async fn when_the_last_record_of_a_key_is_bad_the_one_before_counts() {
    let (server, pool) = Server::with_schema("create table items (id int primary key, name varchar(5))").await;
    let mut sink = Sink::open(&server.url(), &UPSERT).await;
    let records = vec![
        keyed(0, "1", Some(r#"{"name": "good"}"#)),
        keyed(1, "1", Some(r#"{"name": "much too long"}"#)),
        keyed(2, "", Some(r#"{"name": "keyless"}"#)),
    ];
    assert_eq!(sink.write(records).await.unwrap(), Some(3));
    let mut reported = sink.reported_offsets();
    reported.sort_unstable();
    assert_eq!(reported, [1, 2]);
    assert_eq!(text(&pool, "select name from items").await.unwrap(), "good");
}

#[tokio::test]
async fn a_table_of_keys_alone_takes_repeated_keys() {
    let (server, pool) = Server::with_schema("create table items (id int primary key)").await;
    let mut sink = Sink::open(&server.url(), &[TABLE, ("insert.mode", "upsert"), ("pk.mode", "record_value")]).await;
    sink.write(vec![json(0, r#"{"id": 1}"#), json(1, r#"{"id": 1}"#)]).await.unwrap();
    assert_eq!(sink.write(vec![json(2, r#"{"id": 1}"#)]).await.unwrap(), Some(3));
    assert_eq!(text(&pool, "select count(*)::text from items").await.unwrap(), "1");
}

#[tokio::test]
async fn the_position_in_kafka_can_be_the_key() {
    let (server, pool) =
        Server::with_schema("create table items (t text, p int, o bigint, name text, primary key (t, p, o))").await;
    let mut sink =
        Sink::open(&server.url(), &[TABLE, ("insert.mode", "upsert"), ("pk.mode", "kafka"), ("pk.fields", "t,p,o")])
            .await;
    assert_eq!(sink.write(ids(0..3)).await.unwrap(), Some(3));
    let rows = text(&pool, "select string_agg(concat_ws('|', t, p, o, name), ' ' order by o) from items").await;
    assert_eq!(rows.unwrap(), "t|0|0|n0 t|0|1|n1 t|0|2|n2");
}
