//! What a search asks for: query strings and the JSON query language, one tree, tantivy queries.
//!
//! Reading order: [`expr`] (the tree), [`lucene`] (query strings), [`dsl`] (JSON), [`time`] (dates and date math),
//! [`compile`] (to tantivy), [`pattern`] (wildcards and regular expressions on dictionaries).
//!
//! Invariants: a query that is not understood is an error that says where, never a query that matches everything.

pub(crate) mod compile;
pub(crate) mod dsl;
pub(crate) mod expr;
pub(crate) mod lucene;
pub(crate) mod pattern;
pub(crate) mod time;
