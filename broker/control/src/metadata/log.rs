//! Where metadata records become fact. One file for a single broker; a Raft log for a quorum.

use std::future::Future;
use std::pin::Pin;

use super::record::MetadataRecord;

/// The outcome of an append under way.
pub type AppendFuture<'a> = Pin<Box<dyn Future<Output = Result<(), MetadataLogError>> + Send + 'a>>;

/// An ordered, durable log of metadata records.
pub trait MetadataLog: Send {
    /// Appends records as one unit: after a crash either all of them are there or none. Returns once they can no longer
    /// be lost. After an error the log takes no further records until it is opened again.
    fn append<'a>(&'a mut self, records: &'a [MetadataRecord]) -> AppendFuture<'a>;
}

/// Why records did not become fact.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetadataLogError {
    #[error("cannot write the metadata log {path}: {reason}")]
    Write { path: String, reason: String },
    #[error("the metadata log {path} failed earlier and is closed until the broker is restarted")]
    Closed { path: String },
}
