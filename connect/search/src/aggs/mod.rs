//! Aggregations: Elasticsearch's request becomes tantivy's where tantivy can, and is computed around it where not.
//!
//! Reading order: [`plan`] (what is asked), [`calendar`] (bucket borders), [`translate`] (to tantivy), [`finish`] (to
//! Elasticsearch's answer), [`rate`], [`pipeline`] and [`script`] (over finished buckets).
//!
//! tantivy has no time zones, calendar intervals, date formats, `filters`, rates and pipelines, and orders terms by plain
//! metrics only: those are what the adapter adds.

pub(crate) mod calendar;
pub(crate) mod finish;
pub(crate) mod pipeline;
pub(crate) mod plan;
pub(crate) mod rate;
pub(crate) mod script;
pub(crate) mod translate;

use crate::limits::{AGGREGATION_DEPTH_MAX, AGGREGATIONS_MAX, BUCKETS_MAX};
use crate::query::compile::CompileError;
use crate::query::dsl::QueryError;
use crate::query::time::TimeError;

/// Why an aggregation cannot be computed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AggError {
    #[error("unknown aggregation type [{kind}] of [{name}]")]
    Unknown { name: String, kind: String },
    #[error("aggregation [{name}]: [{kind}] is not there: {why}")]
    Absent { name: String, kind: String, why: &'static str },
    #[error("aggregation [{name}]: {problem}")]
    Malformed { name: String, problem: String },
    #[error("aggregations are nested more than {AGGREGATION_DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("more than {AGGREGATIONS_MAX} aggregations")]
    TooMany,
    #[error("aggregation [{name}] would have more than {BUCKETS_MAX} buckets: use a longer interval")]
    TooManyBuckets { name: String },
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Time(#[from] TimeError),
    #[error("aggregation failed: {0}")]
    Index(#[from] tantivy::TantivyError),
}

fn malformed(name: &str, problem: impl Into<String>) -> AggError {
    AggError::Malformed { name: name.to_owned(), problem: problem.into() }
}
