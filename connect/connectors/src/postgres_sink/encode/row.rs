//! A record to a row: fields to columns, the key's columns, what is missing and what is unknown.

use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeSeed;
use serde_json::Value;
use weir_connect_api::{ConnectError, Payload, SinkRecord};

use super::json::{Field, Origin};
use super::layout::{Layout, Op, Row, Rows};
use super::object::{Fields, Object};
use super::{null, scalar};
use crate::postgres_sink::catalogue::{Kind, described};
use crate::postgres_sink::config::{PkMode, Settings, UnknownFields};

/// Says of a column that its value comes from the key.
const KEY: &str = "key, ";

/// Why a record is not a row.
#[derive(Debug)]
pub(in crate::postgres_sink) enum RowError {
    Bad(ConnectError),
    /// Fields that want a column of their own first.
    Unknown(Vec<(String, Value)>),
}

/// Turns the records of one table into rows. Buffers are reused from record to record.
pub(in crate::postgres_sink) struct RowEncoder {
    pub(in crate::postgres_sink) layout: Arc<Layout>,
    pk_mode: PkMode,
    deletes: bool,
    unknown_fields: UnknownFields,
    value_column: String,
    fields: Fields,
}

impl RowEncoder {
    pub(in crate::postgres_sink) fn new(layout: Arc<Layout>, settings: &Settings) -> Self {
        Self {
            fields: Fields::new(&layout),
            pk_mode: settings.pk_mode,
            deletes: settings.deletes,
            unknown_fields: settings.unknown_fields.clone(),
            value_column: settings.value_column.clone(),
            layout,
        }
    }

    /// Appends the record's row to `rows`; on an error nothing is appended.
    pub(in crate::postgres_sink) fn encode(&mut self, record: &SinkRecord, rows: &mut Rows) -> Result<(), RowError> {
        self.fields.reset();
        let op = if record.record.value.is_null() { Op::Delete } else { Op::Write };
        match op {
            Op::Delete if !self.deletes => {
                return Err(bad("the record has no value (a tombstone), and delete.enabled is false".to_owned()));
            }
            Op::Delete => {}
            Op::Write => self.value(&record.record.value)?,
        }
        self.key(record).map_err(RowError::Bad)?;
        if op == Op::Write && self.fields.spans.iter().all(Option::is_none) {
            return Err(bad(format!("no field of the value has a column in table {}", self.layout.table.name)));
        }
        let key = self.append_key(rows).map_err(bad)?;
        let (start, mut present) = (rows.bytes.len(), 0);
        if op == Op::Write {
            present = self.append_row(rows);
        }
        rows.rows.push(Row { bytes: start..rows.bytes.len(), key, present, op });
        Ok(())
    }

    fn value(&mut self, value: &Payload) -> Result<(), RowError> {
        let is_object = match value {
            Payload::JsonText(text) => text.trim_ascii_start().first() == Some(&b'{'),
            Payload::Json(json) => json.is_object(),
            Payload::Bytes(_) | Payload::Null => false,
        };
        if !is_object {
            return self.plain(value).map_err(RowError::Bad);
        }
        let policy = &self.unknown_fields;
        let layout = &self.layout;
        let fields = &mut self.fields;
        let read = match value {
            Payload::JsonText(text) => {
                let mut deserializer = serde_json::Deserializer::from_slice(text);
                let object = Object { layout, policy, fields, origin: Origin::Text };
                object.deserialize(&mut deserializer).and_then(|()| deserializer.end())
            }
            Payload::Json(json) => Object { layout, policy, fields, origin: Origin::Tree }.deserialize(json),
            Payload::Bytes(_) | Payload::Null => Ok(()),
        };
        read.map_err(|error| RowError::Bad(self.object_error(&error)))?;
        if !self.fields.unknown.is_empty() {
            return Err(RowError::Unknown(std::mem::take(&mut self.fields.unknown)));
        }
        self.extra().map_err(RowError::Bad)
    }

    fn object_error(&self, error: &serde_json::Error) -> ConnectError {
        match self.fields.failed {
            Some(column) if error.is_data() => self.misfit("", column, error),
            _ if error.is_data() => ConnectError::record("the value is no row").quoting(error.to_string()),
            _ => ConnectError::record(format!("the value is not JSON: {error}")),
        }
    }

    /// A value that is nothing for its column; `of` says whose.
    fn misfit(&self, of: &str, column: usize, error: &impl ToString) -> ConnectError {
        let column = described(&self.layout.table.columns[column]);
        ConnectError::record(format!("{of}{column}: the value does not fit")).quoting(error.to_string())
    }

    /// Unknown fields into their jsonb column.
    fn extra(&mut self) -> Result<(), ConnectError> {
        let UnknownFields::Jsonb { column } = &self.unknown_fields else { return Ok(()) };
        if self.fields.extra.is_empty() {
            return Ok(());
        }
        let target = self.layout.table.column(column).and_then(|i| Some((i, self.layout.kinds[i].as_ref()?)));
        let Some((index, kind @ (Kind::Json | Kind::Jsonb))) = target else {
            return Err(ConnectError::record(format!(
                "table {} has no jsonb column \"{column}\" for unknown fields",
                self.layout.table.name
            )));
        };
        self.fields.extra.pop();
        let mut document = vec![b'{'];
        document.append(&mut self.fields.extra);
        document.push(b'}');
        let document = String::from_utf8(document)
            .map_err(|e| ConnectError::record(format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to())))?;
        let set = self.fields.set(index, |out| {
            scalar::raw_json(kind, &document, out);
            Ok(())
        });
        set.map_err(|e| self.misfit("", index, &e))
    }

    /// A value that is not an object, into the column for such.
    fn plain(&mut self, value: &Payload) -> Result<(), ConnectError> {
        let column = self.layout.table.column(&self.value_column);
        let Some((index, kind)) = column.and_then(|i| Some((i, self.layout.kinds[i].as_ref()?))) else {
            return Err(ConnectError::record(format!(
                "the value is not a JSON object, and table {} has no column \"{}\" (value.column) for it",
                self.layout.table.name, self.value_column
            )));
        };
        let put = payload_into(value, kind, index, &mut self.fields);
        put.map_err(|e| self.misfit("", index, &e))
    }

    /// The columns that the key gives.
    fn key(&mut self, record: &SinkRecord) -> Result<(), ConnectError> {
        match self.pk_mode {
            PkMode::None | PkMode::RecordValue => Ok(()),
            PkMode::Kafka => {
                let layout = &self.layout;
                let kind = |i: usize| (layout.key[i], layout.kinds[layout.key[i]].as_ref());
                let integers = [(1, i64::from(record.origin.partition)), (2, record.offset)];
                if let (column, Some(kind)) = kind(0) {
                    let set = self.fields.set(column, |out| scalar::text(kind, &record.origin.topic, out));
                    set.map_err(|e| self.misfit(KEY, column, &e))?;
                }
                for (place, number) in integers {
                    if let (column, Some(kind)) = kind(place) {
                        let set = self.fields.set(column, |out| scalar::integer(kind, number, out));
                        set.map_err(|e| self.misfit(KEY, column, &e))?;
                    }
                }
                Ok(())
            }
            PkMode::RecordKey => self.record_key(&record.record.key),
        }
    }

    fn record_key(&mut self, key: &Payload) -> Result<(), ConnectError> {
        let columns: Vec<(usize, &Kind)> =
            self.layout.key.iter().filter_map(|i| Some((*i, self.layout.kinds[*i].as_ref()?))).collect();
        let parsed = match key {
            Payload::JsonText(text) => Some(
                serde_json::from_slice(text).map_err(|e| ConnectError::record(format!("the key is not JSON: {e}")))?,
            ),
            Payload::Json(json) => Some(json.clone()),
            Payload::Bytes(_) | Payload::Null => None,
        };
        match (parsed, &columns[..]) {
            (Some(Value::Object(object)), _) => {
                for (column, kind) in columns {
                    if let Some(value) = object.get(&self.layout.table.columns[column].name) {
                        let put = tree_into(value, kind, column, &mut self.fields);
                        put.map_err(|e| self.misfit(KEY, column, &e))?;
                    }
                }
                Ok(())
            }
            (Some(value), [(column, kind)]) => {
                let put = tree_into(&value, kind, *column, &mut self.fields);
                put.map_err(|e| self.misfit(KEY, *column, &e))
            }
            (None, [(column, kind)]) => {
                let put = payload_into(key, kind, *column, &mut self.fields);
                put.map_err(|e| self.misfit(KEY, *column, &e))
            }
            _ => Err(ConnectError::record(format!(
                "the record's key is not an object with the {} fields of pk.fields",
                columns.len()
            ))),
        }
    }

    fn append_key(&self, rows: &mut Rows) -> Result<Range<usize>, String> {
        let start = rows.keys.len();
        for column in &self.layout.key {
            let encoded = self.fields.spans[*column].clone().map(|span| &self.fields.scratch[span]);
            match encoded {
                Some(encoded) if !encoded.starts_with(&(-1_i32).to_be_bytes()) => rows.keys.extend_from_slice(encoded),
                _ => {
                    rows.keys.truncate(start);
                    return Err(format!("the key's {} is missing", described(&self.layout.table.columns[*column])));
                }
            }
        }
        Ok(start..rows.keys.len())
    }

    /// Gives the defaults that are present.
    fn append_row(&self, rows: &mut Rows) -> u64 {
        let (start, mut count, mut present) = (rows.bytes.len(), 0_u16, 0);
        rows.bytes.extend_from_slice(&[0; 2]);
        for (column, span) in self.fields.spans.iter().enumerate() {
            if self.layout.kinds[column].is_none() {
                continue;
            }
            match (span, self.layout.default_bits[column]) {
                (Some(span), bit) => {
                    rows.bytes.extend_from_slice(&self.fields.scratch[span.clone()]);
                    present |= bit.unwrap_or(0);
                }
                (None, Some(_)) => continue,
                (None, None) => null(&mut rows.bytes),
            }
            count += 1;
        }
        rows.bytes[start..start + 2].copy_from_slice(&count.to_be_bytes());
        present
    }
}

fn bad(message: String) -> RowError {
    RowError::Bad(ConnectError::record(message))
}

fn payload_into(value: &Payload, kind: &Kind, column: usize, fields: &mut Fields) -> Result<(), String> {
    match value {
        Payload::Null => Ok(()),
        Payload::Json(json) => tree_into(json, kind, column, fields),
        Payload::JsonText(text) => {
            let json: Value = serde_json::from_slice(text).map_err(|e| format!("not JSON: {e}"))?;
            tree_into(&json, kind, column, fields)
        }
        Payload::Bytes(bytes) if *kind == Kind::Bytea => fields.set(column, |out| {
            out.extend_from_slice(bytes);
            Ok(())
        }),
        Payload::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8 at byte {}", e.valid_up_to()))?;
            fields.set(column, |out| scalar::text(kind, text, out))
        }
    }
}

fn tree_into(value: &Value, kind: &Kind, column: usize, fields: &mut Fields) -> Result<(), String> {
    let start = fields.scratch.len();
    let field = Field { kind, origin: Origin::Tree, out: &mut fields.scratch };
    field.deserialize(value).map_err(|e| e.to_string())?;
    fields.spans[column] = Some(start..fields.scratch.len());
    Ok(())
}
