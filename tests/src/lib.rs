//! The harness that the suites and the demo share: real processes, a private Postgres, stock clients, temporary
//! folders, free ports.
//!
//! Reading order: [`process`], [`weir`], [`kafka`], [`postgres`], [`clients`], [`prometheus`], [`traces`], [`disk`],
//! [`http`], [`lines`], [`beat`], [`wait`].
//!
//! Invariants: never touches a server, a port or a folder that it did not start or make itself; what it starts ends
//! with the value that holds it, also when a test panics.

pub mod beat;
pub mod clients;
pub mod disk;
pub mod http;
pub mod kafka;
pub mod lines;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod traces;
pub mod wait;
pub mod weir;
