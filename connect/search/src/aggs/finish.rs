//! From tantivy's results to Elasticsearch's answer.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tantivy::Order;

use super::plan::{DateHistogram, Kind, Node, Terms};
use super::translate::{Bounds, Layout, filter_name, layout};
use super::{AggError, calendar, pipeline, rate};

const NANOS_PER_MILLI: f64 = 1e6;

/// What finishing needs to know besides the plan.
pub(crate) struct Context<'a> {
    pub(crate) bounds: &'a Bounds,
    /// Columns that hold times: tantivy computes with nanoseconds, the answer has milliseconds.
    pub(crate) date_columns: &'a BTreeSet<String>,
}

type Buckets = Vec<Map<String, Value>>;

/// The finished aggregations of one level.
pub(crate) fn finish(nodes: &[Node], results: &Value, context: &Context<'_>) -> Result<Map<String, Value>, AggError> {
    let mut finished = Map::new();
    for node in nodes {
        let result = &results[&node.name];
        let value = match &node.kind {
            Kind::Pipeline(_) => continue,
            // An amount until the length of its bucket is known.
            Kind::Rate(_) => result.clone(),
            Kind::Metric { kind, request } => metric(kind, request, result, context),
            Kind::Filter(_) => Value::Object(bucket(node, result, context)?),
            Kind::Filters(filters) => {
                let mut buckets = Map::new();
                for (index, (key, _)) in filters.iter().enumerate() {
                    let result = &results[filter_name(&node.name, index)];
                    buckets.insert(key.clone(), Value::Object(bucket(node, result, context)?));
                }
                json!({ "buckets": buckets })
            }
            Kind::Terms(terms) => self::terms(node, terms, result, context)?,
            Kind::DateHistogram(histogram) => date_histogram(node, histogram, result, context)?,
            Kind::Numeric { .. } => {
                let mut buckets = buckets_of(node, result, context)?;
                over_buckets(node, &mut buckets);
                json!({ "buckets": buckets })
            }
        };
        finished.insert(node.name.clone(), value);
    }
    Ok(finished)
}

/// One bucket: what tantivy says of itself, and the finished aggregations in it.
fn bucket(node: &Node, result: &Value, context: &Context<'_>) -> Result<Map<String, Value>, AggError> {
    let mut bucket = Map::new();
    for key in ["key", "key_as_string", "from", "to", "doc_count"] {
        if let Some(value) = result.get(key) {
            bucket.insert(key.to_owned(), value.clone());
        }
    }
    bucket.entry("doc_count").or_insert_with(|| json!(0));
    bucket.extend(finish(&node.subs, result, context)?);
    Ok(bucket)
}

fn buckets_of(node: &Node, result: &Value, context: &Context<'_>) -> Result<Buckets, AggError> {
    let buckets = result.get("buckets").and_then(Value::as_array).into_iter().flatten();
    buckets.map(|result| bucket(node, result, context)).collect()
}

/// Pipelines, in the order they are given: a later one may use an earlier one.
fn over_buckets(node: &Node, buckets: &mut Buckets) {
    for sub in &node.subs {
        if let Kind::Pipeline(pipeline) = &sub.kind {
            pipeline::apply(&sub.name, pipeline, buckets);
        }
    }
}

fn terms(node: &Node, terms: &Terms, result: &Value, context: &Context<'_>) -> Result<Value, AggError> {
    let mut buckets = buckets_of(node, result, context)?;
    over_buckets(node, &mut buckets);
    if let Some((path, order, size)) = &terms.order {
        // A bucket without the metric stands last, whatever the order.
        buckets.sort_by(|left, right| match (pipeline::metric(left, path), pipeline::metric(right, path)) {
            (Some(left), Some(right)) if *order == Order::Asc => left.total_cmp(&right),
            (Some(left), Some(right)) => right.total_cmp(&left),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        buckets.truncate(*size);
    }
    let count = |key: &str| result.get(key).filter(|count| !count.is_null()).cloned().unwrap_or_else(|| json!(0));
    Ok(json!({
        "doc_count_error_upper_bound": count("doc_count_error_upper_bound"),
        "sum_other_doc_count": count("sum_other_doc_count"),
        "buckets": buckets,
    }))
}

fn date_histogram(
    node: &Node,
    histogram: &DateHistogram,
    result: &Value,
    context: &Context<'_>,
) -> Result<Value, AggError> {
    let buckets = buckets_of(node, result, context)?;
    let layout = layout(&node.name, histogram, context.bounds)?;
    let (from, divisor) = match &layout {
        Layout::Steps { .. } => ("key", 1.0),
        Layout::Borders(_) => ("from", NANOS_PER_MILLI),
    };
    let mut dated: Vec<(i64, Map<String, Value>)> = Vec::with_capacity(buckets.len());
    for mut bucket in buckets {
        // tantivy adds what lies before the first and after the last border.
        let is_open = from == "from" && (!bucket.contains_key("from") || !bucket.contains_key("to"));
        let Some(at) = bucket.get(from).and_then(Value::as_f64).filter(|_| !is_open) else { continue };
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
        let at_ms = (at / divisor).round() as i64;
        bucket.shift_remove("from");
        let to = bucket.shift_remove("to").and_then(|to| to.as_f64());
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
        let length_ms = match (&layout, to) {
            (Layout::Steps { interval_ms, .. }, _) => *interval_ms,
            (Layout::Borders(_), to) => to.map_or(0, |to| (to / divisor).round() as i64 - at_ms),
        };
        rate::apply(&node.subs, histogram, length_ms, &mut bucket);
        dated.push((at_ms, bucket));
    }
    if let Layout::Borders(borders) = &layout {
        keep_asked_for(&mut dated, histogram, borders);
    }
    let mut finished = Vec::with_capacity(dated.len());
    for (at_ms, mut bucket) in dated {
        let text = calendar::format(at_ms, histogram.zone, histogram.format.as_deref());
        let text = text.ok_or_else(|| {
            let format = histogram.format.as_deref().unwrap_or_default();
            super::malformed(&node.name, format!("the format [{format}] is not known"))
        })?;
        bucket.insert("key".to_owned(), json!(at_ms));
        bucket.insert("key_as_string".to_owned(), json!(text));
        finished.push(bucket);
    }
    over_buckets(node, &mut finished);
    Ok(json!({ "buckets": finished }))
}

/// Of all ranges between borders those that a histogram shows: none below `min_doc_count`; with 0, all from the first
/// to the last that has documents or is asked for.
fn keep_asked_for(buckets: &mut Vec<(i64, Map<String, Value>)>, histogram: &DateHistogram, borders: &[i64]) {
    let count = |bucket: &Map<String, Value>| bucket.get("doc_count").and_then(Value::as_u64).unwrap_or(0);
    if borders.len() < 2 {
        buckets.clear();
        return;
    }
    if histogram.min_doc_count > 0 {
        buckets.retain(|(_, bucket)| count(bucket) >= histogram.min_doc_count);
        return;
    }
    let ends = |at_ms: i64| borders.iter().copied().find(|border| *border > at_ms).unwrap_or(i64::MAX);
    let is_shown = |(at_ms, bucket): &(i64, Map<String, Value>)| {
        count(bucket) > 0 || histogram.extended_bounds.is_some_and(|(min, max)| *at_ms <= max && ends(*at_ms) > min)
    };
    let first = buckets.iter().position(is_shown);
    let last = buckets.iter().rposition(is_shown);
    match first.zip(last) {
        Some((first, last)) => {
            buckets.truncate(last + 1);
            buckets.drain(..first);
        }
        None => buckets.clear(),
    }
}

fn metric(kind: &str, request: &Value, result: &Value, context: &Context<'_>) -> Value {
    let mut result = result.clone();
    let is_date = request["field"].as_str().is_some_and(|column| context.date_columns.contains(column));
    if is_date
        && matches!(kind, "min" | "max" | "avg")
        && let Some(nanos) = result["value"].as_f64()
    {
        let ms = (nanos / NANOS_PER_MILLI).round();
        result["value"] = json!(ms);
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
        let text = calendar::format(ms as i64, crate::query::time::Zone::UTC, None);
        result["value_as_string"] = json!(text);
    }
    if result.is_null() {
        return json!({ "value": null });
    }
    result
}
