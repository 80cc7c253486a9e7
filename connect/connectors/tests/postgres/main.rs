//! The Postgres sink against a real, private Postgres.

mod exactly_once;
mod rows;
mod server;
mod sink;
