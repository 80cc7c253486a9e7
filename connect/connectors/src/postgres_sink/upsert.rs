//! Rows by key: `INSERT … SELECT … FROM unnest(…) ON CONFLICT …` and `DELETE … USING unnest(…)`.
//!
//! A column is one array parameter, so that a statement has as many parameters as the table has columns, and its text
//! is the same for any number of rows. Of several rows with one key only the last is sent.

use std::collections::HashMap;
use std::ops::Range;

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnection, PgTypeInfo};
use sqlx::{AssertSqlSafe, Postgres, Type};

use super::batch::TableRows;
use super::catalogue::Kind;
use super::encode::fields;
use super::encode::json::{array_header, set_array_length};
use super::encode::layout::{Layout, Op};
use super::error::StatementError;
use super::name::{quoted, quoted_list};

const TEXT_OID: u32 = 25;
const TEXT_ARRAY_OID: u32 = 1009;

pub(super) async fn write(
    connection: &mut PgConnection,
    table: &TableRows,
    rows: Range<usize>,
) -> Result<(), StatementError> {
    let last = last_of_each_key(table, rows);
    let deleted: Vec<usize> = last.iter().copied().filter(|row| table.rows.rows[*row].op == Op::Delete).collect();
    if !deleted.is_empty() {
        delete(connection, table, &deleted).await?;
    }
    let mut by_defaults: HashMap<u64, Vec<usize>> = HashMap::new();
    for row in last.into_iter().filter(|row| table.rows.rows[*row].op == Op::Write) {
        by_defaults.entry(table.rows.rows[row].present).or_default().push(row);
    }
    for (present, rows) in by_defaults {
        insert(connection, table, present, &rows).await?;
    }
    Ok(())
}

/// In offset order of their last appearance.
fn last_of_each_key(table: &TableRows, rows: Range<usize>) -> Vec<usize> {
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(rows.len());
    for row in rows.filter(|row| !table.reported[*row]) {
        last.insert(&table.rows.keys[table.rows.rows[row].key.clone()], row);
    }
    let mut last: Vec<usize> = last.into_values().collect();
    last.sort_unstable();
    last
}

async fn insert(
    connection: &mut PgConnection,
    table: &TableRows,
    present: u64,
    rows: &[usize],
) -> Result<(), StatementError> {
    let columns: Vec<usize> = table.layout.columns(present).collect();
    let encoded = rows.iter().map(|row| {
        // The count of fields stands in front of a row.
        &table.rows.bytes[table.rows.rows[*row].bytes.start + 2..table.rows.rows[*row].bytes.end]
    });
    let arrays = arrays(&table.layout, &columns, encoded);
    execute(connection, insert_sql(&table.layout, &columns), arrays).await
}

async fn delete(connection: &mut PgConnection, table: &TableRows, rows: &[usize]) -> Result<(), StatementError> {
    let encoded = rows.iter().map(|row| &table.rows.keys[table.rows.rows[*row].key.clone()]);
    let arrays = arrays(&table.layout, &table.layout.key, encoded);
    execute(connection, delete_sql(&table.layout), arrays).await
}

async fn execute(connection: &mut PgConnection, sql: String, arrays: Vec<RawArray>) -> Result<(), StatementError> {
    let query = sqlx::query(AssertSqlSafe(sql));
    arrays.into_iter().fold(query, |query, array| query.bind(array)).execute(connection).await?;
    Ok(())
}

fn insert_sql(layout: &Layout, columns: &[usize]) -> String {
    let name = |i: &usize| layout.table.columns[*i].name.as_str();
    let others: Vec<&str> = columns.iter().filter(|i| !layout.key.contains(i)).map(name).collect();
    let action = if others.is_empty() {
        "do nothing".to_owned()
    } else {
        let set: Vec<String> = others.iter().map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
        format!("do update set {}", set.join(", "))
    };
    let all = quoted_list(columns.iter().map(name));
    format!(
        "insert into {} ({all}) select {} from unnest({}) as r ({all}) on conflict ({}) {action}",
        layout.table.name,
        columns.iter().map(|i| selected(layout, *i)).collect::<Vec<_>>().join(", "),
        parameters(columns.len()),
        quoted_list(layout.key.iter().map(name)),
    )
}

fn delete_sql(layout: &Layout) -> String {
    let names: Vec<&str> = layout.key.iter().map(|i| layout.table.columns[*i].name.as_str()).collect();
    let equal: Vec<String> = names.iter().map(|name| format!("t.{0} = k.{0}", quoted(name))).collect();
    format!(
        "delete from {} as t using unnest({}) as k ({}) where {}",
        layout.table.name,
        parameters(names.len()),
        quoted_list(names.iter().copied()),
        equal.join(" and ")
    )
}

fn selected(layout: &Layout, column: usize) -> String {
    let known = &layout.table.columns[column];
    match layout.kinds[column] {
        Some(Kind::ArrayText(_)) => format!("r.{}::{}", quoted(&known.name), known.type_name),
        _ => format!("r.{}", quoted(&known.name)),
    }
}

fn parameters(count: usize) -> String {
    (1..=count).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ")
}

/// Rows of fields to one array per column.
fn arrays<'a>(layout: &Layout, columns: &[usize], rows: impl Iterator<Item = &'a [u8]>) -> Vec<RawArray> {
    let mut arrays: Vec<RawArray> = columns.iter().map(|column| RawArray::new(layout, *column)).collect();
    let mut count = 0;
    for row in rows {
        count += 1;
        for (array, field) in arrays.iter_mut().zip(fields(row)) {
            array.bytes.extend_from_slice(field);
        }
    }
    for array in &mut arrays {
        set_array_length(&mut array.bytes, count);
    }
    arrays
}

/// An array parameter that is encoded already.
struct RawArray {
    oid: u32,
    bytes: Vec<u8>,
}

impl RawArray {
    fn new(layout: &Layout, column: usize) -> Self {
        let known = &layout.table.columns[column];
        let (element_oid, oid) = match layout.kinds[column] {
            Some(Kind::ArrayText(_)) => (TEXT_OID, TEXT_ARRAY_OID),
            _ => (known.oid, known.array_oid),
        };
        let mut bytes = Vec::new();
        array_header(&mut bytes, element_oid);
        Self { oid, bytes }
    }
}

impl Type<Postgres> for RawArray {
    /// Every value says its own type: see [`Encode::produces`].
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(TEXT_ARRAY_OID))
    }
}

impl Encode<'_, Postgres> for RawArray {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oid)))
    }
}
