//! The topics that a connector's tasks have really written to or read from (KIP-558), kept in the status topic, so that a
//! restart of the worker keeps them.
//!
//! | key | value |
//! |---|---|
//! | `status-topic-<topic>:connector-<connector>` | `{"topic": {"name", "connector", "task", "discoverTimestamp"}}` |
//!
//! Never waits on the path of a record: a topic is written down when it is first met, and what becomes of that is only
//! logged.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use crate::store::Rows;

/// Topics that are remembered of one connector; beyond, new ones are not.
const ACTIVE_TOPICS_MAX: usize = 10_000;
const KEY_PREFIX: &str = "status-topic-";

/// Puts rows into the status topic, in the order of its calls, without waiting.
pub(crate) type Write = Box<dyn Fn(Rows) + Send + Sync>;

/// The active topics of all connectors.
pub(crate) struct ActiveTopics {
    topics: Mutex<BTreeMap<Arc<str>, BTreeSet<Arc<str>>>>,
    /// Rises when topics are forgotten: tasks then tell anew.
    resets: AtomicU64,
    write: Write,
}

impl ActiveTopics {
    /// `rows` are those of the status topic, of all kinds.
    pub(crate) fn restore(rows: &BTreeMap<String, Json>, write: Write) -> Self {
        let mut topics: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (key, row) in rows.iter().filter(|(key, _)| key.starts_with(KEY_PREFIX)) {
            match (row["topic"]["connector"].as_str(), row["topic"]["name"].as_str()) {
                (Some(connector), Some(topic)) => {
                    topics.entry(connector.into()).or_default().insert(topic.into());
                }
                _ => tracing::warn!(key, "a row of the status topic is not understood: skipped"),
            }
        }
        Self { topics: Mutex::new(topics), resets: AtomicU64::new(0), write }
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, BTreeSet<Arc<str>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In order of their names; none for a connector that is not known.
    pub(crate) fn of(&self, connector: &str) -> Vec<Arc<str>> {
        self.topics().get(connector).map(|topics| topics.iter().cloned().collect()).unwrap_or_default()
    }

    /// Forgets a connector's topics: those it goes on using come back with its next records.
    pub(crate) fn reset(&self, connector: &str) {
        let mut topics = self.topics();
        let forgotten = topics.remove(connector).unwrap_or_default();
        self.resets.fetch_add(1, Ordering::Relaxed);
        (self.write)(forgotten.iter().map(|topic| (row_key(connector, topic), None)).collect());
    }

    fn note(&self, connector: &Arc<str>, task: usize, topic: &Arc<str>) {
        let mut topics = self.topics();
        let known = topics.entry(Arc::clone(connector)).or_default();
        if known.len() >= ACTIVE_TOPICS_MAX || !known.insert(Arc::clone(topic)) {
            return;
        }
        if known.len() == ACTIVE_TOPICS_MAX {
            tracing::warn!(%connector, "the connector uses {ACTIVE_TOPICS_MAX} topics: further ones are not listed");
        }
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let row = json!({"topic": {"name": topic, "connector": connector, "task": task, "discoverTimestamp": now_ms}});
        (self.write)(vec![(row_key(connector, topic), Some(row))]);
    }
}

fn row_key(connector: &str, topic: &str) -> String {
    format!("{KEY_PREFIX}{topic}:connector-{connector}")
}

/// One task's side: cheap for a topic that was told before.
pub(crate) struct TopicUse {
    /// `None` when `topic.tracking.enable` is off.
    all: Option<Arc<ActiveTopics>>,
    connector: Arc<str>,
    task: usize,
    told: BTreeSet<Arc<str>>,
    /// Of [`ActiveTopics::resets`], when `told` began.
    resets: u64,
}

impl TopicUse {
    pub(crate) fn new(all: Option<Arc<ActiveTopics>>, connector: Arc<str>, task: usize) -> Self {
        Self { all, connector, task, told: BTreeSet::new(), resets: 0 }
    }

    /// A record went to this topic, or came from it.
    pub(crate) fn used(&mut self, topic: &Arc<str>) {
        let Some(all) = &self.all else { return };
        let resets = all.resets.load(Ordering::Relaxed);
        if resets != self.resets {
            self.resets = resets;
            self.told.clear();
        }
        if self.told.contains(topic) {
            return;
        }
        if self.told.len() < ACTIVE_TOPICS_MAX {
            self.told.insert(Arc::clone(topic));
        }
        all.note(&self.connector, self.task, topic);
    }
}
