//! Quirks 1–4: what is advertised, and what happens to versions that are not.

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ResponseHeader};
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::io::AsyncWriteExt;

use crate::harness::*;

const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;

fn request() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test-client"))
        .with_client_software_version(StrBytes::from_static_str("1.0"))
}

#[tokio::test]
async fn produce_is_advertised_from_version_0_up() {
    let broker = TestBroker::start(&[]).await;
    let response = broker.client().await.call(3, &request()).await;
    let produce = response.api_keys.iter().find(|api| api.api_key == 0).unwrap();
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_v0_without_a_look_at_its_body() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    // Key 18, version 999, correlation id 7, then what no version has.
    let bytes = [0, 0, 0, 12, 0, 18, 3, 0xe7, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff];
    client.stream.write_all(&bytes).await.unwrap();
    let mut frame = client.read_frame().await.unwrap();
    assert_eq!(ResponseHeader::decode(&mut frame, 0).unwrap().correlation_id, 7);
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(response.error_code, UNSUPPORTED_VERSION);
    assert!(response.api_keys.iter().any(|api| api.api_key == 18 && api.max_version == 4));
    assert_eq!(client.call(3, &request()).await.error_code, 0, "the connection goes on");
}

#[tokio::test]
async fn a_client_software_name_that_is_no_word_is_refused() {
    let broker = TestBroker::start(&[]).await;
    for name in ["", "-dash-first", "with space", "ends."] {
        let request = request().with_client_software_name(StrBytes::from_static_str(name));
        assert_eq!(broker.client().await.call(3, &request).await.error_code, INVALID_REQUEST, "{name:?}");
    }
}

#[tokio::test]
async fn an_unsupported_version_of_any_other_api_closes_the_connection() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    // Metadata, version 99.
    client.stream.write_all(&[0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff]).await.unwrap();
    assert_eq!(client.read_frame().await, None);
    assert!(!broker.client().await.call(9, &MetadataRequest::default()).await.brokers.is_empty());
}

#[tokio::test]
async fn both_loopbacks_are_served_on_one_port() {
    let broker = TestBroker::start(&[]).await;
    let addresses = broker.broker.kafka_addresses().to_vec();
    assert!(addresses.iter().all(|address| address.port() == addresses[0].port()), "{addresses:?}");
    for address in addresses {
        assert_eq!(Client::connect(address).await.call(3, &request()).await.error_code, 0);
    }
}
