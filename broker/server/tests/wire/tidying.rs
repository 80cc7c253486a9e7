//! What the background passes do: old segments go, compacted topics keep the last record of each key.

use std::time::Duration;

use weir_types::batch::RecordBatchBuilder;

use crate::harness::*;

/// Everything that is in partition 0, fetch by fetch: one never crosses a segment's end.
async fn read_all(client: &mut Client, topic: &str) -> Vec<(i64, String)> {
    let mut found: Vec<(i64, String)> = Vec::new();
    let mut offset = client.list_offset(topic, -2).await.0;
    loop {
        let more = records(&client.fetch(topic, 0, offset).await);
        let Some((last, _)) = more.last() else { return found };
        offset = last + 1;
        found.extend(more);
    }
}

/// Reads everything again and again until `is_done`.
async fn wait_until(
    client: &mut Client,
    topic: &str,
    is_done: impl Fn(&[(i64, String)]) -> bool,
) -> Vec<(i64, String)> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = read_all(client, topic).await;
        if is_done(&found) {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not done: {} records", found.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn retention_by_size_deletes_the_oldest_segments() {
    let broker = TestBroker::start(&[("log.retention.check.interval.ms", "50")]).await;
    let mut client = broker.client().await;
    let configs = [("segment.bytes", "10000"), ("retention.bytes", "30000")];
    assert_eq!(client.create_topic("orders", 1, &configs).await, 0);
    for _ in 0..20 {
        assert_eq!(client.produce("orders", 0, batch(&[&"x".repeat(5000)])).await.error_code, 0);
    }
    let found = wait_until(&mut client, "orders", |found| found[0].0 > 8).await;
    assert_eq!(found.last().unwrap().0, 19, "the newest stay");
}

#[tokio::test]
async fn compaction_keeps_the_last_record_of_each_key() {
    let broker = TestBroker::start(&[("log.cleaner.backoff.ms", "50")]).await;
    let mut client = broker.client().await;
    let configs = [("cleanup.policy", "compact"), ("segment.bytes", "2000"), ("min.cleanable.dirty.ratio", "0.01")];
    assert_eq!(client.create_topic("state", 1, &configs).await, 0);
    for round in 0..50 {
        let mut builder = RecordBatchBuilder::new(0);
        for key in ["a", "b"] {
            builder.append(now_ms(), Some(key.as_bytes()), Some(format!("{key}{round:0>100}").as_bytes()), &[]);
        }
        assert_eq!(client.produce("state", 0, builder.build()).await.error_code, 0);
    }
    let found = wait_until(&mut client, "state", |found| found.len() < 20).await;
    assert_eq!(found.last().unwrap(), &(99, format!("b{:0>100}", 49)));
    assert!(found.iter().filter(|(_, value)| value.starts_with('a')).count() >= 1);
}
