//! Every type of column, tables that are made and grown, fields that have no column.

use weir_connect_api::Payload;

use crate::server::{Server, text};
use crate::sink::{Sink, json, record};

const TABLE: (&str, &str) = ("table", "items");

/// Column, JSON, and what Postgres shows; `None` where the record is reported.
const COERCIONS: &[(&str, &str, Option<&str>)] = &[
    ("i2", "-7", Some("-7")),
    ("i2", "40000", None),
    ("i4", "\"12\"", Some("12")),
    ("i4", "5.0", Some("5")),
    ("i4", "5.5", None),
    ("i4", "null", Some("")),
    ("i8", "9223372036854775807", Some("9223372036854775807")),
    ("i8", "9223372036854775808", None),
    ("f4", "1.5", Some("1.5")),
    ("f4", "1e300", None),
    ("f8", "0.1", Some("0.1")),
    ("f8", "\"-2.5e3\"", Some("-2500")),
    ("n", "12345678901234567890.12345678901234567890", Some("12345678901234567890.12345678901234567890")),
    ("n", "\"0.10\"", Some("0.10")),
    ("n", "-1e-3", Some("-0.001")),
    ("n", "\"ten\"", None),
    ("b", "true", Some("t")),
    ("b", "\"no\"", Some("f")),
    ("b", "1", Some("t")),
    ("b", "2", None),
    ("t", "\"ünï \\u2713\"", Some("ünï ✓")),
    ("t", "1.5", Some("1.5")),
    ("t", "{\"a\":[1]}", Some("{\"a\":[1]}")),
    ("v", "\"abc\"", Some("abc")),
    ("v", "\"abcdef\"", None),
    ("tz", "\"2026-10-10T13:55:36.25+02:00\"", Some("2026-10-10 11:55:36.25+00")),
    ("tz", "1791640536", Some("2026-10-10 13:55:36+00")),
    ("tz", "1791640536123", Some("2026-10-10 13:55:36.123+00")),
    ("tz", "\"10/Oct/2026:13:55:36 +0000\"", Some("2026-10-10 13:55:36+00")),
    ("tz", "\"soon\"", None),
    ("ts", "\"2026-10-10 13:55:36\"", Some("2026-10-10 13:55:36")),
    ("d", "\"2026-10-10\"", Some("2026-10-10")),
    ("d", "1791640536123", Some("2026-10-10")),
    ("tm", "\"13:55:36.5\"", Some("13:55:36.5")),
    ("u", "\"6B29FC40-CA47-1067-B31D-00DD010662DA\"", Some("6b29fc40-ca47-1067-b31d-00dd010662da")),
    ("u", "\"6b29\"", None),
    ("ip", "\"10.1.2.3\"", Some("10.1.2.3/32")),
    ("ip", "\"2001:db8::1/64\"", Some("2001:db8::1/64")),
    ("ip", "\"10.1.2\"", None),
    ("net", "\"10.1.0.0/16\"", Some("10.1.0.0/16")),
    ("j", "{\"a\": 1.10}", Some("{\"a\": 1.10}")),
    ("jb", "{\"b\": [1, null], \"a\": \"x\"}", Some("{\"a\": \"x\", \"b\": [1, null]}")),
    ("jb", "\"text\"", Some("\"text\"")),
    ("by", "\"\\\\x00ff\"", Some("\\x00ff")),
    ("by", "\"AP8=\"", Some("\\x00ff")),
    ("ia", "[1, null, \"3\"]", Some("{1,NULL,3}")),
    ("ia", "[]", Some("{}")),
    ("ia", "[[1]]", None),
    ("ta", "[\"a b\", \"c\"]", Some("{\"a b\",c}")),
    ("e", "\"warn\"", Some("warn")),
    ("e", "\"shout\"", None),
    ("dom", "3", Some("3")),
    ("dom", "-3", None),
];

#[tokio::test]
async fn json_is_coerced_to_the_columns_type_or_the_record_is_reported() {
    let (server, pool) = Server::with_schema(
        "create type level as enum ('info', 'warn'); create domain positive as int check (value > 0);
         create table items (id int, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, b bool, t text,
             v varchar(5), tz timestamptz, ts timestamp, d date, tm time, u uuid, ip inet, net cidr, j json, jb jsonb,
             by bytea, ia int[], ta text[], e level, dom positive)",
    )
    .await;
    let mut sink = Sink::open(&server.url(), &[TABLE]).await;
    let records = COERCIONS
        .iter()
        .zip(0..)
        .map(|((column, value, _), offset)| json(offset, &format!(r#"{{"id": {offset}, "{column}": {value}}}"#)));
    sink.write(records.collect()).await.unwrap();
    let reported = sink.reported();
    for ((column, value, expected), offset) in COERCIONS.iter().zip(0..) {
        let sql = sqlx::AssertSqlSafe(format!("select coalesce({column}::text, '') from items where id = {offset}"));
        let shown: Option<String> = sqlx::query_scalar(sql).fetch_optional(&pool).await.unwrap();
        // Postgres 15 writes booleans out as text.
        let shown = shown.map(|shown| if *column == "b" { shown[..1].to_owned() } else { shown });
        assert_eq!(shown.as_deref(), *expected, "{column} of {value}");
        assert_eq!(reported.iter().any(|(o, _)| *o == offset), expected.is_none(), "{column} of {value}");
    }
}

#[tokio::test]
async fn missing_fields_take_the_default_and_generated_columns_fill_themselves() {
    let (server, pool) = Server::with_schema(
        "create table items (id bigint generated always as identity, name text, kind text default 'plain',
             twice int generated always as (size * 2) stored, size int default 1)",
    )
    .await;
    let mut sink = Sink::open(&server.url(), &[TABLE]).await;
    let records = vec![
        json(0, r#"{"name": "a"}"#),
        json(1, r#"{"name": "b", "kind": "rare", "twice": 7}"#),
        json(2, r#"{"name": "c", "size": 5, "kind": null}"#),
        json(3, r#"{"name": "d"}"#),
    ];
    assert_eq!(sink.write(records).await.unwrap(), Some(4));
    let rows = "select string_agg(concat_ws('|', name, kind, size, twice), ' ' order by name) from items";
    assert_eq!(text(&pool, rows).await.unwrap(), "a|plain|1|2 b|rare|1|2 c|5|10 d|plain|1|2");
    assert_eq!(sink.reported(), []);
}

#[tokio::test]
async fn a_field_without_a_column_goes_where_the_configuration_says() {
    let (server, pool) = Server::with_schema("create table items (id int, extra jsonb)").await;
    let value = r#"{"id": 1, "a": {"b": 2}, "c": "x"}"#;
    let mut ignoring = Sink::open(&server.url(), &[TABLE]).await;
    assert_eq!(ignoring.write(vec![json(0, value)]).await.unwrap(), Some(1));
    let mut keeping = Sink::open(&server.url(), &[TABLE, ("unknown.fields", "jsonb")]).await;
    assert_eq!(keeping.write(vec![json(1, value)]).await.unwrap(), Some(2));
    let mut refusing = Sink::open(&server.url(), &[TABLE, ("unknown.fields", "error")]).await;
    assert_eq!(refusing.write(vec![json(2, value)]).await.unwrap(), Some(3));
    assert!(refusing.reported()[0].1.contains("field \"a\" has no column"), "{:?}", refusing.reported());
    let extra = text(&pool, "select string_agg(coalesce(extra::text, 'null'), ' ' order by extra) from items").await;
    assert_eq!(extra.unwrap(), r#"{"a": {"b": 2}, "c": "x"} null"#);
}

#[tokio::test]
async fn a_missing_table_is_made_of_the_first_records_and_grows_with_later_ones() {
    let (server, pool) = Server::with_schema("select 1").await;
    let pairs = [("table", "made"), ("auto.create", "true"), ("auto.evolve", "true"), ("pk.mode", "kafka")];
    let mut sink = Sink::open(&server.url(), &pairs).await;
    let first = vec![
        json(0, r#"{"n": 1, "at": "2026-10-10T00:00:00Z", "tags": ["a"]}"#),
        json(1, r#"{"n": 2.5, "name": "x", "empty": null}"#),
    ];
    assert_eq!(sink.write(first).await.unwrap(), Some(2));
    assert_eq!(sink.write(vec![json(2, r#"{"n": 3, "late": true, "empty": "now"}"#)]).await.unwrap(), Some(3));
    let columns = "select string_agg(column_name || ' ' || udt_name, ', ' order by ordinal_position)
                     from information_schema.columns where table_name = 'made'";
    assert_eq!(
        text(&pool, columns).await.unwrap(),
        "n float8, at timestamptz, tags jsonb, name text, __connect_topic text, __connect_partition int4, \
         __connect_offset int8, late bool, empty text"
    );
    let rows =
        "select string_agg(concat_ws('|', __connect_offset, n, late, empty), ' ' order by __connect_offset) from made";
    assert_eq!(text(&pool, rows).await.unwrap(), "0|1 1|2.5 2|3|t|now");
    let long = "x".repeat(64);
    assert_eq!(sink.write(vec![json(3, &format!(r#"{{"{long}": 1}}"#))]).await.unwrap(), Some(4));
    assert_eq!(sink.reported_offsets(), [3], "a name that Postgres would cut short cannot be a column");
}

#[tokio::test]
async fn a_line_of_text_goes_into_its_column() {
    let (server, pool) = Server::with_schema("create table items (id int, line text)").await;
    let mut sink = Sink::open(&server.url(), &[TABLE, ("value.column", "line")]).await;
    let lines = vec![
        record(0, Payload::Null, Payload::Bytes("plain {line}".into())),
        record(1, Payload::Null, Payload::Bytes(bytes::Bytes::from_static(b"\xff"))),
        json(2, "\"quoted\""),
    ];
    assert_eq!(sink.write(lines).await.unwrap(), Some(3));
    assert_eq!(sink.reported_offsets(), [1]);
    assert_eq!(
        text(&pool, "select string_agg(line, '|' order by line) from items").await.unwrap(),
        "plain {line}|quoted"
    );
}

#[tokio::test]
async fn a_table_that_changes_under_way_is_written_as_it_is_now() {
    let (server, pool) = Server::with_schema("create table items (id int, name text)").await;
    let mut sink = Sink::open(&server.url(), &[TABLE]).await;
    assert_eq!(sink.write(vec![json(0, r#"{"id": 1}"#)]).await.unwrap(), Some(1));
    sqlx::raw_sql("alter table items alter id type bigint").execute(&pool).await.unwrap();
    assert_eq!(sink.write(vec![json(1, r#"{"id": 2}"#)]).await.unwrap(), Some(2));
    assert_eq!(sink.reported(), []);
    assert_eq!(text(&pool, "select string_agg(id::text, ',' order by id) from items").await.unwrap(), "1,2");
}
