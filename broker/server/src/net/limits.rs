//! What strangers may take: connections in all and per address, and bytes of requests in flight.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Shared by all listeners.
#[derive(Debug)]
pub(crate) struct Limits {
    counts: Mutex<Counts>,
    request_bytes: Arc<Semaphore>,
    request_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    /// Holds addresses with at least one open connection, so no more entries than connections.
    per_ip: HashMap<IpAddr, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    TooMany,
    TooManyFromAddress,
}

/// One admitted connection; gives its place back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Arc<Limits>,
    ip: IpAddr,
}

impl Limits {
    /// `request_bytes_max` requests' bytes may be in flight; clamped to what the semaphore can count.
    pub(crate) fn new(request_bytes_max: usize) -> Self {
        let request_bytes_max = request_bytes_max.clamp(1, u32::MAX as usize);
        Self { counts: Mutex::default(), request_bytes: Arc::new(Semaphore::new(request_bytes_max)), request_bytes_max }
    }

    pub(super) fn admit(
        self: &Arc<Self>,
        ip: IpAddr,
        total_max: usize,
        per_ip_max: usize,
    ) -> Result<Admission, Refused> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= total_max {
            return Err(Refused::TooMany);
        }
        let from_address = counts.per_ip.get(&ip).copied().unwrap_or(0);
        if from_address >= per_ip_max {
            return Err(Refused::TooManyFromAddress);
        }
        counts.total += 1;
        counts.per_ip.insert(ip, from_address + 1);
        drop(counts);
        Ok(Admission { limits: Arc::clone(self), ip })
    }

    /// Waits until a request of this size fits. A request larger than the whole budget takes all of it.
    pub(super) async fn admit_bytes(&self, size_bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = size_bytes.min(self.request_bytes_max) as u32;
        Arc::clone(&self.request_bytes).acquire_many_owned(permits).await.ok()
    }

    pub(crate) fn request_bytes_in_flight(&self) -> usize {
        self.request_bytes_max - self.request_bytes.available_permits()
    }

    #[cfg(test)]
    fn connections(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(from_address) = counts.per_ip.get_mut(&self.ip) {
            *from_address -= 1;
            if *from_address == 0 {
                counts.per_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_gives_its_place_back() {
        let limits = Arc::new(Limits::new(10));
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = limits.admit(a, 2, 1).unwrap();
        assert_eq!(limits.admit(a, 2, 1).unwrap_err(), Refused::TooManyFromAddress);
        let _second = limits.admit(b, 2, 1).unwrap();
        assert_eq!(limits.admit(b, 2, 9).unwrap_err(), Refused::TooMany);
        drop(first);
        assert_eq!(limits.connections(), 1);
        limits.admit(a, 2, 1).unwrap();
    }

    #[tokio::test]
    async fn requests_wait_while_the_budget_is_taken_and_a_giant_takes_all_of_it() {
        let limits = Limits::new(100);
        let giant = limits.admit_bytes(1000).await.unwrap();
        assert_eq!(limits.request_bytes_in_flight(), 100);
        let waiting = limits.admit_bytes(1);
        assert!(futures::FutureExt::now_or_never(waiting).is_none());
        drop(giant);
        assert!(limits.admit_bytes(1).await.is_some());
    }
}
