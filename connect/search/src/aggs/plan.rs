//! What is asked, checked: a tree of named aggregations.

use serde_json::{Map, Value, json};
use tantivy::Order;

use super::calendar::Interval;
use super::pipeline::{self, Pipeline};
use super::rate::{self, Rate};
use super::{AggError, malformed};
use crate::limits::{AGGREGATION_DEPTH_MAX, AGGREGATIONS_MAX, ORDERED_TERMS_MAX};
use crate::query::compile::FieldRef;
use crate::query::dsl;
use crate::query::expr::Expr;
use crate::query::time::{self, Round, Zone};

/// One aggregation and what is computed in each of its buckets.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) subs: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Terms(Terms),
    DateHistogram(DateHistogram),
    /// `histogram`, `range`: tantivy's own request.
    Numeric {
        kind: &'static str,
        request: Value,
    },
    Filter(Expr),
    Filters(Vec<(String, Expr)>),
    Metric {
        kind: &'static str,
        request: Value,
    },
    Rate(Rate),
    Pipeline(Pipeline),
}

#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) request: Map<String, Value>,
    /// An order that tantivy does not have: path of the metric, order, number of buckets.
    pub(crate) order: Option<(String, Order, usize)>,
}

#[derive(Debug, Clone)]
pub(crate) struct DateHistogram {
    pub(crate) column: String,
    pub(crate) interval: Interval,
    pub(crate) zone: Zone,
    pub(crate) offset_ms: i64,
    pub(crate) min_doc_count: u64,
    /// Milliseconds, both inclusive.
    pub(crate) extended_bounds: Option<(i64, i64)>,
    pub(crate) format: Option<String>,
}

/// Metrics with one number, which tantivy can order terms by.
const SINGLE_METRICS: [&str; 6] = ["avg", "sum", "min", "max", "value_count", "cardinality"];
/// Metrics with several numbers.
const MULTIPLE_METRICS: [&str; 3] = ["stats", "extended_stats", "percentiles"];

pub(crate) fn parse(aggs: Option<&Value>) -> Result<Vec<Node>, AggError> {
    let mut budget = AGGREGATIONS_MAX;
    parse_level(aggs, 0, &mut budget)
}

fn parse_level(aggs: Option<&Value>, depth: usize, budget: &mut usize) -> Result<Vec<Node>, AggError> {
    let Some(aggs) = aggs.and_then(Value::as_object) else { return Ok(Vec::new()) };
    if depth > AGGREGATION_DEPTH_MAX {
        return Err(AggError::TooDeep);
    }
    let mut nodes = Vec::with_capacity(aggs.len());
    for (name, body) in aggs {
        *budget = budget.checked_sub(1).ok_or(AggError::TooMany)?;
        let body = body.as_object().ok_or_else(|| malformed(name, "must be an object"))?;
        let subs = parse_level(body.get("aggs").or_else(|| body.get("aggregations")), depth + 1, budget)?;
        let mut kinds = body.iter().filter(|(key, _)| !matches!(key.as_str(), "aggs" | "aggregations" | "meta"));
        let (Some((kind, request)), None) = (kinds.next(), kinds.next()) else {
            return Err(malformed(name, "must have one type"));
        };
        let kind = kind_of(name, kind, request, &subs)?;
        let has_buckets = !matches!(kind, Kind::Metric { .. } | Kind::Rate(_) | Kind::Pipeline(_));
        if !has_buckets && !subs.is_empty() {
            return Err(malformed(name, "a metric cannot have sub-aggregations"));
        }
        let is_over_buckets = |node: &Node| matches!(node.kind, Kind::Pipeline(_));
        if subs.iter().any(is_over_buckets)
            && !matches!(kind, Kind::DateHistogram(_) | Kind::Numeric { .. } | Kind::Terms(_))
        {
            return Err(malformed(name, "pipelines must be below a histogram"));
        }
        rate::check(Some(&kind), &subs)?;
        nodes.push(Node { name: name.clone(), kind, subs });
    }
    if depth == 0 {
        rate::check(None, &nodes)?;
    }
    let pipeline = nodes.iter().find(|node| matches!(node.kind, Kind::Pipeline(_)));
    if let Some(node) = pipeline.filter(|_| depth == 0) {
        return Err(malformed(&node.name, "a pipeline must be below a histogram"));
    }
    Ok(nodes)
}

fn kind_of(name: &str, kind: &str, request: &Value, subs: &[Node]) -> Result<Kind, AggError> {
    let known = |kinds: &[&'static str]| kinds.iter().copied().find(|known| *known == kind);
    if let Some(kind) = known(&SINGLE_METRICS).or_else(|| known(&MULTIPLE_METRICS)) {
        return metric(name, kind, request);
    }
    if let Some(pipeline) = pipeline::parse(name, kind, request)? {
        return Ok(Kind::Pipeline(pipeline));
    }
    match kind {
        "terms" => terms(name, request, subs).map(Kind::Terms),
        "date_histogram" => date_histogram(name, request).map(Kind::DateHistogram),
        "histogram" => histogram(name, request),
        "range" => range(name, request),
        "filter" => Ok(Kind::Filter(dsl::parse(Some(request))?)),
        "filters" => filters(name, request),
        "rate" => {
            let column = request.get("field").map(|_| column(name, request)).transpose()?;
            rate::parse(name, request, column).map(Kind::Rate)
        }
        other => Err(match absent(other) {
            Some(why) => AggError::Absent { name: name.to_owned(), kind: other.to_owned(), why },
            None => AggError::Unknown { name: name.to_owned(), kind: other.to_owned() },
        }),
    }
}

/// Why an aggregation that Elasticsearch has cannot be computed here.
fn absent(kind: &str) -> Option<&'static str> {
    match kind {
        "geohash_grid" | "geotile_grid" => Some("documents have no geo points here"),
        "nested" | "reverse_nested" => {
            Some("the objects of an array are not kept apart here; aggregate a field of them, as path.field")
        }
        "top_metrics" | "top_hits" => {
            Some("a bucket does not keep single documents here; use max or min, or a raw data query sorted by time")
        }
        _ => None,
    }
}

/// The column that `field` names.
fn column(name: &str, request: &Value) -> Result<String, AggError> {
    if request.get("script").is_some() {
        return Err(malformed(name, "scripts are not run: aggregate a field"));
    }
    let field = request.get("field").and_then(Value::as_str).ok_or_else(|| malformed(name, "needs a [field]"))?;
    FieldRef::of(field).column().ok_or_else(|| {
        malformed(name, format!("[{field}] has words and no single value: it cannot be aggregated, only searched"))
    })
}

fn metric(name: &str, kind: &'static str, request: &Value) -> Result<Kind, AggError> {
    let mut translated = json!({ "field": column(name, request)? });
    if let Some(missing) = number(request, "missing") {
        translated["missing"] = json!(missing);
    }
    if let Some(sigma) = number(request, "sigma").filter(|_| kind == "extended_stats") {
        translated["sigma"] = json!(sigma);
    }
    if kind == "percentiles" {
        // Grafana sends them as texts.
        let percents = request.get("percents").and_then(Value::as_array);
        if let Some(percents) = percents {
            let percents: Option<Vec<f64>> = percents.iter().map(as_number).collect();
            let percents = percents.filter(|percents| percents.iter().all(|percent| (0.0..=100.0).contains(percent)));
            translated["percents"] =
                json!(percents.ok_or_else(|| malformed(name, "[percents] must be numbers from 0 to 100"))?);
        }
    }
    Ok(Kind::Metric { kind, request: translated })
}

fn terms(name: &str, request: &Value, subs: &[Node]) -> Result<Terms, AggError> {
    let mut translated = Map::new();
    translated.insert("field".to_owned(), json!(column(name, request)?));
    let size = number(request, "size").unwrap_or(10.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let size = match size.clamp(0.0, f64::from(ORDERED_TERMS_MAX)) as u32 {
        0 => ORDERED_TERMS_MAX,
        size => size,
    };
    if let Some(count) = number(request, "min_doc_count") {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        translated.insert("min_doc_count".to_owned(), json!(count.clamp(0.0, 1e15) as u64));
    }
    for key in ["missing", "include", "exclude"] {
        if let Some(value) = request.get(key).filter(|value| !value.is_null()) {
            translated.insert(key.to_owned(), value.clone());
        }
    }
    let mut after = None;
    let mut wanted = size;
    if let Some((path, order)) = order_of(name, request.get("order"))? {
        let metric = subs.iter().find(|sub| pipeline::names(&path, &sub.name));
        let is_single =
            metric.is_some_and(|sub| matches!(&sub.kind, Kind::Metric { kind, .. } if SINGLE_METRICS.contains(kind)));
        match (path.as_str(), metric) {
            ("_count", _) => drop(translated.insert("order".to_owned(), json!({ "_count": word(order) }))),
            ("_key" | "_term", _) => drop(translated.insert("order".to_owned(), json!({ "_key": word(order) }))),
            (_, None) => {
                return Err(malformed(name, format!("cannot order by [{path}]: there is no such aggregation below")));
            }
            (_, Some(sub)) if is_single => {
                drop(translated.insert("order".to_owned(), json!({ sub.name.clone(): word(order) })));
            }
            _ => {
                after = Some((path, order, size as usize));
                wanted = ORDERED_TERMS_MAX;
            }
        }
    }
    translated.insert("size".to_owned(), json!(wanted));
    Ok(Terms { request: translated, order: after })
}

fn word(order: Order) -> &'static str {
    if order == Order::Asc { "asc" } else { "desc" }
}

fn order_of(name: &str, order: Option<&Value>) -> Result<Option<(String, Order)>, AggError> {
    let first = match order {
        Some(Value::Array(orders)) => orders.first(),
        other => other,
    };
    let Some((path, order)) = first.and_then(Value::as_object).and_then(|order| order.iter().next()) else {
        return Ok(None);
    };
    match order.as_str() {
        Some("asc") => Ok(Some((path.clone(), Order::Asc))),
        Some("desc") => Ok(Some((path.clone(), Order::Desc))),
        _ => Err(malformed(name, format!("the order of [{path}] must be asc or desc"))),
    }
}

fn date_histogram(name: &str, request: &Value) -> Result<DateHistogram, AggError> {
    let text = |key: &str| request.get(key).and_then(Value::as_str);
    let interval = if let Some(fixed) = text("fixed_interval") {
        Interval::fixed(fixed)
    } else {
        let interval = text("calendar_interval").or_else(|| text("interval"));
        interval.and_then(|interval| Interval::calendar(interval).or_else(|| Interval::fixed(interval)))
    };
    let interval = interval.ok_or_else(|| malformed(name, "needs an interval such as 30s, 1h, 1d or month"))?;
    let zone = text("time_zone").map_or(Ok(Zone::UTC), Zone::parse)?;
    let bound = |key: &str, round| -> Result<Option<i64>, AggError> {
        match request.get("extended_bounds").and_then(|bounds| bounds.get(key)) {
            Some(Value::String(text)) => {
                Ok(Some(time::resolve(text, chrono::Utc::now().timestamp_millis(), zone, round)?))
            }
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
            Some(value) => Ok(value.as_f64().map(|ms| ms as i64)),
            None => Ok(None),
        }
    };
    let extended_bounds = bound("min", Round::Down)?.zip(bound("max", Round::Up)?).filter(|(min, max)| min <= max);
    let offset_ms = match text("offset") {
        Some(offset) => signed_interval(offset).ok_or_else(|| malformed(name, "[offset] must be like +6h or -1d"))?,
        None => 0,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let min_doc_count = number(request, "min_doc_count").unwrap_or(0.0).clamp(0.0, 1e15) as u64;
    let format = text("format").map(str::to_owned);
    let column = column(name, request)?;
    Ok(DateHistogram { column, interval, zone, offset_ms, min_doc_count, extended_bounds, format })
}

fn signed_interval(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    match Interval::fixed(text)? {
        Interval::Fixed { ms } => Some(sign * ms),
        Interval::Calendar(_) => None,
    }
}

fn histogram(name: &str, request: &Value) -> Result<Kind, AggError> {
    let interval = number(request, "interval").filter(|interval| *interval > 0.0);
    let interval = interval.ok_or_else(|| malformed(name, "needs an [interval] greater than 0"))?;
    let min_doc_count = number(request, "min_doc_count").unwrap_or(0.0);
    let mut translated = json!({ "field": column(name, request)?, "interval": interval });
    if let Some(offset) = number(request, "offset") {
        translated["offset"] = json!(offset.rem_euclid(interval));
    }
    if min_doc_count > 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let count = min_doc_count.clamp(0.0, 1e15) as u64;
        translated["min_doc_count"] = json!(count);
    } else if let Some(bounds) = request.get("extended_bounds").filter(|bounds| bounds.is_object()) {
        translated["extended_bounds"] = bounds.clone();
    }
    Ok(Kind::Numeric { kind: "histogram", request: translated })
}

fn range(name: &str, request: &Value) -> Result<Kind, AggError> {
    let ranges = request.get("ranges").and_then(Value::as_array).filter(|ranges| !ranges.is_empty());
    let ranges = ranges.ok_or_else(|| malformed(name, "needs [ranges]"))?;
    Ok(Kind::Numeric { kind: "range", request: json!({ "field": column(name, request)?, "ranges": ranges }) })
}

fn filters(name: &str, request: &Value) -> Result<Kind, AggError> {
    let filters = match request.get("filters") {
        Some(Value::Object(filters)) => {
            filters.iter().map(|(key, query)| Ok((key.clone(), dsl::parse(Some(query))?))).collect()
        }
        Some(Value::Array(filters)) => {
            let parsed = filters.iter().enumerate();
            parsed.map(|(index, query)| Ok((index.to_string(), dsl::parse(Some(query))?))).collect()
        }
        _ => return Err(malformed(name, "needs [filters]")),
    };
    let filters: Result<Vec<_>, dsl::QueryError> = filters;
    Ok(Kind::Filters(filters?))
}

fn number(request: &Value, key: &str) -> Option<f64> {
    request.get(key).and_then(as_number)
}

/// A number, also where it comes as a text.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}
