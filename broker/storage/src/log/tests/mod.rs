//! What the log promises, tried on real files in temporary folders.

mod appending;
mod kit;
