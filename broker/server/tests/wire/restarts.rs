//! What was acknowledged is there after a restart, and a broken start says what to do.

use weir_broker::{BrokerConfig, Property, start};

use crate::harness::*;

fn config(properties: &[(&str, &str)]) -> BrokerConfig {
    let mut config = BrokerConfig::default();
    for (key, value) in properties {
        config.properties.insert((*key).to_owned(), Property::new(*value, "server.properties:7:1"));
    }
    config
}

async fn start_error(properties: &[(&str, &str)]) -> String {
    match start(config(properties)).await {
        Ok(_) => panic!("started with {properties:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn topics_records_and_ids_survive_a_restart() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 3).await;
    for partition in 0..3 {
        client.produce("orders", partition, batch(&["a", "b"])).await;
    }
    let broker = broker.restart(&[]).await;
    let mut client = broker.client().await;
    for partition in 0..3 {
        let values: Vec<String> =
            records(&client.fetch("orders", partition, 0).await).into_iter().map(|r| r.1).collect();
        assert_eq!(values, ["a", "b"]);
        assert_eq!(client.produce("orders", partition, batch(&["c"])).await.base_offset, 2);
    }
}

#[tokio::test]
async fn a_broken_start_names_the_place_the_reason_and_the_remedy() {
    let taken = TestBroker::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let port = taken.broker.kafka_addresses()[0].port();

    let error = start_error(&[("log.dirs", folder), ("listeners", &format!("PLAINTEXT://localhost:{port}"))]).await;
    assert!(error.contains(&port.to_string()) && error.contains("choose another port"), "{error}");

    let in_use = taken.folder.path().to_str().unwrap();
    let error = start_error(&[("log.dirs", in_use), ("listeners", "PLAINTEXT://localhost:0")]).await;
    assert!(error.contains(in_use), "{error}");

    let error = start_error(&[("log.retention.hour", "1"), ("log.dirs", folder)]).await;
    assert_eq!(error, "server.properties:7:1: unknown key `log.retention.hour`; did you mean `log.retention.hours`?");

    let error = start_error(&[("listeners", "SSL://localhost:9093")]).await;
    assert!(error.contains("listeners") && error.contains("PLAINTEXT"), "{error}");
}
