use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Taken from the `__consumer_offsets` of an Apache Kafka 4.2.0 that librdkafka 2.x consumers had used.
mod golden {
    pub(super) const GROUP_KEY: &str = "0002 0002 6732";
    pub(super) const OFFSET_KEY: &str = "0001 0002 6731 0006 6f7264657273 00000001";
    pub(super) const OFFSET_VALUE: &str =
        "0004 0000000000000007 ffffffff 0c 636865636b706f696e7400 000001a206a8ac38 00";
    pub(super) const OFFSET_VALUE_WITHOUT_METADATA: &str = "0004 0000000000000003 ffffffff 01 000001a206a8ac38 00";
    pub(super) const EMPTY_GROUP: &str = "0003 0008 636f6e73756d6572 00000002 ffff ffff 000001a206a95cbc 00000000";
    pub(super) const GROUP_WITH_STATIC_MEMBER: &str = "
        0003 0008 636f6e73756d6572 00000001 0005 72616e6765
        002b 686f73742d312d62373863336631392d313965312d346138352d613837352d626666646138633439633637
        000001a206a8ac83 00000001
        002b 686f73742d312d62373863336631392d313965312d346138352d613837352d626666646138633439633637
        0006 686f73742d31 0006 676f6c64656e 000a 2f3132372e302e302e31 000493e0 0000afc8
        0000001c 00030000000100066f72646572730000000000000000ffffffff0000
        00000022 0000000000
                 0100066f72646572730000000300000000000000010000000200000000";
}

#[test]
fn keys_of_kafka_are_read_and_written_byte_for_byte() {
    let partition = TopicPartition { topic: "orders".into(), partition: 1 };
    assert_eq!(offset_commit_key("g1", &partition).unwrap(), hex(golden::OFFSET_KEY));
    assert_eq!(
        RecordKey::decode(&hex(golden::OFFSET_KEY)),
        Ok(RecordKey::OffsetCommit { group: "g1".into(), partition })
    );
    assert_eq!(group_metadata_key("g2").unwrap(), hex(golden::GROUP_KEY));
    assert_eq!(RecordKey::decode(&hex(golden::GROUP_KEY)), Ok(RecordKey::GroupMetadata { group: "g2".into() }));
}

#[test]
fn a_key_of_another_protocol_is_told_apart_not_refused() {
    assert_eq!(RecordKey::decode(&hex("0005 0002 6731")), Ok(RecordKey::Other { key_type: 5 }));
}

#[test]
fn offsets_of_kafka_are_read_and_written_byte_for_byte() {
    let bytes = hex(golden::OFFSET_VALUE);
    let value = OffsetCommitValue::decode(&bytes).unwrap();
    assert_eq!((value.offset, value.leader_epoch, value.metadata.as_str()), (7, None, "checkpoint\0"));
    assert_eq!(value.commit_timestamp_ms, 1_795_408_047_160);
    assert_eq!(value.encode().unwrap(), bytes);

    let bytes = hex(golden::OFFSET_VALUE_WITHOUT_METADATA);
    let value = OffsetCommitValue::decode(&bytes).unwrap();
    assert_eq!((value.offset, value.metadata.as_str()), (3, ""));
    assert_eq!(value.encode().unwrap(), bytes);
}

#[test]
fn groups_of_kafka_are_read_and_written_byte_for_byte() {
    let bytes = hex(golden::EMPTY_GROUP);
    let value = GroupMetadataValue::decode(&bytes).unwrap();
    assert_eq!((value.generation, value.protocol.clone(), value.members.len()), (2, None, 0));
    assert_eq!(value.encode().unwrap(), bytes);

    let bytes = hex(golden::GROUP_WITH_STATIC_MEMBER);
    let value = GroupMetadataValue::decode(&bytes).unwrap();
    assert_eq!((value.protocol_type.as_str(), value.protocol.as_deref()), ("consumer", Some("range")));
    let member = &value.members[0];
    assert_eq!(value.leader.as_deref(), Some(member.member_id.as_str()));
    assert_eq!(member.group_instance_id.as_deref(), Some("host-1"));
    assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("golden", "/127.0.0.1"));
    assert_eq!((member.rebalance_timeout_ms, member.session_timeout_ms), (300_000, 45_000));
    assert_eq!((member.subscription.len(), member.assignment.len()), (28, 34));
    assert_eq!(value.encode().unwrap(), bytes);
}

#[test]
fn a_commit_with_its_own_expiry_is_written_as_version_1() {
    let value = OffsetCommitValue {
        offset: 1,
        leader_epoch: None,
        metadata: "m".into(),
        commit_timestamp_ms: 2,
        expire_timestamp_ms: Some(3),
        topic_id: None,
    };
    let bytes = value.encode().unwrap();
    assert_eq!(bytes, hex("0001 0000000000000001 0001 6d 0000000000000002 0000000000000003"));
    assert_eq!(OffsetCommitValue::decode(&bytes), Ok(value));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let error = OffsetCommitValue::decode(&hex("0005")).unwrap_err();
    assert_eq!(error.to_string(), "OffsetCommitValue has version 5, known are 0 to 4");
    let error = GroupMetadataValue::decode(&hex("ffff")).unwrap_err();
    assert_eq!(error.to_string(), "GroupMetadataValue has version -1, known are 0 to 4");
}

#[test]
fn a_text_longer_than_the_schema_can_say_is_refused() {
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    let error = offset_commit_key(&"g".repeat(40_000), &partition).unwrap_err();
    assert_eq!(error, RecordError::TooLong { field: "group", length: 40_000 });
}

#[test]
fn a_hostile_count_of_members_is_refused_before_memory_is_reserved() {
    let mut bytes = hex(golden::EMPTY_GROUP).to_vec();
    let count_at = bytes.len() - 4;
    bytes[count_at..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(
        GroupMetadataValue::decode(&bytes),
        Err(RecordError::Truncated { field: "members", needed: i32::MAX as usize, left: 0 })
    );
}

#[test]
fn every_truncation_is_an_error() {
    let offset = hex(golden::OFFSET_VALUE);
    for cut in 0..offset.len() {
        assert!(OffsetCommitValue::decode(&offset[..cut]).is_err(), "cut at {cut}");
    }
    let group = hex(golden::GROUP_WITH_STATIC_MEMBER);
    for cut in 0..group.len() {
        assert!(GroupMetadataValue::decode(&group[..cut]).is_err(), "cut at {cut}");
    }
    let key = hex(golden::OFFSET_KEY);
    for cut in 0..key.len() {
        assert!(RecordKey::decode(&key[..cut]).is_err(), "cut at {cut}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,200}", "\\PC{1,20}"]
}

fn opaque() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

prop_compose! {
    fn member()(
        member_id in text(), group_instance_id in proptest::option::of(text()), client_id in text(), client_host in text(),
        rebalance_timeout_ms in 0..i32::MAX, session_timeout_ms in 0..i32::MAX, subscription in opaque(), assignment in opaque(),
    ) -> MemberMetadata {
        MemberMetadata {
            member_id, group_instance_id, client_id, client_host, rebalance_timeout_ms, session_timeout_ms, subscription, assignment,
        }
    }
}

proptest! {
    #[test]
    fn an_offset_survives_each_version(
        version in 0..=4i16, offset in any::<i64>(), epoch in proptest::option::of(0..i32::MAX), metadata in text(),
        commit in any::<i64>(), expire in proptest::option::of(0..i64::MAX), topic_id in proptest::option::of(any::<[u8; 16]>()),
    ) {
        let value = OffsetCommitValue {
            offset,
            leader_epoch: epoch.filter(|_| version >= 3),
            metadata,
            commit_timestamp_ms: commit,
            expire_timestamp_ms: expire.filter(|_| version == 1),
            topic_id: topic_id.filter(|_| version >= 4),
        };
        prop_assert_eq!(OffsetCommitValue::decode(&value.encode_as(version).unwrap()), Ok(value));
    }

    #[test]
    fn a_group_survives_each_version(
        version in 0..=4i16, protocol_type in text(), generation in any::<i32>(), protocol in proptest::option::of(text()),
        leader in proptest::option::of(text()), timestamp in proptest::option::of(0..i64::MAX),
        mut members in proptest::collection::vec(member(), 0..5),
    ) {
        for member in &mut members {
            if version < 3 { member.group_instance_id = None; }
            if version < 1 { member.rebalance_timeout_ms = member.session_timeout_ms; }
        }
        let current_state_timestamp_ms = timestamp.filter(|_| version >= 2);
        let value = GroupMetadataValue { protocol_type, generation, protocol, leader, current_state_timestamp_ms, members };
        prop_assert_eq!(GroupMetadataValue::decode(&value.encode_as(version).unwrap()), Ok(value));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), version in 0..=4i16) {
        let with_version = [&version.to_be_bytes()[..], &bytes].concat();
        for bytes in [&bytes, &with_version] {
            drop(OffsetCommitValue::decode(bytes));
            drop(GroupMetadataValue::decode(bytes));
            drop(RecordKey::decode(bytes));
        }
    }
}
