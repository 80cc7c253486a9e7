//! The address of a field: `status`, or `user.name` for one within another. A field whose own name has dots is found
//! by its whole name first.

use serde_json::{Map, Value as Json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    name: String,
    parts: Vec<String>,
}

impl Field {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), parts: name.split('.').map(str::to_owned).collect() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn get<'a>(&self, value: &'a Json) -> Option<&'a Json> {
        self.get_in(value.as_object()?)
    }

    pub(super) fn get_in<'a>(&self, object: &'a Map<String, Json>) -> Option<&'a Json> {
        if let Some(found) = object.get(&self.name) {
            return Some(found);
        }
        let (last, folders) = self.parts.split_last()?;
        folders.iter().try_fold(object, |object, part| object.get(part)?.as_object())?.get(last)
    }

    pub(super) fn get_mut<'a>(&self, object: &'a mut Map<String, Json>) -> Option<&'a mut Json> {
        if object.contains_key(&self.name) {
            return object.get_mut(&self.name);
        }
        let (last, folders) = self.parts.split_last()?;
        folders.iter().try_fold(object, |object, part| object.get_mut(part)?.as_object_mut())?.get_mut(last)
    }

    /// Puts the value there; makes the objects on the way, and replaces what is there but is none.
    pub(super) fn set(&self, object: &mut Map<String, Json>, value: Json) {
        if let Some(there) = self.get_mut(object) {
            *there = value;
            return;
        }
        let Some((last, folders)) = self.parts.split_last() else { return };
        let mut at = object;
        for part in folders {
            let inner = at.entry(part.as_str()).or_insert_with(|| Json::Object(Map::new()));
            if !inner.is_object() {
                *inner = Json::Object(Map::new());
            }
            let Json::Object(next) = inner else { return };
            at = next;
        }
        at.insert(last.clone(), value);
    }

    /// Takes the field out; the others keep their order.
    pub(super) fn remove(&self, object: &mut Map<String, Json>) -> Option<Json> {
        if let Some(found) = object.shift_remove(&self.name) {
            return Some(found);
        }
        let (last, folders) = self.parts.split_last()?;
        folders.iter().try_fold(object, |object, part| object.get_mut(part)?.as_object_mut())?.shift_remove(last)
    }
}

/// What a value is, in words for an error.
pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// A type that a text can be turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Float,
    Boolean,
    String,
}

impl Type {
    /// Grok's, Kafka's and common names.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "int" | "integer" | "long" | "int8" | "int16" | "int32" | "int64" => Self::Int,
            "float" | "double" | "float32" | "float64" | "number" => Self::Float,
            "bool" | "boolean" => Self::Boolean,
            "string" | "text" => Self::String,
            _ => return None,
        })
    }

    /// The text as a value of this type; `None` when it is not one.
    pub(super) fn read(self, text: &str) -> Option<Json> {
        Some(match self {
            Self::Int => text.trim().parse::<i64>().ok()?.into(),
            Self::Float => serde_json::Number::from_f64(text.trim().parse().ok()?)?.into(),
            Self::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => true.into(),
                "false" | "no" | "0" => false.into(),
                _ => return None,
            },
            Self::String => text.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_set_and_removed_within_others() {
        let mut value = json!({"a": {"b": 1}, "x.y": 2});
        let object = value.as_object_mut().unwrap();
        assert_eq!(Field::new("a.b").get_in(object), Some(&json!(1)));
        assert_eq!(Field::new("x.y").get_in(object), Some(&json!(2)));
        Field::new("a.c.d").set(object, json!(3));
        assert_eq!(Field::new("a.b").remove(object), Some(json!(1)));
        assert_eq!(value, json!({"a": {"c": {"d": 3}}, "x.y": 2}));
    }
}
