//! Quirks 6–8: whole batches, one at least, waits that end when they should, no sessions.

use std::time::{Duration, Instant};

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{DeleteTopicsRequest, FetchRequest};

use crate::harness::*;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;

#[tokio::test]
async fn an_offset_inside_a_batch_returns_the_whole_batch() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    client.produce("orders", 0, batch(&["a", "b", "c"])).await;
    let offsets: Vec<i64> =
        records(&client.fetch("orders", 0, 2).await).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [0, 1, 2]);
}

#[tokio::test]
async fn one_batch_comes_even_if_it_is_larger_than_all_limits() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 2).await;
    for partition in [0, 1] {
        client.produce("orders", partition, batch(&[&"x".repeat(10_000)])).await;
        client.produce("orders", partition, batch(&["y"])).await;
    }
    let mut request = fetch_request("orders", 0, 0, 1, 0).with_max_bytes(100);
    request.topics[0].partitions[0].partition_max_bytes = 100;
    let mut second = request.topics[0].partitions[0].clone();
    second.partition = 1;
    request.topics[0].partitions.push(second);
    let response = client.call(12, &request).await;
    let counts: Vec<usize> = response.responses[0].partitions.iter().map(|data| records(data).len()).collect();
    assert_eq!(counts, [1, 0], "the first batch, and nothing more once the limit is passed");
}

#[tokio::test]
async fn an_empty_fetch_waits_as_long_as_it_was_told_to() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let started = Instant::now();
    let response = client.call(12, &fetch_request("orders", 0, 0, 1, 300)).await;
    assert!((250..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert!(records(&response.responses[0].partitions[0]).is_empty());
}

#[tokio::test]
async fn every_append_wakes_a_waiting_fetch_under_both_flush_policies() {
    for policy in ["sync", "os"] {
        let broker = TestBroker::start(&[("log.flush", policy)]).await;
        let mut producer = broker.client_with_topic("orders", 1).await;
        let mut consumer = broker.client().await;
        for offset in 0..100 {
            consumer.send(12, &fetch_request("orders", 0, offset, 1, 60_000)).await;
            producer.produce("orders", 0, batch(&["a"])).await;
            let response = consumer.receive::<FetchRequest>(12).await;
            assert_eq!(records(&response.responses[0].partitions[0])[0].0, offset, "{policy}");
        }
    }
}

#[tokio::test]
async fn min_bytes_waits_until_enough_has_come() {
    let broker = TestBroker::start(&[]).await;
    let mut producer = broker.client_with_topic("orders", 1).await;
    let mut consumer = broker.client().await;
    let size = batch(&["a"]).len() as i32;
    consumer.send(12, &fetch_request("orders", 0, 0, size * 3, 60_000)).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        producer.produce("orders", 0, batch(&["a"])).await;
    }
    let response = consumer.receive::<FetchRequest>(12).await;
    assert_eq!(records(&response.responses[0].partitions[0]).len(), 3);
}

#[tokio::test]
async fn deleting_a_topic_wakes_who_waits_for_it() {
    let broker = TestBroker::start(&[]).await;
    let mut admin = broker.client_with_topic("orders", 1).await;
    let mut consumer = broker.client().await;
    consumer.send(12, &fetch_request("orders", 0, 0, 1, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let topic = DeleteTopicState::default().with_name(Some(topic_name("orders")));
    admin.call(6, &DeleteTopicsRequest::default().with_topics(vec![topic])).await;
    let response = consumer.receive::<FetchRequest>(12).await;
    assert_ne!(response.responses[0].partitions[0].error_code, 0);
}

#[tokio::test]
async fn sessions_are_always_0_and_aborted_transactions_null_unless_asked_for() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let request = fetch_request("orders", 0, 0, 0, 0).with_session_epoch(0);
    let response = client.call(12, &request).await;
    assert_eq!(response.session_id, 0);
    assert_eq!(response.responses[0].partitions[0].aborted_transactions, None);
    let response = client.call(12, &request.with_isolation_level(1)).await;
    assert_eq!(response.responses[0].partitions[0].aborted_transactions, Some(Vec::new()));
}

#[tokio::test]
async fn what_is_not_there_is_told_at_once() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let mut error = async |topic: &str, partition, offset| {
        let response = client.call(12, &fetch_request(topic, partition, offset, 1, 60_000)).await;
        response.responses[0].partitions[0].error_code
    };
    assert_eq!(error("orders", 0, 5).await, OFFSET_OUT_OF_RANGE);
    assert_eq!(error("orders", 9, 0).await, UNKNOWN_TOPIC);
    assert_eq!(error("nowhere", 0, 0).await, UNKNOWN_TOPIC);
    let mut by_id = fetch_request("", 0, 0, 1, 60_000);
    by_id.topics[0].topic_id = uuid::Uuid::from_bytes([7; 16]);
    let response = client.call(13, &by_id).await;
    assert_eq!(response.responses[0].partitions[0].error_code, UNKNOWN_TOPIC_ID);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_does_not_hold_up_others() {
    let broker = TestBroker::start(&[]).await;
    let mut producer = broker.client_with_topic("orders", 1).await;
    for _ in 0..20 {
        producer.produce("orders", 0, batch(&[&"x".repeat(900_000)])).await;
    }
    let mut stuck = broker.client().await;
    for _ in 0..20 {
        let mut request = fetch_request("orders", 0, 0, 1, 0).with_max_bytes(50 << 20);
        request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
        stuck.send(12, &request).await;
    }
    assert_eq!(producer.produce("orders", 0, batch(&["after"])).await.base_offset, 20);
}
