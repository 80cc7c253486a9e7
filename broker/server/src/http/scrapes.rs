//! Scrapes share renderings: all that wait when one begins get that one, so that a hundred at once cost as much as two.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{Notify, oneshot};

type Rendered = Result<Bytes, String>;

#[derive(Clone, Default)]
pub(super) struct Scrapes {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// No more than there are connections.
    waiting: Mutex<Vec<oneshot::Sender<Rendered>>>,
    asked: Notify,
}

impl Scrapes {
    /// Renders for whoever waits, for ever.
    pub(super) async fn serve(self, render: impl Fn() -> Result<Vec<u8>, prometheus::Error>) {
        loop {
            self.shared.asked.notified().await;
            // Whoever is about to ask may do so before.
            tokio::task::yield_now().await;
            let waiting = std::mem::take(&mut *self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            let rendered: Rendered = render().map(Bytes::from).map_err(|error| error.to_string());
            for sender in waiting {
                // One that is gone is a connection that is gone.
                drop(sender.send(rendered.clone()));
            }
        }
    }

    /// Answers each call with what a rendering says that begins after it.
    pub(super) fn answers(&self) -> impl Fn() -> BoxFuture<'static, Response> + Clone + use<> {
        let scrapes = self.clone();
        move || Box::pin(scrapes.clone().answer())
    }

    async fn answer(self) -> Response {
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        self.shared.asked.notify_one();
        match receiver.await {
            Ok(Ok(text)) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
            Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
        }
    }
}
