//! Quirks 13 and 20: what is appended, what is refused, and how either is answered.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest};
use weir_types::batch::RecordBatchBuilder;

use crate::harness::*;

const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC: i16 = 3;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_REQUIRED_ACKS: i16 = 21;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
const INVALID_RECORD: i16 = 87;

fn sequenced(producer_id: i64, base_sequence: i32) -> Bytes {
    let mut builder = RecordBatchBuilder::new(0).producer(producer_id, 0, base_sequence);
    builder.append(now_ms(), None, Some(b"x"), &[]);
    builder.build()
}

#[tokio::test]
async fn acks_0_has_no_answer_at_all() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    client.send(9, &produce_request("orders", 0, batch(&["quiet"]), 0)).await;
    client.send(9, &produce_request("nowhere", 0, batch(&["lost"]), 0)).await;
    client.send(9, &produce_request("orders", 0, batch(&["loud"]), -1)).await;
    // The first answer on the wire is to the third request.
    let response = client.receive::<ProduceRequest>(9).await;
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1);
}

#[tokio::test]
async fn pipelined_writes_are_answered_in_order_under_both_flush_policies() {
    for policy in ["sync", "os"] {
        let broker = TestBroker::start(&[("log.flush", policy)]).await;
        let mut client = broker.client_with_topic("orders", 1).await;
        for _ in 0..50 {
            client.send(9, &produce_request("orders", 0, batch(&["a", "b"]), -1)).await;
        }
        let mut last_id = None;
        for index in 0..50 {
            let (id, response) = client.receive_with_id::<ProduceRequest>(9).await;
            assert_eq!(response.responses[0].partition_responses[0].base_offset, index * 2, "{policy}");
            assert!(last_id.is_none_or(|last| id == last + 1));
            last_id = Some(id);
        }
    }
}

#[tokio::test]
async fn a_batch_comes_back_byte_for_byte_but_for_offset_and_epoch() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    client.produce("orders", 0, batch(&["first"])).await;
    let sent = batch(&["second", "third"]);
    assert_eq!(client.produce("orders", 0, sent.clone()).await.base_offset, 1);
    let got = client.fetch("orders", 0, 1).await.records.unwrap();
    assert_eq!(got[..8], 1i64.to_be_bytes(), "base offset");
    assert_eq!(got[8..12], sent[8..12], "length");
    assert_eq!(got[12..16], 0i32.to_be_bytes(), "leader epoch");
    assert_eq!(got[16..], sent[16..], "everything else, crc included");
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_has_its_own_error() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let mut corrupt = BytesMut::from(&batch(&["a"])[..]);
    *corrupt.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce("orders", 0, corrupt.freeze()).await.error_code, CORRUPT_MESSAGE);
    let large = "x".repeat(2 << 20);
    assert_eq!(client.produce("orders", 0, batch(&[&large])).await.error_code, MESSAGE_TOO_LARGE);
    assert_eq!(client.produce("orders", 1, batch(&["a"])).await.error_code, UNKNOWN_TOPIC);
    assert_eq!(client.produce("orders", 0, Bytes::new()).await.error_code, INVALID_RECORD);
    let two = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(client.produce("orders", 0, two.into()).await.error_code, INVALID_RECORD, "one batch per partition");
    let response = client.call(9, &produce_request("orders", 0, batch(&["a"]), 2)).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, INVALID_REQUIRED_ACKS);
    let fetched = client.fetch("orders", 0, 0).await;
    assert_eq!(fetched.high_watermark, 0, "nothing of all that was appended");
}

#[tokio::test]
async fn a_compacted_topic_refuses_a_null_key() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    assert_eq!(client.create_topic("state", 1, &[("cleanup.policy", "compact")]).await, 0);
    assert_eq!(client.produce("state", 0, batch(&["keyless"])).await.error_code, INVALID_RECORD);
}

#[tokio::test]
async fn a_repeated_sequence_answers_its_first_offset_and_a_gap_is_refused() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let init = client.call(4, &InitProducerIdRequest::default().with_transactional_id(None)).await;
    assert_eq!((init.error_code, init.producer_epoch), (0, 0));
    let id = init.producer_id.0;
    client.produce("orders", 0, batch(&["other"])).await;
    assert_eq!(client.produce("orders", 0, sequenced(id, 0)).await.base_offset, 1);
    assert_eq!(client.produce("orders", 0, sequenced(id, 1)).await.base_offset, 2);
    let again = client.produce("orders", 0, sequenced(id, 0)).await;
    assert_eq!((again.error_code, again.base_offset), (0, 1));
    assert_eq!(client.produce("orders", 0, sequenced(id, 5)).await.error_code, OUT_OF_ORDER_SEQUENCE);
    let unknown = client.produce("orders", 0, sequenced(id + 1000, 7)).await;
    assert_eq!(unknown.error_code, 0, "an unknown producer id may begin anywhere");
}

#[tokio::test]
async fn producer_ids_are_never_given_out_twice_not_even_over_a_restart() {
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    let first = client.call(4, &request).await.producer_id.0;
    let second = client.call(4, &request).await.producer_id.0;
    let broker = broker.restart(&[]).await;
    let third = broker.client().await.call(4, &request).await.producer_id.0;
    assert!(first < second && second < third, "{first} {second} {third}");
}

#[tokio::test]
async fn log_append_time_is_the_brokers_and_is_answered() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    assert_eq!(client.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).await, 0);
    let before = now_ms();
    let answer = client.produce("stamped", 0, batch(&["a"])).await;
    assert!((before..=now_ms()).contains(&answer.log_append_time_ms), "{answer:?}");
}

#[tokio::test]
async fn one_replica_is_enough_whatever_min_insync_replicas_says_as_in_kafka() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    assert_eq!(client.create_topic("orders", 1, &[("min.insync.replicas", "2")]).await, 0);
    let written = client.produce("orders", 0, batch(&["a"])).await;
    assert_eq!((written.error_code, written.base_offset), (0, 0));
}
