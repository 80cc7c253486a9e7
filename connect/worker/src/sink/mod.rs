//! One run of a sink task: [`consumer`] reads in a thread of its own, [`task`] transforms, writes and commits.

mod consumer;
mod task;

pub(crate) use consumer::Subscription;
pub(crate) use task::SinkRun;
