//! Groups through a real broker's sockets, in every version that it advertises.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
use kafka_protocol::messages::*;

use harness::*;

#[tokio::test]
async fn a_member_lives_in_every_version() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    create_topic(&mut connection, TOPIC, 1).await;
    wait_for_coordinator(&mut connection, "g").await;
    for version in 0..=9_i16 {
        let group = format!("g{version}");
        let at_most = |max: i16| version.min(max);
        let joined = join(&mut connection, &group, version).await;
        assert_eq!((joined.error_code, joined.generation_id), (0, 1), "v{version}: {joined:?}");
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.members[0].metadata, Bytes::from_static(b"meta"));
        assert_eq!(joined.protocol_type.is_some(), version >= 7);

        let synced = sync(&mut connection, &group, &joined, at_most(5)).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"\x00\xffany bytes"[..]));

        let beat = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&group)))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone());
        assert_eq!(ask(&mut connection, &beat, at_most(4)).await.error_code, 0);
        let late = beat.clone().with_generation_id(9);
        let code = ask(&mut connection, &late, at_most(4)).await.error_code;
        assert_eq!(code, ResponseError::IllegalGeneration.code());

        let commit = commit_request(&group, Some(&joined), 0, 40 + i64::from(version));
        assert_eq!(commit_code(&ask(&mut connection, &commit, version.max(2)).await), 0);
        assert_eq!(fetch_offset(&mut connection, &group, 0).await.unwrap().0, 40 + i64::from(version));

        let leave_version = at_most(5);
        let leave = LeaveGroupRequest::default().with_group_id(GroupId(text(&group)));
        let leave = match leave_version {
            ..3 => leave.with_member_id(joined.member_id.clone()),
            _ => leave.with_members(vec![MemberIdentity::default().with_member_id(joined.member_id.clone())]),
        };
        let left = ask(&mut connection, &leave, leave_version).await;
        assert_eq!(left.error_code, 0);
        assert!(left.members.iter().all(|member| member.error_code == 0));
        let again = ask(&mut connection, &leave, leave_version).await;
        let code = again.members.first().map_or(again.error_code, |member| member.error_code);
        assert_eq!(code, ResponseError::UnknownMemberId.code());
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn offsets_are_answered_in_every_version() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    create_topic(&mut connection, TOPIC, 2).await;
    wait_for_coordinator(&mut connection, "g").await;
    let mut commit = commit_request("g", None, 1, 7);
    commit.topics[0].partitions[0].committed_leader_epoch = 3;
    assert_eq!(commit_code(&ask(&mut connection, &commit, 9).await), 0);
    let unknown = commit_request("g", None, 2, 7);
    assert_eq!(commit_code(&ask(&mut connection, &unknown, 9).await), ResponseError::UnknownTopicOrPartition.code());

    for version in 1..=7_i16 {
        let topic = OffsetFetchRequestTopic::default().with_name(TopicName(text(TOPIC)));
        let some = Some(vec![topic.with_partition_indexes(vec![0, 1])]);
        let request = OffsetFetchRequest::default().with_group_id(GroupId(text("g")));
        let response = ask(&mut connection, &request.clone().with_topics(some), version).await;
        let [none, found] = &response.topics[0].partitions[..] else { panic!("two partitions: {response:?}") };
        assert_eq!((none.committed_offset, none.error_code), (-1, 0));
        assert_eq!((found.committed_offset, found.metadata.as_deref()), (7, Some("note")));
        assert_eq!(found.committed_leader_epoch, if version >= 5 { 3 } else { -1 });
        if version >= 2 {
            let all = ask(&mut connection, &request.with_topics(None), version).await;
            assert_eq!((all.error_code, all.topics.len(), all.topics[0].partitions.len()), (0, 1, 1));
        }
    }
    for version in 8..=9_i16 {
        let all =
            |group: &str| OffsetFetchRequestGroup::default().with_group_id(GroupId(text(group))).with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![all("g"), all("nobody")]);
        let response = ask(&mut connection, &request, version).await;
        assert_eq!(response.groups[0].topics[0].partitions[0].committed_offset, 7);
        assert_eq!((response.groups[1].error_code, response.groups[1].topics.len()), (0, 0));
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn coordinators_are_found_in_every_version() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let port = i32::from(broker.kafka_addresses()[0].port());
    let mut connection = connect(&broker).await;
    wait_for_coordinator_topic(&mut connection).await;
    for version in 0..=3_i16 {
        let found = ask(&mut connection, &FindCoordinatorRequest::default().with_key(text("g")), version).await;
        assert_eq!((found.error_code, found.host.as_str(), found.port), (0, "127.0.0.1", port));
    }
    for version in 4..=6_i16 {
        let keys = vec![text("g"), text("h")];
        let found = ask(&mut connection, &FindCoordinatorRequest::default().with_coordinator_keys(keys), version).await;
        let keys: Vec<&str> = found.coordinators.iter().map(|coordinator| coordinator.key.as_str()).collect();
        assert_eq!(keys, ["g", "h"]);
        assert!(found.coordinators.iter().all(|found| found.error_code == 0 && found.port == port));
    }
    let transactional = FindCoordinatorRequest::default().with_key(text("t")).with_key_type(1);
    let found = ask(&mut connection, &transactional, 3).await;
    assert_eq!((found.error_code, found.node_id), (ResponseError::InvalidRequest.code(), BrokerId(-1)));
    broker.shutdown().await;
}

#[tokio::test]
async fn groups_are_listed_described_and_deleted_in_every_version() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    create_topic(&mut connection, TOPIC, 1).await;
    wait_for_coordinator(&mut connection, "lively").await;
    let joined = join(&mut connection, "lively", 9).await;
    sync(&mut connection, "lively", &joined, 5).await;
    for group in ["idle-0", "idle-1", "idle-2"] {
        assert_eq!(commit_code(&ask(&mut connection, &commit_request(group, None, 0, 1), 9).await), 0);
    }

    for version in 0..=5_i16 {
        let mut request = ListGroupsRequest::default();
        if version >= 4 {
            request = request.with_states_filter(vec![text("stable")]);
        }
        if version >= 5 {
            request = request.with_types_filter(vec![text("classic"), text("consumer")]);
        }
        let listed = ask(&mut connection, &request, version).await;
        let ids: Vec<&str> = listed.groups.iter().map(|group| group.group_id.as_str()).collect();
        assert_eq!((listed.error_code, ids.len()), (0, if version >= 4 { 1 } else { 4 }), "v{version}: {ids:?}");
        assert!(ids.contains(&"lively"));
    }
    for version in 0..=6_i16 {
        let groups = vec![GroupId(text("lively")), GroupId(text("nobody"))];
        let described = ask(&mut connection, &DescribeGroupsRequest::default().with_groups(groups), version).await;
        let [lively, nobody] = &described.groups[..] else { panic!("two groups: {described:?}") };
        assert_eq!(
            (lively.error_code, lively.group_state.as_str(), lively.protocol_data.as_str()),
            (0, "Stable", "range")
        );
        let member = &lively.members[0];
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("tester", "/127.0.0.1"));
        assert_eq!(&member.member_assignment[..], b"\x00\xffany bytes");
        assert_eq!(nobody.group_state.as_str(), "Dead");
        let expected = if version >= 6 { ResponseError::GroupIdNotFound.code() } else { 0 };
        assert_eq!(nobody.error_code, expected, "v{version}");
    }
    for version in 0..=2_i16 {
        let names = [format!("idle-{version}"), "lively".to_owned(), "nobody".to_owned()];
        let names = names.iter().map(|name| GroupId(text(name))).collect();
        let deleted = ask(&mut connection, &DeleteGroupsRequest::default().with_groups_names(names), version).await;
        let codes: Vec<i16> = deleted.results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [0, ResponseError::NonEmptyGroup.code(), ResponseError::GroupIdNotFound.code()]);
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn offsets_of_a_group_are_deleted_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    create_topic(&mut connection, TOPIC, 2).await;
    wait_for_coordinator(&mut connection, "g").await;
    for partition in 0..2 {
        let commit = commit_request("g", None, partition, 5);
        assert_eq!(commit_code(&ask(&mut connection, &commit, 9).await), 0);
    }
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
    let topic = OffsetDeleteRequestTopic::default().with_name(TopicName(text(TOPIC))).with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(GroupId(text("g"))).with_topics(vec![topic]);
    let deleted = ask(&mut connection, &request, 0).await;
    assert_eq!((deleted.error_code, deleted.topics[0].partitions[0].error_code), (0, 0));
    assert_eq!(fetch_offset(&mut connection, "g", 0).await.unwrap().0, -1);
    assert_eq!(fetch_offset(&mut connection, "g", 1).await.unwrap().0, 5);
    let nobody = request.with_group_id(GroupId(text("nobody")));
    assert_eq!(ask(&mut connection, &nobody, 0).await.error_code, ResponseError::GroupIdNotFound.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn groups_and_offsets_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    create_topic(&mut connection, TOPIC, 1).await;
    wait_for_coordinator(&mut connection, "g").await;
    let joined = join(&mut connection, "g", 9).await;
    sync(&mut connection, "g", &joined, 5).await;
    for offset in 1..=50 {
        let commit = commit_request("g", Some(&joined), 0, offset);
        assert_eq!(commit_code(&ask(&mut connection, &commit, 9).await), 0);
    }
    drop(connection);
    broker.shutdown().await;

    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    wait_for_coordinator(&mut connection, "g").await;
    assert_eq!(fetch_offset(&mut connection, "g", 0).await, Ok((50, -1, "note".to_owned())));
    let beat = HeartbeatRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    assert_eq!(ask(&mut connection, &beat, 4).await.error_code, 0, "the member goes on where it was");
    broker.shutdown().await;
}

#[tokio::test]
async fn two_members_rebalance_over_their_own_connections() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let (mut one, mut two) = (connect(&broker).await, connect(&broker).await);
    wait_for_coordinator(&mut one, "g").await;
    let first = join(&mut one, "g", 9).await;
    sync(&mut one, "g", &first, 5).await;

    // The second waits until the first has joined again.
    let (second, first) = tokio::join!(join(&mut two, "g", 9), async {
        let beat = HeartbeatRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id(first.generation_id)
            .with_member_id(first.member_id.clone());
        while ask(&mut one, &beat, 4).await.error_code != ResponseError::RebalanceInProgress.code() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ask(&mut one, &join_request("g", &first.member_id, 9), 9).await
    });
    assert_eq!((first.generation_id, second.generation_id), (2, 2));
    assert_eq!((first.members.len(), second.members.len()), (2, 0), "only the leader hears of the others");
    assert_eq!(first.leader, second.leader);

    // The leader's session ends with its heartbeats; the broker notices by itself.
    let gone = LeaveGroupRequest::default().with_group_id(GroupId(text("g")));
    let gone = gone.with_members(vec![MemberIdentity::default().with_member_id(first.member_id)]);
    assert_eq!(ask(&mut one, &gone, 5).await.error_code, 0);
    let third = ask(&mut two, &join_request("g", &second.member_id, 9), 9).await;
    assert_eq!((third.generation_id, third.members.len(), third.leader), (3, 1, second.member_id));
    broker.shutdown().await;
}

#[tokio::test]
async fn the_topic_of_groups_is_the_brokers_own() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    wait_for_coordinator_topic(&mut connection).await;
    let name = TopicName(text("__consumer_offsets"));
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![name.clone()]);
    let code = ask(&mut connection, &delete, 5).await.responses[0].error_code;
    assert_eq!(code, ResponseError::InvalidRequest.code());
    let grow = CreatePartitionsTopic::default().with_name(name).with_count(100);
    let grown = ask(&mut connection, &CreatePartitionsRequest::default().with_topics(vec![grow]), 3).await;
    assert_eq!(grown.results[0].error_code, ResponseError::InvalidPartitions.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn a_deleted_topic_takes_its_offsets_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_in(folder.path()).await;
    let mut connection = connect(&broker).await;
    create_topic(&mut connection, TOPIC, 1).await;
    wait_for_coordinator(&mut connection, "g").await;
    assert_eq!(commit_code(&ask(&mut connection, &commit_request("g", None, 0, 9), 9).await), 0);
    let request = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text(TOPIC))]);
    assert_eq!(ask(&mut connection, &request, 5).await.responses[0].error_code, 0);
    create_topic(&mut connection, TOPIC, 1).await;
    // The tombstone is in the log before the next commit of the same group is answered.
    assert_eq!(commit_code(&ask(&mut connection, &commit_request("g", None, 0, 2), 9).await), 0);
    assert_eq!(fetch_offset(&mut connection, "g", 0).await.unwrap().0, 2);
    broker.shutdown().await;
}
