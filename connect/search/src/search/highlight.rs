//! Marking in a hit what the query found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tantivy::tokenizer::{TokenStream, Tokenizer};

use crate::index::tokenizer::{self, LogTokenizer};
use crate::query::compile::FieldRef;
use crate::query::expr::{Expr, PatternSource};
use crate::query::pattern::Pattern;

/// What stands before and after a found word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tags {
    pre: String,
    post: String,
}

impl Tags {
    pub(crate) fn parse(highlight: &Value) -> Self {
        let first = |key: &str, default: &str| {
            let tag = highlight.get(key).and_then(|tags| tags.get(0)).and_then(Value::as_str);
            tag.unwrap_or(default).to_owned()
        };
        Self { pre: first("pre_tags", "<em>"), post: first("post_tags", "</em>") }
    }
}

/// What to look for, by field; `None` is every field.
#[derive(Debug, Default)]
pub(crate) struct Highlighter {
    words: BTreeMap<Option<String>, BTreeSet<String>>,
    patterns: Vec<(Option<String>, Pattern)>,
}

impl Highlighter {
    pub(crate) fn new(expr: &Expr) -> Self {
        let mut highlighter = Self::default();
        expr.visit_positive(&mut |leaf| highlighter.add(leaf));
        highlighter
    }

    fn add(&mut self, leaf: &Expr) {
        let name = |field: &Option<String>| field.as_deref().map(field_name);
        match leaf {
            Expr::Words { field, text, .. } | Expr::Fuzzy { field, text, .. } => {
                self.words.entry(name(field)).or_default().extend(tokenizer::words(text));
            }
            Expr::Exact { field, value: Value::String(text) } => {
                self.words.entry(Some(field_name(field))).or_default().extend(tokenizer::words(text));
            }
            Expr::Pattern { field, pattern } => {
                let folded = match pattern {
                    PatternSource::Regex(regex) => PatternSource::Regex(format!("(?i:{regex})")),
                    PatternSource::Wildcard(text) => PatternSource::Wildcard(text.to_lowercase()),
                    PatternSource::Prefix(text) => PatternSource::Prefix(text.to_lowercase()),
                };
                self.patterns.extend(Pattern::compile(&folded).ok().map(|pattern| (name(field), pattern)));
            }
            _ => {}
        }
    }

    /// `{field: [marked text]}` of the fields in which something was found.
    pub(crate) fn highlight(&self, flat: &[(String, Vec<Value>)], tags: &Tags) -> Map<String, Value> {
        let mut marked = Map::new();
        for (field, values) in flat {
            let texts: Vec<Value> = values
                .iter()
                .filter_map(Value::as_str)
                .filter_map(|text| self.mark(field, text, tags))
                .map(Value::from)
                .collect();
            if !texts.is_empty() {
                marked.insert(field.clone(), json!(texts));
            }
        }
        marked
    }

    fn mark(&self, field: &str, text: &str, tags: &Tags) -> Option<String> {
        let mut tokenizer = LogTokenizer::default();
        let mut stream = tokenizer.token_stream(text);
        let mut marked = String::new();
        let mut copied_to = 0;
        let mut open_until = None;
        while stream.advance() {
            let token = stream.token();
            if !self.is_wanted(field, &token.text) {
                continue;
            }
            // Neighbours without a gap, as CJK words are, share one mark.
            if open_until != Some(token.offset_from) {
                if open_until.is_some() {
                    marked.push_str(&tags.post);
                }
                marked.push_str(&text[copied_to..token.offset_from]);
                marked.push_str(&tags.pre);
            }
            marked.push_str(&text[token.offset_from..token.offset_to]);
            copied_to = token.offset_to;
            open_until = Some(token.offset_to);
        }
        open_until?;
        marked.push_str(&tags.post);
        marked.push_str(&text[copied_to..]);
        Some(marked)
    }

    fn is_wanted(&self, field: &str, word: &str) -> bool {
        let in_words = |key: &Option<String>| self.words.get(key).is_some_and(|words| words.contains(word));
        in_words(&None)
            || in_words(&Some(field.to_owned()))
            || self
                .patterns
                .iter()
                .any(|(name, pattern)| name.as_deref().is_none_or(|name| name == field) && pattern.is_match(word))
    }
}

fn field_name(name: &str) -> String {
    match FieldRef::of(name) {
        FieldRef::Message => "message".to_owned(),
        FieldRef::Dynamic(path) => path.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::lucene::{Options, parse};

    fn marked(query: &str, field: &str, text: &str) -> Option<String> {
        let tags = Tags::parse(&json!({"pre_tags":["<"],"post_tags":[">"]}));
        Highlighter::new(&parse(query, &Options::default()).unwrap()).mark(field, text, &tags)
    }

    #[test]
    fn found_words_are_marked_as_they_are_written() {
        assert_eq!(marked("error OR disk", "message", "Disk: ERROR 5").unwrap(), "<Disk>: <ERROR> 5");
        assert_eq!(marked("err*", "message", "an Error").unwrap(), "an <Error>");
        assert_eq!(marked("支付", "message", "订单支付失败").unwrap(), "订单<支付>失败");
    }

    #[test]
    fn other_fields_and_excluded_words_are_not_marked() {
        assert_eq!(marked("level:error", "message", "error"), None);
        assert_eq!(marked("-error ok", "message", "error"), None);
        assert_eq!(marked("level:error", "level", "error").unwrap(), "<error>");
    }
}
