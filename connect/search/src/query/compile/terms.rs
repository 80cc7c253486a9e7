//! Terms as they are indexed, and the queries made of them.

use std::ops::Bound;

use tantivy::query::{BooleanQuery, EmptyQuery, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{DateTime, Term};

use super::Compiler;

impl Compiler<'_> {
    pub(super) fn dynamic_term(&self, path: &str) -> Term {
        Term::from_field_json_path(self.fields.dynamic, path, true)
    }

    pub(super) fn dynamic_word(&self, path: &str, word: &str) -> Term {
        let mut term = self.dynamic_term(path);
        term.append_type_and_str(word);
        term
    }

    pub(super) fn dynamic_number(&self, path: &str, number: Number) -> Term {
        let mut term = self.dynamic_term(path);
        match number {
            Number::Whole(number) => term.append_type_and_fast_value(number),
            Number::Float(number) => term.append_type_and_fast_value(number),
        }
        term
    }

    pub(super) fn dynamic_date(&self, path: &str, ms: i64) -> Term {
        let mut term = self.dynamic_term(path);
        term.append_type_and_fast_value(date(ms));
        term
    }
}

/// A number as it is indexed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Float(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Whole(number));
        }
        let is_numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        text.parse().ok().filter(|number: &f64| is_numeric && number.is_finite()).map(Self::Float)
    }

    #[expect(clippy::cast_precision_loss, reason = "a float column cannot hold more either")]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

pub(super) fn date(ms: i64) -> DateTime {
    DateTime::from_timestamp_millis(ms)
}

pub(super) fn point(term: Term) -> Box<dyn Query> {
    Box::new(RangeQuery::new(Bound::Included(term.clone()), Bound::Included(term)))
}

pub(super) fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

pub(super) fn phrase(mut terms: Vec<Term>, slop: u32) -> Box<dyn Query> {
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

pub(super) fn any_of(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}
