//! The Postgres sink against a real, private Postgres.

mod columns;
mod exactly_once;
mod faults;
mod rows;
mod server;
mod sink;
