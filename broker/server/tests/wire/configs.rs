//! Quirk 17: every key is described; what is set acts at once; what is wrong is refused.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use weir_broker::config::table::{Scope, keys};

use crate::harness::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_CONFIG: i16 = 40;

async fn describe(client: &mut Client, kind: i8, name: &'static str) -> Vec<DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    client.call(4, &request).await.results[0].configs.clone()
}

async fn value(client: &mut Client, kind: i8, name: &'static str, key: &str) -> (Option<String>, i8) {
    let configs = describe(client, kind, name).await;
    let config = configs.iter().find(|config| *config.name == *key).unwrap();
    (config.value.as_ref().map(ToString::to_string), config.config_source)
}

async fn alter(
    client: &mut Client,
    kind: i8,
    name: &'static str,
    key: &'static str,
    operation: i8,
    to: &'static str,
) -> i16 {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(key))
        .with_config_operation(operation)
        .with_value((operation != DELETE).then_some(StrBytes::from_static_str(to)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(name))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).await.responses[0].error_code
}

#[tokio::test]
async fn every_key_of_the_table_is_described_with_type_source_and_doc() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    for (kind, name, scope) in [(TOPIC, "orders", Scope::Topic), (BROKER, "1", Scope::Broker)] {
        let configs = describe(&mut client, kind, name).await;
        assert_eq!(configs.len(), keys(scope).len());
        for config in configs {
            assert!(config.config_type > 0 && config.config_source > 0, "{config:?}");
            assert!(!config.documentation.unwrap().is_empty(), "{}", config.name);
        }
    }
}

#[tokio::test]
async fn a_topics_setting_acts_at_once_and_is_gone_when_deleted() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let large = batch(&[&"x".repeat(2000)]);
    assert_eq!(alter(&mut client, TOPIC, "orders", "max.message.bytes", SET, "1000").await, 0);
    assert_eq!(client.produce("orders", 0, large.clone()).await.error_code, MESSAGE_TOO_LARGE);
    assert_eq!(value(&mut client, TOPIC, "orders", "max.message.bytes").await, (Some("1000".to_owned()), 1));
    assert_eq!(alter(&mut client, TOPIC, "orders", "max.message.bytes", DELETE, "").await, 0);
    assert_eq!(client.produce("orders", 0, large).await.error_code, 0);
    assert_eq!(value(&mut client, TOPIC, "orders", "max.message.bytes").await.1, 5, "the default again");
}

#[tokio::test]
async fn a_broker_wide_setting_reaches_topics_that_have_none_of_their_own() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    assert_eq!(alter(&mut client, BROKER, "", "message.max.bytes", SET, "1000").await, 0);
    let large = batch(&[&"x".repeat(2000)]);
    assert_eq!(client.produce("orders", 0, large.clone()).await.error_code, MESSAGE_TOO_LARGE);
    assert_eq!(value(&mut client, TOPIC, "orders", "max.message.bytes").await, (Some("1000".to_owned()), 3));
    assert_eq!(alter(&mut client, BROKER, "1", "message.max.bytes", SET, "5000").await, 0);
    assert_eq!(client.produce("orders", 0, large).await.error_code, 0, "this broker's value wins");
}

#[tokio::test]
async fn lists_are_appended_to_from_what_they_are() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    assert_eq!(alter(&mut client, TOPIC, "orders", "cleanup.policy", APPEND, "compact").await, 0);
    assert_eq!(value(&mut client, TOPIC, "orders", "cleanup.policy").await.0.as_deref(), Some("delete,compact"));
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_and_stays_as_it_was() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    for (kind, name, key, to) in [
        (TOPIC, "orders", "no.such.key", "1"),
        (TOPIC, "orders", "retention.ms", "soon"),
        (TOPIC, "orders", "segment.bytes", "1"),
        (BROKER, "1", "node.id", "2"),
    ] {
        assert_eq!(alter(&mut client, kind, name, key, SET, to).await, INVALID_CONFIG, "{key}={to}");
    }
    assert_eq!(value(&mut client, TOPIC, "orders", "retention.ms").await.1, 5);
}

#[tokio::test]
async fn settings_survive_a_restart() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    assert_eq!(alter(&mut client, TOPIC, "orders", "retention.ms", SET, "4242").await, 0);
    let broker = broker.restart(&[]).await;
    let mut client = broker.client().await;
    assert_eq!(value(&mut client, TOPIC, "orders", "retention.ms").await, (Some("4242".to_owned()), 1));
}
