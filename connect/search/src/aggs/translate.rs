//! From the plan to tantivy's request.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tantivy::TantivyError;
use tantivy::aggregation::agg_req::{Aggregation, AggregationVariants, Aggregations};
use tantivy::aggregation::bucket::{FilterAggregation, QueryBuilder};
use tantivy::query::Query;
use tantivy::schema::Schema;
use tantivy::tokenizer::TokenizerManager;

use super::AggError;
use super::calendar;
use super::plan::{DateHistogram, Kind, Node};
use crate::index::schema::Fields;
use crate::limits::BUCKETS_MAX;
use crate::query::compile::Compiler;
use crate::query::expr::Expr;
use crate::query::time::Zone;

/// How often a zone's offset is looked at: clocks change at most a few times a year.
const ZONE_SAMPLE_MS: i64 = 20 * 86_400_000;
const NANOS_PER_MILLI: f64 = 1e6;

/// The first and the last time of a column, in milliseconds.
pub(crate) type Bounds = BTreeMap<String, (i64, i64)>;

/// What translating needs to know besides the plan.
pub(crate) struct Context<'a> {
    pub(crate) text_paths: &'a [String],
    pub(crate) now_ms: i64,
    pub(crate) bounds: &'a Bounds,
}

/// How a date histogram is computed.
pub(crate) enum Layout {
    /// By tantivy: equal steps.
    Steps { interval_ms: i64, offset_ms: i64 },
    /// As ranges between borders that a calendar or a zone makes unequal; none when there is no time to cover.
    Borders(Vec<i64>),
}

/// The columns whose first and last time must be known before translating.
pub(crate) fn needs_bounds(nodes: &[Node]) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    for node in nodes {
        if let Kind::DateHistogram(histogram) = &node.kind
            && (histogram.interval.fixed_ms().is_none() || has_rules(histogram.zone))
        {
            columns.insert(histogram.column.clone());
        }
        columns.extend(needs_bounds(&node.subs));
    }
    columns
}

fn has_rules(zone: Zone) -> bool {
    matches!(zone, Zone::Rules(_)) && zone != Zone::UTC
}

pub(crate) fn layout(name: &str, histogram: &DateHistogram, bounds: &Bounds) -> Result<Layout, AggError> {
    let too_many = || AggError::TooManyBuckets { name: name.to_owned() };
    let data = bounds.get(&histogram.column).copied();
    let span = match (data, histogram.extended_bounds) {
        (Some((min, max)), Some((low, high))) => Some((min.min(low), max.max(high))),
        (data, extended) => data.or(extended),
    };
    if let Some(interval_ms) = histogram.interval.fixed_ms() {
        if histogram.extended_bounds.is_some_and(|(low, high)| (high - low) / interval_ms > i64::from(BUCKETS_MAX)) {
            return Err(too_many());
        }
        if let Some(zone_ms) = constant_offset_ms(histogram.zone, span) {
            return Ok(Layout::Steps {
                interval_ms,
                offset_ms: (histogram.offset_ms - zone_ms).rem_euclid(interval_ms),
            });
        }
    }
    let Some((min, max)) = span else { return Ok(Layout::Borders(Vec::new())) };
    let borders =
        calendar::borders(histogram.interval, histogram.zone, histogram.offset_ms, min, max, BUCKETS_MAX as usize);
    borders.map(Layout::Borders).ok_or_else(too_many)
}

/// The zone's offset if it does not change within the span.
fn constant_offset_ms(zone: Zone, span: Option<(i64, i64)>) -> Option<i64> {
    if !has_rules(zone) {
        return Some(zone.offset_ms(0));
    }
    let (min, max) = span?;
    let offset_ms = zone.offset_ms(min);
    let mut at = min;
    while at < max {
        if zone.offset_ms(at) != offset_ms {
            return None;
        }
        at = at.saturating_add(ZONE_SAMPLE_MS);
    }
    (zone.offset_ms(max) == offset_ms).then_some(offset_ms)
}

pub(crate) fn translate(nodes: &[Node], context: &Context<'_>) -> Result<Aggregations, AggError> {
    let mut aggregations = Aggregations::default();
    for node in nodes {
        let subs = || translate(&node.subs, context);
        match &node.kind {
            Kind::Pipeline(_) => {}
            Kind::Rate(rate) => {
                if let Some((kind, request)) = &rate.of {
                    let request = json!({ *kind: request });
                    aggregations.insert(node.name.clone(), variant(&node.name, request, subs()?)?);
                }
            }
            Kind::Filters(filters) => {
                for (index, (_, expr)) in filters.iter().enumerate() {
                    aggregations.insert(filter_name(&node.name, index), filter(expr, subs()?, context));
                }
            }
            Kind::Filter(expr) => drop(aggregations.insert(node.name.clone(), filter(expr, subs()?, context))),
            Kind::Terms(terms) => {
                let request = json!({ "terms": terms.request });
                aggregations.insert(node.name.clone(), variant(&node.name, request, subs()?)?);
            }
            Kind::Numeric { kind, request } | Kind::Metric { kind, request } => {
                let request = json!({ *kind: request });
                aggregations.insert(node.name.clone(), variant(&node.name, request, subs()?)?);
            }
            Kind::DateHistogram(histogram) => {
                let request = date_histogram(&node.name, histogram, context.bounds)?;
                aggregations.insert(node.name.clone(), variant(&node.name, request, subs()?)?);
            }
        }
    }
    Ok(aggregations)
}

/// tantivy has one filter per aggregation: `filters` becomes several.
pub(super) fn filter_name(name: &str, index: usize) -> String {
    format!("{name}\u{1}{index}")
}

fn date_histogram(name: &str, histogram: &DateHistogram, bounds: &Bounds) -> Result<Value, AggError> {
    match layout(name, histogram, bounds)? {
        Layout::Steps { interval_ms, offset_ms } => {
            let mut request = json!({ "field": histogram.column, "fixed_interval": format!("{interval_ms}ms") });
            if offset_ms != 0 {
                request["offset"] = json!(format!("{offset_ms}ms"));
            }
            if histogram.min_doc_count > 0 {
                request["min_doc_count"] = json!(histogram.min_doc_count);
            } else if let Some((min, max)) = histogram.extended_bounds {
                request["extended_bounds"] = json!({ "min": min, "max": max });
            }
            Ok(json!({ "date_histogram": request }))
        }
        Layout::Borders(borders) => {
            #[expect(clippy::cast_precision_loss, reason = "borders are whole seconds: exact as floats")]
            let nanos = |ms: i64| ms as f64 * NANOS_PER_MILLI;
            let mut ranges: Vec<Value> =
                borders.windows(2).map(|pair| json!({ "from": nanos(pair[0]), "to": nanos(pair[1]) })).collect();
            if ranges.is_empty() {
                ranges.push(json!({ "from": 0.0, "to": 1.0 }));
            }
            Ok(json!({ "range": { "field": histogram.column, "ranges": ranges } }))
        }
    }
}

fn variant(name: &str, request: Value, subs: Aggregations) -> Result<Aggregation, AggError> {
    let agg: AggregationVariants =
        serde_json::from_value(request).map_err(|error| super::malformed(name, error.to_string()))?;
    Ok(Aggregation { agg, sub_aggregation: subs })
}

fn filter(expr: &Expr, subs: Aggregations, context: &Context<'_>) -> Aggregation {
    let builder = FilterBuilder { expr: expr.clone(), text_paths: context.text_paths.to_vec(), now_ms: context.now_ms };
    let agg = AggregationVariants::Filter(FilterAggregation::new_with_builder(Box::new(builder)));
    Aggregation { agg, sub_aggregation: subs }
}

/// Builds the query of a filter when a shard is searched.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct FilterBuilder {
    expr: Expr,
    text_paths: Vec<String>,
    now_ms: i64,
}

#[typetag::serde(name = "weir_filter")]
impl QueryBuilder for FilterBuilder {
    fn build_query(&self, schema: &Schema, _: &TokenizerManager) -> tantivy::Result<Box<dyn Query>> {
        let fields = Fields::of(schema)?;
        let compiler = Compiler { fields: &fields, text_paths: &self.text_paths, now_ms: self.now_ms };
        compiler.compile(&self.expr).map_err(|error| TantivyError::InvalidArgument(error.to_string()))
    }

    fn box_clone(&self) -> Box<dyn QueryBuilder> {
        Box::new(self.clone())
    }
}
