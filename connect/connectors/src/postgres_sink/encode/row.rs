//! A record to a row: fields to columns, the key's columns, what is missing and what is unknown.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use weir_connect_api::{ConnectError, Payload, SinkRecord};

use super::json::{Field, Origin};
use super::{field, null, scalar};
use crate::postgres_sink::catalogue::{Kind, Table, described};
use crate::postgres_sink::config::{PkMode, Settings, UnknownFields};

/// Positions in an object whose field is remembered: records of a topic mostly have the same fields in the same order.
const REMEMBERED_MAX: usize = 128;
/// Columns with a default that a record may leave out; of further ones the default is not used.
const DEFAULTS_MAX: usize = 64;
/// Postgres cuts longer names short, and the field would never find its column.
const COLUMN_NAME_BYTES_MAX: usize = 63;

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

/// Why a record is not a row.
#[derive(Debug)]
pub(in crate::postgres_sink) enum RowError {
    Bad(ConnectError),
    /// Fields that want a column of their own first.
    Unknown(Vec<(String, Value)>),
}

/// How rows of one table are laid out: shared by the encoder and by what writes its rows.
#[derive(Debug)]
pub(in crate::postgres_sink) struct Layout {
    pub(in crate::postgres_sink) table: Table,
    /// By column; `None` for those that are never written.
    pub(in crate::postgres_sink) kinds: Vec<Option<Kind>>,
    /// By column: its bit in [`Row::present`].
    default_bits: Vec<Option<u64>>,
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

/// What a field's name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Column(usize),
    /// Known, but never written.
    Skipped,
    Unknown,
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

/// The state of one record's fields.
struct Fields {
    targets: HashMap<String, Target>,
    /// By position in the object: which field stood there last.
    remembered: Vec<(String, Target)>,
    /// Encoded fields in the order they came.
    scratch: Vec<u8>,
    /// By column: where its field stands in `scratch`.
    spans: Vec<Option<Range<usize>>>,
    /// The unknown field just met.
    unknown_name: String,
    unknown: Vec<(String, Value)>,
    /// `"name":value,` of unknown fields that go to a jsonb column.
    extra: Vec<u8>,
    /// The column that failed.
    failed: Option<usize>,
}

impl RowEncoder {
    pub(in crate::postgres_sink) fn new(layout: Arc<Layout>, settings: &Settings) -> Self {
        let target = |i: usize| if layout.kinds[i].is_some() { Target::Column(i) } else { Target::Skipped };
        let targets = layout.table.columns.iter().enumerate().map(|(i, column)| (column.name.clone(), target(i)));
        let fields = Fields {
            targets: targets.collect(),
            remembered: Vec::new(),
            scratch: Vec::new(),
            spans: vec![None; layout.kinds.len()],
            unknown_name: String::new(),
            unknown: Vec::new(),
            extra: Vec::new(),
            failed: None,
        };
        Self {
            fields,
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
        self.key(record).map_err(bad)?;
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
            return self.plain(value).map_err(bad);
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
        read.map_err(|error| bad(self.object_error(&error)))?;
        if !self.fields.unknown.is_empty() {
            return Err(RowError::Unknown(std::mem::take(&mut self.fields.unknown)));
        }
        self.extra().map_err(bad)
    }

    fn object_error(&self, error: &serde_json::Error) -> String {
        match self.fields.failed {
            Some(column) if error.is_data() => format!("{}: {error}", described(&self.layout.table.columns[column])),
            _ if error.is_data() => error.to_string(),
            _ => format!("the value is not JSON: {error}"),
        }
    }

    /// Unknown fields into their jsonb column.
    fn extra(&mut self) -> Result<(), String> {
        let UnknownFields::Jsonb { column } = &self.unknown_fields else { return Ok(()) };
        if self.fields.extra.is_empty() {
            return Ok(());
        }
        let target = self.layout.table.column(column).and_then(|i| Some((i, self.layout.kinds[i].as_ref()?)));
        let Some((index, kind @ (Kind::Json | Kind::Jsonb))) = target else {
            return Err(format!(
                "table {} has no jsonb column \"{column}\" for unknown fields",
                self.layout.table.name
            ));
        };
        self.fields.extra.pop();
        let mut document = vec![b'{'];
        document.append(&mut self.fields.extra);
        document.push(b'}');
        let document = String::from_utf8(document).map_err(|e| e.to_string())?;
        self.fields.set(index, |out| {
            scalar::raw_json(kind, &document, out);
            Ok(())
        })
    }

    /// A value that is not an object, into the column for such.
    fn plain(&mut self, value: &Payload) -> Result<(), String> {
        let column = self.layout.table.column(&self.value_column);
        let Some((index, kind)) = column.and_then(|i| Some((i, self.layout.kinds[i].as_ref()?))) else {
            return Err(format!(
                "the value is not a JSON object, and table {} has no column \"{}\" (value.column) for it",
                self.layout.table.name, self.value_column
            ));
        };
        let fields = &mut self.fields;
        payload_into(value, kind, index, fields)
            .map_err(|e| format!("{}: {e}", described(&self.layout.table.columns[index])))
    }

    /// The columns that the key gives.
    fn key(&mut self, record: &SinkRecord) -> Result<(), String> {
        match self.pk_mode {
            PkMode::None | PkMode::RecordValue => Ok(()),
            PkMode::Kafka => {
                let layout = &self.layout;
                let kind = |i: usize| (layout.key[i], layout.kinds[layout.key[i]].as_ref());
                let integers = [(1, i64::from(record.origin.partition)), (2, record.offset)];
                if let (column, Some(kind)) = kind(0) {
                    self.fields.set(column, |out| scalar::text(kind, &record.origin.topic, out))?;
                }
                for (place, number) in integers {
                    if let (column, Some(kind)) = kind(place) {
                        self.fields.set(column, |out| scalar::integer(kind, number, out))?;
                    }
                }
                Ok(())
            }
            PkMode::RecordKey => self.record_key(&record.record.key),
        }
    }

    fn record_key(&mut self, key: &Payload) -> Result<(), String> {
        let columns: Vec<(usize, &Kind)> =
            self.layout.key.iter().filter_map(|i| Some((*i, self.layout.kinds[*i].as_ref()?))).collect();
        let parsed = match key {
            Payload::JsonText(text) => {
                Some(serde_json::from_slice(text).map_err(|e| format!("the key is not JSON: {e}"))?)
            }
            Payload::Json(json) => Some(json.clone()),
            Payload::Bytes(_) | Payload::Null => None,
        };
        let error = |column: usize, e: String| format!("key, {}: {e}", described(&self.layout.table.columns[column]));
        match (parsed, &columns[..]) {
            (Some(Value::Object(object)), _) => {
                for (column, kind) in columns {
                    if let Some(value) = object.get(&self.layout.table.columns[column].name) {
                        tree_into(value, kind, column, &mut self.fields).map_err(|e| error(column, e))?;
                    }
                }
                Ok(())
            }
            (Some(value), [(column, kind)]) => {
                tree_into(&value, kind, *column, &mut self.fields).map_err(|e| error(*column, e))
            }
            (None, [(column, kind)]) => {
                payload_into(key, kind, *column, &mut self.fields).map_err(|e| error(*column, e))
            }
            _ => Err(format!("the record's key is not an object with the {} fields of pk.fields", columns.len())),
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

impl Fields {
    fn reset(&mut self) {
        self.scratch.clear();
        self.spans.fill(None);
        self.unknown.clear();
        self.extra.clear();
        self.failed = None;
    }

    fn set(&mut self, column: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Result<(), String> {
        let start = self.scratch.len();
        field(&mut self.scratch, write)?;
        self.spans[column] = Some(start..self.scratch.len());
        Ok(())
    }

    fn target(&mut self, position: usize, name: &str) -> Target {
        if let Some((remembered, target)) = self.remembered.get(position)
            && remembered == name
        {
            return *target;
        }
        let target = self.targets.get(name).copied().unwrap_or(Target::Unknown);
        if let Some(slot) = self.remembered.get_mut(position) {
            *slot = (name.to_owned(), target);
        } else if position == self.remembered.len() && position < REMEMBERED_MAX {
            self.remembered.push((name.to_owned(), target));
        }
        target
    }
}

/// A JSON object whose fields are columns.
struct Object<'a> {
    layout: &'a Layout,
    policy: &'a UnknownFields,
    fields: &'a mut Fields,
    origin: Origin,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { layout, policy, fields, origin } = self;
        let mut position = 0;
        while let Some(target) = map.next_key_seed(Name { position, fields })? {
            position += 1;
            match target {
                Target::Column(column) => {
                    let Some(kind) = &layout.kinds[column] else { continue };
                    let start = fields.scratch.len();
                    let read = map.next_value_seed(Field { kind, origin, out: &mut fields.scratch });
                    if let Err(error) = read {
                        fields.failed = Some(column);
                        return Err(error);
                    }
                    fields.spans[column] = Some(start..fields.scratch.len());
                }
                Target::Skipped => drop(map.next_value::<IgnoredAny>()?),
                Target::Unknown => unknown(&mut map, policy, fields, origin)?,
            }
        }
        Ok(())
    }
}

fn unknown<'de, A: MapAccess<'de>>(
    map: &mut A,
    policy: &UnknownFields,
    fields: &mut Fields,
    origin: Origin,
) -> Result<(), A::Error> {
    match policy {
        UnknownFields::Ignore => drop(map.next_value::<IgnoredAny>()?),
        UnknownFields::Error => {
            return Err(A::Error::custom(format!(
                "field {:?} has no column (unknown.fields=error)",
                fields.unknown_name
            )));
        }
        UnknownFields::Evolve => {
            let value: Value = map.next_value()?;
            let name = &fields.unknown_name;
            if name.is_empty() || name.len() > COLUMN_NAME_BYTES_MAX || name.contains('\0') {
                let shown = scalar::shown(name);
                return Err(A::Error::custom(format!(
                    "field {shown} cannot be a column: its name is empty or too long"
                )));
            }
            // A null says nothing about the type: the column can wait for a value.
            if !value.is_null() {
                fields.unknown.push((fields.unknown_name.clone(), value));
            }
        }
        UnknownFields::Jsonb { .. } => {
            fields.extra.extend_from_slice(Value::from(fields.unknown_name.as_str()).to_string().as_bytes());
            fields.extra.push(b':');
            match origin {
                Origin::Text => fields.extra.extend_from_slice(map.next_value::<&RawValue>()?.get().as_bytes()),
                Origin::Tree => fields.extra.extend_from_slice(map.next_value::<Box<RawValue>>()?.get().as_bytes()),
            }
            fields.extra.push(b',');
        }
    }
    Ok(())
}

/// A field's name, looked up while it is still in the parser's buffer.
struct Name<'a> {
    position: usize,
    fields: &'a mut Fields,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Target;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Target, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Target, E> {
        let target = self.fields.target(self.position, name);
        if target == Target::Unknown {
            self.fields.unknown_name.clear();
            self.fields.unknown_name.push_str(name);
        }
        Ok(target)
    }
}
