//! One run of a sink task: [`consumer`] reads in a thread of its own, [`task`] transforms, writes and commits,
//! [`lag`] says how far behind it is.

use std::time::{SystemTime, UNIX_EPOCH};

mod consumer;
mod lag;
mod task;

pub(crate) use consumer::Subscription;
pub(crate) use task::SinkRun;

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
