//! What Postgres knows about a table: its columns and how values of their types are written.

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::postgres::types::Oid;

use super::name::{TableName, quoted};

/// How a value of a column is written in Postgres' binary format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// Also varchar, char, citext and enumerations: their binary format is their text.
    Text,
    Bytea,
    Json,
    Jsonb,
    Uuid,
    Inet,
    Cidr,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Array {
        element: Box<Kind>,
        element_oid: u32,
    },
    /// An array as the text that a cast reads: `unnest` would flatten the binary form.
    ArrayText(Box<Kind>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// `None`: this sink cannot write the type.
    pub(super) kind: Option<Kind>,
    /// As people write it: `character varying(20)`.
    pub(super) type_name: String,
    /// The type whose binary format is written (of a domain, what it is made of) and the array of it.
    pub(super) oid: u32,
    pub(super) array_oid: u32,
    pub(super) has_default: bool,
    /// Filled by Postgres alone: never written.
    pub(super) is_generated: bool,
}

impl Column {
    pub(super) fn is_written(&self) -> bool {
        self.kind.is_some() && !self.is_generated
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: TableName,
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<String>,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

const COLUMNS: &str = "
    select a.attname::text as name,
           pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name,
           a.atthasdef or a.attidentity = 'd' as has_default,
           a.attgenerated <> '' or a.attidentity = 'a' as is_generated,
           b.oid as oid, b.typname::text as base_name, b.typtype::text as base_type, b.typarray as array_oid,
           e.oid as element_oid, e.typname::text as element_name, e.typtype::text as element_type
      from pg_catalog.pg_attribute a
      join lateral (
           with recursive base as (
               select t.* from pg_catalog.pg_type t where t.oid = a.atttypid
               union all
               select t.* from pg_catalog.pg_type t join base on base.typtype = 'd' and t.oid = base.typbasetype)
           select * from base where typtype <> 'd') b on true
      left join pg_catalog.pg_type e on b.typcategory = 'A' and e.oid = b.typelem
     where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
     order by a.attnum";

const PRIMARY_KEY: &str = "
    select a.attname::text as name
      from pg_catalog.pg_index i
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
     where i.indrelid = $1 and i.indisprimary
     order by array_position(i.indkey::int2[], a.attnum)";

/// The table as the connection's user sees it, or `None` if there is none of that name.
pub(super) async fn load(connection: &mut PgConnection, name: &TableName) -> Result<Option<Table>, sqlx::Error> {
    let found = sqlx::query(
        "select c.oid as oid, n.nspname::text as schema from pg_catalog.pg_class c
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.oid = pg_catalog.to_regclass($1)",
    )
    .bind(name.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let oid: Oid = found.try_get("oid")?;
    let schema: String = found.try_get("schema")?;
    let rows = sqlx::query(COLUMNS).bind(oid).fetch_all(&mut *connection).await?;
    let columns = rows.iter().map(column).collect::<Result<_, _>>()?;
    let keys = sqlx::query(PRIMARY_KEY).bind(oid).fetch_all(&mut *connection).await?;
    let primary_key = keys.iter().map(|row| row.try_get("name")).collect::<Result<_, _>>()?;
    let name = TableName { schema: Some(schema), table: name.table.clone() };
    Ok(Some(Table { name, columns, primary_key }))
}

/// The schema that an unqualified new table would go to.
pub(super) async fn qualified(connection: &mut PgConnection, name: &TableName) -> Result<TableName, sqlx::Error> {
    if name.schema.is_some() {
        return Ok(name.clone());
    }
    let schema: Option<String> = sqlx::query_scalar("select current_schema()::text").fetch_one(connection).await?;
    Ok(TableName { schema, table: name.table.clone() })
}

fn column(row: &sqlx::postgres::PgRow) -> Result<Column, sqlx::Error> {
    let oid = |name: &str| row.try_get::<Option<Oid>, _>(name).map(|oid| oid.map_or(0, |oid| oid.0));
    let text = |name: &str| row.try_get::<Option<String>, _>(name).map(Option::unwrap_or_default);
    let kind = if oid("element_oid")? == 0 {
        scalar(&text("base_name")?, &text("base_type")?)
    } else {
        let element = scalar(&text("element_name")?, &text("element_type")?);
        let element_oid = oid("element_oid")?;
        element.map(|element| Kind::Array { element: Box::new(element), element_oid })
    };
    Ok(Column {
        name: text("name")?,
        kind,
        type_name: text("type_name")?,
        oid: oid("oid")?,
        array_oid: oid("array_oid")?,
        has_default: row.try_get("has_default")?,
        is_generated: row.try_get("is_generated")?,
    })
}

fn scalar(name: &str, typtype: &str) -> Option<Kind> {
    Some(match name {
        _ if typtype == "e" => Kind::Text,
        "bool" => Kind::Bool,
        "int2" => Kind::Int2,
        "int4" => Kind::Int4,
        "int8" => Kind::Int8,
        "float4" => Kind::Float4,
        "float8" => Kind::Float8,
        "numeric" => Kind::Numeric,
        "text" | "varchar" | "bpchar" | "name" | "citext" => Kind::Text,
        "bytea" => Kind::Bytea,
        "json" => Kind::Json,
        "jsonb" => Kind::Jsonb,
        "uuid" => Kind::Uuid,
        "inet" => Kind::Inet,
        "cidr" => Kind::Cidr,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "timestamp" => Kind::Timestamp,
        "timestamptz" => Kind::Timestamptz,
        _ => return None,
    })
}

/// The column as an error names it.
pub(super) fn described(column: &Column) -> String {
    format!("column {} ({})", quoted(&column.name), column.type_name)
}
