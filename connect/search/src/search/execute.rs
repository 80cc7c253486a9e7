//! One search over all shards that it means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, AggregationLimitsGuard, DistributedAggregationCollector};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::Query;
use tantivy::schema::{TantivyDocument, Type, Value as _};
use tantivy::{DocAddress, Searcher};

use super::highlight::Highlighter;
use super::hits;
use super::request::{SearchError, SearchRequest};
use super::sort::{SortValues, to_json};
use crate::aggs::AggError;
use crate::aggs::finish::{self, finish};
use crate::aggs::translate::{self, Bounds, translate};
use crate::index::schema::TIMESTAMP;
use crate::index::shard::{FieldTypes, Shard};
use crate::index::tokenizer;
use crate::limits::{AGGREGATION_BYTES_MAX, BUCKETS_MAX};
use crate::query::compile::Compiler;
use crate::query::expr::Expr;

/// The shards of one search, as they were when it began.
struct View {
    shards: Vec<(Arc<Shard>, Searcher)>,
    text_paths: Vec<String>,
    date_columns: BTreeSet<String>,
    now_ms: i64,
}

/// A found document: which shard, where in it, and what it is ordered by.
struct Found {
    shard: usize,
    address: DocAddress,
    order: SortValues,
    score: bool,
}

/// Answers a search; `unreadable_count` shards that it means could not be opened.
pub(crate) fn search(
    shards: Vec<Arc<Shard>>,
    unreadable_count: usize,
    request: &SearchRequest,
) -> Result<Value, SearchError> {
    let started = Instant::now();
    let view = View::of(shards)?;
    let query = request.query.clone().unwrap_or(Expr::All);
    let (total, found) = view.hits(request, &query)?;
    let aggregations = view.aggregations(request, &query)?;
    let shown = view.show(request, &query, found)?;
    let (successful, total_shards) = (view.shards.len(), view.shards.len() + unreadable_count);
    let mut answer = json!({
        "took": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "timed_out": false,
        "_shards": { "total": total_shards, "successful": successful, "skipped": 0, "failed": unreadable_count },
        "hits": { "total": { "value": total, "relation": "eq" }, "max_score": null, "hits": shown },
    });
    if let Some(aggregations) = aggregations {
        answer["aggregations"] = Value::Object(aggregations);
    }
    Ok(answer)
}

impl View {
    fn of(shards: Vec<Arc<Shard>>) -> Result<Self, SearchError> {
        let mut fields = FieldTypes::new();
        let mut pairs = Vec::with_capacity(shards.len());
        for shard in shards {
            for (path, types) in shard.field_types()?.iter() {
                fields.entry(path.clone()).or_default().extend(types);
            }
            let searcher = shard.searcher();
            pairs.push((shard, searcher));
        }
        let of_type = |wanted: Type| fields.iter().filter(move |(_, types)| types.contains(&wanted));
        let text_paths = of_type(Type::Str).map(|(path, _)| path.clone()).collect();
        let dynamic = of_type(Type::Date).map(|(path, _)| format!("{}.{path}", crate::index::schema::DYNAMIC));
        let date_columns = dynamic.chain([TIMESTAMP.to_owned()]).collect();
        Ok(Self { shards: pairs, text_paths, date_columns, now_ms: Utc::now().timestamp_millis() })
    }

    fn compile(&self, shard: &Shard, expr: &Expr) -> Result<Box<dyn Query>, SearchError> {
        let compiler = Compiler { fields: shard.fields(), text_paths: &self.text_paths, now_ms: self.now_ms };
        Ok(compiler.compile(expr)?)
    }

    /// How many documents match, and those of the wanted page.
    fn hits(&self, request: &SearchRequest, query: &Expr) -> Result<(usize, Vec<Found>), SearchError> {
        let mut total = 0;
        let mut all = Vec::new();
        let wanted = request.from + request.size;
        let after = request.sort.after()?;
        for (index, (shard, searcher)) in self.shards.iter().enumerate() {
            let compiled = self.compile(shard, query)?;
            if wanted == 0 || after.is_some() {
                total += searcher.search(&compiled, &Count)?;
            }
            if wanted == 0 {
                continue;
            }
            let [first, second, third] = request.sort.columns();
            let score = request.sort.keys.iter().any(|key| key.field.is_none());
            let top = TopDocs::with_limit(wanted).order_by((first, second, third));
            let found = match &after {
                Some(after) => {
                    let page = Expr::all_of(vec![query.clone(), after.clone()]);
                    searcher.search(&self.compile(shard, &page)?, &top)?
                }
                None => {
                    let (count, found) = searcher.search(&compiled, &(Count, top))?;
                    total += count;
                    found
                }
            };
            all.extend(found.into_iter().map(|(order, address)| Found { shard: index, address, order, score }));
        }
        all.sort_by(|left, right| request.sort.compare(&left.order, &right.order));
        let page = all.into_iter().skip(request.from).take(request.size).collect();
        Ok((total, page))
    }

    fn show(&self, request: &SearchRequest, query: &Expr, found: Vec<Found>) -> Result<Vec<Value>, SearchError> {
        let highlighter = request.highlight.is_some().then(|| Highlighter::new(query));
        found.into_iter().map(|found| self.show_one(request, highlighter.as_ref(), &found)).collect()
    }

    fn show_one(
        &self,
        request: &SearchRequest,
        highlighter: Option<&Highlighter>,
        found: &Found,
    ) -> Result<Value, SearchError> {
        let (shard, searcher) = &self.shards[found.shard];
        let document: TantivyDocument = searcher.doc(found.address)?;
        let fields = shard.fields();
        let source = document.get_first(fields.source).and_then(|value| value.as_bytes()).unwrap_or_default();
        let source: Map<String, Value> = serde_json::from_slice(source).unwrap_or_default();
        let id = document.get_first(fields.id).and_then(|value| value.as_str()).unwrap_or_default();
        let score = if found.score { to_json(&found.order.0) } else { Value::Null };
        let mut hit = json!({ "_index": shard.name().as_str(), "_id": id, "_score": score });
        if !request.fields.is_empty() || highlighter.is_some() {
            let flat = hits::flatten(&source);
            if !request.fields.is_empty() {
                let reader = searcher.segment_reader(found.address.segment_ord);
                let timestamp = reader.fast_fields().date(TIMESTAMP)?.first(found.address.doc_id);
                let timestamp_ms = timestamp.map_or(0, tantivy::DateTime::into_timestamp_millis);
                hit["fields"] = Value::Object(hits::fields(&flat, timestamp_ms, &request.fields));
            }
            if let Some((highlighter, tags)) = highlighter.zip(request.highlight.as_ref()) {
                let marked = highlighter.highlight(&flat, tags);
                if !marked.is_empty() {
                    hit["highlight"] = Value::Object(marked);
                }
            }
        }
        if let Some(source) = hits::filter(source, &request.source) {
            hit["_source"] = source;
        }
        let sort = request.sort.shown(&found.order);
        if !sort.is_empty() {
            hit["sort"] = Value::from(sort);
        }
        Ok(hit)
    }

    fn aggregations(&self, request: &SearchRequest, query: &Expr) -> Result<Option<Map<String, Value>>, SearchError> {
        if request.aggs.is_empty() {
            return Ok(None);
        }
        let bounds = self.bounds(request, query)?;
        let context = translate::Context { text_paths: &self.text_paths, now_ms: self.now_ms, bounds: &bounds };
        let results = self.aggregate(query, translate(&request.aggs, &context)?)?;
        let context = finish::Context { bounds: &bounds, date_columns: &self.date_columns };
        Ok(Some(finish(&request.aggs, &results, &context)?))
    }

    /// The first and the last time in the columns for which borders must be laid out before.
    fn bounds(&self, request: &SearchRequest, query: &Expr) -> Result<Bounds, SearchError> {
        let columns = translate::needs_bounds(&request.aggs);
        let mut bounds = BTreeMap::new();
        for column in columns {
            let stats = json!({ "bounds": { "stats": { "field": column } } });
            let stats: Aggregations =
                serde_json::from_value(stats).map_err(|error| SearchError::Request(error.to_string()))?;
            let result = self.aggregate(query, stats)?;
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
            let ms = |key: &str| result["bounds"][key].as_f64().map(|nanos| (nanos / 1e6).floor() as i64);
            if let Some(span) = ms("min").zip(ms("max")) {
                bounds.insert(column, span);
            }
        }
        Ok(bounds)
    }

    fn aggregate(&self, query: &Expr, aggregations: Aggregations) -> Result<Value, SearchError> {
        let limits = AggregationLimitsGuard::new(Some(AGGREGATION_BYTES_MAX), Some(BUCKETS_MAX));
        let mut merged = IntermediateAggregationResults::default();
        for (shard, searcher) in &self.shards {
            let params = AggContextParams::new(limits.clone(), tokenizer::tokenizers());
            let collector = DistributedAggregationCollector::from_aggs(aggregations.clone(), params);
            let query = self.compile(shard, query)?;
            let result = searcher.search(&query, &collector).map_err(AggError::from)?;
            merged.merge_fruits(result).map_err(AggError::from)?;
        }
        let finished = merged.into_final_result(aggregations, limits).map_err(AggError::from)?;
        serde_json::to_value(finished).map_err(|error| SearchError::Request(error.to_string()))
    }
}
