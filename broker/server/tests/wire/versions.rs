//! Every API answers every version it advertises in a form that the codec reads back whole.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use weir_protocol::api::{self, ApiSpec};

use crate::harness::*;

fn versions(api: &ApiSpec) -> std::ops::RangeInclusive<i16> {
    api.served_min..=api.max
}

async fn topic_id(client: &mut Client, topic: &str) -> uuid::Uuid {
    let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    client.call(12, &MetadataRequest::default().with_topics(Some(vec![wanted]))).await.topics[0].topic_id
}

#[tokio::test]
async fn produce_and_fetch_in_every_version() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    let id = topic_id(&mut client, "orders").await;
    for (version, offset) in versions(&api::PRODUCE).zip(0..) {
        for (topic, error_code) in [("orders", 0), ("nowhere", if version >= 13 { 100 } else { 3 })] {
            let mut request = produce_request(topic, 0, batch(&["a"]), -1);
            if version >= 13 {
                request.topic_data[0].name = TopicName::default();
                request.topic_data[0].topic_id = if error_code == 0 { id } else { uuid::Uuid::from_bytes([9; 16]) };
            }
            let response = client.call(version, &request).await;
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, error_code, "v{version}");
            assert_eq!(answer.base_offset, if error_code == 0 { offset } else { -1 }, "v{version}");
        }
    }
    for version in versions(&api::FETCH) {
        let mut request = fetch_request("orders", 0, 0, 1, 100);
        if version >= 13 {
            request.topics[0].topic = TopicName::default();
            request.topics[0].topic_id = id;
        }
        let response = client.call(version, &request).await;
        assert_eq!(records(&response.responses[0].partitions[0]).len(), 11, "v{version}");
    }
}

#[tokio::test]
async fn topics_in_every_version() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client().await;
    for version in versions(&api::CREATE_TOPICS) {
        for error_code in [0, 36] {
            let topic = CreatableTopic::default()
                .with_name(topic_name(&format!("t{version}")))
                .with_num_partitions(1)
                .with_replication_factor(1);
            let response = client.call(version, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
            assert_eq!(response.topics[0].error_code, error_code, "v{version}");
        }
    }
    for version in versions(&api::METADATA) {
        let wanted = |name| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        // Before v4 there is no way to decline creation.
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted("t7"), wanted("bad name")]))
            .with_allow_auto_topic_creation(version < 4);
        let codes: Vec<i16> =
            client.call(version, &request).await.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, 17], "v{version}");
    }
    for version in versions(&api::CREATE_PARTITIONS) {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name("t7"))
            .with_count(i32::from(version) + 2)
            .with_assignments(None);
        let response = client.call(version, &CreatePartitionsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(response.results[0].error_code, 0, "v{version}");
    }
    for version in versions(&api::DELETE_TOPICS) {
        for error_code in [0, 3] {
            let name = topic_name(&format!("t{}", version + 1));
            let mut request = DeleteTopicsRequest::default();
            if version >= 6 {
                request.topics.push(delete_topics_request::DeleteTopicState::default().with_name(Some(name)));
            } else {
                request.topic_names.push(name);
            }
            // t2..t7 exist; v1 deletes t2 and so on.
            let response = client.call(version, &request).await;
            assert_eq!(response.responses[0].error_code, error_code, "v{version}");
        }
    }
}

#[tokio::test]
async fn offsets_in_every_version() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    client.produce("orders", 0, batch(&["a"])).await;
    for version in versions(&api::LIST_OFFSETS) {
        for timestamp in [-1, -2, -3, -4, -5, 0] {
            let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
            let topic = ListOffsetsTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
            let response = client.call(version, &ListOffsetsRequest::default().with_topics(vec![topic])).await;
            assert_eq!(response.topics[0].partitions[0].error_code, 0, "v{version} {timestamp}");
        }
    }
    for version in versions(&api::OFFSET_FOR_LEADER_EPOCH) {
        let partition = OffsetForLeaderPartition::default().with_current_leader_epoch(-1);
        let topic = OffsetForLeaderTopic::default().with_topic(topic_name("orders")).with_partitions(vec![partition]);
        let response = client.call(version, &OffsetForLeaderEpochRequest::default().with_topics(vec![topic])).await;
        assert_eq!(response.topics[0].partitions[0].end_offset, 1, "v{version}");
    }
    for version in versions(&api::DELETE_RECORDS) {
        let partition = DeleteRecordsPartition::default().with_offset(1);
        let topic = DeleteRecordsTopic::default().with_name(topic_name("orders")).with_partitions(vec![partition]);
        let response = client.call(version, &DeleteRecordsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(response.topics[0].partitions[0].low_watermark, 1, "v{version}");
    }
}

#[tokio::test]
async fn the_rest_in_every_version() {
    let broker = TestBroker::start(&[]).await;
    let mut client = broker.client_with_topic("orders", 1).await;
    for version in versions(&api::API_VERSIONS) {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = StrBytes::from_static_str("test");
            request.client_software_version = StrBytes::from_static_str("1");
        }
        assert_eq!(client.call(version, &request).await.error_code, 0, "v{version}");
    }
    for version in versions(&api::INIT_PRODUCER_ID) {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        assert_eq!(client.call(version, &request).await.error_code, 0, "v{version}");
    }
    for version in versions(&api::DESCRIBE_CONFIGS) {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_static_str("orders"))
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
        assert!(!client.call(version, &request).await.results[0].configs.is_empty(), "v{version}");
    }
    for version in versions(&api::ALTER_CONFIGS) {
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_static_str("orders"));
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(client.call(version, &request).await.responses[0].error_code, 0, "v{version}");
    }
    for version in versions(&api::INCREMENTAL_ALTER_CONFIGS) {
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_static_str("orders"));
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(client.call(version, &request).await.responses[0].error_code, 0, "v{version}");
    }
    for version in versions(&api::DESCRIBE_LOG_DIRS) {
        let response = client.call(version, &DescribeLogDirsRequest::default().with_topics(None)).await;
        assert_eq!(response.results[0].topics.len(), 1, "v{version}");
    }
    for version in versions(&api::LIST_PARTITION_REASSIGNMENTS) {
        let request = ListPartitionReassignmentsRequest::default().with_topics(None);
        assert!(client.call(version, &request).await.topics.is_empty(), "v{version}");
    }
    for version in versions(&api::DESCRIBE_CLUSTER) {
        let response = client.call(version, &DescribeClusterRequest::default().with_endpoint_type(1)).await;
        assert_eq!((response.brokers.len(), response.cluster_id.len()), (1, 22), "v{version}");
    }
    for version in versions(&api::LIST_CONFIG_RESOURCES) {
        assert_eq!(client.call(version, &ListConfigResourcesRequest::default()).await.error_code, 0, "v{version}");
    }
    let topics = vec![describe_topic_partitions_request::TopicRequest::default().with_name(topic_name("orders"))];
    let request = DescribeTopicPartitionsRequest::default().with_topics(topics).with_response_partition_limit(10);
    assert_eq!(client.call(0, &request).await.topics[0].partitions.len(), 1);
}
