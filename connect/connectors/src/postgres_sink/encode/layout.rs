//! How rows of a table are laid out, and rows that are encoded so.

use std::ops::Range;

use weir_connect_api::ConnectError;

use crate::postgres_sink::catalogue::{Kind, Table};
use crate::postgres_sink::config::{PkMode, Settings};

/// Columns with a default that a record may leave out; of further ones the default is not used.
const DEFAULTS_MAX: usize = 64;

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres_sink) enum Op {
    Write,
    /// Only the key counts.
    Delete,
}

/// One encoded row: ranges of [`Rows`].
#[derive(Debug, Clone)]
pub(in crate::postgres_sink) struct Row {
    pub(in crate::postgres_sink) bytes: Range<usize>,
    /// The fields of the key; empty when rows have none.
    pub(in crate::postgres_sink) key: Range<usize>,
    /// Which of the columns with a default the row has.
    pub(in crate::postgres_sink) present: u64,
    pub(in crate::postgres_sink) op: Op,
}

/// Encoded rows in the order of their records.
#[derive(Debug, Default)]
pub(in crate::postgres_sink) struct Rows {
    pub(in crate::postgres_sink) bytes: Vec<u8>,
    pub(in crate::postgres_sink) keys: Vec<u8>,
    pub(in crate::postgres_sink) rows: Vec<Row>,
}

impl Rows {
    pub(in crate::postgres_sink) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.keys.len()
    }
}

/// How rows of one table are laid out: shared by the encoder and by what writes its rows.
#[derive(Debug)]
pub(in crate::postgres_sink) struct Layout {
    pub(in crate::postgres_sink) table: Table,
    /// By column; `None` for those that are never written.
    pub(in crate::postgres_sink) kinds: Vec<Option<Kind>>,
    /// By column: its bit in [`Row::present`].
    pub(super) default_bits: Vec<Option<u64>>,
    /// The key's columns, in its order.
    pub(in crate::postgres_sink) key: Vec<usize>,
}

impl Layout {
    pub(in crate::postgres_sink) fn new(table: Table, settings: &Settings) -> Result<Self, ConnectError> {
        let names = match settings.pk_mode {
            PkMode::None => &[][..],
            _ if settings.pk_fields.is_empty() => &table.primary_key[..],
            _ => &settings.pk_fields[..],
        };
        if names.is_empty() && settings.is_upsert {
            return Err(ConnectError::fatal(format!(
                "table {} has no primary key, which upsert needs: create one or set pk.fields",
                table.name
            )));
        }
        let column = |name: &String| {
            table.column(name).filter(|i| table.columns[*i].is_written()).ok_or_else(|| {
                ConnectError::fatal(format!(
                    "table {} has no column \"{name}\" that can be written, which pk.fields names: add it or correct pk.fields",
                    table.name
                ))
            })
        };
        let key = names.iter().map(column).collect::<Result<_, _>>()?;
        let kinds = table.columns.iter().map(|column| match &column.kind {
            _ if column.is_generated => None,
            Some(Kind::Array { element, .. }) if settings.is_upsert => Some(Kind::ArrayText(element.clone())),
            kind => kind.clone(),
        });
        let kinds = kinds.collect();
        let mut bits = (0..DEFAULTS_MAX).map(|bit| 1_u64 << bit);
        let default_bits =
            table.columns.iter().map(|c| if c.is_written() && c.has_default { bits.next() } else { None }).collect();
        Ok(Self { kinds, default_bits, key, table })
    }

    /// The columns that a row with these defaults present has, in order.
    pub(in crate::postgres_sink) fn columns(&self, present: u64) -> impl Iterator<Item = usize> {
        (0..self.kinds.len())
            .filter(|i| self.kinds[*i].is_some())
            .filter(move |i| self.default_bits[*i].is_none_or(|bit| present & bit != 0))
    }
}
