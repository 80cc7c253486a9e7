//! OffsetCommitValue, v0..=4: one committed offset.
//!
//! ```text
//! i16        version
//! i64        offset
//! i32        leader epoch, -1 for none          v3+
//! string     metadata
//! i64        commit timestamp
//! i64        expire timestamp, -1 for none      v1 only
//! tagged     0: uuid topic id                   v4+
//!
//! string: i16 length and UTF-8, from v4 on varint length + 1 and UTF-8
//! ```

use bytes::Bytes;

use super::RecordError;
use super::wire::{Reader, Writer};

const VERSION_MAX: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitValue {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
    pub commit_timestamp_ms: i64,
    /// Only commits of clients before Kafka 2.1 carry their own.
    pub expire_timestamp_ms: Option<i64>,
    pub topic_id: Option<[u8; 16]>,
}

impl OffsetCommitValue {
    /// As Kafka 4.2 chooses it: only v1 can say when the commit itself wants to expire.
    fn version(&self) -> i16 {
        if self.expire_timestamp_ms.is_some() { 1 } else { VERSION_MAX }
    }

    pub fn encode(&self) -> Result<Bytes, RecordError> {
        self.encode_as(self.version())
    }

    /// What the version has no field for is left out.
    pub(super) fn encode_as(&self, version: i16) -> Result<Bytes, RecordError> {
        let mut writer = Writer::new(version);
        writer.set_flexible(version >= FIRST_FLEXIBLE);
        writer.i64(self.offset);
        if version >= 3 {
            writer.i32(self.leader_epoch.unwrap_or(-1));
        }
        writer.string("metadata", &self.metadata)?;
        writer.i64(self.commit_timestamp_ms);
        if version == 1 {
            writer.i64(self.expire_timestamp_ms.unwrap_or(-1));
        }
        match &self.topic_id {
            Some(topic_id) => writer.tagged_fields(&[(TOPIC_ID_TAG, topic_id)])?,
            None => writer.tagged_fields(&[])?,
        }
        Ok(writer.finish())
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16("version")?;
        if !(0..=VERSION_MAX).contains(&version) {
            return Err(RecordError::UnknownVersion { schema: "OffsetCommitValue", version, max: VERSION_MAX });
        }
        reader.set_flexible(version >= FIRST_FLEXIBLE);
        let offset = reader.i64("offset")?;
        let leader_epoch = if version >= 3 { reader.i32("leader epoch")? } else { -1 };
        let metadata = reader.string("metadata")?.to_owned();
        let commit_timestamp_ms = reader.i64("commit timestamp")?;
        let expire_timestamp_ms = if version == 1 { reader.i64("expire timestamp")? } else { -1 };
        let mut topic_id = None;
        reader.tagged_fields(|tag, field| {
            if tag == TOPIC_ID_TAG {
                topic_id = Some(field.uuid("topic id")?);
            }
            Ok(())
        })?;
        Ok(Self {
            offset,
            leader_epoch: (leader_epoch >= 0).then_some(leader_epoch),
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms: (expire_timestamp_ms >= 0).then_some(expire_timestamp_ms),
            topic_id,
        })
    }
}
