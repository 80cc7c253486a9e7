//! Metrics and health of a process without a broker: the broker's own HTTP server, with whatever runs here.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_broker::BindError;
use weir_broker::http::{self, IsReady};

pub(super) struct Http {
    addresses: Vec<SocketAddr>,
    /// Set once the parts of the process run: then they say whether they are ready.
    is_ready: Arc<OnceLock<IsReady>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Http {
    /// Answers when this returns; not ready before [`Http::parts_run`].
    pub(super) async fn start(listeners: &[(String, u16)], registry: Registry) -> Result<Self, BindError> {
        let bound = http::bind(listeners).await?;
        let (addresses, tasks, stop) = (bound.addresses(), TaskTracker::new(), CancellationToken::new());
        let is_ready = Arc::new(OnceLock::<IsReady>::new());
        let parts = Arc::clone(&is_ready);
        let asked: IsReady = Arc::new(move || parts.get().is_some_and(|is_ready| is_ready()));
        bound.serve(registry, Default::default(), asked, &tasks, &stop);
        Ok(Self { addresses, is_ready, tasks, stop })
    }

    pub(super) fn parts_run(&self, is_ready: IsReady) {
        // Parts start once.
        let _ = self.is_ready.set(is_ready);
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
