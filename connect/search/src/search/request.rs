//! A search request, read leniently: what is not known is ignored, what is known and wrong is an error.

use serde_json::{Map, Value};

use super::highlight::Tags;
use super::sort::{self, Sort};
use crate::aggs::AggError;
use crate::aggs::plan::{self, Node};
use crate::limits::HITS_MAX;
use crate::query::compile::CompileError;
use crate::query::dsl::{self, QueryError};
use crate::query::expr::Expr;

const SIZE_DEFAULT: usize = 10;

/// Why a search is answered with an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Aggregation(#[from] AggError),
    #[error("{0}")]
    Request(String),
    #[error("the search failed: {0}")]
    Index(#[from] tantivy::TantivyError),
    #[error("too many searches are running: try again")]
    Busy,
    #[error("the search was cut off: {0}")]
    CutOff(String),
}

/// What is asked of the shards.
#[derive(Debug, Default)]
pub(crate) struct SearchRequest {
    pub(crate) query: Option<Expr>,
    pub(crate) from: usize,
    pub(crate) size: usize,
    pub(crate) sort: Sort,
    pub(crate) aggs: Vec<Node>,
    pub(crate) source: SourceFilter,
    /// Patterns of `docvalue_fields` and `fields`.
    pub(crate) fields: Vec<FieldPattern>,
    pub(crate) highlight: Option<Tags>,
}

/// A field to show beside the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPattern {
    pub(crate) pattern: String,
    pub(crate) format: Option<String>,
}

/// What of the source is shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum SourceFilter {
    #[default]
    All,
    Nothing,
    Patterns {
        includes: Vec<String>,
        excludes: Vec<String>,
    },
}

pub(crate) fn parse(body: &Value) -> Result<SearchRequest, SearchError> {
    let empty = Map::new();
    let body = match body {
        Value::Object(body) => body,
        Value::Null => &empty,
        _ => return Err(SearchError::Request("the body of a search must be an object".to_owned())),
    };
    let query = dsl::parse(body.get("query"))?;
    let size = count(body, "size")?.unwrap_or(SIZE_DEFAULT);
    let from = count(body, "from")?.unwrap_or(0);
    if from.saturating_add(size) > HITS_MAX {
        let reason = format!("from + size must be at most {HITS_MAX}, but was {from} + {size}: use search_after");
        return Err(SearchError::Request(reason));
    }
    let sort = sort::parse(body.get("sort"), body.get("search_after"))?;
    let aggs = plan::parse(body.get("aggs").or_else(|| body.get("aggregations")))?;
    let mut fields = patterns(body.get("docvalue_fields"));
    fields.extend(patterns(body.get("fields")));
    let highlight = body.get("highlight").filter(|highlight| highlight.is_object()).map(Tags::parse);
    let source = source_filter(body.get("_source"));
    Ok(SearchRequest { query: Some(query), from, size, sort, aggs, source, fields, highlight })
}

fn count(body: &Map<String, Value>, key: &str) -> Result<Option<usize>, SearchError> {
    let Some(value) = body.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.map(Some).ok_or_else(|| SearchError::Request(format!("[{key}] must be a whole number, but was {value}")))
}

fn patterns(value: Option<&Value>) -> Vec<FieldPattern> {
    let entries = value.and_then(Value::as_array).into_iter().flatten();
    let pattern = |entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let pattern = entry.as_str().map(str::to_owned).or_else(|| text("field"))?;
        Some(FieldPattern { pattern, format: text("format") })
    };
    entries.filter_map(pattern).collect()
}

fn source_filter(value: Option<&Value>) -> SourceFilter {
    let texts = |value: Option<&Value>| match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    match value {
        Some(Value::Bool(false)) => SourceFilter::Nothing,
        Some(Value::Object(filter)) => {
            let includes = texts(filter.get("includes").or_else(|| filter.get("include")));
            let excludes = texts(filter.get("excludes").or_else(|| filter.get("exclude")));
            SourceFilter::Patterns { includes, excludes }
        }
        Some(patterns @ (Value::String(_) | Value::Array(_))) => {
            SourceFilter::Patterns { includes: texts(Some(patterns)), excludes: Vec::new() }
        }
        _ => SourceFilter::All,
    }
}
