//! The Kafka wire on top of the `kafka-protocol` crate: frames, headers, the API table, decode guards.
//!
//! In reading order: [`frame`] cuts requests out of a byte stream, [`header`] reads what comes first in each,
//! [`api`] says which APIs and versions exist, [`decode`] reads bodies without trusting them, [`produce`] and
//! [`fetch`] are written by hand because record bytes must not be copied, [`response`] frames all other answers.
//!
//! Invariants: never opens a socket; never decodes record bytes; never panics on what a peer sent.

pub mod api;
pub mod decode;
pub mod fetch;
pub mod frame;
pub mod header;
pub mod produce;
mod reader;
pub mod response;

pub use kafka_protocol::messages;
pub use reader::ReadError;
