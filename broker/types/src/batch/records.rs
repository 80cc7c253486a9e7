//! The records of a batch.
//!
//! | what | as |
//! |---|---|
//! | length of what follows | varint |
//! | attributes, unused | 1 byte |
//! | timestamp delta to the batch's base timestamp | varlong |
//! | offset delta to the batch's base offset | varint |
//! | key length, -1 for null; key | varint, bytes |
//! | value length, -1 for null; value | varint, bytes |
//! | header count; per header: key length, key (UTF-8), value length or -1, value | varints, bytes |

use std::borrow::Cow;

use super::{BatchError, HEADER_BYTES, RecordBatch, TimestampType, varint};
use crate::compression::{Compression, decompress};
use crate::limits::DECOMPRESSED_BATCH_BYTES_MAX;

/// A header: its key and its value.
pub type RecordHeader<'a> = (&'a str, Option<&'a [u8]>);

/// One record, borrowed from its batch (or from the decompressed copy of it in [`Records`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: i64,
    /// Milliseconds; -1 for none.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Vec<RecordHeader<'a>>,
}

/// What a control record says, from its key: version and type, 2 bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecordType {
    Abort,
    Commit,
    Other(i16),
}

impl Record<'_> {
    /// What this record of a control batch says; `None` if its key is not a control record's.
    pub fn control_type(&self) -> Option<ControlRecordType> {
        let kind = self.key?.get(2..4)?;
        Some(match i16::from_be_bytes([kind[0], kind[1]]) {
            0 => ControlRecordType::Abort,
            1 => ControlRecordType::Commit,
            other => ControlRecordType::Other(other),
        })
    }
}

/// The records of one batch, decompressed: iterate over `&records` or `records.iter()`.
pub struct Records<'a> {
    bytes: Cow<'a, [u8]>,
    base_offset: i64,
    base_timestamp: i64,
    log_append_time: Option<i64>,
    count: i32,
}

impl<'a> Records<'a> {
    pub(super) fn of(batch: RecordBatch<'a>) -> Result<Records<'a>, BatchError> {
        let payload = &batch.bytes()[HEADER_BYTES..];
        let bytes = match batch.compression()? {
            Compression::None => Cow::Borrowed(payload),
            codec => Cow::Owned(decompress(codec, payload, DECOMPRESSED_BATCH_BYTES_MAX)?),
        };
        Ok(Records {
            bytes,
            base_offset: batch.base_offset(),
            base_timestamp: batch.base_timestamp(),
            log_append_time: (batch.timestamp_type() == TimestampType::LogAppendTime).then(|| batch.max_timestamp()),
            count: batch.record_count(),
        })
    }

    /// The headers, those with a value, of the first record of an uncompressed batch, whose end may be missing.
    pub(super) fn first_headers(batch: RecordBatch<'_>) -> Vec<(String, Vec<u8>)> {
        let bytes = Cow::Borrowed(&batch.bytes()[HEADER_BYTES..]);
        let records = Records { bytes, base_offset: 0, base_timestamp: 0, log_append_time: None, count: 1 };
        let first = records.iter().record();
        let owned = |(key, value): RecordHeader<'_>| Some((key.to_owned(), value?.to_owned()));
        first.map_or_else(|_| Vec::new(), |record| record.headers.into_iter().filter_map(owned).collect())
    }

    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter { records: self, rest: &self.bytes, index: 0 }
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type Item = Result<Record<'r>, BatchError>;
    type IntoIter = RecordsIter<'r>;

    fn into_iter(self) -> RecordsIter<'r> {
        self.iter()
    }
}

/// Gives as many records as the batch's header counts; one error, then nothing more, where the bytes disagree with it.
pub struct RecordsIter<'r> {
    records: &'r Records<'r>,
    rest: &'r [u8],
    index: i32,
}

impl<'r> Iterator for RecordsIter<'r> {
    type Item = Result<Record<'r>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let records = self.records;
        if self.index >= records.count {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(self.malformed("bytes are left after the last one")));
        }
        match self.record() {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(reason) => {
                let error = self.malformed(reason);
                self.index = records.count;
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

impl<'r> RecordsIter<'r> {
    fn malformed(&self, reason: &'static str) -> BatchError {
        BatchError::MalformedRecord { base_offset: self.records.base_offset, index: self.index, reason }
    }

    fn record(&mut self) -> Result<Record<'r>, &'static str> {
        let len = varint::read_i32(&mut self.rest).ok_or("its length is cut short")?;
        let len = usize::try_from(len).map_err(|_| "its length is negative")?;
        let (mut body, rest) = self.rest.split_at_checked(len).ok_or("it is longer than its batch")?;
        self.rest = rest;
        body = body.get(1..).ok_or("its attributes are missing")?;
        let timestamp_delta = varint::read_i64(&mut body).ok_or("its timestamp is cut short")?;
        let offset_delta = varint::read_i32(&mut body).ok_or("its offset is cut short")?;
        let key = nullable(&mut body).ok_or("its key is cut short")?;
        let value = nullable(&mut body).ok_or("its value is cut short")?;
        let headers = headers(&mut body)?;
        if !body.is_empty() {
            return Err("bytes are left after its headers");
        }
        Ok(Record {
            offset: self.records.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp: match self.records.log_append_time {
                Some(timestamp) => timestamp,
                None => self.records.base_timestamp.wrapping_add(timestamp_delta),
            },
            key,
            value,
            headers,
        })
    }
}

fn headers<'r>(body: &mut &'r [u8]) -> Result<Vec<RecordHeader<'r>>, &'static str> {
    let count = varint::read_i32(body).ok_or("its header count is cut short")?;
    // Each header takes two bytes at least: a larger count is a lie, and reserves nothing.
    let count =
        usize::try_from(count).ok().filter(|&count| count <= body.len() / 2).ok_or("its header count is wrong")?;
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let key = nullable(body).ok_or("a header's key is cut short")?.ok_or("a header's key is null")?;
        let key = std::str::from_utf8(key).map_err(|_| "a header's key is not UTF-8")?;
        headers.push((key, nullable(body).ok_or("a header's value is cut short")?));
    }
    Ok(headers)
}

fn nullable<'r>(body: &mut &'r [u8]) -> Option<Option<&'r [u8]>> {
    let len = varint::read_i32(body)?;
    if len == -1 {
        return Some(None);
    }
    let (bytes, rest) = body.split_at_checked(usize::try_from(len).ok()?)?;
    *body = rest;
    Some(Some(bytes))
}
