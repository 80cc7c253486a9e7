use std::sync::Arc;

use weir_types::TopicId;

use super::*;

fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        name: name.into(),
        topic_id: TopicId([name.len() as u8; 16]),
        layout: PartitionLayout::Counts { partitions, replication_factor: 1 },
        configs: vec![("retention.ms".to_owned(), "5".to_owned())],
    }
}

fn image_with(name: &str, partitions: i32) -> MetadataImage {
    let mut image = MetadataImage::default();
    for record in create_topic(&image, &[1], new_topic(name, partitions)).unwrap() {
        image.apply(&record);
    }
    image
}

#[test]
fn a_created_topic_is_in_the_image_by_name_and_by_id_with_its_settings() {
    let image = image_with("orders", 3);
    let topic = image.topic("orders").unwrap();
    assert_eq!(topic.partitions.len(), 3);
    assert_eq!(image.topic_by_id(topic.id), Some(topic));
    assert_eq!(image.configs(&ConfigResource::Topic("orders".into()))["retention.ms"], "5");
    assert_eq!(image.partition_count(), 3);
}

#[test]
fn a_removed_topic_takes_its_settings_with_it() {
    let mut image = image_with("orders", 3);
    for record in delete_topic(&Arc::clone(image.topic("orders").unwrap())) {
        image.apply(&record);
    }
    assert!(image.topic("orders").is_none());
    assert_eq!(image.configured_resources().count(), 0);
    assert_eq!(image.partition_count(), 0);
}

#[test]
fn a_broker_that_starts_raises_the_epochs_of_what_it_leads_and_of_nothing_else() {
    let mut image = image_with("orders", 2);
    let topic_id = image.topic("orders").unwrap().id;
    let (replicas, isr) = (vec![2], vec![2]);
    image.apply(&MetadataRecord::Partition { topic_id, partition: 1, replicas, isr, leader: 2, leader_epoch: 7 });
    image.apply(&MetadataRecord::BrokerStarted { broker: 1 });
    image.apply(&MetadataRecord::BrokerStarted { broker: 1 });
    let epochs: Vec<i32> = image.topic("orders").unwrap().partitions.iter().map(|p| p.leader_epoch).collect();
    assert_eq!(epochs, [2, 7]);
}

#[test]
fn an_image_is_rebuilt_by_its_own_records() {
    let image = image_with("orders", 3);
    let mut copy = MetadataImage::default();
    image.to_records().iter().for_each(|record| copy.apply(record));
    assert_eq!(copy.to_records(), image.to_records());
}

#[test]
fn names_that_kafka_refuses_are_refused() {
    for name in ["", ".", "..", "a/b", "naïve", &"x".repeat(250)] {
        assert!(validate_topic_name(name).is_err(), "{name}");
    }
    for name in ["a", "a.b_c-9", &"x".repeat(249)] {
        assert!(validate_topic_name(name).is_ok(), "{name}");
    }
}

#[test]
fn names_that_differ_only_in_dot_and_underscore_collide() {
    let error = create_topic(&image_with("a.b", 1), &[1], new_topic("a_b", 1)).unwrap_err();
    assert!(matches!(error, CreateTopicError::InvalidName(_)));
}

#[test]
fn layouts_that_cannot_be_placed_are_refused() {
    let image = MetadataImage::default();
    let create = |layout| create_topic(&image, &[1, 2], NewTopic { layout, ..new_topic("t", 1) });
    let counts = |partitions, replication_factor| PartitionLayout::Counts { partitions, replication_factor };
    assert_eq!(create(counts(0, 1)), Err(CreateTopicError::InvalidPartitions(0)));
    assert!(matches!(create(counts(1, 3)), Err(CreateTopicError::InvalidReplicationFactor { .. })));
    assert!(matches!(create(counts(100_001, 1)), Err(CreateTopicError::TooManyPartitions(_))));
    for assigned in [vec![vec![]], vec![vec![7]], vec![vec![1, 1]], vec![vec![1], vec![1, 2]]] {
        assert!(matches!(create(PartitionLayout::Assigned(assigned)), Err(CreateTopicError::InvalidAssignment(_))));
    }
}

#[test]
fn replicas_go_round_the_brokers() {
    let image = MetadataImage::default();
    let layout = PartitionLayout::Counts { partitions: 3, replication_factor: 2 };
    let records =
        create_topic(&image, &[1, 2, 3], NewTopic { layout, configs: Vec::new(), ..new_topic("t", 1) }).unwrap();
    let leaders: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            MetadataRecord::Partition { leader, replicas, .. } => Some((*leader, replicas.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(leaders, [(1, vec![1, 2]), (2, vec![2, 3]), (3, vec![3, 1])]);
}

#[test]
fn partitions_can_only_be_added() {
    let image = image_with("orders", 3);
    let topic = image.topic("orders").unwrap();
    let not_an_increase = CreatePartitionsError::NotAnIncrease { current: 3, wanted: 3 };
    assert_eq!(create_partitions(&image, &[1], topic, 3, None), Err(not_an_increase));
    let records = create_partitions(&image, &[1], topic, 5, None).unwrap();
    let mut image = image.clone();
    records.iter().for_each(|record| image.apply(record));
    assert_eq!(image.topic("orders").unwrap().partitions.len(), 5);
}
