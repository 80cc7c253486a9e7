//! Sockets: listeners, connections, limits. Sees nothing of the broker but `api`.
//!
//! [`listener`] binds and accepts, [`connection`] reads requests and writes their answers in order, [`output`] puts an
//! answer on the socket, [`limits`] counts connections and the bytes of requests in flight.

mod connection;
mod limits;
mod listener;
mod output;

pub(crate) use limits::Limits;
pub use listener::{BindError, listen};
pub(crate) use listener::{Bound, bind};
