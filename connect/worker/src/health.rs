//! What a task shows of itself: its state, and while something is wrong, what.

use std::sync::{Arc, Mutex, PoisonError};

use weir_connect_api::ConnectError;

use crate::state::State;

/// Shared by a task's supervisor, its run and REST.
#[derive(Clone)]
pub(crate) struct Health {
    inner: Arc<Mutex<(State, Option<String>)>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::new(Mutex::new((State::Unassigned, None))) }
    }

    pub(crate) fn paused() -> Self {
        Self { inner: Arc::new(Mutex::new((State::Paused, None))) }
    }

    /// The state, and what is wrong or went wrong last.
    pub(crate) fn get(&self) -> (State, Option<String>) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, state: State, trace: Option<String>) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = (state, trace);
    }

    /// A call is being repeated: the task runs on, and shows why it does not get ahead.
    pub(crate) fn trouble(&self, error: &ConnectError) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(format!("trying again: {error}"));
    }

    pub(crate) fn over(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_in_trouble_runs_on_and_says_why() {
        let health = Health::new();
        health.set(State::Running, None);
        health.trouble(&ConnectError::retriable("postgres is away"));
        assert_eq!(health.get(), (State::Running, Some("trying again: postgres is away".to_owned())));
        health.over();
        assert_eq!(health.get(), (State::Running, None));
    }
}
