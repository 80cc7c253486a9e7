//! The tree that both query languages become.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A query. A field of `None` means the fields that are searched by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Expr {
    All,
    Nothing,
    /// The words of a text, next to one another in this order; `slop` says how far they may be moved apart.
    Words {
        field: Option<String>,
        text: String,
        slop: u32,
    },
    /// The whole value, as it is.
    Exact {
        field: String,
        value: Value,
    },
    Pattern {
        field: Option<String>,
        pattern: PatternSource,
    },
    Fuzzy {
        field: Option<String>,
        text: String,
        distance: u8,
    },
    Range {
        field: String,
        lower: Bound<Value>,
        upper: Bound<Value>,
        time_zone: Option<String>,
    },
    Exists {
        field: String,
    },
    Ids(Vec<String>),
    Bool(Clauses),
    Boost {
        expr: Box<Expr>,
        boost: f32,
    },
}

/// A wildcard (`*`, `?`), a regular expression or a prefix, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PatternSource {
    Wildcard(String),
    Regex(String),
    Prefix(String),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clauses {
    pub(crate) must: Vec<Expr>,
    pub(crate) should: Vec<Expr>,
    pub(crate) must_not: Vec<Expr>,
    /// How many of `should` have to match.
    pub(crate) should_min: usize,
}

impl Expr {
    pub(crate) fn all_of(exprs: Vec<Self>) -> Self {
        Self::Bool(Clauses { must: exprs, ..Clauses::default() })
    }

    pub(crate) fn any_of(exprs: Vec<Self>) -> Self {
        Self::Bool(Clauses { should: exprs, should_min: 1, ..Clauses::default() })
    }

    pub(crate) fn not(expr: Self) -> Self {
        Self::Bool(Clauses { must_not: vec![expr], ..Clauses::default() })
    }

    /// Calls `visit` with every leaf that has to match or may match, not with what is excluded.
    pub(crate) fn visit_positive(&self, visit: &mut impl FnMut(&Self)) {
        match self {
            Self::Bool(clauses) => clauses.must.iter().chain(&clauses.should).for_each(|e| e.visit_positive(visit)),
            Self::Boost { expr, .. } => expr.visit_positive(visit),
            leaf => visit(leaf),
        }
    }
}
