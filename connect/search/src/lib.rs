//! The search node as a library: index, query, Elasticsearch-compatible HTTP.
//!
//! Invariants: knows neither the broker nor Connect.
