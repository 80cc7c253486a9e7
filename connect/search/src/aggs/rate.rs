//! `rate`: the sum of a field, or a count, per unit of time in each bucket of a date histogram.
//!
//! tantivy computes the sum or the count; the bucket's true length, which calendars and zones change, divides it.

use serde_json::{Map, Value, json};

use super::calendar::Interval;
use super::plan::{DateHistogram, Kind, Node};
use super::{AggError, malformed};
use crate::query::time::Unit;

#[derive(Debug, Clone)]
pub(crate) struct Rate {
    /// tantivy's metric; `None` counts documents.
    pub(crate) of: Option<(&'static str, Value)>,
    /// `None` is the histogram's own interval.
    unit: Option<Unit>,
}

/// `column` is what the request's `field` names.
pub(crate) fn parse(name: &str, request: &Value, column: Option<String>) -> Result<Rate, AggError> {
    let kind = match request.get("mode").and_then(Value::as_str) {
        None | Some("sum") => "sum",
        Some("value_count") => "value_count",
        Some(other) => return Err(malformed(name, format!("[mode] must be sum or value_count, but was {other}"))),
    };
    let unit = match request.get("unit").and_then(Value::as_str) {
        None | Some("") => None,
        Some(unit) => match Interval::calendar(unit) {
            Some(Interval::Calendar(unit)) => Some(unit),
            _ => return Err(malformed(name, format!("[unit] must be second, minute, … or year, but was {unit}"))),
        },
    };
    Ok(Rate { of: column.map(|column| (kind, json!({ "field": column }))), unit })
}

/// Whether rates stand where they can be computed: below `kind`.
pub(crate) fn check(kind: Option<&Kind>, subs: &[Node]) -> Result<(), AggError> {
    for sub in subs {
        let Kind::Rate(rate) = &sub.kind else { continue };
        let Some(Kind::DateHistogram(histogram)) = kind else {
            return Err(malformed(&sub.name, "a rate must be directly below a date histogram"));
        };
        if rate.unit.is_some_and(|unit| months(unit).is_some()) && histogram_months(histogram).is_none() {
            return Err(malformed(
                &sub.name,
                "months, quarters and years need a histogram with a calendar interval of these",
            ));
        }
    }
    Ok(())
}

/// Turns what tantivy computed for one bucket of `length_ms` into rates.
pub(crate) fn apply(subs: &[Node], histogram: &DateHistogram, length_ms: i64, bucket: &mut Map<String, Value>) {
    for sub in subs {
        let Kind::Rate(rate) = &sub.kind else { continue };
        let amount = match &rate.of {
            Some(_) => bucket.get(&sub.name).and_then(|found| found["value"].as_f64()),
            None => bucket.get("doc_count").and_then(Value::as_f64),
        };
        let units = rate.unit.map_or(1.0, |unit| units_in(unit, histogram, length_ms));
        bucket.insert(sub.name.clone(), json!({ "value": amount.unwrap_or(0.0) / units }));
    }
}

/// How often a unit goes into a bucket.
fn units_in(unit: Unit, histogram: &DateHistogram, length_ms: i64) -> f64 {
    match (months(unit), histogram_months(histogram)) {
        (Some(unit), Some(bucket)) => f64::from(bucket) / f64::from(unit),
        _ => {
            let unit_ms = match unit {
                Unit::Week => 7 * 86_400_000,
                unit => Interval::Calendar(unit).fixed_ms().unwrap_or(length_ms),
            };
            length_ms.max(1) as f64 / unit_ms as f64
        }
    }
}

fn months(unit: Unit) -> Option<u16> {
    match unit {
        Unit::Month => Some(1),
        Unit::Quarter => Some(3),
        Unit::Year => Some(12),
        _ => None,
    }
}

fn histogram_months(histogram: &DateHistogram) -> Option<u16> {
    match histogram.interval {
        Interval::Calendar(unit) => months(unit),
        Interval::Fixed { .. } => None,
    }
}
