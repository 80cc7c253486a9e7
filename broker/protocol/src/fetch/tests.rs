use bytes::Buf;
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::messages::fetch_response::FetchResponse as Wire;
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;

use super::*;

const TOPIC_ID: [u8; 16] = [3; 16];

fn partition(
    index: i32,
    payload: Option<Vec<u8>>,
    aborted: Option<Vec<(i64, i64)>>,
    told: bool,
) -> FetchPartition<Bytes> {
    FetchPartition {
        index,
        error_code: (index % 7) as i16,
        high_watermark: 100 + i64::from(index),
        last_stable_offset: 90,
        log_start_offset: 5,
        aborted_transactions: aborted.map(|ranges| {
            ranges
                .into_iter()
                .map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset })
                .collect()
        }),
        current_leader: told.then_some((4, 11)),
        diverging_epoch: told.then_some((3, 77)),
        payload: payload.map(Bytes::from),
    }
}

fn topic(version: i16, partitions: Vec<FetchPartition<Bytes>>) -> FetchTopic<Bytes> {
    let topic = if version >= 13 { TopicRef::Id(TOPIC_ID) } else { TopicRef::Name("orders".into()) };
    FetchTopic { topic, partitions }
}

fn join(pieces: Vec<Piece<Bytes>>) -> Bytes {
    let mut frame = BytesMut::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) | Piece::Payload(bytes) => frame.extend_from_slice(&bytes),
        }
    }
    frame.freeze()
}

fn arbitrary_partition() -> impl Strategy<Value = FetchPartition<Bytes>> {
    let payload = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    let aborted = proptest::option::of(proptest::collection::vec((0i64..9, 0i64..9), 0..3));
    (0i32..1000, payload, aborted, any::<bool>())
        .prop_map(|(index, payload, aborted, told)| partition(index, payload, aborted, told))
}

proptest! {
    #[test]
    fn the_codec_reads_back_what_was_framed(
        version in 4i16..=17,
        partitions in proptest::collection::vec(arbitrary_partition(), 0..6),
        correlation_id in any::<i32>(),
    ) {
        let expected: Vec<_> = partitions
            .iter()
            .map(|p| (p.index, p.error_code, p.high_watermark, p.payload.clone().unwrap_or_default(),
                      p.aborted_transactions.as_ref().map(Vec::len), p.current_leader, p.diverging_epoch))
            .collect();
        let topics = vec![topic(version, partitions), topic(version, Vec::new())];
        let mut frame = join(encode(FetchResponse { error_code: 0, topics }, version, correlation_id));
        prop_assert_eq!(frame.get_i32() as usize, frame.len());
        let header = ResponseHeader::decode(&mut frame, api::FETCH.response_header_version(version)).unwrap();
        prop_assert_eq!(header.correlation_id, correlation_id);
        let wire = Wire::decode(&mut frame, version).unwrap();
        prop_assert!(frame.is_empty());
        prop_assert_eq!(wire.session_id, 0);
        prop_assert_eq!(wire.responses.len(), 2);
        for (read, expected) in wire.responses[0].partitions.iter().zip(expected) {
            let (index, error_code, high_watermark, payload, aborted, leader, diverging) = expected;
            prop_assert_eq!((read.partition_index, read.error_code, read.high_watermark), (index, error_code, high_watermark));
            prop_assert_eq!(read.records.clone().unwrap_or_default(), payload);
            prop_assert_eq!(read.aborted_transactions.as_ref().map(Vec::len), aborted);
            if version >= 12 {
                let (leader_id, leader_epoch) = leader.unwrap_or((-1, -1));
                prop_assert_eq!((read.current_leader.leader_id.0, read.current_leader.leader_epoch), (leader_id, leader_epoch));
                let (epoch, end_offset) = diverging.unwrap_or((-1, -1));
                prop_assert_eq!((read.diverging_epoch.epoch, read.diverging_epoch.end_offset), (epoch, end_offset));
            }
        }
    }
}
