//! The task: runs passes off the runtime and waits for changes between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use weir_connect_api::{ConnectError, DeliveredRecord, SourceBatch, SourceContext, SourceTask, TypedConfig};

use super::config::Settings;
use super::tail::{Pass, Tail};

/// The longest that one poll waits for lines.
const POLL_WAIT_MAX: Duration = Duration::from_secs(1);
/// Changes are looked at at most this often, however many the system tells of.
const LOOK_GAP: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(crate) struct FileTailTask {
    /// `None` while a pass has it.
    tail: Option<Tail>,
    /// Outlives a poll that is dropped, so that what the pass read is not lost.
    in_flight: Option<JoinHandle<(Tail, Pass)>>,
    poll_interval: Duration,
    /// As of the last pass that was handed over; the next one may be running.
    is_recovered: bool,
    changes: Changes,
}

/// Hears of changes from the system, where the file system tells.
#[derive(Default)]
struct Changes {
    heard: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
}

impl Changes {
    fn start(&mut self) {
        let heard = self.heard.clone();
        let on_event = move |event: notify::Result<notify::Event>| {
            // Opening and reading are told too, and are what a pass itself does.
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                heard.notify_one();
            }
        };
        match notify::recommended_watcher(on_event) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => tracing::info!(%error, "the system does not tell of changes: files are polled only"),
        }
    }

    fn watch(&mut self, folders: Vec<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in folders {
            if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %folder.display(), %error, "not watched: polled only");
            }
        }
    }
}

impl FileTailTask {
    fn start_pass(&mut self) {
        if let Some(mut tail) = self.tail.take() {
            self.in_flight = Some(tokio::task::spawn_blocking(move || {
                let pass = tail.pass(Instant::now());
                (tail, pass)
            }));
        }
    }

    async fn pass(&mut self) -> Result<Pass, ConnectError> {
        if self.in_flight.is_none() {
            self.start_pass();
        }
        let Some(in_flight) = &mut self.in_flight else {
            return Err(ConnectError::fatal("the task was polled before it was started"));
        };
        let ended = in_flight.await;
        self.in_flight = None;
        let (tail, pass) = ended.map_err(|e| ConnectError::fatal(format!("reading files ended unexpectedly: {e}")))?;
        self.is_recovered = tail.is_recovered(Instant::now());
        self.tail = Some(tail);
        Ok(pass)
    }

    /// Waits for a change, at most until `deadline` or until files are to be looked at anyway.
    async fn wait(&mut self, deadline: Instant) {
        if let Some(tail) = &mut self.tail {
            self.changes.watch(tail.take_new_folders());
        }
        let rest = deadline.saturating_duration_since(Instant::now()).min(self.poll_interval);
        if tokio::time::timeout(rest, self.changes.heard.notified()).await.is_ok() {
            tokio::time::sleep(LOOK_GAP).await;
            if let Some(tail) = &mut self.tail {
                tail.look_again();
            }
        }
    }
}

#[async_trait]
impl SourceTask for FileTailTask {
    async fn start(&mut self, context: SourceContext) -> Result<(), ConnectError> {
        let settings = Settings::checked(&context.config)?;
        self.poll_interval = settings.poll_interval;
        self.tail = Some(Tail::new(settings, Instant::now(), &context.offsets));
        self.changes.start();
        Ok(())
    }

    fn recover(&mut self, delivered: &[DeliveredRecord]) -> Result<(), ConnectError> {
        let tail =
            self.tail.as_mut().ok_or_else(|| ConnectError::fatal("records to recover came after the first poll"))?;
        tail.recover(Instant::now(), delivered);
        Ok(())
    }

    fn is_recovered(&self) -> bool {
        self.is_recovered
    }

    async fn poll(&mut self) -> Result<Vec<SourceBatch>, ConnectError> {
        let deadline = Instant::now() + POLL_WAIT_MAX;
        loop {
            let pass = self.pass().await?;
            if !pass.batches.is_empty() {
                if pass.has_more {
                    // The next blocks are read while these are produced.
                    self.start_pass();
                }
                return Ok(pass.batches);
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            if !pass.has_more {
                self.wait(deadline).await;
            }
        }
    }

    async fn stop(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            // What the pass read was not handed over, so nothing of it is committed.
            let _ = in_flight.await;
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
