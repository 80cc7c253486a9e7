//! Cluster metadata, KRaft's way: records of what was decided, replayed into an image.
//!
//! [`record`] is what is written down, [`image`] what it comes to, [`topics`] decides which records a request becomes,
//! [`log`] is where records go to become fact.
//!
//! Invariants: an image is a function of the records applied, in order, and of nothing else; decisions only read an
//! image and never change it; ids and random choices are passed in.

mod image;
mod log;
mod record;
mod topics;

#[cfg(test)]
mod tests;

pub use image::{MetadataImage, PartitionImage, TopicImage};
pub use log::{AppendFuture, MetadataLog, MetadataLogError};
pub use record::{ConfigResource, MetadataRecord};
pub use topics::{
    CreatePartitionsError, CreateTopicError, NewTopic, PartitionLayout, create_partitions, create_topic, delete_topic,
    validate_topic_name,
};
