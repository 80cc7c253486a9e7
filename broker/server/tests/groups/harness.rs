//! A broker in this process, and requests to it in any version.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes};
use weir_broker::{Broker, BrokerConfig, Properties, Property, start};
use weir_client::Connection;

pub(crate) const TOPIC: &str = "orders";

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) async fn start_in(folder: &Path) -> Broker {
    let settings = [
        ("log.dirs", folder.display().to_string()),
        ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("http.listeners", "127.0.0.1:0".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("group.min.session.timeout.ms", "100".to_owned()),
        ("offsets.topic.num.partitions", "5".to_owned()),
    ];
    let properties: Properties =
        settings.into_iter().map(|(key, value)| (key.to_owned(), Property::new(value, "test"))).collect();
    start(BrokerConfig { properties, ..BrokerConfig::default() }).await.expect("the broker starts")
}

pub(crate) async fn connect(broker: &Broker) -> Connection {
    Connection::open(&broker.kafka_addresses()[0].to_string(), "tester").await.expect("the broker accepts")
}

pub(crate) async fn ask<R: Request>(connection: &mut Connection, request: &R, version: i16) -> R::Response {
    let (response, used) = connection.request_up_to(request, version).await.expect("an answer");
    assert_eq!(used, version, "the broker speaks this version");
    response
}

pub(crate) async fn create_topic(connection: &mut Connection, name: &str, partitions: i32) {
    let topic = CreatableTopic::default().with_name(TopicName(text(name))).with_num_partitions(partitions);
    let request = CreateTopicsRequest::default().with_topics(vec![topic.with_replication_factor(1)]);
    let response = connection.request(&request).await.unwrap();
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

/// Finds the coordinator until it is there and has read its partition.
pub(crate) async fn wait_for_coordinator(connection: &mut Connection, group: &str) {
    for _ in 0..1000 {
        let found = ask(connection, &FindCoordinatorRequest::default().with_key(text(group)), 3).await;
        let loaded = fetch_offset(connection, group, 0).await;
        if found.error_code == 0 && loaded.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no coordinator for {group}");
}

pub(crate) async fn fetch_offset(
    connection: &mut Connection,
    group: &str,
    partition: i32,
) -> Result<(i64, i32, String), i16> {
    let topic = OffsetFetchRequestTopics::default().with_name(TopicName(text(TOPIC)));
    let topics = Some(vec![topic.with_partition_indexes(vec![partition])]);
    let asked = OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(topics);
    let response = ask(connection, &OffsetFetchRequest::default().with_groups(vec![asked]), 8).await;
    let group = &response.groups[0];
    if group.error_code != 0 {
        return Err(group.error_code);
    }
    let found = &group.topics[0].partitions[0];
    let metadata = found.metadata.as_ref().map(|text| text.to_string()).unwrap_or_default();
    Ok((found.committed_offset, found.committed_leader_epoch, metadata))
}

pub(crate) fn join_request(group: &str, member_id: &str, version: i16) -> JoinGroupRequest {
    let protocol =
        JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"meta"));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(10_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    if version >= 1 { request.with_rebalance_timeout_ms(20_000) } else { request }
}

/// Joins as far as the version needs: once, or twice with the id that is required first.
pub(crate) async fn join(connection: &mut Connection, group: &str, version: i16) -> JoinGroupResponse {
    let first = ask(connection, &join_request(group, "", version), version).await;
    if version < 4 {
        return first;
    }
    assert_eq!(first.error_code, ResponseError::MemberIdRequired.code());
    ask(connection, &join_request(group, &first.member_id, version), version).await
}

pub(crate) async fn sync(
    connection: &mut Connection,
    group: &str,
    joined: &JoinGroupResponse,
    version: i16,
) -> SyncGroupResponse {
    let assigned = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
    let mut request = SyncGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![assigned.with_assignment(Bytes::from_static(b"\x00\xffany bytes"))]);
    if version >= 5 {
        request = request.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("range")));
    }
    ask(connection, &request, version).await
}

pub(crate) fn commit_request(
    group: &str,
    member: Option<&JoinGroupResponse>,
    partition: i32,
    offset: i64,
) -> OffsetCommitRequest {
    let partition =
        OffsetCommitRequestPartition::default().with_partition_index(partition).with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text(TOPIC)))
        .with_partitions(vec![partition.with_committed_metadata(Some(text("note")))]);
    let request = OffsetCommitRequest::default().with_group_id(GroupId(text(group))).with_topics(vec![topic]);
    match member {
        Some(member) => {
            request.with_member_id(member.member_id.clone()).with_generation_id_or_member_epoch(member.generation_id)
        }
        None => request.with_generation_id_or_member_epoch(-1),
    }
}

pub(crate) fn commit_code(response: &OffsetCommitResponse) -> i16 {
    response.topics[0].partitions[0].error_code
}

pub(crate) async fn wait_for_coordinator_topic(connection: &mut Connection) {
    for _ in 0..1000 {
        let found = ask(connection, &FindCoordinatorRequest::default().with_key(text("g")), 3).await;
        if found.error_code == 0 {
            return;
        }
        assert_eq!(found.error_code, ResponseError::CoordinatorNotAvailable.code());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no coordinator");
}
