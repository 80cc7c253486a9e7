//! The JSON query language: `{"bool": {"filter": [{"range": …}, {"query_string": …}]}}`.
//!
//! Unknown queries are errors; unknown options of known ones are ignored, as clients send many.

use std::ops::Bound;

use serde_json::{Map, Value};

use super::expr::{Clauses, Expr, PatternSource};
use super::lucene::{self, Operator, Options};
use super::pattern::Pattern;
use crate::limits::{QUERY_CLAUSES_MAX, QUERY_DEPTH_MAX};

/// Why a query cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("Failed to parse query [{query}]: {source}")]
    QueryString { query: String, source: lucene::ParseError },
    #[error("unknown query [{0}]")]
    Unknown(String),
    #[error("[{query}] {problem}")]
    Malformed { query: &'static str, problem: String },
    #[error("the query is nested more than {QUERY_DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("[{query}] has more than {QUERY_CLAUSES_MAX} values")]
    TooMany { query: &'static str },
}

/// Parses a query object. Nothing, `null` and `{}` match everything.
pub(crate) fn parse(query: Option<&Value>) -> Result<Expr, QueryError> {
    match query {
        None | Some(Value::Null) => Ok(Expr::All),
        Some(query) => parse_at(query, 0),
    }
}

fn parse_at(query: &Value, depth: usize) -> Result<Expr, QueryError> {
    if depth > QUERY_DEPTH_MAX {
        return Err(QueryError::TooDeep);
    }
    let Some(object) = query.as_object() else {
        return Err(malformed("query", "must be an object"));
    };
    let mut entries = object.iter();
    let (Some((kind, body)), None) = (entries.next(), entries.next()) else {
        return if object.is_empty() { Ok(Expr::All) } else { Err(malformed("query", "must have one key")) };
    };
    match kind.as_str() {
        "match_all" => Ok(Expr::All),
        "match_none" => Ok(Expr::Nothing),
        "bool" => bool_query(object_of("bool", body)?, depth),
        "constant_score" => parse_at(body.get("filter").unwrap_or(&Value::Null), depth + 1),
        "query_string" | "simple_query_string" => query_string(object_of("query_string", body)?),
        "range" => range(body),
        "term" => term(body),
        "terms" => terms(object_of("terms", body)?),
        "match" => match_words(body, "match"),
        "match_phrase" => match_words(body, "match_phrase"),
        "multi_match" => multi_match(object_of("multi_match", body)?),
        "exists" => Ok(Expr::Exists { field: text_of("exists", body.get("field"))? }),
        "ids" => ids(body),
        "prefix" => pattern("prefix", body, PatternSource::Prefix),
        "wildcard" => pattern("wildcard", body, PatternSource::Wildcard),
        "regexp" => pattern("regexp", body, PatternSource::Regex),
        "fuzzy" => fuzzy(body),
        other => Err(QueryError::Unknown(other.to_owned())),
    }
}

fn bool_query(body: &Map<String, Value>, depth: usize) -> Result<Expr, QueryError> {
    let list = |keys: &[&str]| -> Result<Vec<Expr>, QueryError> {
        let mut exprs = Vec::new();
        for clause in keys.iter().filter_map(|key| body.get(*key)) {
            match clause {
                Value::Null => {}
                Value::Array(clauses) if clauses.len() > QUERY_CLAUSES_MAX => {
                    return Err(QueryError::TooMany { query: "bool" });
                }
                Value::Array(clauses) => {
                    for clause in clauses {
                        exprs.push(parse_at(clause, depth + 1)?);
                    }
                }
                single => exprs.push(parse_at(single, depth + 1)?),
            }
        }
        Ok(exprs)
    };
    let (must, should, must_not) = (list(&["must", "filter"])?, list(&["should"])?, list(&["must_not"])?);
    let should_min_default = usize::from(must.is_empty() && !should.is_empty());
    let should_min = match body.get("minimum_should_match") {
        None | Some(Value::Null) => should_min_default,
        Some(value) => minimum(value, should.len())
            .ok_or_else(|| malformed("bool", format!("cannot use minimum_should_match {value}")))?,
    };
    Ok(Expr::Bool(Clauses { must, should, must_not, should_min }))
}

/// A count or a percentage; negative ones say how many may miss.
fn minimum(value: &Value, count: usize) -> Option<usize> {
    let count = i64::try_from(count).ok()?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let wanted = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<i64>().ok()?.clamp(-100, 100) * count / 100,
        None => text.parse().ok()?,
    };
    usize::try_from(if wanted < 0 { (count + wanted).max(0) } else { wanted }).ok()
}

fn query_string(body: &Map<String, Value>) -> Result<Expr, QueryError> {
    let query = text_of("query_string", body.get("query"))?;
    let operator = body.get("default_operator").and_then(Value::as_str).unwrap_or("or");
    let default_operator = if operator.eq_ignore_ascii_case("and") { Operator::And } else { Operator::Or };
    let fields: Vec<&str> = match body.get("fields") {
        Some(Value::Array(fields)) => fields.iter().filter_map(Value::as_str).collect(),
        _ => body.get("default_field").and_then(Value::as_str).into_iter().collect(),
    };
    let named: Vec<&str> = fields.into_iter().filter(|field| *field != "*").collect();
    let parse_in = |field: Option<&str>| {
        let options = Options { default_field: field.map(str::to_owned), default_operator };
        let result = lucene::parse(&query, &options);
        result.map_err(|source| QueryError::QueryString { query: query.clone(), source })
    };
    match named.as_slice() {
        [] => parse_in(None),
        [field] => parse_in(Some(field)),
        fields => Ok(Expr::any_of(fields.iter().map(|field| parse_in(Some(field))).collect::<Result<_, _>>()?)),
    }
}

fn range(body: &Value) -> Result<Expr, QueryError> {
    let (field, body) = field_of("range", body)?;
    let body = object_of("range", body)?;
    let is_included = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(true);
    let format = body.get("format").and_then(Value::as_str).unwrap_or_default();
    let bound = |included: &str, excluded: &str, old: &str, old_flag: &str| {
        let value = |key: &str| body.get(key).filter(|value| !value.is_null()).map(|value| in_millis(value, format));
        if let Some(value) = value(included) {
            return Bound::Included(value);
        }
        if let Some(value) = value(excluded) {
            return Bound::Excluded(value);
        }
        match value(old) {
            Some(value) if is_included(old_flag) => Bound::Included(value),
            Some(value) => Bound::Excluded(value),
            None => Bound::Unbounded,
        }
    };
    let lower = bound("gte", "gt", "from", "include_lower");
    let upper = bound("lte", "lt", "to", "include_upper");
    let time_zone = body.get("time_zone").and_then(Value::as_str).map(str::to_owned);
    Ok(Expr::Range { field, lower, upper, time_zone })
}

/// `format: epoch_second` is the one format that makes a number mean something else.
fn in_millis(value: &Value, format: &str) -> Value {
    let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match number {
        #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and is refused as out of range")]
        Some(seconds) if format == "epoch_second" => Value::from((seconds * 1_000.0) as i64),
        _ => value.clone(),
    }
}

fn term(body: &Value) -> Result<Expr, QueryError> {
    let (field, body) = field_of("term", body)?;
    let value = if body.is_object() { body.get("value").cloned().unwrap_or(Value::Null) } else { body.clone() };
    exact("term", field, value)
}

fn terms(body: &Map<String, Value>) -> Result<Expr, QueryError> {
    let mut fields = body.iter().filter(|(key, _)| *key != "boost");
    let (Some((field, values)), None) = (fields.next(), fields.next()) else {
        return Err(malformed("terms", "needs one field"));
    };
    let values = values.as_array().ok_or_else(|| malformed("terms", "needs an array of values"))?;
    if values.len() > QUERY_CLAUSES_MAX {
        return Err(QueryError::TooMany { query: "terms" });
    }
    let exprs = values.iter().map(|value| exact("terms", field.clone(), value.clone()));
    Ok(Expr::any_of(exprs.collect::<Result<_, _>>()?))
}

fn exact(query: &'static str, field: String, value: Value) -> Result<Expr, QueryError> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(Expr::Exact { field, value }),
        other => Err(malformed(query, format!("cannot look for {other} in [{field}]"))),
    }
}

fn match_words(body: &Value, query: &'static str) -> Result<Expr, QueryError> {
    let (field, body) = field_of(query, body)?;
    let option = |key: &str| body.get(key);
    let text = scalar_text(body.get("query").unwrap_or(body)).ok_or_else(|| malformed(query, "needs a text"))?;
    if query == "match_phrase" {
        let slop = option("slop").and_then(Value::as_u64).and_then(|slop| u32::try_from(slop).ok()).unwrap_or(0);
        return Ok(Expr::Words { field: Some(field), text, slop });
    }
    let is_and =
        option("operator").and_then(Value::as_str).is_some_and(|operator| operator.eq_ignore_ascii_case("and"));
    Ok(each_word(Some(&field), &text, is_and))
}

fn multi_match(body: &Map<String, Value>) -> Result<Expr, QueryError> {
    let text = text_of("multi_match", body.get("query"))?;
    let is_phrase = body.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("phrase"));
    let in_field = |field: Option<&str>| {
        if is_phrase {
            return Expr::Words { field: field.map(str::to_owned), text: text.clone(), slop: 0 };
        }
        each_word(field, &text, false)
    };
    let fields: Vec<&str> =
        body.get("fields").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if fields.is_empty() || fields.contains(&"*") {
        return Ok(in_field(None));
    }
    Ok(Expr::any_of(fields.iter().map(|field| in_field(Some(field.split('^').next().unwrap_or(field)))).collect()))
}

fn each_word(field: Option<&str>, text: &str, is_and: bool) -> Expr {
    let words = text.split_whitespace().take(QUERY_CLAUSES_MAX);
    let exprs: Vec<Expr> =
        words.map(|word| Expr::Words { field: field.map(str::to_owned), text: word.to_owned(), slop: 0 }).collect();
    match exprs.len() {
        0 => Expr::Nothing,
        _ if is_and => Expr::all_of(exprs),
        _ => Expr::any_of(exprs),
    }
}

fn ids(body: &Value) -> Result<Expr, QueryError> {
    let values = body.get("values").and_then(Value::as_array).ok_or_else(|| malformed("ids", "needs values"))?;
    if values.len() > QUERY_CLAUSES_MAX {
        return Err(QueryError::TooMany { query: "ids" });
    }
    Ok(Expr::Ids(values.iter().filter_map(scalar_text).collect()))
}

fn pattern(query: &'static str, body: &Value, source: fn(String) -> PatternSource) -> Result<Expr, QueryError> {
    let (field, body) = field_of(query, body)?;
    let value = body.get("value").or_else(|| body.get("wildcard")).unwrap_or(body);
    let pattern = source(scalar_text(value).ok_or_else(|| malformed(query, "needs a value"))?);
    if let Err(error) = Pattern::compile(&pattern) {
        return Err(malformed(query, error.to_string()));
    }
    Ok(Expr::Pattern { field: Some(field), pattern })
}

fn fuzzy(body: &Value) -> Result<Expr, QueryError> {
    let (field, body) = field_of("fuzzy", body)?;
    let text = scalar_text(body.get("value").unwrap_or(body)).ok_or_else(|| malformed("fuzzy", "needs a value"))?;
    let distance = body.get("fuzziness").and_then(scalar_text).and_then(|text| text.parse().ok()).unwrap_or(2);
    Ok(Expr::Fuzzy { field: Some(field), text, distance: distance.min(2) })
}

fn field_of<'a>(query: &'static str, body: &'a Value) -> Result<(String, &'a Value), QueryError> {
    let mut entries = object_of(query, body)?.iter().filter(|(key, _)| *key != "boost");
    match (entries.next(), entries.next()) {
        (Some((field, value)), None) => Ok((field.clone(), value)),
        _ => Err(malformed(query, "needs one field")),
    }
}

fn object_of<'a>(query: &'static str, body: &'a Value) -> Result<&'a Map<String, Value>, QueryError> {
    body.as_object().ok_or_else(|| malformed(query, "must be an object"))
}

fn text_of(query: &'static str, value: Option<&Value>) -> Result<String, QueryError> {
    value.and_then(scalar_text).ok_or_else(|| malformed(query, "needs a text"))
}

fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn malformed(query: &'static str, problem: impl Into<String>) -> QueryError {
    QueryError::Malformed { query, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn grafanas_filter_is_an_object_if_alone_else_an_array() {
        let range = json!({"range":{"@timestamp":{"gte":1,"lte":2,"format":"epoch_millis"}}});
        let time = Expr::Range {
            field: "@timestamp".to_owned(),
            lower: Bound::Included(json!(1)),
            upper: Bound::Included(json!(2)),
            time_zone: None,
        };
        let alone = parse(Some(&json!({"bool":{"filter":range}}))).unwrap();
        assert_eq!(alone, Expr::all_of(vec![time.clone()]));
        let query = json!({"query_string":{"analyze_wildcard":true,"query":"a"}});
        let both = parse(Some(&json!({"bool":{"filter":[range, query]}}))).unwrap();
        let word = Expr::Words { field: None, text: "a".to_owned(), slop: 0 };
        assert_eq!(both, Expr::all_of(vec![time, word]));
    }

    #[test]
    fn a_wrong_query_string_says_where() {
        let error = parse(Some(&json!({"query_string":{"query":"level:("}}))).unwrap_err().to_string();
        assert!(error.starts_with("Failed to parse query [level:(]") && error.ends_with("at position 7"), "{error}");
    }

    #[test]
    fn what_is_not_known_is_refused_and_never_matches_all() {
        for query in [
            json!({"magic":{}}),
            json!([]),
            json!({"range":{}}),
            json!({"term":{"a":null}}),
            json!({"a":1,"b":2}),
            json!({"regexp":{"a":"("}}),
            json!({"terms":{"a":"b"}}),
            json!({"bool":[]}),
            json!({"query_string":{}}),
        ] {
            assert!(parse(Some(&query)).is_err(), "{query} was taken");
        }
        let mut deep = json!({"match_all":{}});
        for _ in 0..=QUERY_DEPTH_MAX {
            deep = json!({"bool":{"must":deep}});
        }
        assert_eq!(parse(Some(&deep)), Err(QueryError::TooDeep));
    }

    #[test]
    fn minimum_should_match_takes_counts_and_percentages() {
        assert_eq!(minimum(&json!(2), 3), Some(2));
        assert_eq!(minimum(&json!("50%"), 4), Some(2));
        assert_eq!(minimum(&json!(-1), 3), Some(2));
        assert_eq!(minimum(&json!("most"), 3), None);
    }
}
