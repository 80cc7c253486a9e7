//! Lucene's query strings: `level:error AND (path:\/api\/* OR status:>=500) -host:"web 1"`.
//!
//! ```text
//! query  = group { ["OR" | "||"] group }           clauses side by side are joined by the default operator
//! group  = clause { ("AND" | "&&") clause }
//! clause = ("NOT" | "!" | "-") clause | "+" clause | [field ":"] value ["^" boost]
//! value  = "(" query ")" | "\"" phrase "\"" ["~" slop] | "/" regex "/" | range | (">" | ">=" | "<" | "<=") word
//!        | word with * or ? | word ["~" distance]
//! range  = ("[" | "{") bound "TO" bound ("]" | "}")
//! ```
//!
//! `AND` binds tighter than `OR`, also where Lucene's classic parser would make a clause optional. In a list without
//! operators `+` and `-` mean what they mean in Lucene.

use std::ops::Bound;

use serde_json::Value;

use super::expr::{Clauses, Expr, PatternSource};
use crate::limits::{QUERY_BYTES_MAX, QUERY_CLAUSES_MAX, QUERY_DEPTH_MAX};

/// Where a query string is wrong. The position counts characters from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at position {position}")]
pub(crate) struct ParseError {
    pub(crate) position: usize,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
}

/// What surrounds a query string.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) default_field: Option<String>,
    pub(crate) default_operator: Operator,
}

impl Default for Options {
    fn default() -> Self {
        Self { default_field: None, default_operator: Operator::Or }
    }
}

/// Parses a query string. An empty one matches everything, as Grafana expects.
pub(crate) fn parse(query: &str, options: &Options) -> Result<Expr, ParseError> {
    if query.len() > QUERY_BYTES_MAX {
        let message = format!("the query is longer than {QUERY_BYTES_MAX} bytes");
        return Err(ParseError { position: 0, message });
    }
    let characters: Vec<char> = query.chars().collect();
    let mut parser = Parser { characters: &characters, at: 0, depth: 0, clauses: 0, options };
    parser.skip_blanks();
    if parser.peek().is_none() {
        return Ok(Expr::All);
    }
    let expr = parser.query(options.default_field.as_deref())?;
    match parser.peek() {
        None => Ok(expr),
        Some(found) => Err(parser.error(format!("unexpected {found:?}"))),
    }
}

struct Parser<'a> {
    characters: &'a [char],
    at: usize,
    depth: usize,
    clauses: usize,
    options: &'a Options,
}

/// How a clause counts in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occur {
    Should,
    Must,
    MustNot,
}

impl Parser<'_> {
    fn query(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return Err(self.error(format!("more than {QUERY_DEPTH_MAX} levels of brackets")));
        }
        let mut groups = Vec::new();
        loop {
            let (occur, expr) = self.group(field)?;
            self.skip_blanks();
            let is_or_next = self.take_operator(Operator::Or);
            groups.push((occur, expr, is_or_next));
            self.skip_blanks();
            match self.peek() {
                None | Some(')') if is_or_next => return Err(self.error("expected a clause after OR")),
                None | Some(')') => break,
                Some(_) => {}
            }
        }
        self.depth -= 1;
        Ok(join(groups))
    }

    fn group(&mut self, field: Option<&str>) -> Result<(Occur, Expr), ParseError> {
        let first = self.clause(field)?;
        let mut members = vec![first];
        loop {
            self.skip_blanks();
            let joins = self.take_operator(Operator::And)
                || (self.options.default_operator == Operator::And && self.clause_follows());
            if !joins {
                break;
            }
            self.skip_blanks();
            members.push(self.clause(field)?);
        }
        if members.len() == 1 {
            return Ok(members.remove(0));
        }
        let mut clauses = Clauses::default();
        for (occur, expr) in members {
            if occur == Occur::MustNot { clauses.must_not.push(expr) } else { clauses.must.push(expr) }
        }
        Ok((Occur::Should, Expr::Bool(clauses)))
    }

    /// Whether another clause stands here without an operator before it.
    fn clause_follows(&self) -> bool {
        !matches!(self.peek(), None | Some(')')) && !self.operator_is_here(Operator::Or)
    }

    fn clause(&mut self, field: Option<&str>) -> Result<(Occur, Expr), ParseError> {
        self.skip_blanks();
        self.clauses += 1;
        if self.clauses > QUERY_CLAUSES_MAX {
            return Err(self.error(format!("more than {QUERY_CLAUSES_MAX} clauses")));
        }
        let mut occur = Occur::Should;
        loop {
            match self.peek() {
                Some('-' | '!') => {
                    self.at += 1;
                    occur = if occur == Occur::MustNot { Occur::Must } else { Occur::MustNot };
                }
                Some('+') => {
                    self.at += 1;
                    occur = if occur == Occur::Should { Occur::Must } else { occur };
                }
                Some('N') if self.word_is_here("NOT") => {
                    self.at += 3;
                    occur = if occur == Occur::MustNot { Occur::Must } else { Occur::MustNot };
                }
                _ => break,
            }
            self.skip_blanks();
        }
        for operator in [Operator::And, Operator::Or] {
            if self.operator_is_here(operator) {
                return Err(self.error("expected a clause before the operator"));
            }
        }
        Ok((occur, self.primary(field)?))
    }

    fn primary(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        if let Some(name) = self.take_field_name()? {
            self.skip_blanks();
            let expr = match name.as_str() {
                "_exists_" => Expr::Exists { field: self.word("a field name")?.text },
                "*" if self.peek() == Some('*') => {
                    self.at += 1;
                    Expr::All
                }
                _ => self.value(Some(&name))?,
            };
            return self.boosted(expr);
        }
        let expr = self.value(field)?;
        self.boosted(expr)
    }

    fn value(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        match self.peek() {
            None => Err(self.error("expected a value, found the end")),
            Some('(') => {
                let opened_at = self.at;
                self.at += 1;
                let expr = self.query(field)?;
                if self.peek() != Some(')') {
                    return Err(self.error(format!("expected ')' for the '(' of position {opened_at}")));
                }
                self.at += 1;
                Ok(expr)
            }
            Some('"') => self.phrase(field),
            Some('/') => self.regex(field),
            Some('[' | '{') => self.range(field),
            Some('<' | '>') => self.comparison(field),
            Some(_) => self.term(field),
        }
    }

    fn phrase(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        let text = self.quoted('"', Escapes::Resolve)?;
        let slop = if self.take('~') { self.number("the distance of a phrase")?.unwrap_or(0.0) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let slop = slop.clamp(0.0, 1_000.0) as u32;
        Ok(Expr::Words { field: field.map(str::to_owned), text, slop })
    }

    fn regex(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        let opened_at = self.at;
        let source = self.quoted('/', Escapes::Keep)?;
        if let Err(error) = super::pattern::Pattern::regex(&source) {
            return Err(ParseError { position: opened_at, message: error.to_string() });
        }
        Ok(Expr::Pattern { field: field.map(str::to_owned), pattern: PatternSource::Regex(source) })
    }

    fn range(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        let is_lower_included = self.peek() == Some('[');
        self.at += 1;
        let lower = self.bound()?;
        self.skip_blanks();
        if !self.word_is_here("TO") {
            return Err(self.error("expected TO between the bounds of a range"));
        }
        self.at += 2;
        let upper = self.bound()?;
        self.skip_blanks();
        let is_upper_included = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.error("expected ']' or '}' after a range")),
        };
        self.at += 1;
        let bound = |value: Option<String>, is_included| match (value, is_included) {
            (None, _) => Bound::Unbounded,
            (Some(value), true) => Bound::Included(Value::String(value)),
            (Some(value), false) => Bound::Excluded(Value::String(value)),
        };
        self.range_of(field, bound(lower, is_lower_included), bound(upper, is_upper_included))
    }

    /// A bound of a range; `*` is none.
    fn bound(&mut self) -> Result<Option<String>, ParseError> {
        self.skip_blanks();
        if self.peek() == Some('"') {
            return self.quoted('"', Escapes::Resolve).map(Some);
        }
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if character.is_whitespace() || matches!(character, ']' | '}') {
                break;
            }
            self.at += 1;
            text.push(if character == '\\' { self.escaped()? } else { character });
        }
        if text.is_empty() {
            return Err(self.error("expected a bound of the range"));
        }
        Ok(if text == "*" { None } else { Some(text) })
    }

    fn comparison(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        let is_greater = self.take('>');
        if !is_greater {
            self.at += 1;
        }
        let is_included = self.take('=');
        self.skip_blanks();
        let value = if self.peek() == Some('"') {
            self.quoted('"', Escapes::Resolve)?
        } else {
            let sign = if self.take('-') { "-" } else { "" };
            format!("{sign}{}", self.word("a value to compare with")?.text)
        };
        let value = Value::String(value);
        let bound = if is_included { Bound::Included(value) } else { Bound::Excluded(value) };
        let (lower, upper) = if is_greater { (bound, Bound::Unbounded) } else { (Bound::Unbounded, bound) };
        self.range_of(field, lower, upper)
    }

    fn range_of(&self, field: Option<&str>, lower: Bound<Value>, upper: Bound<Value>) -> Result<Expr, ParseError> {
        let Some(field) = field else {
            return Err(self.error("a range needs a field name before it"));
        };
        Ok(Expr::Range { field: field.to_owned(), lower, upper, time_zone: None })
    }

    fn term(&mut self, field: Option<&str>) -> Result<Expr, ParseError> {
        let word = self.word("a value")?;
        let field_name = field.map(str::to_owned);
        if self.take('~') {
            let distance = self.number("the distance of a fuzzy word")?.unwrap_or(2.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 2")]
            let distance = distance.clamp(0.0, 2.0) as u8;
            return Ok(Expr::Fuzzy { field: field_name, text: word.text, distance });
        }
        Ok(match (word.wildcard, field) {
            (Some(wildcard), None) if wildcard == "*" => Expr::All,
            (Some(wildcard), Some(field)) if wildcard == "*" => Expr::Exists { field: field.to_owned() },
            (Some(wildcard), _) => Expr::Pattern { field: field_name, pattern: PatternSource::Wildcard(wildcard) },
            (None, _) => Expr::Words { field: field_name, text: word.text, slop: 0 },
        })
    }

    fn boosted(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        if !self.take('^') {
            return Ok(expr);
        }
        let boost = self.number("a boost")?.ok_or_else(|| self.error("expected a number after '^'"))?;
        #[expect(clippy::cast_possible_truncation, reason = "a boost needs no more digits")]
        Ok(Expr::Boost { expr: Box::new(expr), boost: boost as f32 })
    }
}

/// Joins the groups of one level.
fn join(mut groups: Vec<(Occur, Expr, bool)>) -> Expr {
    if groups.len() == 1 {
        let (occur, expr, _) = groups.remove(0);
        return if occur == Occur::MustNot { Expr::not(expr) } else { expr };
    }
    let mut clauses = Clauses::default();
    let mut is_after_or = false;
    for (occur, expr, is_before_or) in groups {
        let is_ored = is_after_or || is_before_or;
        is_after_or = is_before_or;
        match occur {
            Occur::MustNot if is_ored => clauses.should.push(Expr::not(expr)),
            Occur::MustNot => clauses.must_not.push(expr),
            Occur::Must if !is_ored => clauses.must.push(expr),
            Occur::Must | Occur::Should => clauses.should.push(expr),
        }
    }
    clauses.should_min = usize::from(clauses.must.is_empty() && !clauses.should.is_empty());
    Expr::Bool(clauses)
}

mod lexer;

use lexer::Escapes;

#[cfg(test)]
mod tests;
