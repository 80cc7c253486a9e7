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

mod parser;

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value as Json;

use super::field::Field;

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
        parser::parse(text)
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

#[cfg(test)]
mod tests;
