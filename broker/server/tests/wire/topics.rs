//! Quirks 5 and 16: metadata, topic ids, auto-creation, creating and deleting.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::harness::*;

const UNKNOWN_TOPIC: i16 = 3;
const INVALID_TOPIC: i16 = 17;
const TOPIC_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICATION_FACTOR: i16 = 38;
const INVALID_CONFIG: i16 = 40;
const UNKNOWN_TOPIC_ID: i16 = 100;

async fn describe(client: &mut Client, version: i16, name: &str, may_create: bool) -> MetadataResponseTopic {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(may_create);
    client.call(version, &request).await.topics[0].clone()
}

#[tokio::test]
async fn a_topic_made_anew_under_its_name_has_another_id() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 2).await;
    let first = describe(&mut client, 12, "orders", false).await;
    assert!(!first.topic_id.is_nil());
    assert_eq!(describe(&mut client, 12, "orders", false).await.topic_id, first.topic_id);

    let by_id = DeleteTopicState::default().with_name(None).with_topic_id(first.topic_id);
    let request = DeleteTopicsRequest::default().with_topics(vec![by_id]).with_timeout_ms(1000);
    let deleted = client.call(6, &request).await;
    assert_eq!(
        (deleted.responses[0].error_code, deleted.responses[0].name.as_deref()),
        (0, Some(&topic_name("orders").0))
    );
    assert_eq!(client.call(6, &request).await.responses[0].error_code, UNKNOWN_TOPIC_ID);

    assert_eq!(client.create_topic("orders", 1, &[]).await, 0);
    let second = describe(&mut client, 12, "orders", false).await;
    assert_ne!(second.topic_id, first.topic_id);
    assert_eq!(second.partitions.len(), 1);
}

#[tokio::test]
async fn auto_creation_needs_both_the_clients_and_the_brokers_consent() {
    let broker = TestBroker::start(&[("num.partitions", "3")]).await;
    let mut client = broker.client().await;
    assert_eq!(describe(&mut client, 9, "declined", false).await.error_code, UNKNOWN_TOPIC);
    assert_eq!(describe(&mut client, 9, "bad name", true).await.error_code, INVALID_TOPIC);
    assert_eq!(describe(&mut client, 9, "wanted", true).await.partitions.len(), 3);
    let broker = TestBroker::start(&[("auto.create.topics.enable", "false")]).await;
    let mut client = broker.client().await;
    assert_eq!(describe(&mut client, 9, "wanted", true).await.error_code, UNKNOWN_TOPIC);
}

#[tokio::test]
async fn null_topics_mean_all_and_none_mean_none_but_in_version_0() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let all = MetadataRequest::default().with_topics(None);
    let none = MetadataRequest::default().with_topics(Some(Vec::new()));
    assert_eq!(client.call(9, &all).await.topics.len(), 1);
    let response = client.call(9, &none).await;
    assert_eq!((response.topics.len(), response.brokers.len()), (0, 1));
    assert_eq!(client.call(0, &none).await.topics.len(), 1);
}

#[tokio::test]
async fn an_unknown_topic_id_is_told_so() {
    let broker = TestBroker::start(&[]).await;
    let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_bytes([5; 16]));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let response = broker.client().await.call(12, &request).await;
    assert_eq!(response.topics[0].error_code, UNKNOWN_TOPIC_ID);
}

#[tokio::test]
async fn what_cannot_be_created_says_why() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    assert_eq!(client.create_topic("orders", 1, &[]).await, TOPIC_EXISTS);
    assert_eq!(client.create_topic("a/b", 1, &[]).await, INVALID_TOPIC);
    assert_eq!(client.create_topic("none", 0, &[]).await, INVALID_PARTITIONS);
    assert_eq!(client.create_topic("cfg", 1, &[("retention.hours", "1")]).await, INVALID_CONFIG);
    assert_eq!(client.create_topic("cfg", 1, &[("retention.ms", "soon")]).await, INVALID_CONFIG);
    let mut request = create_topics_request::CreatableTopic::default();
    request = request.with_name(topic_name("three")).with_num_partitions(1).with_replication_factor(3);
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![request])).await;
    assert_eq!(response.topics[0].error_code, INVALID_REPLICATION_FACTOR);
}

#[tokio::test]
async fn minus_one_partitions_and_replicas_mean_the_brokers_default() {
    let broker = TestBroker::start(&[("num.partitions", "4")]).await;
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(topic_name("orders"))
        .with_num_partitions(-1)
        .with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_validate_only(true);
    let mut client = broker.client().await;
    let response = client.call(7, &request).await;
    assert_eq!((response.topics[0].num_partitions, response.topics[0].replication_factor), (4, 1));
    assert_eq!(describe(&mut client, 9, "orders", false).await.error_code, UNKNOWN_TOPIC, "only validated");
}

#[tokio::test]
async fn added_partitions_take_records_at_once() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let topic = CreatePartitionsTopic::default().with_name(topic_name("orders")).with_count(3).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
    assert_eq!(client.call(3, &request).await.results[0].error_code, 0);
    assert_eq!(client.produce("orders", 2, batch(&["a"])).await.error_code, 0);
    assert_eq!(client.call(3, &request).await.results[0].error_code, INVALID_PARTITIONS, "not an increase");
}

#[tokio::test]
async fn topics_are_described_in_pages() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("a", 3).await;
    assert_eq!(client.create_topic("b", 2, &[]).await, 0);
    let named = |name| TopicRequest::default().with_name(topic_name(name));
    let mut request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![named("a"), named("b")])
        .with_response_partition_limit(2);
    let mut seen = Vec::new();
    loop {
        let response = client.call(0, &request).await;
        for topic in &response.topics {
            let name = topic.name.as_ref().unwrap().to_string();
            seen.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)));
        }
        let Some(cursor) = response.next_cursor else { break };
        let cursor = describe_topic_partitions_request::Cursor::default()
            .with_topic_name(cursor.topic_name)
            .with_partition_index(cursor.partition_index);
        request = request.with_cursor(Some(cursor));
    }
    let expected: Vec<_> = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)].map(|(n, i)| (n.to_owned(), i)).into();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_deleted_topics_folders_go_from_the_disk() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 3).await;
    client.produce("orders", 0, batch(&["a"])).await;
    let folders = || {
        let entries = std::fs::read_dir(broker.folder.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("orders")).count()
    };
    assert_eq!(folders(), 3);
    let topic = DeleteTopicState::default().with_name(Some(topic_name("orders")));
    client.call(6, &DeleteTopicsRequest::default().with_topics(vec![topic])).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while folders() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "{} folders are left", folders());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
