//! The records of `__consumer_offsets`, byte for byte as Kafka writes and reads them.
//!
//! A record's key starts with its type (i16), its value with the version of its schema (i16); what follows is Kafka's
//! message encoding. Types 0 and 1 are a committed offset, 2 is a classic group; higher types belong to protocols that
//! are not spoken here and are skipped when a partition is loaded. A record without a value (a tombstone) deletes.
//!
//! Never: interprets a member's subscription or assignment; trusts a length before the bytes are there.

mod group_metadata;
mod offset_commit;
pub(super) mod wire;

pub use group_metadata::{GroupMetadataValue, MemberMetadata};
pub use offset_commit::OffsetCommitValue;

use std::sync::Arc;

use bytes::Bytes;
use weir_types::TopicPartition;
use wire::{Reader, Writer};

const OFFSET_COMMIT_KEY_V0: i16 = 0;
const OFFSET_COMMIT_KEY_V1: i16 = 1;
const GROUP_METADATA_KEY: i16 = 2;

/// Why the bytes of a record are not one of Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("{field} needs {needed} bytes, {left} are left")]
    Truncated { field: &'static str, needed: usize, left: usize },
    #[error("{field} has the length {length}")]
    InvalidLength { field: &'static str, length: i64 },
    #[error("{field} is not UTF-8")]
    NotUtf8 { field: &'static str },
    #[error("{schema} has version {version}, known are 0 to {max}")]
    UnknownVersion { schema: &'static str, version: i16, max: i16 },
    #[error("{field} is longer than the schema can say: {length} bytes")]
    TooLong { field: &'static str, length: usize },
}

/// What a record is about.
///
/// ```text
/// OffsetCommitKey v0, v1         GroupMetadataKey v2
/// i16     type 0 or 1            i16     type 2
/// string  group                  string  group
/// string  topic
/// i32     partition              string: i16 length, UTF-8 bytes
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordKey {
    OffsetCommit {
        group: Arc<str>,
        partition: TopicPartition,
    },
    GroupMetadata {
        group: Arc<str>,
    },
    /// A record of another protocol: to be skipped.
    Other {
        key_type: i16,
    },
}

impl RecordKey {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        match reader.i16("key type")? {
            OFFSET_COMMIT_KEY_V0 | OFFSET_COMMIT_KEY_V1 => {
                let group = reader.string("group")?.into();
                let topic = reader.string("topic")?.into();
                let partition = reader.i32("partition")?;
                Ok(Self::OffsetCommit { group, partition: TopicPartition { topic, partition } })
            }
            GROUP_METADATA_KEY => Ok(Self::GroupMetadata { group: reader.string("group")?.into() }),
            key_type => Ok(Self::Other { key_type }),
        }
    }
}

/// The key of a committed offset, as Kafka writes it since 0.8.2 (type 1).
pub(super) fn offset_commit_key(group: &str, partition: &TopicPartition) -> Result<Bytes, RecordError> {
    let mut writer = Writer::new(OFFSET_COMMIT_KEY_V1);
    writer.string("group", group)?;
    writer.string("topic", &partition.topic)?;
    writer.i32(partition.partition);
    Ok(writer.finish())
}

pub(super) fn group_metadata_key(group: &str) -> Result<Bytes, RecordError> {
    let mut writer = Writer::new(GROUP_METADATA_KEY);
    writer.string("group", group)?;
    Ok(writer.finish())
}

/// One record to append to the group's partition of `__consumer_offsets`. `None` as value deletes the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorRecord {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

#[cfg(test)]
mod tests;
