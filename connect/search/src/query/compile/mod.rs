//! From the tree to tantivy's queries, for the fields of a shard.
//!
//! Reading order: here, `terms`, `range`.

mod range;
mod terms;

use std::sync::Arc;

use serde_json::Value;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, BoostQuery, EmptyQuery, ExistsQuery, FuzzyTermQuery, Occur, Query};

use terms::{Number, any_of, date, phrase, point, term_query};

use super::expr::{Clauses, Expr, PatternSource};
use super::pattern::{Dictionary, Pattern, PatternError, PatternQuery};
use super::time::{self, Round, TimeError, Zone};
use crate::index::schema::{DYNAMIC, Fields, ID, MESSAGE, SEQ, SOURCE, TIMESTAMP};
use crate::index::tokenizer;
use crate::limits::DEFAULT_FIELDS_MAX;

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
}

/// Words are in lower case; so is what is looked for among them.
fn folded(source: &PatternSource) -> PatternSource {
    match source {
        PatternSource::Wildcard(text) => PatternSource::Wildcard(text.to_lowercase()),
        PatternSource::Prefix(text) => PatternSource::Prefix(text.to_lowercase()),
        PatternSource::Regex(text) => PatternSource::Regex(format!("(?i:{text})")),
    }
}
