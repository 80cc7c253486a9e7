//! Ranges: of times where both bounds are times, of numbers, of texts.

use std::ops::Bound;

use serde_json::Value;
use tantivy::Term;
use tantivy::query::{Query, RangeQuery};

use super::terms::{Number, any_of, date};
use super::{CompileError, Compiled, Compiler, FieldRef};
use crate::limits::TIMESTAMP_MS_MAX;
use crate::query::time::{self, Round, TimeError, Zone};

impl Compiler<'_> {
    pub(super) fn range(
        &self,
        name: &str,
        lower: &Bound<Value>,
        upper: &Bound<Value>,
        time_zone: Option<&str>,
    ) -> Compiled {
        let zone = time_zone.map_or(Ok(Zone::UTC), Zone::parse)?;
        let is_unbounded = matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded));
        if is_unbounded {
            return Ok(self.exists(name));
        }
        // `gt` and `lte` mean the end of a day that is given without its hours, `gte` and `lt` its start.
        let lower_round = if matches!(lower, Bound::Excluded(_)) { Round::Up } else { Round::Down };
        let upper_round = if matches!(upper, Bound::Excluded(_)) { Round::Down } else { Round::Up };
        let times = || -> Result<(Bound<i64>, Bound<i64>), TimeError> {
            let lower = map(lower, |value| self.time(value, zone, lower_round))?;
            Ok((lower, map(upper, |value| self.time(value, zone, upper_round))?))
        };
        match FieldRef::of(name) {
            FieldRef::Timestamp => {
                let (lower, upper) = times()?;
                let term = |ms: i64| Term::from_field_date(self.fields.timestamp, date(ms));
                Ok(Box::new(RangeQuery::new(lower.map(term), upper.map(term))))
            }
            FieldRef::Message | FieldRef::Id => Err(CompileError::RangeOnText { field: name.to_owned() }),
            FieldRef::Seq => {
                let term = |value: &Value| {
                    let seq = value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default();
                    Term::from_field_i64(self.fields.seq, seq)
                };
                Ok(Box::new(RangeQuery::new(lower.as_ref().map(term), upper.as_ref().map(term))))
            }
            FieldRef::Dynamic(path) => {
                let mut queries: Vec<Box<dyn Query>> = Vec::new();
                if let Ok((lower, upper)) = times() {
                    let term = |ms: i64| self.dynamic_date(path, ms);
                    queries.push(Box::new(RangeQuery::new(lower.map(term), upper.map(term))));
                }
                queries.push(self.dynamic_range(path, lower, upper));
                Ok(any_of(queries))
            }
        }
    }

    /// A range of numbers where both bounds are numbers, else of texts.
    fn dynamic_range(&self, path: &str, lower: &Bound<Value>, upper: &Bound<Value>) -> Box<dyn Query> {
        let number = |value: &Value| match value {
            Value::String(text) => Number::parse(text).ok_or(()),
            other => Number::parse(&other.to_string()).ok_or(()),
        };
        if let (Ok(lower), Ok(upper)) = (map(lower, number), map(upper, number)) {
            let is_whole = |bound: &Bound<Number>| {
                !matches!(bound, Bound::Included(Number::Float(_)) | Bound::Excluded(Number::Float(_)))
            };
            let are_whole = is_whole(&lower) && is_whole(&upper);
            let term = |number: Number| {
                self.dynamic_number(path, if are_whole { number } else { Number::Float(number.as_f64()) })
            };
            return Box::new(RangeQuery::new(lower.map(term), upper.map(term)));
        }
        let term =
            |value: &Value| self.dynamic_word(path, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        Box::new(RangeQuery::new(lower.as_ref().map(term), upper.as_ref().map(term)))
    }

    fn time(&self, value: &Value, zone: Zone, round: Round) -> Result<i64, TimeError> {
        let refused = || TimeError::Malformed(value.to_string());
        match value {
            Value::String(text) => time::resolve(text, self.now_ms, zone, round),
            #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and is clamped below")]
            other => {
                let ms = other.as_i64().or_else(|| other.as_f64().map(|ms| ms as i64)).ok_or_else(refused)?;
                Ok(ms.clamp(-TIMESTAMP_MS_MAX, TIMESTAMP_MS_MAX))
            }
        }
    }
}

fn map<T, U, E>(bound: &Bound<T>, convert: impl FnOnce(&T) -> Result<U, E>) -> Result<Bound<U>, E> {
    Ok(match bound {
        Bound::Included(value) => Bound::Included(convert(value)?),
        Bound::Excluded(value) => Bound::Excluded(convert(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}
