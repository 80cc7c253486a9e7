//! GroupMetadataValue, v0..=4: a classic group after a rebalance, with each member's assignment.
//!
//! ```text
//! i16        version
//! string     protocol type
//! i32        generation
//! string?    protocol
//! string?    leader
//! i64        timestamp of the current state, -1 for none   v2+
//! array      members:
//!   string     member id
//!   string?    group instance id                           v3+
//!   string     client id
//!   string     client host
//!   i32        rebalance timeout in ms                     v1+
//!   i32        session timeout in ms
//!   bytes      subscription (the client's, opaque)
//!   bytes      assignment (the client's, opaque)
//!   tagged     none known                                  v4+
//! tagged     none known                                    v4+
//!
//! string: i16 length and UTF-8; bytes, array: i32 length; `?`: -1 for null.
//! From v4 on all lengths are varints of length + 1, 0 for null.
//! ```

use bytes::Bytes;

use super::RecordError;
use super::wire::{Reader, Writer};

const VERSION_MAX: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;
/// What Kafka writes: the newest schema that brokers before 3.5 read too.
const VERSION_WRITTEN: i16 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadataValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub current_state_timestamp_ms: Option<i64>,
    pub members: Vec<MemberMetadata>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

impl GroupMetadataValue {
    pub fn encode(&self) -> Result<Bytes, RecordError> {
        self.encode_as(VERSION_WRITTEN)
    }

    /// What the version has no field for is left out.
    pub(super) fn encode_as(&self, version: i16) -> Result<Bytes, RecordError> {
        let mut writer = Writer::new(version);
        writer.set_flexible(version >= FIRST_FLEXIBLE);
        writer.string("protocol type", &self.protocol_type)?;
        writer.i32(self.generation);
        writer.nullable_string("protocol", self.protocol.as_deref())?;
        writer.nullable_string("leader", self.leader.as_deref())?;
        if version >= 2 {
            writer.i64(self.current_state_timestamp_ms.unwrap_or(-1));
        }
        writer.array_count("members", self.members.len())?;
        for member in &self.members {
            member.encode(&mut writer, version)?;
        }
        writer.tagged_fields(&[])?;
        Ok(writer.finish())
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16("version")?;
        if !(0..=VERSION_MAX).contains(&version) {
            return Err(RecordError::UnknownVersion { schema: "GroupMetadataValue", version, max: VERSION_MAX });
        }
        reader.set_flexible(version >= FIRST_FLEXIBLE);
        let protocol_type = reader.string("protocol type")?.to_owned();
        let generation = reader.i32("generation")?;
        let protocol = reader.nullable_string("protocol")?.map(str::to_owned);
        let leader = reader.nullable_string("leader")?.map(str::to_owned);
        let timestamp = if version >= 2 { reader.i64("timestamp of the current state")? } else { -1 };
        let count = reader.array_count("members")?;
        let members = (0..count).map(|_| MemberMetadata::decode(&mut reader, version)).collect::<Result<_, _>>()?;
        reader.tagged_fields(|_, _| Ok(()))?;
        let current_state_timestamp_ms = (timestamp >= 0).then_some(timestamp);
        Ok(Self { protocol_type, generation, protocol, leader, current_state_timestamp_ms, members })
    }
}

impl MemberMetadata {
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), RecordError> {
        writer.string("member id", &self.member_id)?;
        if version >= 3 {
            writer.nullable_string("group instance id", self.group_instance_id.as_deref())?;
        }
        writer.string("client id", &self.client_id)?;
        writer.string("client host", &self.client_host)?;
        if version >= 1 {
            writer.i32(self.rebalance_timeout_ms);
        }
        writer.i32(self.session_timeout_ms);
        writer.bytes("subscription", &self.subscription)?;
        writer.bytes("assignment", &self.assignment)?;
        writer.tagged_fields(&[])
    }

    /// Before v1 the session timeout was the rebalance timeout too.
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, RecordError> {
        let member_id = reader.string("member id")?.to_owned();
        let group_instance_id = match version {
            ..3 => None,
            _ => reader.nullable_string("group instance id")?.map(str::to_owned),
        };
        let client_id = reader.string("client id")?.to_owned();
        let client_host = reader.string("client host")?.to_owned();
        let rebalance_timeout_ms = if version >= 1 { Some(reader.i32("rebalance timeout")?) } else { None };
        let session_timeout_ms = reader.i32("session timeout")?;
        let subscription = Bytes::copy_from_slice(reader.bytes("subscription")?);
        let assignment = Bytes::copy_from_slice(reader.bytes("assignment")?);
        reader.tagged_fields(|_, _| Ok(()))?;
        Ok(Self {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription,
            assignment,
        })
    }
}
