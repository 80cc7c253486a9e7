//! Work that all who wait for it share: those that ask while it is done for others get what is done next, together, so that a
//! hundred at once cost as much as two. It is done on a thread of its own, one piece at a time: the server answers meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// One answer for each that asks, in their order.
type Work<Q, A> = dyn Fn(&[Q]) -> Vec<A> + Send + Sync;

pub(crate) struct Shared<Q, A> {
    inner: Arc<Inner<Q, A>>,
}

struct Inner<Q, A> {
    work: Box<Work<Q, A>>,
    waiting: Mutex<Waiting<Q, A>>,
}

struct Waiting<Q, A> {
    /// No more than there are connections.
    asked: Vec<(Q, oneshot::Sender<A>)>,
    is_worked_for: bool,
}

impl<Q, A> Clone for Shared<Q, A> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Shared<Q, A> {
    pub(crate) fn new(work: impl Fn(&[Q]) -> Vec<A> + Send + Sync + 'static) -> Self {
        let waiting = Mutex::new(Waiting { asked: Vec::new(), is_worked_for: false });
        Self { inner: Arc::new(Inner { work: Box::new(work), waiting }) }
    }

    /// The answer of work that begins after this call; `None` if that was not done, because the process stops or by a bug.
    pub(crate) async fn ask(&self, question: Q) -> Option<A> {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut waiting = self.inner.waiting();
            waiting.asked.push((question, sender));
            !std::mem::replace(&mut waiting.is_worked_for, true)
        };
        if is_first {
            tokio::spawn(work(Arc::clone(&self.inner)));
        }
        receiver.await.ok()
    }
}

impl<Q, A> Inner<Q, A> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<Q, A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works for whoever waits, until nobody does.
async fn work<Q: Send + 'static, A: Send + 'static>(inner: Arc<Inner<Q, A>>) {
    loop {
        // Whoever is about to ask may do so before.
        tokio::task::yield_now().await;
        let asked = {
            let mut waiting = inner.waiting();
            let asked = std::mem::take(&mut waiting.asked);
            waiting.is_worked_for = !asked.is_empty();
            asked
        };
        if asked.is_empty() {
            return;
        }
        let worker = Arc::clone(&inner);
        let worked = tokio::task::spawn_blocking(move || {
            let (questions, senders): (Vec<Q>, Vec<_>) = asked.into_iter().unzip();
            for (sender, answer) in senders.into_iter().zip((worker.work)(&questions)) {
                // One that is gone is a connection that is gone.
                drop(sender.send(answer));
            }
        });
        if let Err(error) = worked.await {
            tracing::error!(%error, "an HTTP answer was not made");
        }
    }
}
