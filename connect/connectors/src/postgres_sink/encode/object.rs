//! The fields of a JSON object, each straight into its column's format.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{Field, Origin};
use super::layout::Layout;
use super::{field, scalar};
use crate::postgres_sink::config::UnknownFields;

/// Positions in an object whose field is remembered: records of a topic mostly have the same fields in the same order.
const REMEMBERED_MAX: usize = 128;
/// Postgres cuts longer names short, and the field would never find its column.
const COLUMN_NAME_BYTES_MAX: usize = 63;

/// What a field's name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Column(usize),
    /// Known, but never written.
    Skipped,
    Unknown,
}

/// The state of one record's fields.
pub(super) struct Fields {
    targets: HashMap<String, Target>,
    /// By position in the object: which field stood there last.
    remembered: Vec<(String, Target)>,
    /// Encoded fields in the order they came.
    pub(super) scratch: Vec<u8>,
    /// By column: where its field stands in `scratch`.
    pub(super) spans: Vec<Option<Range<usize>>>,
    /// The unknown field just met.
    unknown_name: String,
    pub(super) unknown: Vec<(String, Value)>,
    /// `"name":value,` of unknown fields that go to a jsonb column.
    pub(super) extra: Vec<u8>,
    /// The column that failed.
    pub(super) failed: Option<usize>,
}

impl Fields {
    pub(super) fn new(layout: &Layout) -> Self {
        let target = |i: usize| if layout.kinds[i].is_some() { Target::Column(i) } else { Target::Skipped };
        let targets = layout.table.columns.iter().enumerate().map(|(i, column)| (column.name.clone(), target(i)));
        Self {
            targets: targets.collect(),
            remembered: Vec::new(),
            scratch: Vec::new(),
            spans: vec![None; layout.kinds.len()],
            unknown_name: String::new(),
            unknown: Vec::new(),
            extra: Vec::new(),
            failed: None,
        }
    }

    pub(super) fn reset(&mut self) {
        self.scratch.clear();
        self.spans.fill(None);
        self.unknown.clear();
        self.extra.clear();
        self.failed = None;
    }

    pub(super) fn set(
        &mut self,
        column: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(), String> {
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
pub(super) struct Object<'a> {
    pub(super) layout: &'a Layout,
    pub(super) policy: &'a UnknownFields,
    pub(super) fields: &'a mut Fields,
    pub(super) origin: Origin,
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
