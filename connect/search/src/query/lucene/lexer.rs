//! Characters of a query string: words, quotes, numbers, operators.

use super::{Operator, ParseError, Parser};

/// What a backslash does inside quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// The next character stands for itself.
    Resolve,
    /// It stays, except before the closing character.
    Keep,
}

/// A word as it is written between blanks and brackets.
pub(super) struct Word {
    /// Escapes resolved.
    pub(super) text: String,
    /// The pattern, where it has a `*` or `?` that is not escaped.
    pub(super) wildcard: Option<String>,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let is_here = self.peek() == Some(wanted);
        self.at += usize::from(is_here);
        is_here
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError { position: self.at, message: message.into() }
    }

    /// Whether a keyword stands here on its own.
    pub(super) fn word_is_here(&self, keyword: &str) -> bool {
        let end = self.at + keyword.len();
        let is_same = keyword.chars().enumerate().all(|(i, c)| self.characters.get(self.at + i) == Some(&c));
        is_same && self.characters.get(end).is_none_or(|next| next.is_whitespace() || matches!(next, '(' | '"' | ')'))
    }

    pub(super) fn operator_is_here(&self, operator: Operator) -> bool {
        let (keyword, symbol) = match operator {
            Operator::And => ("AND", '&'),
            Operator::Or => ("OR", '|'),
        };
        let is_symbol = self.characters.get(self.at..self.at + 2) == Some(&[symbol, symbol]);
        is_symbol || self.word_is_here(keyword)
    }

    pub(super) fn take_operator(&mut self, operator: Operator) -> bool {
        if !self.operator_is_here(operator) {
            return false;
        }
        self.at += if operator == Operator::And && self.peek() == Some('A') { 3 } else { 2 };
        true
    }

    /// `name:` where a clause begins; nothing is taken when there is none.
    pub(super) fn take_field_name(&mut self) -> Result<Option<String>, ParseError> {
        let start = self.at;
        let mut name = String::new();
        while let Some(character) = self.peek() {
            match character {
                ':' if !name.is_empty() => {
                    self.at += 1;
                    return Ok(Some(name));
                }
                '\\' => {
                    self.at += 1;
                    name.push(self.escaped()?);
                }
                _ if ends_word(character) || matches!(character, ':' | '/' | '"' | '<' | '>') => break,
                _ => {
                    self.at += 1;
                    name.push(character);
                }
            }
        }
        self.at = start;
        Ok(None)
    }

    pub(super) fn word(&mut self, what: &str) -> Result<Word, ParseError> {
        let mut text = String::new();
        let mut pattern = String::new();
        let mut is_wildcard = false;
        while let Some(character) = self.peek() {
            if ends_word(character) || self.operator_symbol_is_here() {
                break;
            }
            self.at += 1;
            match character {
                '\\' => {
                    let escaped = self.escaped()?;
                    if matches!(escaped, '*' | '?' | '\\') {
                        pattern.push('\\');
                    }
                    pattern.push(escaped);
                    text.push(escaped);
                }
                _ => {
                    is_wildcard |= matches!(character, '*' | '?');
                    pattern.push(character);
                    text.push(character);
                }
            }
        }
        if text.is_empty() {
            let found = self.peek().map_or("the end".to_owned(), |character| format!("{character:?}"));
            return Err(self.error(format!("expected {what}, found {found}")));
        }
        Ok(Word { text, wildcard: is_wildcard.then_some(pattern) })
    }

    fn operator_symbol_is_here(&self) -> bool {
        matches!(self.characters.get(self.at..self.at + 2), Some(['&', '&'] | ['|', '|']))
    }

    /// The character after a backslash that was taken.
    pub(super) fn escaped(&mut self) -> Result<char, ParseError> {
        let character = self.peek().ok_or_else(|| self.error("expected a character after '\\'"))?;
        self.at += 1;
        Ok(character)
    }

    /// What stands between two `close`s, of which the first is here.
    pub(super) fn quoted(&mut self, close: char, escapes: Escapes) -> Result<String, ParseError> {
        let opened_at = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            self.at += 1;
            if character == close {
                return Ok(text);
            }
            if character != '\\' {
                text.push(character);
                continue;
            }
            let escaped = self.escaped()?;
            if escapes == Escapes::Keep && escaped != close {
                text.push('\\');
            }
            text.push(escaped);
        }
        let message = format!("no closing {close:?} for the one opened");
        Err(ParseError { position: opened_at, message })
    }

    /// A number if one is here.
    pub(super) fn number(&mut self, what: &str) -> Result<Option<f64>, ParseError> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
            self.at += 1;
        }
        if start == self.at {
            return Ok(None);
        }
        let text: String = self.characters[start..self.at].iter().collect();
        let number =
            text.parse().map_err(|_| ParseError { position: start, message: format!("{what} is a number") })?;
        Ok(Some(number))
    }
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '(' | ')' | '[' | ']' | '{' | '}' | '"' | '^' | '~')
}
