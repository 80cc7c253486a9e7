//! Which records a request to create or delete topics and partitions becomes, or why it is refused.

use std::sync::Arc;

use weir_types::TopicId;
use weir_types::limits::{PARTITIONS_MAX, TOPIC_NAME_BYTES_MAX};

use super::image::{MetadataImage, TopicImage};
use super::record::{ConfigResource, MetadataRecord};

/// A topic as asked for, defaults filled in.
#[derive(Debug, Clone)]
pub struct NewTopic {
    pub name: Arc<str>,
    pub topic_id: TopicId,
    pub layout: PartitionLayout,
    /// Checked against the config table by the caller.
    pub configs: Vec<(String, String)>,
}

/// Where partitions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionLayout {
    /// So many, placed by the controller.
    Counts { partitions: i32, replication_factor: i16 },
    /// Replicas of each partition, by index, as the client wants them.
    Assigned(Vec<Vec<i32>>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateTopicError {
    #[error("topic '{0}' already exists")]
    Exists(Arc<str>),
    #[error("{0}")]
    InvalidName(String),
    #[error("number of partitions was set to {0}, which must be larger than 0")]
    InvalidPartitions(i32),
    #[error("replication factor {wanted} is not between 1 and the {available} registered brokers")]
    InvalidReplicationFactor { wanted: i16, available: usize },
    #[error("{0}")]
    InvalidAssignment(String),
    #[error("{0} partitions more would exceed the {PARTITIONS_MAX} that a broker hosts")]
    TooManyPartitions(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreatePartitionsError {
    #[error("topic has {current} partitions; {wanted} is not an increase")]
    NotAnIncrease { current: i32, wanted: i32 },
    #[error("{0}")]
    InvalidAssignment(String),
    #[error("{0} partitions more would exceed the {PARTITIONS_MAX} that a broker hosts")]
    TooManyPartitions(usize),
}

/// Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, and neither `.` nor `..`.
pub fn validate_topic_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Topic name is invalid: the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!("Topic name is invalid: '{name}' is not allowed"));
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Err(format!("Topic name is invalid: longer than {TOPIC_NAME_BYTES_MAX} characters"));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(c) => Err(format!("Topic name '{name}' is invalid: {c:?} is not one of [a-zA-Z0-9._-]")),
        None => Ok(()),
    }
}

/// `brokers` are the registered ones, in order.
pub fn create_topic(
    image: &MetadataImage,
    brokers: &[i32],
    topic: NewTopic,
) -> Result<Vec<MetadataRecord>, CreateTopicError> {
    validate_topic_name(&topic.name).map_err(CreateTopicError::InvalidName)?;
    if image.topic(&topic.name).is_some() {
        return Err(CreateTopicError::Exists(topic.name));
    }
    if let Some(other) = colliding(image, &topic.name) {
        return Err(CreateTopicError::InvalidName(format!(
            "Topic '{}' collides with existing topic '{other}': '.' and '_' are alike in metric names",
            topic.name
        )));
    }
    let assignments = place(brokers, topic.layout)?;
    if image.partition_count() + assignments.len() > PARTITIONS_MAX {
        return Err(CreateTopicError::TooManyPartitions(assignments.len()));
    }
    let mut records = vec![MetadataRecord::Topic { name: Arc::clone(&topic.name), topic_id: topic.topic_id }];
    records.extend(
        assignments.into_iter().zip(0..).map(|(replicas, index)| new_partition(topic.topic_id, index, replicas)),
    );
    records.extend(topic.configs.into_iter().map(|(key, value)| MetadataRecord::Config {
        resource: ConfigResource::Topic(Arc::clone(&topic.name)),
        key,
        value: Some(value),
    }));
    Ok(records)
}

/// `assignments`, where given, holds the replicas of the added partitions only.
pub fn create_partitions(
    image: &MetadataImage,
    brokers: &[i32],
    topic: &TopicImage,
    wanted: i32,
    assignments: Option<Vec<Vec<i32>>>,
) -> Result<Vec<MetadataRecord>, CreatePartitionsError> {
    let current = topic.partitions.len() as i32;
    if wanted <= current {
        return Err(CreatePartitionsError::NotAnIncrease { current, wanted });
    }
    let added = (wanted - current) as usize;
    if image.partition_count() + added > PARTITIONS_MAX {
        return Err(CreatePartitionsError::TooManyPartitions(added));
    }
    let replicas_by_partition = match assignments {
        Some(assignments) if assignments.len() != added => {
            return Err(CreatePartitionsError::InvalidAssignment(format!(
                "{added} partitions are added, but replicas are given for {}",
                assignments.len()
            )));
        }
        Some(assignments) => {
            check_assignments(brokers, &assignments).map_err(CreatePartitionsError::InvalidAssignment)?;
            assignments
        }
        None => {
            let factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
            (current as usize..wanted as usize).map(|index| replicas_from(brokers, index, factor)).collect()
        }
    };
    let partitions = replicas_by_partition.into_iter().zip(current..);
    Ok(partitions.map(|(replicas, index)| new_partition(topic.id, index, replicas)).collect())
}

pub fn delete_topic(topic: &TopicImage) -> Vec<MetadataRecord> {
    vec![MetadataRecord::RemoveTopic { topic_id: topic.id }]
}

/// `a.b` and `a_b` would share their metrics' names.
fn colliding<'a>(image: &'a MetadataImage, name: &str) -> Option<&'a str> {
    if !name.contains(['.', '_']) {
        return None;
    }
    let folded = name.replace('.', "_");
    image.topics().map(|topic| &*topic.name).find(|other| other.replace('.', "_") == folded)
}

fn place(brokers: &[i32], layout: PartitionLayout) -> Result<Vec<Vec<i32>>, CreateTopicError> {
    match layout {
        PartitionLayout::Counts { partitions, replication_factor } => {
            if partitions <= 0 {
                return Err(CreateTopicError::InvalidPartitions(partitions));
            }
            if partitions as usize > PARTITIONS_MAX {
                return Err(CreateTopicError::TooManyPartitions(partitions as usize));
            }
            if replication_factor <= 0 || replication_factor as usize > brokers.len() {
                return Err(CreateTopicError::InvalidReplicationFactor {
                    wanted: replication_factor,
                    available: brokers.len(),
                });
            }
            let factor = replication_factor as usize;
            Ok((0..partitions as usize).map(|index| replicas_from(brokers, index, factor)).collect())
        }
        PartitionLayout::Assigned(assignments) => {
            check_assignments(brokers, &assignments).map_err(CreateTopicError::InvalidAssignment)?;
            Ok(assignments)
        }
    }
}

fn check_assignments(brokers: &[i32], assignments: &[Vec<i32>]) -> Result<(), String> {
    for (index, replicas) in assignments.iter().enumerate() {
        if replicas.is_empty() {
            return Err(format!("partition {index} is given no replica"));
        }
        if let Some(unknown) = replicas.iter().find(|replica| !brokers.contains(replica)) {
            return Err(format!("partition {index} is given to broker {unknown}, which is not registered"));
        }
        let has_double = replicas.iter().enumerate().any(|(i, replica)| replicas[..i].contains(replica));
        if has_double {
            return Err(format!("partition {index} is given to one broker twice"));
        }
        if replicas.len() != assignments[0].len() {
            return Err("partitions are given different numbers of replicas".to_owned());
        }
    }
    Ok(())
}

/// Round robin: partition n leads on broker n, its replicas follow.
fn replicas_from(brokers: &[i32], index: usize, factor: usize) -> Vec<i32> {
    (0..factor).map(|replica| brokers[(index + replica) % brokers.len()]).collect()
}

fn new_partition(topic_id: TopicId, partition: i32, replicas: Vec<i32>) -> MetadataRecord {
    MetadataRecord::Partition {
        topic_id,
        partition,
        leader: replicas[0],
        isr: replicas.clone(),
        replicas,
        leader_epoch: 0,
    }
}
