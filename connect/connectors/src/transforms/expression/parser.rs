//! From the text to the tree, by descent; an error says at which character.

use regex::Regex;
use serde_json::Value as Json;

use super::{Comparison, Expression, ExpressionError, Operand};
use crate::transforms::field::Field;

/// Conditions nest at most so deep, so that a hostile one cannot exhaust the stack.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Expression, ExpressionError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.or()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("here the condition should end; join conditions with && or ||"));
    }
    Ok(expression)
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
