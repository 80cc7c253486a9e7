use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest as Wire, TopicProduceData};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::*;

fn wire(version: i16) -> Wire {
    let partition = |index, records: Option<&'static [u8]>| {
        PartitionProduceData::default().with_index(index).with_records(records.map(Bytes::from_static))
    };
    let mut topic = TopicProduceData::default().with_partition_data(vec![
        partition(0, Some(b"first")),
        partition(4, None),
        partition(7, Some(b"second one")),
    ]);
    if version >= TOPIC_ID_VERSION_MIN {
        topic.topic_id = uuid::Uuid::from_bytes([9; 16]);
    } else {
        topic.name = StrBytes::from_static_str("orders").into();
    }
    Wire::default().with_acks(-1).with_timeout_ms(1500).with_topic_data(vec![topic.clone(), topic])
}

fn encode(version: i16) -> BytesMut {
    let mut body = BytesMut::new();
    wire(version).encode(&mut body, version).unwrap();
    body
}

#[test]
fn every_version_reads_as_the_codec_wrote_it() {
    for version in 3..=13 {
        let request = decode(version, encode(version)).unwrap();
        assert_eq!((request.acks, request.timeout_ms, request.topics.len()), (-1, 1500, 2));
        for topic in &request.topics {
            let expected = if version >= 13 { TopicRef::Id([9; 16]) } else { TopicRef::Name("orders".into()) };
            assert_eq!(topic.topic, expected, "v{version}");
            let records: Vec<_> = topic.partitions.iter().map(|p| (p.index, p.records.as_deref())).collect();
            assert_eq!(records, [(0, Some(&b"first"[..])), (4, None), (7, Some(&b"second one"[..]))], "v{version}");
        }
    }
}

#[test]
fn record_bytes_are_cuts_of_the_frame_and_not_copies() {
    let body = encode(12);
    let frame = body.as_ptr_range();
    let request = decode(12, body).unwrap();
    let records = request.topics[1].partitions[2].records.as_ref().unwrap();
    assert!(frame.contains(&records.as_ptr()));
}

#[test]
fn every_cut_of_a_request_is_an_error_and_never_a_panic() {
    for version in [3, 9, 13] {
        let body = encode(version);
        for len in 0..body.len() {
            assert!(decode(version, BytesMut::from(&body[..len])).is_err(), "v{version} cut at {len}");
        }
    }
}

#[test]
fn hostile_counts_reserve_nothing() {
    let mut body = BytesMut::from(&[0xff, 0xff, 0, 1, 0, 0, 0, 0][..]);
    body.extend_from_slice(&i32::MAX.to_be_bytes());
    assert!(decode(3, body).is_err());
}
