//! A JSON value, from text or parsed, straight into a column's binary format.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{field, null, numeric, scalar};
use crate::postgres_sink::catalogue::Kind;

/// Where the deserializer reads: JSON text can be borrowed, a parsed tree has to be written out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres_sink) enum Origin {
    Text,
    Tree,
}

/// Appends one field: its length and its value.
pub(in crate::postgres_sink) struct Field<'a> {
    pub(in crate::postgres_sink) kind: &'a Kind,
    pub(in crate::postgres_sink) origin: Origin,
    pub(in crate::postgres_sink) out: &'a mut Vec<u8>,
}

/// Whether the type needs a number's or document's own text.
fn is_raw(kind: &Kind) -> bool {
    matches!(kind, Kind::Numeric | Kind::Json | Kind::Jsonb)
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !is_raw(self.kind) {
            return deserializer.deserialize_any(self);
        }
        match self.origin {
            Origin::Text => self.raw(<&RawValue>::deserialize(deserializer)?.get()),
            Origin::Tree => self.raw(Box::<RawValue>::deserialize(deserializer)?.get()),
        }
        .map_err(D::Error::custom)
    }
}

impl Field<'_> {
    fn raw(self, text: &str) -> Result<(), String> {
        if text == "null" {
            null(self.out);
            return Ok(());
        }
        field(self.out, |out| match self.kind {
            Kind::Json | Kind::Jsonb => {
                scalar::raw_json(self.kind, text, out);
                Ok(())
            }
            _ => decimal(text, out),
        })
    }

    fn value<E: Error>(self, write: impl FnOnce(&Kind, &mut Vec<u8>) -> Result<(), String>) -> Result<(), E> {
        field(self.out, |out| write(self.kind, out)).map_err(E::custom)
    }

    /// A document in a text column; everywhere else it is an error.
    fn document<E: Error>(self, value: &Value) -> Result<(), E> {
        let text = value.to_string();
        match self.kind {
            Kind::Text => self.value(|_, out| {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }),
            _ => Err(E::custom(format!("{} does not fit", scalar::shown(&text)))),
        }
    }
}

fn decimal(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let text = if text.starts_with('"') {
        serde_json::from_str::<Cow<'_, str>>(text).map_err(|e| e.to_string())?
    } else {
        Cow::Borrowed(text)
    };
    if numeric::write(text.trim(), out) { Ok(()) } else { Err(format!("{} is not a number", scalar::shown(&text))) }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that fits the column")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        null(self.out);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.value(|kind, out| scalar::boolean(kind, value, out))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.value(|kind, out| scalar::integer(kind, value, out))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.value(|kind, out| match kind {
                Kind::Text => scalar::text(kind, &value.to_string(), out),
                _ => scalar::float(kind, value as f64, out),
            }),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.value(|kind, out| scalar::float(kind, value, out))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.value(|kind, out| scalar::text(kind, value, out))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let origin = self.origin;
        match self.kind {
            Kind::Array { element, element_oid } => {
                field(self.out, |out| array(items, element, *element_oid, origin, out))
            }
            Kind::ArrayText(element) => field(self.out, |out| {
                out.push(b'{');
                while items.next_element_seed(ArrayTextItem { element, out })?.is_some() {}
                close_array_text(out);
                Ok(())
            }),
            _ => {
                let value = Value::deserialize(SeqAccessDeserializer::new(items))?;
                self.document(&value)
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(fields))?;
        self.document(&value)
    }
}

/// `i32 dimensions | i32 has nulls | u32 element type | i32 length | i32 lower bound | fields …`
fn array<'de, A: SeqAccess<'de>>(
    mut items: A,
    element: &Kind,
    element_oid: u32,
    origin: Origin,
    out: &mut Vec<u8>,
) -> Result<(), A::Error> {
    let start = out.len();
    array_header(out, element_oid);
    let mut length = 0_i32;
    while items.next_element_seed(Field { kind: element, origin, out })?.is_some() {
        length += 1;
    }
    set_array_length(&mut out[start..], length);
    Ok(())
}

/// The header of an array of one dimension; [`set_array_length`] completes it.
pub(in crate::postgres_sink) fn array_header(out: &mut Vec<u8>, element_oid: u32) {
    for word in [1, 1, element_oid, 0, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

pub(in crate::postgres_sink) fn set_array_length(array: &mut [u8], length: i32) {
    array[12..16].copy_from_slice(&length.to_be_bytes());
}

/// One item of an array as text: in quotes, so that no character has a meaning.
struct ArrayTextItem<'a> {
    element: &'a Kind,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ArrayTextItem<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::Null => {
                self.out.extend_from_slice(b"NULL,");
                return Ok(());
            }
            Value::String(text) if !matches!(self.element, Kind::Json | Kind::Jsonb) => text,
            other => other.to_string(),
        };
        self.out.push(b'"');
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
        self.out.extend_from_slice(b"\",");
        Ok(())
    }
}

fn close_array_text(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
}
