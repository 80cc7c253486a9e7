//! Metrics and health of a process without a broker: the broker's own HTTP server, with whatever runs here.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_broker::BindError;
use weir_broker::http::{self, IsReady, Shown};

/// Whether all parts of the process do their work.
#[derive(Clone, Default)]
pub(super) struct Readiness {
    /// Set once they run: then they say it themselves.
    parts: Arc<OnceLock<IsReady>>,
}

impl Readiness {
    pub(super) fn parts_run(&self, is_ready: IsReady) {
        // Parts start once.
        let _ = self.parts.set(is_ready);
    }

    pub(super) fn ask(&self) -> IsReady {
        let parts = Arc::clone(&self.parts);
        Arc::new(move || parts.get().is_some_and(|is_ready| is_ready()))
    }
}

pub(super) struct Http {
    addresses: Vec<SocketAddr>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Http {
    /// Answers when this returns.
    pub(super) async fn start(listeners: &[(String, u16)], shown: Shown, is_ready: IsReady) -> Result<Self, BindError> {
        let bound = http::bind(listeners).await?;
        let (addresses, tasks, stop) = (bound.addresses(), TaskTracker::new(), CancellationToken::new());
        bound.serve(shown, Default::default(), is_ready, &tasks, &stop);
        Ok(Self { addresses, tasks, stop })
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
