//! Wildcards, regular expressions and prefixes, matched against dictionaries: the words of a text, or the whole values
//! of a column.

use std::io;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use tantivy::query::{BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TantivyError, Term};

use super::expr::PatternSource;
use crate::limits::REGEX_BYTES_MAX;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the regular expression /{pattern}/ is wrong: {reason}")]
pub(crate) struct PatternError {
    pattern: String,
    reason: String,
}

/// A compiled pattern over a whole text.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
    /// What every match begins with: narrows the part of a dictionary that is looked at.
    literal_prefix: String,
}

impl Pattern {
    pub(crate) fn compile(source: &PatternSource) -> Result<Self, PatternError> {
        match source {
            PatternSource::Regex(regex) => Self::regex(regex),
            PatternSource::Wildcard(wildcard) => Self::build(&wildcard_regex(wildcard), wildcard_prefix(wildcard)),
            PatternSource::Prefix(prefix) => Self::build(&format!("{}.*", regex::escape(prefix)), prefix.clone()),
        }
    }

    pub(crate) fn regex(source: &str) -> Result<Self, PatternError> {
        Self::build(source, String::new())
    }

    /// Matches every text.
    pub(crate) fn any() -> Self {
        Self {
            regex: Regex::new("").unwrap_or_else(|_| unreachable!("the empty pattern compiles")),
            literal_prefix: String::new(),
        }
    }

    fn build(source: &str, literal_prefix: String) -> Result<Self, PatternError> {
        let anchored = format!("^(?s:{source})$");
        let regex = RegexBuilder::new(&anchored).size_limit(REGEX_BYTES_MAX).build();
        let regex = regex.map_err(|error| {
            // The error's text repeats the pattern over several lines; its last line says what is wrong.
            let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            PatternError { pattern: source.to_owned(), reason }
        })?;
        Ok(Self { regex, literal_prefix })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    fn is_match_bytes(&self, text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(|text| self.is_match(text))
    }
}

fn wildcard_regex(wildcard: &str) -> String {
    let mut regex = String::with_capacity(wildcard.len() + 8);
    let mut characters = wildcard.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => regex.push_str(&regex::escape(&characters.next().unwrap_or('\\').to_string())),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex
}

fn wildcard_prefix(wildcard: &str) -> String {
    wildcard.chars().take_while(|c| !matches!(c, '*' | '?' | '\\')).collect()
}

/// What a pattern is matched against.
#[derive(Debug, Clone)]
pub(crate) enum Dictionary {
    /// The words of a field; the term is the field, and for JSON the path, with an empty text.
    Words(Term),
    /// The values of a text column, by its full name.
    Column(String),
}

/// Documents with a word or a value that matches.
#[derive(Debug, Clone)]
pub(crate) struct PatternQuery {
    pub(crate) dictionary: Dictionary,
    pub(crate) pattern: Arc<Pattern>,
}

impl Query for PatternQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(PatternWeight(self.clone())))
    }
}

struct PatternWeight(PatternQuery);

impl Weight for PatternWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let docs = match &self.0.dictionary {
            Dictionary::Words(term) => Some(docs_with_word(reader, term, &self.0.pattern)?),
            Dictionary::Column(name) => docs_with_value(reader, name, &self.0.pattern)?,
        };
        Ok(match docs {
            Some(docs) => Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)),
            None => Box::new(EmptyScorer),
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.doc() <= doc && scorer.seek(doc) == doc {
            return Ok(Explanation::new("PatternQuery", 1.0));
        }
        Err(TantivyError::InvalidArgument(format!("document {doc} does not match")))
    }
}

fn docs_with_word(reader: &SegmentReader, term: &Term, pattern: &Pattern) -> tantivy::Result<BitSet> {
    let mut docs = BitSet::with_max_value(reader.max_doc());
    let inverted_index = reader.inverted_index(term.field())?;
    let path_len = term.serialized_value_bytes().len();
    let mut start = term.serialized_value_bytes().to_vec();
    start.extend_from_slice(pattern.literal_prefix.as_bytes());
    let mut words = inverted_index.terms().range().ge(&start).into_stream()?;
    while words.advance() {
        if !words.key().starts_with(&start) {
            break;
        }
        if !pattern.is_match_bytes(&words.key()[path_len..]) {
            continue;
        }
        let info = words.value();
        let mut postings = inverted_index.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            for doc in postings.docs() {
                docs.insert(*doc);
            }
            postings.advance();
        }
    }
    Ok(docs)
}

fn docs_with_value(reader: &SegmentReader, name: &str, pattern: &Pattern) -> tantivy::Result<Option<BitSet>> {
    let Some(column) = reader.fast_fields().str(name)? else { return Ok(None) };
    let ords = matching_ords(&column, pattern)?;
    if ords.len() == 0 {
        return Ok(None);
    }
    let mut docs = BitSet::with_max_value(reader.max_doc());
    for doc in 0..reader.max_doc() {
        if column.term_ords(doc).any(|ord| u32::try_from(ord).is_ok_and(|ord| ords.contains(ord))) {
            docs.insert(doc);
        }
    }
    Ok(Some(docs))
}

fn matching_ords(column: &tantivy::columnar::StrColumn, pattern: &Pattern) -> io::Result<BitSet> {
    let dictionary = column.dictionary();
    let mut ords = BitSet::with_max_value(u32::try_from(dictionary.num_terms()).unwrap_or(u32::MAX));
    let mut values = dictionary.range().ge(&pattern.literal_prefix).into_stream()?;
    while values.advance() {
        if !values.key().starts_with(pattern.literal_prefix.as_bytes()) {
            break;
        }
        if pattern.is_match_bytes(values.key()) {
            ords.insert(u32::try_from(values.term_ord()).unwrap_or(u32::MAX));
        }
    }
    Ok(ords)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &PatternSource, text: &str) -> bool {
        Pattern::compile(source).unwrap().is_match(text)
    }

    #[test]
    fn wildcards_match_the_whole_text_and_escapes_are_literal() {
        let wildcard = |pattern: &str| PatternSource::Wildcard(pattern.to_owned());
        assert!(matches(&wildcard("web*"), "web-01\nx"));
        assert!(!matches(&wildcard("web"), "web-01"));
        assert!(matches(&wildcard("w?b.*"), "web.x"));
        assert!(!matches(&wildcard("w?b.*"), "webx"));
        assert!(matches(&wildcard(r"a\*b"), "a*b"));
        assert!(!matches(&wildcard(r"a\*b"), "axb"));
        assert!(matches(&wildcard("支?"), "支付"));
        assert_eq!(wildcard_prefix(r"ab*c"), "ab");
    }

    #[test]
    fn regular_expressions_are_anchored_and_bounded() {
        assert!(matches(&PatternSource::Regex("5[0-9]{2}".to_owned()), "503"));
        assert!(!matches(&PatternSource::Regex("5[0-9]".to_owned()), "503"));
        assert!(matches(&PatternSource::Regex("a|b".to_owned()), "b"));
        let error = Pattern::regex("a(").unwrap_err().to_string();
        assert!(error.contains("/a(/") && error.contains("unclosed group"), "{error}");
        assert!(Pattern::regex("(a{1000}){1000}").is_err());
    }

    #[test]
    fn a_prefix_is_taken_as_it_is() {
        assert!(matches(&PatternSource::Prefix("a.b".to_owned()), "a.bc"));
        assert!(!matches(&PatternSource::Prefix("a.b".to_owned()), "axbc"));
    }
}
