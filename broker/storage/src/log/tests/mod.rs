//! What the log promises, tried on real files in temporary folders.

mod appending;
mod compacting;
mod crashes;
mod kit;
mod restarts;
mod shrinking;
mod times;
