//! Errors of opening a node.

use std::io;
use std::path::PathBuf;

/// Why a node could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("search data folder {path}: {source}", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("search data folder {path} is in use by another process: stop it or choose another folder", path = .path.display())]
    InUse { path: PathBuf },
    #[error(
        "search data folder {path} was written by format {found:?}, this version knows {known:?}: use a newer weir",
        path = .path.display()
    )]
    Version { path: PathBuf, found: String, known: &'static str },
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}
