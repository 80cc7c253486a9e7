//! Fetch responses, v4..=17, written by hand around record bytes that stay where they are.
//!
//! The codec copies every payload into its buffer. Here the caller gives, per partition, a payload of its own kind (a
//! range of a file, say) and its length; the frame comes back as alternating pieces of header bytes and payloads.

use bytes::{BufMut, Bytes, BytesMut};

use crate::api;
use crate::produce::TopicRef;
use crate::response::{put_response_header, set_length};

/// Versions from which a field exists.
const ERROR_AND_SESSION: i16 = 7;
const LOG_START_OFFSET: i16 = 5;
const PREFERRED_READ_REPLICA: i16 = 11;

#[derive(Debug)]
pub struct FetchResponse<P> {
    pub error_code: i16,
    pub topics: Vec<FetchTopic<P>>,
}

#[derive(Debug)]
pub struct FetchTopic<P> {
    pub topic: TopicRef,
    pub partitions: Vec<FetchPartition<P>>,
}

#[derive(Debug)]
pub struct FetchPartition<P> {
    pub index: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    /// `Some` for read_committed readers, even when empty; `None` (null on the wire) for read_uncommitted.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Leader and epoch, told when the client's own idea of them is wrong (v12+).
    pub current_leader: Option<(i32, i32)>,
    /// Epoch and its end offset, told when the reader's log has diverged (v12+).
    pub diverging_epoch: Option<(i32, i64)>,
    pub payload: Option<P>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// What stands for record bytes in a response.
pub trait Payload {
    fn size_bytes(&self) -> usize;
}

impl Payload for Bytes {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// A part of a frame, in the order of writing.
#[derive(Debug)]
pub enum Piece<P> {
    Bytes(Bytes),
    Payload(P),
}

/// Frames a response; `session_id` is always 0: full fetches only, which every client must accept (KIP-227).
pub fn encode<P: Payload>(response: FetchResponse<P>, version: i16, correlation_id: i32) -> Vec<Piece<P>> {
    let mut writer = Writer { buffer: BytesMut::with_capacity(256), payloads: Vec::new() };
    let compact = api::FETCH.is_flexible(version);
    writer.buffer.put_i32(0);
    put_response_header(&mut writer.buffer, &api::FETCH, version, correlation_id);
    writer.buffer.put_i32(0); // throttle_time_ms
    if version >= ERROR_AND_SESSION {
        writer.buffer.put_i16(response.error_code);
        writer.buffer.put_i32(0); // session_id
    }
    writer.array_count(response.topics.len(), compact);
    for topic in response.topics {
        writer.topic_ref(&topic.topic, compact);
        writer.array_count(topic.partitions.len(), compact);
        for partition in topic.partitions {
            writer.partition(partition, version, compact);
        }
        writer.no_tags(compact);
    }
    writer.no_tags(compact);
    writer.finish()
}

struct Writer<P> {
    /// All bytes but the payloads.
    buffer: BytesMut,
    /// Each payload with the buffer's length at its place.
    payloads: Vec<(usize, P)>,
}

impl<P: Payload> Writer<P> {
    fn array_count(&mut self, count: usize, compact: bool) {
        if compact {
            put_unsigned_varint(&mut self.buffer, count as u32 + 1);
        } else {
            self.buffer.put_i32(count as i32);
        }
    }

    fn topic_ref(&mut self, topic: &TopicRef, compact: bool) {
        match topic {
            TopicRef::Id(id) => self.buffer.put_slice(id),
            TopicRef::Name(name) => {
                if compact {
                    put_unsigned_varint(&mut self.buffer, name.len() as u32 + 1);
                } else {
                    self.buffer.put_i16(name.len() as i16);
                }
                self.buffer.put_slice(name.as_bytes());
            }
        }
    }

    fn partition(&mut self, partition: FetchPartition<P>, version: i16, compact: bool) {
        self.buffer.put_i32(partition.index);
        self.buffer.put_i16(partition.error_code);
        self.buffer.put_i64(partition.high_watermark);
        self.buffer.put_i64(partition.last_stable_offset);
        if version >= LOG_START_OFFSET {
            self.buffer.put_i64(partition.log_start_offset);
        }
        self.aborted_transactions(partition.aborted_transactions.as_deref(), compact);
        if version >= PREFERRED_READ_REPLICA {
            self.buffer.put_i32(-1);
        }
        let size_bytes = partition.payload.as_ref().map_or(0, Payload::size_bytes);
        if compact {
            put_unsigned_varint(&mut self.buffer, size_bytes as u32 + 1);
        } else {
            self.buffer.put_i32(size_bytes as i32);
        }
        if let Some(payload) = partition.payload.filter(|payload| payload.size_bytes() > 0) {
            self.payloads.push((self.buffer.len(), payload));
        }
        if compact {
            self.leader_tags(partition.current_leader, partition.diverging_epoch);
        }
    }

    fn aborted_transactions(&mut self, aborted: Option<&[AbortedTransaction]>, compact: bool) {
        match aborted {
            None if compact => self.buffer.put_u8(0),
            None => self.buffer.put_i32(-1),
            Some(aborted) => {
                self.array_count(aborted.len(), compact);
                for transaction in aborted {
                    self.buffer.put_i64(transaction.producer_id);
                    self.buffer.put_i64(transaction.first_offset);
                    self.no_tags(compact);
                }
            }
        }
    }

    /// Tags 0 (diverging epoch) and 1 (current leader), each: tag, size, fields, no inner tags.
    fn leader_tags(&mut self, leader: Option<(i32, i32)>, diverging: Option<(i32, i64)>) {
        self.buffer.put_u8(u8::from(leader.is_some()) + u8::from(diverging.is_some()));
        if let Some((epoch, end_offset)) = diverging {
            self.buffer.put_slice(&[0, 13]);
            self.buffer.put_i32(epoch);
            self.buffer.put_i64(end_offset);
            self.buffer.put_u8(0);
        }
        if let Some((leader_id, leader_epoch)) = leader {
            self.buffer.put_slice(&[1, 9]);
            self.buffer.put_i32(leader_id);
            self.buffer.put_i32(leader_epoch);
            self.buffer.put_u8(0);
        }
    }

    fn no_tags(&mut self, compact: bool) {
        if compact {
            self.buffer.put_u8(0);
        }
    }

    fn finish(mut self) -> Vec<Piece<P>> {
        let payload_bytes = self.payloads.iter().map(|(_, payload)| payload.size_bytes()).sum();
        set_length(&mut self.buffer, payload_bytes);
        let mut rest = self.buffer.freeze();
        let mut pieces = Vec::with_capacity(self.payloads.len() * 2 + 1);
        let mut cut = 0;
        for (place, payload) in self.payloads {
            pieces.push(Piece::Bytes(rest.split_to(place - cut)));
            pieces.push(Piece::Payload(payload));
            cut = place;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Bytes(rest));
        }
        pieces
    }
}

fn put_unsigned_varint(buffer: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

#[cfg(test)]
mod tests;
