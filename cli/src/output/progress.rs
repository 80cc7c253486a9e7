//! A line on stderr that moves while one waits: on a terminal, and once the work has taken two seconds.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::AbortHandle;

/// Work that takes longer than this shows its progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(2);
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// The line that a terminal shows now: there is one terminal, so there is one line.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Does something with the terminal that the line must not be in the way of.
pub(super) fn aside<T>(act: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(act),
        None => act(),
    }
}

/// Shows itself when its time has come and goes when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    showing: Option<AbortHandle>,
}

impl Progress {
    /// Work whose size nobody knows.
    pub(crate) fn counting(what: &str) -> Self {
        Self::start(None, what, "{spinner} {human_pos} {msg}, {per_sec}, {elapsed}")
    }

    pub(crate) fn of(total: usize, what: &str) -> Self {
        Self::start(Some(total as u64), what, "{spinner} {human_pos} of {human_len} {msg}, {elapsed}")
    }

    /// One thing that somebody else does.
    pub(crate) fn waiting(what: &str) -> Self {
        Self::start(None, what, "{spinner} {msg}, {elapsed}")
    }

    fn start(total: Option<u64>, what: &str, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_message(what.to_owned());
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let showing = io::stderr().is_terminal().then(|| tokio::spawn(show(bar.clone())).abort_handle());
        Self { bar, showing }
    }

    pub(crate) fn set(&self, count: u64) {
        self.bar.set_position(count);
    }

    pub(crate) fn add_one(&self) {
        self.bar.inc(1);
    }
}

async fn show(bar: ProgressBar) {
    tokio::time::sleep(PROGRESS_AFTER).await;
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(REDRAW_EVERY);
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some(showing) = self.showing.take() else { return };
        showing.abort();
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.bar.finish_and_clear();
    }
}
