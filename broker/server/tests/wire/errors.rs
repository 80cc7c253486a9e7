//! What is answered with an error is counted once, whatever the API, under the first error's name.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_groups_request::*;
use kafka_protocol::messages::delete_topics_request::*;
use kafka_protocol::messages::metadata_request::*;
use kafka_protocol::messages::offset_commit_request::*;
use kafka_protocol::messages::produce_request::*;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::harness::*;

const ERRORS: &str = "weir_request_errors_total";

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn counts(expected: &[(&str, f64)]) -> BTreeMap<String, f64> {
    expected.iter().map(|(series, count)| ((*series).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_request_is_counted_once_however_much_of_it_fails() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("t", 1).await;
    let data = |index| PartitionProduceData::default().with_index(index).with_records(Some(batch(&["a"])));
    let topic = TopicProduceData::default().with_name(topic_name("t"));
    let topic = topic.with_partition_data(vec![data(0), data(1), data(2)]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(5000).with_topic_data(vec![topic]);
    let answered = client.call(9, &request).await.responses[0].partition_responses.clone();
    assert_eq!(answered.iter().map(|partition| partition.error_code).collect::<Vec<_>>(), [0, 3, 3]);
    // An answer that nobody waits for says nothing: the count does.
    client.send(9, &request.clone().with_acks(0)).await;
    client.fetch("t", 7, 0).await;
    let expected = counts(&[("Fetch UNKNOWN_TOPIC_OR_PARTITION", 1.0), ("Produce UNKNOWN_TOPIC_OR_PARTITION", 2.0)]);
    assert_eq!(broker.metric(ERRORS), expected);
    assert!((broker.metric("weir_requests_total")["Produce"] - 2.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn every_api_counts_its_errors_and_only_those() {
    let broker = TestBroker::start(&[("auto.create.topics.enable", "false")]).await;
    let mut client = broker.client_with_topic("t", 1).await;
    let group = || GroupId(text("g"));
    client.create_topic("t", 1, &[]).await;
    client.call(5, &DeleteTopicsRequest::default().with_topic_names(vec![topic_name("no")])).await;
    let by_name = DeleteTopicState::default().with_name(Some(topic_name("no")));
    client.call(6, &DeleteTopicsRequest::default().with_topics(vec![by_name])).await;
    let asked = MetadataRequestTopic::default().with_name(Some(topic_name("no")));
    client.call(9, &MetadataRequest::default().with_topics(Some(vec![asked]))).await;
    client.call(9, &MetadataRequest::default()).await;
    client.call(3, &ApiVersionsRequest::default()).await;
    client.call(2, &FindCoordinatorRequest::default().with_key(text("x")).with_key_type(1)).await;
    let keys = vec![text("x"), text("y")];
    client.call(4, &FindCoordinatorRequest::default().with_coordinator_keys(keys).with_key_type(1)).await;

    client.call(2, &FindCoordinatorRequest::default().with_key(text("g"))).await;
    // Every partition of offsets is read: groups other than this have theirs elsewhere.
    while client.call(4, &ListGroupsRequest::default()).await.error_code != 0 {}
    let loading = broker.metric(ERRORS).get("ListGroups COORDINATOR_LOAD_IN_PROGRESS").copied();
    let mut expected = counts(&[
        ("CreateTopics TOPIC_ALREADY_EXISTS", 1.0),
        ("DeleteTopics UNKNOWN_TOPIC_OR_PARTITION", 2.0),
        ("Metadata UNKNOWN_TOPIC_OR_PARTITION", 1.0),
        ("ApiVersions INVALID_REQUEST", 1.0),
        ("FindCoordinator INVALID_REQUEST", 2.0),
        ("JoinGroup MEMBER_ID_REQUIRED", 1.0),
        ("Heartbeat UNKNOWN_MEMBER_ID", 1.0),
        ("SyncGroup UNKNOWN_MEMBER_ID", 1.0),
        ("LeaveGroup UNKNOWN_MEMBER_ID", 1.0),
        ("OffsetCommit UNKNOWN_TOPIC_OR_PARTITION", 1.0),
        ("DescribeGroups GROUP_ID_NOT_FOUND", 1.0),
        ("DeleteGroups GROUP_ID_NOT_FOUND", 1.0),
    ]);
    expected.extend(loading.map(|count| ("ListGroups COORDINATOR_LOAD_IN_PROGRESS".to_owned(), count)));

    let join = JoinGroupRequest::default().with_group_id(group()).with_session_timeout_ms(10_000);
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    let join =
        join.with_rebalance_timeout_ms(10_000).with_protocol_type(text("consumer")).with_protocols(vec![protocol]);
    client.call(5, &join).await;
    let no_member = || text("nobody");
    client.call(3, &HeartbeatRequest::default().with_group_id(group()).with_member_id(no_member())).await;
    client.call(3, &SyncGroupRequest::default().with_group_id(group()).with_member_id(no_member())).await;
    client.call(2, &LeaveGroupRequest::default().with_group_id(group()).with_member_id(no_member())).await;
    let commit = |index| OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(1);
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name("t"));
    let topic = topic.with_partitions(vec![commit(0), commit(1)]);
    let request = OffsetCommitRequest::default().with_group_id(GroupId(text("tool"))).with_topics(vec![topic]);
    client.call(7, &request.with_generation_id_or_member_epoch(-1)).await;
    client.call(6, &DescribeGroupsRequest::default().with_groups(vec![GroupId(text("no"))])).await;
    client.call(2, &DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("no"))])).await;
    client.call(4, &ListGroupsRequest::default()).await;
    assert_eq!(broker.metric(ERRORS), expected);
}
