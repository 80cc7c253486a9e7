//! The search sink against the embedded node, and against a server that answers as it is told.

mod bulk;
mod embedded;
mod scripted;
mod sink;
