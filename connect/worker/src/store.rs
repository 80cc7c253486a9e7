//! The worker's memory: configurations, offsets and statuses in compacted topics, in Kafka Connect's own keys and JSON,
//! so that a restart goes on where the last run stopped.
//!
//! | topic | key | value |
//! |---|---|---|
//! | config.storage.topic | `connector-<name>` | `{"properties": {…}}` |
//! | | `target-state-<name>` | `{"state": "STARTED"}` or `PAUSED`, `STOPPED` |
//! | offset.storage.topic | `["<name>", {source partition}]` | the source offset |
//! | | `["<name>", {"topic": …, "partition": n}]`, marked by `"delivered": true` | `{"offset": n}`: see [`OffsetStore::bounds`] |
//! | status.storage.topic | `status-connector-<name>`, `status-task-<name>-<n>` | `{"state", "trace", "worker_id"}` |
//! | | `status-topic-<topic>:connector-<name>` | see [`active_topics`](crate::active_topics) |
//!
//! A null value deletes. One worker writes; it reads once, on start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use rdkafka::Message;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::{Map, Value as Json, json};
use weir_connect_api::{SourceOffset, SourcePartition};

use crate::client_log::ClientLog;
use crate::kafka::{Cluster, ClusterError};

/// How long a write may wait for the cluster before it is reported.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
const COMPACTED: &[(&str, &str)] = &[("cleanup.policy", "compact")];
const DELIVERED: &str = "delivered";

/// Keys with what is to stand behind them; `None` deletes.
pub(crate) type Rows = Vec<(String, Option<Json>)>;

/// One compacted topic as a map of strings.
#[derive(Clone)]
pub struct Table {
    topic: Arc<str>,
    cluster: Cluster,
    producer: FutureProducer<ClientLog>,
}

impl Table {
    /// Makes sure that the topic exists, and reads it whole.
    pub async fn open(cluster: &Cluster, topic: &str) -> Result<(Self, BTreeMap<String, Json>), ClusterError> {
        cluster.ensure_topic(topic, 1, COMPACTED).await?;
        let reading = (cluster.clone(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || read_table(&reading.0, &reading.1)).await;
        let rows = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let mut config = cluster.config("weir-connect-store", &IndexMap::new());
        config.set("enable.idempotence", "true").set("linger.ms", "1");
        let producer =
            config.create_with_context(cluster.log()).map_err(cluster.error(format!("writing topic {topic}")))?;
        Ok((Self { topic: topic.into(), cluster: cluster.clone(), producer }, rows))
    }

    /// Writes rows, in order; returns once all are acknowledged. `None` deletes.
    pub async fn put(&self, rows: Rows) -> Result<(), ClusterError> {
        self.acknowledged(self.queue(rows)?).await
    }

    /// Writes rows behind those that were written before, without waiting; a failure is logged.
    pub fn put_in_background(&self, rows: Rows) {
        let (table, queued) = (self.clone(), self.queue(rows));
        tokio::spawn(async move {
            let written = match queued {
                Ok(queued) => table.acknowledged(queued).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                tracing::warn!(%error, "rows of the worker's memory are not kept");
            }
        });
    }

    fn queue(&self, rows: Rows) -> Result<Vec<DeliveryFuture>, ClusterError> {
        let sent = rows.into_iter().map(|(key, value)| {
            let value = value.map(|value| value.to_string());
            let mut record = FutureRecord::to(&self.topic).key(&key);
            record.payload = value.as_ref();
            // Kept in order by the producer's own queue: sending does not wait.
            self.producer.send_result(record).map_err(|(error, _)| error)
        });
        sent.collect::<Result<_, _>>().map_err(|source| self.failed(source))
    }

    async fn acknowledged(&self, sent: Vec<DeliveryFuture>) -> Result<(), ClusterError> {
        for delivery in sent {
            let waited = tokio::time::timeout(WRITE_LIMIT, delivery).await;
            let source = match waited {
                Ok(Ok(Ok(_))) => continue,
                Ok(Ok(Err((source, _)))) => source,
                Ok(Err(_)) => rdkafka::error::KafkaError::Canceled,
                Err(_) => rdkafka::error::KafkaError::Flush(rdkafka::types::RDKafkaErrorCode::OperationTimedOut),
            };
            return Err(self.failed(source));
        }
        Ok(())
    }

    fn failed(&self, source: rdkafka::error::KafkaError) -> ClusterError {
        self.cluster.error(format!("writing topic {}", self.topic))(source)
    }

    /// Hands over what is still queued.
    pub fn flush(&self) {
        let _ = rdkafka::producer::Producer::flush(&self.producer, Timeout::After(WRITE_LIMIT));
    }
}

fn read_table(cluster: &Cluster, topic: &str) -> Result<BTreeMap<String, Json>, ClusterError> {
    let mut rows = BTreeMap::new();
    cluster.read_to_end(topic, &BTreeMap::new(), |message| {
        let Some(key) = message.key().map(|key| String::from_utf8_lossy(key).into_owned()) else { return };
        match message.payload().map(serde_json::from_slice::<Json>) {
            Some(Ok(value)) => {
                rows.insert(key, value);
            }
            Some(Err(error)) => tracing::warn!(topic, key, %error, "a row of the worker's memory is not JSON: skipped"),
            None => {
                rows.remove(&key);
            }
        }
    })?;
    Ok(rows)
}

/// Where the sources of one connector stand.
#[derive(Debug, Clone, Default)]
pub struct Position {
    /// Source partition, as canonical JSON → offset.
    pub offsets: BTreeMap<String, SourceOffset>,
    /// See [`OffsetStore::bounds`].
    pub bounds: BTreeMap<(String, i32), i64>,
}

/// Source offsets and the bounds that go with them.
pub struct OffsetStore {
    table: Table,
    /// By connector.
    positions: BTreeMap<String, Position>,
}

impl OffsetStore {
    pub async fn open(cluster: &Cluster, topic: &str) -> Result<Self, ClusterError> {
        let (table, rows) = Table::open(cluster, topic).await?;
        let mut positions: BTreeMap<String, Position> = BTreeMap::new();
        for (key, value) in rows {
            let Ok((connector, partition)) = serde_json::from_str::<(String, Map<String, Json>)>(&key) else {
                tracing::warn!(topic, key, "a row of the offsets topic has a strange key: skipped");
                continue;
            };
            let position = positions.entry(connector).or_default();
            match (bound_key(&partition), value) {
                (Some(place), value) => {
                    position.bounds.insert(place, value["offset"].as_i64().unwrap_or(0));
                }
                (None, Json::Object(offset)) => {
                    position.offsets.insert(canonical(&partition), offset);
                }
                (None, _) => tracing::warn!(topic, key, "a source offset is no object: skipped"),
            }
        }
        Ok(Self { table, positions })
    }

    pub fn position(&self, connector: &str) -> Position {
        self.positions.get(connector).cloned().unwrap_or_default()
    }

    /// The table and what is to be written to it: first the offsets, and when those are durable the bounds. Once both
    /// are, call [`OffsetStore::applied`].
    ///
    /// A bound is, for a topic partition, an offset below which no record lies that the committed source offsets do not
    /// cover: with older bounds and newer offsets that is still so, the other way round it would not be.
    pub fn change(&self, connector: &str, change: &Change) -> (Table, Rows, Rows) {
        let offsets = change
            .offsets
            .iter()
            .map(|(partition, offset)| (row_key(connector, partition), offset.clone().map(Json::Object)));
        let bounds = change.bounds.iter().map(|((topic, partition), offset)| {
            let place = json!({"topic": topic, "partition": partition, DELIVERED: true});
            (row_key(connector, &place.to_string()), Some(json!({"offset": offset})))
        });
        (self.table.clone(), offsets.collect(), bounds.collect())
    }

    pub fn applied(&mut self, connector: &str, change: Change) {
        let position = self.positions.entry(connector.to_owned()).or_default();
        for (partition, offset) in change.offsets {
            match offset {
                Some(offset) => position.offsets.insert(partition, offset),
                None => position.offsets.remove(&partition),
            };
        }
        position.bounds.extend(change.bounds);
    }
}

/// New offsets of one connector; `None` forgets a source partition's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    pub offsets: Vec<(String, Option<SourceOffset>)>,
    pub bounds: BTreeMap<(String, i32), i64>,
}

impl Change {
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.bounds.is_empty()
    }
}

/// `["name",{…}]`, the partition already being JSON.
fn row_key(connector: &str, partition: &str) -> String {
    format!("[{},{partition}]", Json::String(connector.to_owned()))
}

fn bound_key(partition: &Map<String, Json>) -> Option<(String, i32)> {
    partition.get(DELIVERED)?;
    let index = i32::try_from(partition.get("partition")?.as_i64()?).ok()?;
    Some((partition.get("topic")?.as_str()?.to_owned(), index))
}

/// A source partition as JSON with its keys in order, so that equal partitions are equal texts.
pub(crate) fn canonical(partition: &Map<String, Json>) -> String {
    let sorted: BTreeMap<&String, &Json> = partition.iter().collect();
    let fields = sorted.into_iter().map(|(key, value)| format!("{}:{value}", Json::String(key.clone())));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// The other way round.
pub(crate) fn source_partition(canonical: &str) -> SourcePartition {
    Arc::new(serde_json::from_str(canonical).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &Json) -> Map<String, Json> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn equal_source_partitions_are_equal_keys() {
        let (one, other) = (object(&json!({"b": 1, "a": "x"})), object(&json!({"a": "x", "b": 1})));
        assert_eq!(canonical(&one), canonical(&other));
        assert_eq!(*source_partition(&canonical(&one)), one);
        assert_eq!(row_key("tail", &canonical(&one)), r#"["tail",{"a":"x","b":1}]"#);
    }

    #[test]
    fn a_bound_is_told_from_a_source_partition() {
        assert_eq!(
            bound_key(&object(&json!({"topic": "t", "partition": 3, "delivered": true}))),
            Some(("t".to_owned(), 3))
        );
        assert_eq!(bound_key(&object(&json!({"topic": "t", "partition": 3}))), None);
    }
}
