//! Places for connections, of which there are so many. Nobody who comes waits for long while all are taken: one makes way.
//!
//! It is one of the address that has most of them: who opens hundreds takes places from himself. Among those one that is idle
//! goes before one that is being answered, and the longest before others. In the first half second of its time no connection
//! makes way, so that those who come together do not drive each other away.

use std::collections::HashMap;
use std::fs::File;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// A connection keeps its place for that long after it came, began to be answered, or became idle.
const KEPT: Duration = Duration::from_millis(500);
/// How often whoever waits looks whether one may make way by now.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) struct Places {
    count_max: usize,
    taken: Mutex<Vec<Arc<Holder>>>,
    freed: Notify,
    /// A file descriptor that is given away when there is no other.
    reserve: Mutex<Option<File>>,
}

struct Holder {
    peer: IpAddr,
    doing: Mutex<Doing>,
}

/// What a connection does.
struct Doing {
    is_exchanging: bool,
    since: Instant,
    is_lost: bool,
    waker: Option<Waker>,
}

/// Given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    holder: Arc<Holder>,
}

impl Places {
    pub(super) fn new(count_max: usize) -> Arc<Self> {
        let places = Self { count_max, taken: Mutex::default(), freed: Notify::new(), reserve: Mutex::default() };
        places.restock();
        Arc::new(places)
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Holder>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Place {
        loop {
            if let Some(place) = self.try_take(peer, Instant::now()) {
                return place;
            }
            tokio::select! {
                () = self.freed.notified() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Gives the reserve away; false if it is given away already.
    pub(super) fn give_reserve(&self) -> bool {
        self.reserve.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn restock(&self) {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        *reserve = reserve.take().or_else(|| File::open("/dev/null").ok());
    }

    fn try_take(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Place> {
        if self.taken().len() >= self.count_max && !self.make_way(now) {
            return None;
        }
        let doing = Doing { is_exchanging: false, since: now, is_lost: false, waker: None };
        let holder = Arc::new(Holder { peer, doing: Mutex::new(doing) });
        self.taken().push(Arc::clone(&holder));
        Some(Place { places: Arc::clone(self), holder })
    }

    /// Takes a place from whoever is to make way; false if that is nobody yet.
    pub(super) fn make_way(&self, now: Instant) -> bool {
        let mut taken = self.taken();
        let mut of_address: HashMap<IpAddr, usize> = HashMap::new();
        taken.iter().for_each(|holder| *of_address.entry(holder.peer).or_default() += 1);
        let makes_way = taken.iter().enumerate().filter_map(|(index, holder)| {
            let doing = holder.doing();
            let lasts = now.saturating_duration_since(doing.since);
            (lasts >= KEPT).then_some(((of_address[&holder.peer], !doing.is_exchanging, lasts), index))
        });
        let Some((_, index)) = makes_way.max() else { return false };
        let holder = taken.swap_remove(index);
        drop(taken);
        let mut lost = holder.doing();
        lost.is_lost = true;
        if let Some(waker) = lost.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Holder {
    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn exchanging(&self, is_exchanging: bool, now: Instant) {
        let mut doing = self.holder.doing();
        (doing.is_exchanging, doing.since) = (is_exchanging, now);
    }

    /// Whether another has it by now; if not, wakes whoever asked when that happens.
    pub(super) fn is_lost(&self, cx: &Context<'_>) -> bool {
        let mut doing = self.holder.doing();
        if !doing.is_lost && !doing.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            doing.waker = Some(cx.waker().clone());
        }
        doing.is_lost
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().retain(|holder| !Arc::ptr_eq(holder, &self.holder));
        // Its connection is closed by now: before others take that descriptor.
        self.places.restock();
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn is_lost(place: &Place) -> bool {
        place.holder.doing().is_lost
    }

    #[test]
    fn the_address_with_most_connections_makes_way_and_of_those_the_longest_idle() {
        let (places, start) = (Places::new(4), Instant::now());
        let alone = places.try_take(OTHER, start).unwrap();
        let [first, second, third] = [1, 2, 3].map(|times| places.try_take(ONE, start + KEPT * times).unwrap());
        first.exchanging(true, start + KEPT * 2);
        let newcomer = places.try_take(ONE, start + KEPT * 9).unwrap();
        assert_eq!([&alone, &first, &second, &third].map(is_lost), [false, false, true, false]);
        drop(second);
        assert_eq!(places.taken().len(), 4, "its place is another's");
        drop(newcomer);
        assert_eq!(places.taken().len(), 3);
    }

    #[test]
    fn those_who_come_together_do_not_drive_each_other_away() {
        let (places, start) = (Places::new(2), Instant::now());
        let held = [ONE, ONE].map(|peer| places.try_take(peer, start).unwrap());
        assert!(places.try_take(OTHER, start + KEPT / 2).is_none());
        held.iter().for_each(|place| place.exchanging(true, start + KEPT / 2));
        assert!(places.try_take(OTHER, start + KEPT).is_none());
        // Then also one that is being answered does.
        assert!(places.try_take(OTHER, start + KEPT * 2).is_some());
        assert_eq!(held.iter().filter(|place| is_lost(place)).count(), 1);
    }
}
