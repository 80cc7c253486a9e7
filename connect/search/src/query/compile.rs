//! From the tree to tantivy's queries, for the fields of a shard.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, EmptyQuery, ExistsQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, RangeQuery,
    TermQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{DateTime, Term};

use super::expr::{Clauses, Expr, PatternSource};
use super::pattern::{Dictionary, Pattern, PatternError, PatternQuery};
use super::time::{self, Round, TimeError, Zone};
use crate::index::schema::{DYNAMIC, Fields, ID, MESSAGE, SEQ, SOURCE, TIMESTAMP};
use crate::index::tokenizer;
use crate::limits::{DEFAULT_FIELDS_MAX, TIMESTAMP_MS_MAX};

/// Why a query that is well formed cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Time(#[from] TimeError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("[{field}] is a text: it has words, no order, and cannot be used in a range")]
    RangeOnText { field: String },
}

/// What a name in a query means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldRef<'a> {
    Timestamp,
    Id,
    Seq,
    Message,
    /// A path in the rest of the document.
    Dynamic(&'a str),
}

impl<'a> FieldRef<'a> {
    /// `.keyword`, which Elasticsearch's default mapping gives every text, means the field itself.
    pub(crate) fn of(name: &'a str) -> Self {
        let name = name.strip_suffix(".keyword").unwrap_or(name);
        match name {
            TIMESTAMP => Self::Timestamp,
            ID => Self::Id,
            SEQ | "_doc" => Self::Seq,
            MESSAGE => Self::Message,
            path => Self::Dynamic(path),
        }
    }

    /// The name of its column; the message has none.
    pub(crate) fn column(self) -> Option<String> {
        match self {
            Self::Timestamp => Some(TIMESTAMP.to_owned()),
            Self::Seq => Some(SEQ.to_owned()),
            Self::Dynamic(path) => Some(format!("{DYNAMIC}.{path}")),
            Self::Id | Self::Message => None,
        }
    }
}

/// What compiling needs to know of the shards.
pub(crate) struct Compiler<'a> {
    pub(crate) fields: &'a Fields,
    /// Paths with text, besides the message: a search without a field name looks there too.
    pub(crate) text_paths: &'a [String],
    pub(crate) now_ms: i64,
}

type Compiled = Result<Box<dyn Query>, CompileError>;

impl Compiler<'_> {
    pub(crate) fn compile(&self, expr: &Expr) -> Compiled {
        match expr {
            Expr::All => Ok(Box::new(AllQuery)),
            Expr::Nothing => Ok(Box::new(EmptyQuery)),
            Expr::Words { field, text, slop } => {
                Ok(self.in_fields(field.as_deref(), |field| Ok(self.words(field, text, *slop)))?)
            }
            Expr::Exact { field, value } => self.exact(FieldRef::of(field), value),
            Expr::Pattern { field, pattern } => match field {
                Some(field) => self.pattern(FieldRef::of(field), pattern),
                None => self.in_fields(None, |field| self.pattern(field, pattern)),
            },
            Expr::Fuzzy { field, text, distance } => {
                self.in_fields(field.as_deref(), |field| Ok(self.fuzzy(field, text, *distance)))
            }
            Expr::Range { field, lower, upper, time_zone } => self.range(field, lower, upper, time_zone.as_deref()),
            Expr::Exists { field } => Ok(self.exists(field)),
            Expr::Ids(ids) => {
                Ok(any_of(ids.iter().map(|id| term_query(Term::from_field_text(self.fields.id, id))).collect()))
            }
            Expr::Bool(clauses) => self.bool(clauses),
            Expr::Boost { expr, boost } => Ok(Box::new(BoostQuery::new(self.compile(expr)?, *boost))),
        }
    }

    fn bool(&self, clauses: &Clauses) -> Compiled {
        let all = |exprs: &[Expr]| exprs.iter().map(|expr| self.compile(expr)).collect::<Result<Vec<_>, _>>();
        let mut subqueries: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        subqueries.extend(all(&clauses.must)?.into_iter().map(|query| (Occur::Must, query)));
        let should = all(&clauses.should)?;
        if clauses.should_min > should.len() {
            return Ok(Box::new(EmptyQuery));
        }
        match clauses.should_min {
            0 => subqueries.extend(should.into_iter().map(|query| (Occur::Should, query))),
            min => {
                let query = BooleanQuery::union_with_minimum_required_clauses(should, min);
                subqueries.push((Occur::Must, Box::new(query)));
            }
        }
        if !subqueries.iter().any(|(occur, _)| *occur == Occur::Must) {
            // What only excludes, or only prefers, is about all documents.
            subqueries.push((Occur::Must, Box::new(AllQuery)));
        }
        subqueries.extend(all(&clauses.must_not)?.into_iter().map(|query| (Occur::MustNot, query)));
        if let [(Occur::Must, _)] = subqueries.as_slice() {
            return Ok(subqueries.remove(0).1);
        }
        Ok(Box::new(BooleanQuery::new(subqueries)))
    }

    /// A query on one field, or on those that are searched by default.
    fn in_fields(&self, field: Option<&str>, query: impl Fn(FieldRef<'_>) -> Compiled) -> Compiled {
        if let Some(field) = field {
            return query(FieldRef::of(field));
        }
        let paths = self.text_paths.iter().take(DEFAULT_FIELDS_MAX).map(|path| FieldRef::Dynamic(path));
        let queries = std::iter::once(FieldRef::Message).chain(paths).map(query);
        Ok(any_of(queries.collect::<Result<_, _>>()?))
    }

    fn words(&self, field: FieldRef<'_>, text: &str, slop: u32) -> Box<dyn Query> {
        let words = tokenizer::words(text);
        match field {
            FieldRef::Id => term_query(Term::from_field_text(self.fields.id, text)),
            FieldRef::Timestamp | FieldRef::Seq => any_of(self.scalars(field, text)),
            FieldRef::Message => {
                phrase(words.iter().map(|word| Term::from_field_text(self.fields.message, word)).collect(), slop)
            }
            FieldRef::Dynamic(path) => {
                let mut queries = self.scalars(field, text);
                if words.is_empty() {
                    queries.push(self.whole_value(path, text));
                } else {
                    queries.push(phrase(words.iter().map(|word| self.dynamic_word(path, word)).collect(), slop));
                }
                any_of(queries)
            }
        }
    }

    fn exact(&self, field: FieldRef<'_>, value: &Value) -> Compiled {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(match field {
            FieldRef::Dynamic(path) => {
                let mut queries = self.scalars(field, &text);
                queries.push(self.whole_value(path, &text));
                any_of(queries)
            }
            _ => self.words(field, &text, 0),
        })
    }

    /// The queries for a text that may also be a number, a boolean or a time: values are indexed by their type.
    fn scalars(&self, field: FieldRef<'_>, text: &str) -> Vec<Box<dyn Query>> {
        let mut queries: Vec<Box<dyn Query>> = Vec::new();
        let time = || time::resolve(text, self.now_ms, Zone::UTC, Round::Down).ok();
        match field {
            FieldRef::Timestamp => {
                queries.extend(time().map(|ms| point(Term::from_field_date(self.fields.timestamp, date(ms)))));
            }
            FieldRef::Seq => {
                let seq = text.parse().ok();
                queries.extend(seq.map(|seq| point(Term::from_field_i64(self.fields.seq, seq))));
            }
            FieldRef::Dynamic(path) => {
                if let Some(number) = Number::parse(text) {
                    queries.push(point(self.dynamic_number(path, number)));
                } else if let Ok(flag) = text.parse::<bool>() {
                    let mut term = self.dynamic_term(path);
                    term.append_type_and_fast_value(flag);
                    queries.push(term_query(term));
                } else if text.contains('T') {
                    queries.extend(time().map(|ms| point(self.dynamic_date(path, ms))));
                }
            }
            FieldRef::Id | FieldRef::Message => {}
        }
        queries
    }

    fn pattern(&self, field: FieldRef<'_>, source: &PatternSource) -> Compiled {
        let on_words = |term: Term| -> Compiled {
            let pattern = Arc::new(Pattern::compile(&folded(source))?);
            Ok(Box::new(PatternQuery { dictionary: Dictionary::Words(term), pattern }))
        };
        match field {
            FieldRef::Message => on_words(Term::from_field_text(self.fields.message, "")),
            FieldRef::Id => {
                let dictionary = Dictionary::Words(Term::from_field_text(self.fields.id, ""));
                Ok(Box::new(PatternQuery { dictionary, pattern: Arc::new(Pattern::compile(source)?) }))
            }
            FieldRef::Timestamp | FieldRef::Seq => Ok(Box::new(EmptyQuery)),
            FieldRef::Dynamic(path) => {
                let dictionary = Dictionary::Column(format!("{DYNAMIC}.{path}"));
                let whole = PatternQuery { dictionary, pattern: Arc::new(Pattern::compile(source)?) };
                Ok(any_of(vec![Box::new(whole), on_words(self.dynamic_word(path, ""))?]))
            }
        }
    }

    fn fuzzy(&self, field: FieldRef<'_>, text: &str, distance: u8) -> Box<dyn Query> {
        let words = tokenizer::words(text);
        let [word] = words.as_slice() else { return self.words(field, text, 0) };
        match field {
            FieldRef::Message => {
                let term = Term::from_field_text(self.fields.message, word);
                Box::new(FuzzyTermQuery::new(term, distance, true))
            }
            FieldRef::Dynamic(path) => Box::new(FuzzyTermQuery::new(self.dynamic_word(path, word), distance, true)),
            _ => self.words(field, text, 0),
        }
    }

    fn range(&self, name: &str, lower: &Bound<Value>, upper: &Bound<Value>, time_zone: Option<&str>) -> Compiled {
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

    fn exists(&self, field: &str) -> Box<dyn Query> {
        match FieldRef::of(field) {
            FieldRef::Timestamp | FieldRef::Id | FieldRef::Seq => Box::new(AllQuery),
            FieldRef::Message => {
                let dictionary = Dictionary::Words(Term::from_field_text(self.fields.message, ""));
                Box::new(PatternQuery { dictionary, pattern: Arc::new(Pattern::any()) })
            }
            FieldRef::Dynamic(SOURCE | "_index") => Box::new(AllQuery),
            FieldRef::Dynamic(path) => Box::new(ExistsQuery::new(format!("{DYNAMIC}.{path}"), true)),
        }
    }

    /// Documents whose value is this text as a whole: from the column, where values are not cut into words.
    fn whole_value(&self, path: &str, text: &str) -> Box<dyn Query> {
        point(self.dynamic_word(path, text))
    }

    fn dynamic_term(&self, path: &str) -> Term {
        Term::from_field_json_path(self.fields.dynamic, path, true)
    }

    fn dynamic_word(&self, path: &str, word: &str) -> Term {
        let mut term = self.dynamic_term(path);
        term.append_type_and_str(word);
        term
    }

    fn dynamic_number(&self, path: &str, number: Number) -> Term {
        let mut term = self.dynamic_term(path);
        match number {
            Number::Whole(number) => term.append_type_and_fast_value(number),
            Number::Float(number) => term.append_type_and_fast_value(number),
        }
        term
    }

    fn dynamic_date(&self, path: &str, ms: i64) -> Term {
        let mut term = self.dynamic_term(path);
        term.append_type_and_fast_value(date(ms));
        term
    }
}

/// A number as it is indexed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i64),
    Float(f64),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Whole(number));
        }
        let is_numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        text.parse().ok().filter(|number: &f64| is_numeric && number.is_finite()).map(Self::Float)
    }

    #[expect(clippy::cast_precision_loss, reason = "a float column cannot hold more either")]
    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// Words are in lower case; so is what is looked for among them.
fn folded(source: &PatternSource) -> PatternSource {
    match source {
        PatternSource::Wildcard(text) => PatternSource::Wildcard(text.to_lowercase()),
        PatternSource::Prefix(text) => PatternSource::Prefix(text.to_lowercase()),
        PatternSource::Regex(text) => PatternSource::Regex(format!("(?i:{text})")),
    }
}

fn map<T, U, E>(bound: &Bound<T>, convert: impl FnOnce(&T) -> Result<U, E>) -> Result<Bound<U>, E> {
    Ok(match bound {
        Bound::Included(value) => Bound::Included(convert(value)?),
        Bound::Excluded(value) => Bound::Excluded(convert(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

fn date(ms: i64) -> DateTime {
    DateTime::from_timestamp_millis(ms)
}

fn point(term: Term) -> Box<dyn Query> {
    Box::new(RangeQuery::new(Bound::Included(term.clone()), Bound::Included(term)))
}

fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn phrase(mut terms: Vec<Term>, slop: u32) -> Box<dyn Query> {
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => term_query(terms.remove(0)),
        _ => {
            let mut phrase = PhraseQuery::new(terms);
            phrase.set_slop(slop);
            Box::new(phrase)
        }
    }
}

fn any_of(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}
