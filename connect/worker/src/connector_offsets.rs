//! Offsets of a whole connector, for REST: a source's from the offset store, a sink's from its group and, where the sink
//! keeps its own, from its destination (KIP-875).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use indexmap::IndexMap;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Map, Value, json};
use weir_connect_api::{
    ConnectError, ConnectorKind, RecordReporter, SinkContext, SinkRecord, SinkTask, SourceOffset, Task, TopicPartition,
};

use crate::client_log::ClientLog;
use crate::kafka::{Cluster, ClusterError};
use crate::runtime::{Runtime, RuntimeError};
use crate::secrets;
use crate::state::State;
use crate::store::{Change, canonical, source_partition};
use crate::tasks::group_of;

const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// A stopped task's place in its group is kept for a while, and as long its group takes no commits from others.
const GROUP_EMPTY_LIMIT: Duration = Duration::from_secs(20);
const GROUP_EMPTY_PAUSE: Duration = Duration::from_millis(500);

/// A partition and an offset as REST has them: small JSON objects.
pub(crate) type Place = Map<String, Value>;

impl Runtime {
    pub async fn connector_offsets(&self, name: &str) -> Result<Vec<(Place, SourceOffset)>, RuntimeError> {
        let view = self.view(name)?;
        if view.kind == ConnectorKind::Source {
            let position = self.shared.offsets.position(name).await;
            let offset =
                |(partition, offset): (String, SourceOffset)| ((*source_partition(&partition)).clone(), offset);
            return Ok(position.offsets.into_iter().map(offset).collect());
        }
        let topics: Vec<String> = view.config.get("topics").map(|topics| split(topics)).unwrap_or_default();
        let (cluster, group) = (self.shared.cluster.clone(), group_of(name));
        let asked = blocking(move || committed(&cluster, &group, &topics)).await?;
        Ok(asked.into_iter().map(|(place, offset)| (sink_place(&place), sink_offset(offset))).collect())
    }

    /// Sets offsets, or with `None` forgets them; only while the connector is stopped.
    pub async fn alter_offsets(&self, name: &str, entries: Vec<(Place, Option<Place>)>) -> Result<(), RuntimeError> {
        let view = self.view(name)?;
        if view.state != State::Stopped {
            let message = "Connectors must be in the STOPPED state before their offsets can be modified. \
                           This can be done for the specified connector by issuing a 'PUT' request to the \
                           '/connectors/{name}/stop' endpoint";
            return Err(RuntimeError::NotStopped(message.replace("{name}", name)));
        }
        if view.kind == ConnectorKind::Source {
            let offsets = entries.into_iter().map(|(partition, offset)| (canonical(&partition), offset)).collect();
            let change = Change { offsets, bounds: BTreeMap::new() };
            return self.shared.offsets.commit(name, change).await.map_err(|e| RuntimeError::Bad(e.message));
        }
        let offsets: BTreeMap<TopicPartition, Option<i64>> = entries
            .iter()
            .map(|(partition, offset)| sink_entry(partition, offset.as_ref()))
            .collect::<Result<_, _>>()?;
        self.alter_destination(name, &view.config, &offsets).await?;
        let (cluster, group) = (self.shared.cluster.clone(), group_of(name));
        blocking(move || commit(&cluster, &group, &offsets)).await.map_err(RuntimeError::Cluster)
    }

    /// Tells a sink that keeps its own offsets.
    async fn alter_destination(
        &self,
        name: &str,
        raw: &IndexMap<String, String>,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<(), RuntimeError> {
        let (connector, config) = self.shared.plugins.check(raw).map_err(RuntimeError::Invalid)?;
        let config = secrets::resolve(&config).map_err(|error| RuntimeError::Bad(error.to_string()))?;
        let Task::Sink(mut task) = connector.task() else { return Ok(()) };
        let context = SinkContext { connector: name.into(), task_index: 0, config, reporter: Arc::new(NoRecords) };
        let altered = altered(task.as_mut(), context, offsets).await;
        task.stop().await;
        altered.map_err(|error| RuntimeError::Bad(error.message))
    }
}

async fn altered(
    task: &mut dyn SinkTask,
    context: SinkContext,
    offsets: &BTreeMap<TopicPartition, Option<i64>>,
) -> Result<(), ConnectError> {
    task.start(context).await?;
    task.alter_offsets(offsets).await
}

/// A task that is only told offsets gets no records.
struct NoRecords;

#[async_trait]
impl RecordReporter for NoRecords {
    async fn report(&self, _record: &SinkRecord, error: &ConnectError) -> Result<(), ConnectError> {
        Err(error.clone())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn sink_place(place: &TopicPartition) -> Place {
    object(&json!({"kafka_topic": &*place.topic, "kafka_partition": place.partition}))
}

fn sink_offset(offset: i64) -> Place {
    object(&json!({"kafka_offset": offset}))
}

fn object(value: &Value) -> Place {
    value.as_object().cloned().unwrap_or_default()
}

fn sink_entry(partition: &Place, offset: Option<&Place>) -> Result<(TopicPartition, Option<i64>), RuntimeError> {
    let bad = |what: &str| RuntimeError::Bad(format!("{what} in {}", Value::Object(partition.clone())));
    let topic = partition.get("kafka_topic").and_then(Value::as_str).ok_or_else(|| bad("no `kafka_topic`"))?;
    let index = partition.get("kafka_partition").and_then(integer).and_then(|index| i32::try_from(index).ok());
    let index = index.ok_or_else(|| bad("no `kafka_partition`"))?;
    let offset = match offset {
        None => None,
        Some(offset) => Some(offset.get("kafka_offset").and_then(integer).ok_or_else(|| bad("no `kafka_offset`"))?),
    };
    Ok((TopicPartition::new(topic, index), offset))
}

/// Kafka Connect takes numbers and their texts.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn group_client(cluster: &Cluster, group: &str) -> Result<BaseConsumer<ClientLog>, ClusterError> {
    let mut config = cluster.config("weir-connect-offsets", &IndexMap::new());
    config.set("group.id", group).set("enable.auto.commit", "false");
    config.create_with_context(cluster.log()).map_err(cluster.error(format!("offsets of group {group}")))
}

fn committed(cluster: &Cluster, group: &str, topics: &[String]) -> Result<BTreeMap<TopicPartition, i64>, ClusterError> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in cluster.watermarks(topic)?.into_keys() {
            list.add_partition(topic, partition);
        }
    }
    let client = group_client(cluster, group)?;
    let found =
        client.committed_offsets(list, REQUEST_LIMIT).map_err(cluster.error(format!("offsets of group {group}")))?;
    let offset = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) => Some((TopicPartition::new(element.topic(), element.partition()), offset)),
        _ => None,
    };
    Ok(found.elements().into_iter().filter_map(offset).collect())
}

/// A forgotten offset is set to 0: the group then begins with the oldest record.
fn commit(cluster: &Cluster, group: &str, offsets: &BTreeMap<TopicPartition, Option<i64>>) -> Result<(), ClusterError> {
    let mut list = TopicPartitionList::new();
    let what = format!("offsets of group {group}");
    for (place, offset) in offsets {
        let offset = Offset::Offset(offset.unwrap_or(0));
        list.add_partition_offset(&place.topic, place.partition, offset).map_err(cluster.error(&what))?;
    }
    if list.count() == 0 {
        return Ok(());
    }
    let client = group_client(cluster, group)?;
    let deadline = Instant::now() + GROUP_EMPTY_LIMIT;
    loop {
        match client.commit(&list, CommitMode::Sync) {
            Err(error) if is_occupied(&error) && Instant::now() < deadline => std::thread::sleep(GROUP_EMPTY_PAUSE),
            result => return result.map_err(cluster.error(&what)),
        }
    }
}

fn is_occupied(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
        )
    )
}
