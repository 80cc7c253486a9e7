//! Quirk 9, DeleteRecords and leader epochs: where records are.

use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::*;
use weir_types::batch::RecordBatchBuilder;
use weir_types::compression::Compression;

use crate::harness::*;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

async fn list(client: &mut Client, timestamp: i64) -> (i64, i64) {
    client.list_offset("orders", timestamp).await
}

async fn delete_before(client: &mut Client, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
    let response = client.call(2, &DeleteRecordsRequest::default().with_topics(vec![topic])).await;
    let result = &response.topics[0].partitions[0];
    (result.error_code, result.low_watermark)
}

#[tokio::test]
async fn places_and_times_are_found_inside_compressed_batches_too() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    assert_eq!(list(&mut client, -1).await, (0, -1));
    assert_eq!(list(&mut client, -3).await, (-1, -1), "an empty log has no largest timestamp");
    let base = now_ms() - 10_000;
    for start in [0, 300] {
        let mut builder = RecordBatchBuilder::new(0).compression(Compression::Lz4);
        for step in [0, 100, 200] {
            builder.append(base + start + step, None, Some(b"x"), &[]);
        }
        client.produce("orders", 0, builder.build()).await;
    }
    assert_eq!(list(&mut client, -1).await, (6, -1));
    assert_eq!(list(&mut client, -2).await, (0, -1));
    assert_eq!(list(&mut client, -3).await, (5, base + 500));
    assert_eq!(list(&mut client, base + 101).await, (2, base + 200));
    assert_eq!(list(&mut client, base + 400).await, (4, base + 400));
    assert_eq!(list(&mut client, base + 501).await, (-1, -1), "nothing is as late as that");
}

#[tokio::test]
async fn deleted_records_are_gone_and_the_rest_stays() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    for _ in 0..3 {
        client.produce("orders", 0, batch(&["a", "b"])).await;
    }
    assert_eq!(delete_before(&mut client, 4).await, (0, 4));
    assert_eq!(list(&mut client, -2).await.0, 4);
    assert_eq!(client.fetch("orders", 0, 3).await.error_code, OFFSET_OUT_OF_RANGE);
    assert_eq!(records(&client.fetch("orders", 0, 4).await).len(), 2);
    assert_eq!(delete_before(&mut client, 7).await, (OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete_before(&mut client, -1).await, (0, 6), "up to the high watermark");
    let broker = broker.restart(&[]).await;
    assert_eq!(list(&mut broker.client().await, -2).await.0, 6, "over a restart too");
}

/// Error, epoch and end offset.
async fn end_of_epoch(client: &mut Client, current_leader_epoch: i32, leader_epoch: i32) -> (i16, i32, i64) {
    let partition = OffsetForLeaderPartition::default()
        .with_current_leader_epoch(current_leader_epoch)
        .with_leader_epoch(leader_epoch);
    let topic = OffsetForLeaderTopic::default().with_topic(topic_name("orders")).with_partitions(vec![partition]);
    let response = client.call(4, &OffsetForLeaderEpochRequest::default().with_topics(vec![topic])).await;
    let end = &response.topics[0].partitions[0];
    (end.error_code, end.leader_epoch, end.end_offset)
}

#[tokio::test]
async fn the_current_leader_epoch_ends_at_the_logs_end_and_later_ones_are_unknown() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    client.produce("orders", 0, batch(&["a", "b"])).await;
    assert_eq!(end_of_epoch(&mut client, -1, 0).await, (0, 0, 2));
    assert_eq!(end_of_epoch(&mut client, 3, 0).await, (UNKNOWN_LEADER_EPOCH, -1, -1));
}

#[tokio::test]
async fn a_start_begins_a_new_leader_epoch_and_readers_of_the_old_one_are_told() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    client.produce("orders", 0, batch(&["a", "b"])).await;
    let broker = broker.restart(&[]).await;
    let mut client = broker.client().await;
    assert_eq!(end_of_epoch(&mut client, 0, 0).await, (FENCED_LEADER_EPOCH, -1, -1));
    assert_eq!(end_of_epoch(&mut client, 1, 0).await, (0, 0, 2));
    assert_eq!(end_of_epoch(&mut client, 1, 1).await, (0, 1, 2), "it has no record yet");
    client.produce("orders", 0, batch(&["c"])).await;
    assert_eq!(end_of_epoch(&mut client, 1, 0).await, (0, 0, 2));
    assert_eq!(end_of_epoch(&mut client, 1, 1).await, (0, 1, 3));
}
