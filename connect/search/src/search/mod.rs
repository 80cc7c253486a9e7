//! Running a search over the shards that it means.
//!
//! Reading order: [`request`] (what is asked), [`execute`] (over all shards), [`sort`], [`hits`] (how a document is
//! shown), [`highlight`].
//!
//! Invariant: searches see whole commits, and never block writers.

pub(crate) mod execute;
pub(crate) mod highlight;
pub(crate) mod hits;
pub(crate) mod request;
pub(crate) mod sort;
