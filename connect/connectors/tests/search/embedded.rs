//! Into the node of this process: what is committed is in once, whatever is read again.

use prometheus::Registry;
use tempfile::TempDir;
use weir_connect_api::{Payload, TopicPartition};
use weir_search::{SearchConfig, SearchNode};

use crate::sink::{Sink, numbered, partition, record, text};

const EMBEDDED: [(&str, &str); 1] = [("url", "embedded")];

fn node(folder: &TempDir) -> (SearchNode, Registry) {
    let registry = Registry::new();
    (SearchNode::open(SearchConfig::new(folder.path()), &registry).unwrap(), registry)
}

/// What the node counted of index `logs`.
fn documents(registry: &Registry, status: &str) -> u64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "weir_index_documents_total").unwrap();
    let is_wanted = |metric: &&prometheus::proto::Metric| {
        metric.get_label().iter().any(|label| label.name() == "status" && label.value() == status)
    };
    family.get_metric().iter().filter(is_wanted).map(|metric| metric.get_counter().get_value() as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_task_goes_on_where_the_last_commit_was() {
    let folder = tempfile::tempdir().unwrap();
    let (node, registry) = node(&folder);
    let mut first = Sink::start(Some(node.clone()), &EMBEDDED).await;
    assert!(first.task.open(&[partition()]).await.unwrap().is_empty());
    assert_eq!(first.write(numbered(0..100)).await.unwrap(), Some(100));
    // Not committed: the next task reads them again, and the node drops what it has.
    first.put(numbered(100..150)).await.unwrap();
    drop(first);
    let mut second = Sink::start(Some(node), &EMBEDDED).await;
    assert_eq!(second.task.open(&[partition()]).await.unwrap()[&partition()], 100);
    assert_eq!(second.write(numbered(100..200)).await.unwrap(), Some(200));
    assert_eq!((documents(&registry, "written"), documents(&registry, "skipped")), (200, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_survive_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _registry) = node(&folder);
    let mut sink = Sink::start(Some(first), &EMBEDDED).await;
    sink.task.open(&[partition()]).await.unwrap();
    assert_eq!(sink.write(numbered(0..10)).await.unwrap(), Some(10));
    sink.task.stop().await;
    drop(sink);
    let (second, _registry) = node(&folder);
    let mut sink = Sink::start(Some(second), &EMBEDDED).await;
    let other = TopicPartition::new("logs", 1);
    let offsets = sink.task.open(&[partition(), other]).await.unwrap();
    assert_eq!(offsets, [(partition(), 10)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_or_the_sink_refuses_is_reported_and_the_rest_goes_in() {
    let folder = tempfile::tempdir().unwrap();
    let (node, registry) = node(&folder);
    let mut sink = Sink::start(Some(node), &EMBEDDED).await;
    sink.task.open(&[partition()]).await.unwrap();
    let mut records = numbered(0..5);
    records[1] = record(1, Payload::Null, text(r#"{"@timestamp":"yesterday"}"#));
    records[2] = record(2, Payload::Null, text("{"));
    records[3] = record(3, Payload::Null, Payload::Bytes("a plain line".into()));
    assert_eq!(sink.write(records).await.unwrap(), Some(5));
    let reported = sink.reported();
    assert_eq!(reported.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [1, 2]);
    assert!(reported[0].1.contains("yesterday"), "{}", reported[0].1);
    assert_eq!(documents(&registry, "written"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_offsets_are_where_the_next_task_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _registry) = node(&folder);
    let mut sink = Sink::start(Some(node), &EMBEDDED).await;
    sink.task.open(&[partition()]).await.unwrap();
    sink.write(numbered(0..10)).await.unwrap();
    sink.task.close(&[partition()]).await;
    sink.task.alter_offsets(&[(partition(), Some(4))].into()).await.unwrap();
    assert_eq!(sink.task.open(&[partition()]).await.unwrap()[&partition()], 4);
    sink.task.alter_offsets(&[(partition(), None)].into()).await.unwrap();
    assert!(sink.task.open(&[partition()]).await.unwrap().is_empty());
}
