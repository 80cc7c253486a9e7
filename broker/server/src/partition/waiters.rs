//! Waking long polls and acknowledgements.
//!
//! A [`Watcher`] is one waiting request; it watches any number of partitions. A wake-up that comes between its look at
//! the partitions and its going to sleep is kept, so that none is missed.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Partition;

/// The watchers of one partition: no more than there are requests in flight.
#[derive(Default)]
pub(super) struct Waiters {
    waiting: Mutex<Vec<Arc<Notify>>>,
}

/// One waiting request.
#[derive(Default)]
pub(crate) struct Watcher {
    notify: Arc<Notify>,
}

/// Watches until dropped.
pub(crate) struct Watch {
    partition: Arc<Partition>,
    notify: Arc<Notify>,
}

impl Waiters {
    pub(super) fn wake_all(&self) {
        for notify in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            notify.notify_one();
        }
    }
}

impl Watcher {
    /// From now on, until the watch is dropped, what happens to the partition wakes this watcher.
    pub(crate) fn watch(&self, partition: &Arc<Partition>) -> Watch {
        let notify = Arc::clone(&self.notify);
        partition.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&notify));
        Watch { partition: Arc::clone(partition), notify }
    }

    /// Returns at once if anything happened since the last call.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiting = self.partition.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = waiting.iter().position(|notify| Arc::ptr_eq(notify, &self.notify)) {
            waiting.swap_remove(index);
        }
    }
}
