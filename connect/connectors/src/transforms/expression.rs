//! Conditions over a record's fields: `status >= 500 && !(path contains "/internal/") || user.role in ["admin"]`.
//!
//! ```text
//! or         = and { "||" and }
//! and        = not { "&&" not }
//! not        = "!" not | "(" or ")" | test
//! test       = "exists" field | field [ operator ]
//! operator   = ("==" | "!=" | "<" | "<=" | ">" | ">=") operand
//!            | "contains" text | "matches" "/" pattern "/" | "in" "[" literal { "," literal } "]"
//! operand    = literal | field
//! literal    = text | number | "true" | "false" | "null"
//! ```
//!
//! A field that is missing equals only `null`; compared in any other way it is false. A text that is a number compares
//! with numbers as one. Never fails on a record.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value as Json;

use super::field::Field;

/// Conditions nest at most so deep, so that a hostile one cannot exhaust the stack.
const DEPTH_MAX: usize = 64;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("at character {position}: {message}")]
pub(super) struct ExpressionError {
    /// Counted from 1.
    pub(super) position: usize,
    pub(super) message: String,
}

#[derive(Debug)]
pub(super) enum Expression {
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Exists(Field),
    IsTrue(Field),
    Compare(Field, Comparison, Operand),
    Contains(Field, String),
    Matches(Field, Regex),
    In(Field, Vec<Json>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum Operand {
    Literal(Json),
    Field(Field),
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let expression = parser.or()?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.error("here the condition should end; join conditions with && or ||"));
        }
        Ok(expression)
    }

    pub(super) fn is_true(&self, value: &Json) -> bool {
        match self {
            Self::Or(left, right) => left.is_true(value) || right.is_true(value),
            Self::And(left, right) => left.is_true(value) && right.is_true(value),
            Self::Not(inner) => !inner.is_true(value),
            Self::Exists(field) => field.get(value).is_some(),
            Self::IsTrue(field) => field.get(value) == Some(&Json::Bool(true)),
            Self::Compare(field, comparison, operand) => {
                let right = match operand {
                    Operand::Literal(literal) => literal,
                    Operand::Field(field) => field.get(value).unwrap_or(&Json::Null),
                };
                comparison.holds(field.get(value).unwrap_or(&Json::Null), right)
            }
            Self::Contains(field, text) => match field.get(value) {
                Some(Json::String(string)) => string.contains(text),
                Some(Json::Array(items)) => items.iter().any(|item| item.as_str() == Some(text)),
                _ => false,
            },
            Self::Matches(field, pattern) => match field.get(value) {
                Some(Json::String(string)) => pattern.is_match(string),
                Some(Json::Number(number)) => pattern.is_match(&number.to_string()),
                _ => false,
            },
            Self::In(field, literals) => {
                let found = field.get(value).unwrap_or(&Json::Null);
                literals.iter().any(|literal| Comparison::Equal.holds(found, literal))
            }
        }
    }
}

impl Comparison {
    fn holds(self, left: &Json, right: &Json) -> bool {
        let order = order(left, right);
        match self {
            Self::Equal => left == right || order == Some(Ordering::Equal),
            Self::NotEqual => left != right && order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// `None` when the two cannot be compared.
fn order(left: &Json, right: &Json) -> Option<Ordering> {
    if let (Json::String(left), Json::String(right)) = (left, right) {
        return Some(left.cmp(right));
    }
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return Some(left.cmp(&right));
    }
    number(left)?.partial_cmp(&number(right)?)
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn error(&self, message: impl Into<String>) -> ExpressionError {
        self.error_at(self.at, message)
    }

    fn error_at(&self, at: usize, message: impl Into<String>) -> ExpressionError {
        ExpressionError { position: self.text[..at].chars().count() + 1, message: message.into() }
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes the word if it comes next as a whole word.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.rest().strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_field_char));
        if found {
            self.at += word.len();
        }
        found
    }

    fn or(&mut self) -> Result<Expression, ExpressionError> {
        let mut left = self.and()?;
        while self.take("||") || self.take_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, ExpressionError> {
        let mut left = self.not()?;
        while self.take("&&") || self.take_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, ExpressionError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("more than {DEPTH_MAX} levels of parentheses and negations")));
        }
        let inner = if self.take("!") || self.take_word("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err(self.error("a closing parenthesis is missing"));
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(inner)
    }

    fn test(&mut self) -> Result<Expression, ExpressionError> {
        if self.take_word("exists") {
            return Ok(Expression::Exists(self.field()?));
        }
        let field = self.field()?;
        if let Some(comparison) = self.comparison()? {
            return Ok(Expression::Compare(field, comparison, self.operand()?));
        }
        if self.take_word("contains") {
            return match self.operand()? {
                Operand::Literal(Json::String(text)) => Ok(Expression::Contains(field, text)),
                _ => Err(self.error("contains needs a text in quotes")),
            };
        }
        if self.take_word("matches") {
            return Ok(Expression::Matches(field, self.pattern()?));
        }
        if self.take_word("in") {
            return Ok(Expression::In(field, self.list()?));
        }
        Ok(Expression::IsTrue(field))
    }

    fn comparison(&mut self) -> Result<Option<Comparison>, ExpressionError> {
        let known = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = known.into_iter().find_map(|(token, comparison)| self.take(token).then_some(comparison));
        if found.is_none() && self.rest().starts_with('=') {
            return Err(self.error("a single = compares nothing: write =="));
        }
        Ok(found)
    }

    fn field(&mut self) -> Result<Field, ExpressionError> {
        self.skip_space();
        let name: &str = &self.rest()[..self.rest().find(|c| !is_field_char(c)).unwrap_or(self.rest().len())];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.error("a field's name should be here"));
        }
        self.at += name.len();
        Ok(Field::new(name))
    }

    fn operand(&mut self) -> Result<Operand, ExpressionError> {
        match self.literal()? {
            Some(literal) => Ok(Operand::Literal(literal)),
            None => Ok(Operand::Field(self.field()?)),
        }
    }

    fn literal(&mut self) -> Result<Option<Json>, ExpressionError> {
        for (word, value) in [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)] {
            if self.take_word(word) {
                return Ok(Some(value));
            }
        }
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.quoted(quote).map(|text| Some(Json::String(text)));
        }
        let length = rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(rest.len());
        if length == 0 || rest.starts_with(['e', 'E', '.']) {
            return Ok(None);
        }
        let number: serde_json::Number =
            rest[..length].parse().map_err(|_| self.error(format!("`{}` is not a number", &rest[..length])))?;
        self.at += length;
        Ok(Some(Json::Number(number)))
    }

    /// A text in quotes; a backslash takes the next character as it is.
    fn quoted(&mut self, quote: char) -> Result<String, ExpressionError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.at = start + offset + c.len_utf8();
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                _ => text.push(c),
            }
        }
        Err(self.error_at(start, "the closing quote is missing"))
    }

    /// A pattern between slashes, or in quotes.
    fn pattern(&mut self) -> Result<Regex, ExpressionError> {
        self.skip_space();
        let start = self.at;
        let text = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            Some('/') => {
                let body = &self.rest()[1..];
                let mut is_escaped = false;
                let end = body.find(|c| {
                    let is_end = c == '/' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    is_end
                });
                let end = end.ok_or_else(|| self.error("the closing / of the pattern is missing"))?;
                self.at += end + 2;
                body[..end].replace("\\/", "/")
            }
            _ => return Err(self.error("a pattern should be here, as in /^a.*b$/")),
        };
        Regex::new(&text).map_err(|e| self.error_at(start, e.to_string()))
    }

    fn list(&mut self) -> Result<Vec<Json>, ExpressionError> {
        if !self.take("[") {
            return Err(self.error("a list should be here, as in [1, 2]"));
        }
        let mut literals = Vec::new();
        while !self.take("]") {
            if !literals.is_empty() && !self.take(",") {
                return Err(self.error("a comma or the closing ] is missing"));
            }
            self.skip_space();
            literals.push(self.literal()?.ok_or_else(|| self.error("a text in quotes or a number should be here"))?);
        }
        Ok(literals)
    }
}

fn is_field_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn holds(text: &str) -> bool {
        let value = json!({
            "status": 200, "size": "1500", "path": "/healthz", "user": {"role": "admin"}, "tags": ["a", "b"],
            "ok": true, "nothing": null, "other": 200, "took": 0.25,
        });
        Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).is_true(&value)
    }

    #[test]
    fn conditions_that_hold() {
        for text in [
            r#"status == 200 && path == "/healthz""#,
            "status == other",
            "size > 900",
            "took < 1 and took >= .25e0 or ok",
            "!(status != 200)",
            "user.role in ['admin', 'root']",
            "status in [200, 204]",
            r#"path contains "health" and tags contains 'b'"#,
            r"path matches /^\/h.*z$/",
            "exists nothing && !exists missing",
            "missing == null && nothing == null",
            "ok",
            "not missing > 1",
        ] {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn conditions_that_do_not_hold() {
        for text in [
            "status == 404",
            "missing > 1",
            "missing == 'x'",
            "path > 5",
            "tags contains 'c'",
            "status",
            "ok && missing",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(holds("ok || missing && missing"));
        assert!(!holds("(ok || missing) && missing"));
    }

    #[test]
    fn errors_name_the_place() {
        for (text, position) in [
            ("status = 200", 8),
            ("status == 200 &&", 17),
            ("a == 1 b == 2", 8),
            ("(a == 1", 8),
            ("a matches /(/", 11),
            ("ü == 'x", 6),
            ("a in [1 2]", 9),
            ("", 1),
        ] {
            assert_eq!(Expression::parse(text).unwrap_err().position, position, "{text}");
        }
        assert!(Expression::parse(&"(".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-c \"'()!&|=<>/\\\\\\[\\],.0-9éi-n]{0,40}") {
            let _ = Expression::parse(&text);
        }
    }
}
