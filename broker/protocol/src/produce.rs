//! Produce requests, v3..=13, read by hand.
//!
//! The codec would hand out immutable slices; the broker writes a batch's base offset and leader epoch in place, so each
//! partition's records leave here as their own mutable cut of the frame's buffer. Nothing is copied.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use crate::api;
use crate::decode::DecodeError;
use crate::reader::{ReadError, Reader};

/// First version that names topics by id alone (KIP-516).
const TOPIC_ID_VERSION_MIN: i16 = 13;

#[derive(Debug)]
pub struct ProduceRequest {
    pub transactional_id: Option<Arc<str>>,
    pub acks: i16,
    pub timeout_ms: i32,
    pub topics: Vec<ProduceTopic>,
}

#[derive(Debug)]
pub struct ProduceTopic {
    pub topic: TopicRef,
    pub partitions: Vec<ProducePartition>,
}

/// How a request names a topic: by name up to v12, by id from v13 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    Name(Arc<str>),
    Id([u8; 16]),
}

#[derive(Debug)]
pub struct ProducePartition {
    pub index: i32,
    /// The bytes as sent; `None` where the client sent null.
    pub records: Option<BytesMut>,
}

/// Reads a body of the given version. `body` begins after the request header.
pub fn decode(version: i16, mut body: BytesMut) -> Result<ProduceRequest, DecodeError> {
    let layout = read_layout(version, &body).map_err(|error| DecodeError::Body {
        api: api::PRODUCE.name,
        version,
        reason: error.to_string(),
    })?;
    let mut cut = 0;
    let topics = layout
        .topics
        .into_iter()
        .map(|(topic, partitions)| ProduceTopic {
            topic,
            partitions: partitions
                .into_iter()
                .map(|(index, range)| {
                    let records = range.map(|range| {
                        body.advance(range.start - cut);
                        cut = range.end;
                        body.split_to(range.len())
                    });
                    ProducePartition { index, records }
                })
                .collect(),
        })
        .collect();
    Ok(ProduceRequest {
        transactional_id: layout.transactional_id,
        acks: layout.acks,
        timeout_ms: layout.timeout_ms,
        topics,
    })
}

type PartitionLayout = (i32, Option<std::ops::Range<usize>>);

struct Layout {
    transactional_id: Option<Arc<str>>,
    acks: i16,
    timeout_ms: i32,
    topics: Vec<(TopicRef, Vec<PartitionLayout>)>,
}

fn read_layout(version: i16, body: &[u8]) -> Result<Layout, ReadError> {
    let compact = api::PRODUCE.is_flexible(version);
    let mut reader = Reader::new(body);
    let transactional_id = reader.nullable_string(compact)?.map(Arc::from);
    let acks = reader.i16()?;
    let timeout_ms = reader.i32()?;
    let mut topics = Vec::new();
    for _ in 0..reader.array_count(compact)? {
        let topic = if version >= TOPIC_ID_VERSION_MIN {
            TopicRef::Id(reader.uuid()?)
        } else {
            TopicRef::Name(reader.string(compact)?.into())
        };
        let mut partitions = Vec::new();
        for _ in 0..reader.array_count(compact)? {
            partitions.push((reader.i32()?, reader.nullable_bytes(compact)?));
            if compact {
                reader.skip_tagged_fields()?;
            }
        }
        if compact {
            reader.skip_tagged_fields()?;
        }
        topics.push((topic, partitions));
    }
    if compact {
        reader.skip_tagged_fields()?;
    }
    Ok(Layout { transactional_id, acks, timeout_ms, topics })
}

#[cfg(test)]
mod tests;
