//! What the Kafka clients of a worker send, receive and hold open, by what they do: added up from the statistics that
//! librdkafka gives every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::statistics::Statistics;

/// How often clients tell.
pub(crate) const TOLD_EVERY_MS: &str = "5000";
/// A client that has told nothing for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(15);
const CONNECTED: &str = "UP";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Producer,
    Consumer,
}

/// Shared by all clients of one cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientTraffic {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    producers: Totals,
    consumers: Totals,
    /// By librdkafka's name, which no two clients of a process share. Those that are gone make room for the next.
    clients: HashMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Totals {
    sent_bytes: u64,
    received_bytes: u64,
}

/// What a client told last.
#[derive(Debug, Clone, Copy)]
struct Seen {
    kind: ClientKind,
    at: Instant,
    sent_bytes: u64,
    received_bytes: u64,
    connections: usize,
}

impl ClientTraffic {
    pub(crate) fn note(&self, statistics: &Statistics) {
        let kind = if statistics.client_type == "producer" { ClientKind::Producer } else { ClientKind::Consumer };
        let seen = Seen {
            kind,
            at: Instant::now(),
            sent_bytes: u64::try_from(statistics.tx_bytes).unwrap_or(0),
            received_bytes: u64::try_from(statistics.rx_bytes).unwrap_or(0),
            connections: statistics.brokers.values().filter(|broker| broker.state == CONNECTED).count(),
        };
        self.inner().note(&statistics.name, seen);
    }

    pub(crate) fn sent_bytes(&self, kind: ClientKind) -> u64 {
        self.inner().totals(kind).sent_bytes
    }

    pub(crate) fn received_bytes(&self, kind: ClientKind) -> u64 {
        self.inner().totals(kind).received_bytes
    }

    /// Of clients that still tell.
    pub(crate) fn connections(&self, kind: ClientKind) -> usize {
        let now = Instant::now();
        let inner = self.inner();
        let live = inner.clients.values().filter(|seen| seen.kind == kind && !seen.is_gone(now));
        live.map(|seen| seen.connections).sum()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, name: &str, seen: Seen) {
        if !self.clients.contains_key(name) {
            self.clients.retain(|_, other| !other.is_gone(seen.at));
        }
        let before = self.clients.insert(name.to_owned(), seen);
        let (sent, received) = before.map_or((0, 0), |before| (before.sent_bytes, before.received_bytes));
        let totals = self.totals(seen.kind);
        totals.sent_bytes += seen.sent_bytes.saturating_sub(sent);
        totals.received_bytes += seen.received_bytes.saturating_sub(received);
    }

    fn totals(&mut self, kind: ClientKind) -> &mut Totals {
        match kind {
            ClientKind::Producer => &mut self.producers,
            ClientKind::Consumer => &mut self.consumers,
        }
    }
}

impl Seen {
    fn is_gone(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= GONE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_grow_by_what_each_client_adds_and_outlive_it() {
        let (traffic, start) = (ClientTraffic::default(), Instant::now());
        let told = |name: &str, seconds: u64, sent_bytes: u64| {
            let at = start + Duration::from_secs(seconds);
            let seen = Seen { kind: ClientKind::Producer, at, sent_bytes, received_bytes: 1, connections: 2 };
            traffic.inner().note(name, seen);
            traffic.sent_bytes(ClientKind::Producer)
        };
        assert_eq!([told("a#1", 0, 100), told("b#2", 1, 10), told("a#1", 5, 150)], [100, 110, 160]);
        assert_eq!(traffic.connections(ClientKind::Producer), 4);
        // One of them is gone by then; what it sent stays sent.
        assert_eq!([told("a#1", 18, 151), told("c#3", 18, 1)], [161, 162]);
        assert_eq!(traffic.inner().clients.len(), 2);
        assert_eq!(traffic.connections(ClientKind::Producer), 4);
        assert_eq!(traffic.received_bytes(ClientKind::Consumer), 0);
    }
}
