//! `auto.create` and `auto.evolve`: columns from what the records hold.
//!
//! | the values seen | column |
//! |---|---|
//! | true and false | boolean |
//! | whole numbers that fit | bigint |
//! | numbers with a fraction, or both kinds | double precision |
//! | texts that all are ISO 8601 times with a date | timestamptz |
//! | other texts, or kinds mixed | text |
//! | objects and arrays | jsonb |
//!
//! Nulls say nothing: a field that is always null gets its column when it first has a value. Columns are nullable, but
//! for those of the key, which are the primary key.

use indexmap::IndexMap;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use weir_connect_api::{ConnectError, Payload, SinkRecord};

use super::catalogue::{self, Table};
use super::config::{PkMode, Settings, UnknownFields};
use super::encode::time;
use super::error::connect_error;
use super::name::{TableName, quoted, quoted_list};

/// Records that a new table is inferred from.
pub(super) const SAMPLE_RECORDS_MAX: usize = 1_000;
/// Postgres' own limit of columns is 1,600; records with more fields than this have keys for names.
const COLUMNS_MAX: usize = 500;
const KAFKA_KEY_TYPES: [&str; 3] = ["text", "integer", "bigint"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inferred {
    Boolean,
    Bigint,
    Double,
    Timestamptz,
    Text,
    Jsonb,
}

impl Inferred {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Bigint,
            Value::Number(_) => Self::Double,
            Value::String(text) if time::looks_like_a_time(text) => Self::Timestamptz,
            Value::String(_) => Self::Text,
            Value::Array(_) | Value::Object(_) => Self::Jsonb,
        })
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Bigint, Self::Double) | (Self::Double, Self::Bigint) => Self::Double,
            _ => Self::Text,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Bigint => "bigint",
            Self::Double => "double precision",
            Self::Timestamptz => "timestamptz",
            Self::Text => "text",
            Self::Jsonb => "jsonb",
        }
    }
}

/// Columns in the order their fields were first met.
#[derive(Debug, Default)]
struct Columns(IndexMap<String, Inferred>);

impl Columns {
    fn see(&mut self, name: &str, value: &Value) {
        let Some(inferred) = Inferred::of(value) else { return };
        match self.0.get_mut(name) {
            Some(known) => *known = known.or(inferred),
            None => {
                self.0.insert(name.to_owned(), inferred);
            }
        }
    }

    fn see_payload(&mut self, payload: &Payload, plain_column: Option<&str>) {
        let parsed = match payload {
            Payload::JsonText(text) => serde_json::from_slice(text).ok(),
            Payload::Json(json) => Some(json.clone()),
            Payload::Bytes(bytes) => Some(Value::String(String::from_utf8_lossy(bytes).into_owned())),
            Payload::Null => None,
        };
        match (parsed, plain_column) {
            (Some(Value::Object(object)), _) => object.iter().for_each(|(name, value)| self.see(name, value)),
            (Some(value), Some(column)) => self.see(column, &value),
            _ => {}
        }
    }
}

/// The statement that makes a table for such records, or `None` when they hold nothing to go by.
fn create_sql(name: &TableName, settings: &Settings, sample: &[SinkRecord]) -> Result<Option<String>, ConnectError> {
    let mut columns = Columns::default();
    for record in sample {
        columns.see_payload(&record.record.value, Some(&settings.value_column));
        if settings.pk_mode == PkMode::RecordKey {
            let single = <&[String; 1]>::try_from(&settings.pk_fields[..]).ok();
            columns.see_payload(&record.record.key, single.map(|[field]| field.as_str()));
        }
    }
    if columns.0.is_empty() {
        return Ok(None);
    }
    check_count(name, columns.0.len())?;
    let mut types: IndexMap<&str, &str> =
        columns.0.iter().map(|(name, inferred)| (name.as_str(), inferred.sql())).collect();
    if let UnknownFields::Jsonb { column } = &settings.unknown_fields {
        types.insert(column, "jsonb");
    }
    if settings.pk_mode == PkMode::Kafka {
        for (column, sql) in settings.pk_fields.iter().zip(KAFKA_KEY_TYPES) {
            types.insert(column, sql);
        }
    }
    let mut lines: Vec<String> = types.iter().map(|(name, sql)| format!("{} {sql}", quoted(name))).collect();
    if settings.pk_mode != PkMode::None {
        if let Some(missing) = settings.pk_fields.iter().find(|field| !types.contains_key(field.as_str())) {
            return Err(ConnectError::fatal(format!(
                "table {name} cannot be created: no record has the field \"{missing}\" of pk.fields"
            )));
        }
        if settings.pk_fields.is_empty() {
            return Err(ConnectError::fatal(format!("table {name} cannot be created without pk.fields: set them")));
        }
        lines.push(format!("primary key ({})", quoted_list(settings.pk_fields.iter().map(String::as_str))));
    }
    Ok(Some(format!("create table if not exists {name} ({})", lines.join(", "))))
}

fn check_count(name: &TableName, count: usize) -> Result<(), ConnectError> {
    if count <= COLUMNS_MAX {
        return Ok(());
    }
    Err(ConnectError::fatal(format!(
        "table {name} would get {count} columns, more than {COLUMNS_MAX}: set unknown.fields=jsonb or create the table"
    )))
}

/// Creates the table; `false` when the sample holds nothing to go by.
pub(super) async fn create(
    connection: &mut PgConnection,
    name: &TableName,
    settings: &Settings,
    sample: &[SinkRecord],
) -> Result<bool, ConnectError> {
    let name = catalogue::qualified(connection, name).await.map_err(connect_error)?;
    let Some(sql) = create_sql(&name, settings, sample)? else { return Ok(false) };
    tracing::info!(table = %name, %sql, "creating the table");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map_err(connect_error)?;
    Ok(true)
}

fn evolve_sql(name: &TableName, unknown: &[(String, Value)]) -> String {
    let mut columns = Columns::default();
    unknown.iter().for_each(|(name, value)| columns.see(name, value));
    let add = columns
        .0
        .iter()
        .map(|(name, inferred)| format!("add column if not exists {} {}", quoted(name), inferred.sql()));
    format!("alter table {name} {}", add.collect::<Vec<_>>().join(", "))
}

/// Adds columns for fields that have none.
pub(super) async fn evolve(
    connection: &mut PgConnection,
    table: &Table,
    unknown: &[(String, Value)],
) -> Result<(), ConnectError> {
    check_count(&table.name, table.columns.len() + unknown.len())?;
    let sql = evolve_sql(&table.name, unknown);
    tracing::info!(table = %table.name, %sql, "adding columns");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map_err(connect_error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columns_type_holds_every_value_seen() {
        let inferred = |values: &str| {
            let mut columns = Columns::default();
            let values: Vec<Value> = serde_json::from_str(values).unwrap();
            values.iter().for_each(|value| columns.see("x", value));
            columns.0.get("x").map(|inferred| inferred.sql())
        };
        assert_eq!(inferred("[1, 2, null]"), Some("bigint"));
        assert_eq!(inferred("[1, 2.5]"), Some("double precision"));
        assert_eq!(inferred("[18446744073709551615]"), Some("double precision"));
        assert_eq!(inferred("[true]"), Some("boolean"));
        assert_eq!(inferred(r#"["2026-10-10T13:55:36Z"]"#), Some("timestamptz"));
        assert_eq!(inferred(r#"["2026-10-10T13:55:36Z", "soon"]"#), Some("text"));
        assert_eq!(inferred(r#"[1, "a"]"#), Some("text"));
        assert_eq!(inferred("[{}, []]"), Some("jsonb"));
        assert_eq!(inferred("[null]"), None);
    }

    #[test]
    fn new_columns_are_quoted() {
        let name = TableName::parse("t").unwrap();
        let sql = evolve_sql(&name, &[("a\"b".to_owned(), Value::from(1)), ("c".to_owned(), Value::from("x"))]);
        assert_eq!(
            sql,
            "alter table \"t\" add column if not exists \"a\"\"b\" bigint, add column if not exists \"c\" text"
        );
    }
}
