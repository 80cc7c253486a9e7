//! Quirk 19: garbage ends its own connection and nothing else.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::MetadataRequest;
use tokio::io::AsyncWriteExt;
use weir_protocol::api;

use crate::harness::*;

/// Counts that claim more elements than any memory holds: as a varint and as an int32.
const BOMBS: [&[u8]; 4] =
    [&[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x7f, 0xff, 0xff, 0xff], &[0xfe, 0xff, 0xff, 0xff, 0x07], &[0x80; 9]];

async fn assert_serves(broker: &TestBroker) {
    assert_eq!(broker.client().await.call(9, &MetadataRequest::default()).await.brokers.len(), 1);
}

#[tokio::test]
async fn hostile_lengths_in_every_api_and_version_end_in_an_error_and_not_in_the_process() {
    let broker = TestBroker::start(&[]).await;
    for api in api::ALL {
        for version in api.served_min..=api.max {
            for bomb in BOMBS {
                // At the body's start, and after a few bytes that many bodies begin with.
                for lead in [0, 1, 2, 4, 6, 10, 17] {
                    let mut client = broker.client().await;
                    let mut frame = BytesMut::new();
                    frame.put_i32(0);
                    frame.put_i16(api.key);
                    frame.put_i16(version);
                    frame.put_i32(1);
                    frame.put_i16(-1);
                    if api.is_flexible(version) {
                        frame.put_u8(0);
                    }
                    frame.put_bytes(0, lead);
                    frame.put_slice(bomb);
                    let len = frame.len() as i32 - 4;
                    (&mut frame[..4]).put_i32(len);
                    client.stream.write_all(&frame).await.unwrap();
                    client.stream.shutdown().await.unwrap();
                    // An answer or the end of the connection, but soon.
                    client.read_frame().await;
                }
            }
        }
    }
    assert_serves(&broker).await;
    let resident_bytes = resident_bytes();
    assert!(resident_bytes < 1 << 30, "{resident_bytes} bytes resident");
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn garbage_and_frames_that_are_too_large_end_the_connection() {
    let broker = TestBroker::start(&[("socket.request.max.bytes", "1000")]).await;
    let too_large = 1001i32.to_be_bytes();
    let garbage: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[0, 0, 0, 0], &[0, 0, 0, 3, 0, 3, 0], &too_large];
    for bytes in garbage {
        let mut client = broker.client().await;
        client.stream.write_all(bytes).await.unwrap();
        assert_eq!(client.read_frame().await, None, "{bytes:?}");
    }
    assert_serves(&broker).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let broker = TestBroker::start(&[("max.connections.per.ip", "2")]).await;
    let first = broker.client().await;
    let mut second = broker.client().await;
    second.call(9, &MetadataRequest::default()).await;
    assert_eq!(broker.client().await.read_frame().await, None);
    drop(first);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_serves(&broker).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let broker = TestBroker::start(&[("connections.max.idle.ms", "200")]).await;
    let mut client = broker.client().await;
    client.call(9, &MetadataRequest::default()).await;
    assert_eq!(client.read_frame().await, None);
}
