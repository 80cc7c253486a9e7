//! Kafka's message encoding, as far as the coordinator's records use it.
//!
//! Old schemas have i16 string lengths and i32 byte and array lengths, -1 for null. Flexible schemas have unsigned
//! varints that say length + 1, 0 for null, and end each struct with tagged fields.

use bytes::{BufMut, Bytes, BytesMut};

use super::RecordError;

/// A varint of 32 bits has at most five groups of seven.
const VARINT_BYTES_MAX: u32 = 5;

pub(in crate::groups) struct Reader<'a> {
    bytes: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub(in crate::groups) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, flexible: false }
    }

    /// From here on lengths are varints.
    pub(super) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], RecordError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(needed) else {
            return Err(RecordError::Truncated { field, needed, left: self.bytes.len() });
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    pub(in crate::groups) fn i16(&mut self, field: &'static str) -> Result<i16, RecordError> {
        self.array(field).map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, RecordError> {
        self.array(field).map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, RecordError> {
        self.array(field).map(i64::from_be_bytes)
    }

    pub(super) fn uuid(&mut self, field: &'static str) -> Result<[u8; 16], RecordError> {
        self.array(field)
    }

    pub(super) fn varint(&mut self, field: &'static str) -> Result<u32, RecordError> {
        let mut value: u64 = 0;
        for group in 0..VARINT_BYTES_MAX {
            let byte = self.array::<1>(field)?[0];
            value |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return u32::try_from(value)
                    .map_err(|_| RecordError::InvalidLength { field, length: value.cast_signed() });
            }
        }
        Err(RecordError::InvalidLength { field, length: value.cast_signed() })
    }

    /// `None` for null; the old encoding says so with -1, the flexible one with 0.
    fn length(&mut self, field: &'static str, of: LengthOf) -> Result<Option<usize>, RecordError> {
        let length = match (self.flexible, of) {
            (true, _) => i64::from(self.varint(field)?) - 1,
            (false, LengthOf::String) => i64::from(self.i16(field)?),
            (false, LengthOf::BytesOrArray) => i64::from(self.i32(field)?),
        };
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length).map(Some).map_err(|_| RecordError::InvalidLength { field, length }),
        }
    }

    pub(super) fn nullable_string(&mut self, field: &'static str) -> Result<Option<&'a str>, RecordError> {
        let Some(length) = self.length(field, LengthOf::String)? else { return Ok(None) };
        std::str::from_utf8(self.take(field, length)?).map(Some).map_err(|_| RecordError::NotUtf8 { field })
    }

    pub(in crate::groups) fn string(&mut self, field: &'static str) -> Result<&'a str, RecordError> {
        self.nullable_string(field)?.ok_or(RecordError::InvalidLength { field, length: -1 })
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], RecordError> {
        let length =
            self.length(field, LengthOf::BytesOrArray)?.ok_or(RecordError::InvalidLength { field, length: -1 })?;
        self.take(field, length)
    }

    /// The number of elements; refused when even elements of one byte would not fit in what is left.
    pub(in crate::groups) fn array_count(&mut self, field: &'static str) -> Result<usize, RecordError> {
        let count =
            self.length(field, LengthOf::BytesOrArray)?.ok_or(RecordError::InvalidLength { field, length: -1 })?;
        if count > self.remaining() {
            return Err(RecordError::Truncated { field, needed: count, left: self.remaining() });
        }
        Ok(count)
    }

    /// Hands every tagged field to `take_field`; nothing in a schema that is not flexible.
    pub(super) fn tagged_fields(
        &mut self,
        mut take_field: impl FnMut(u32, &mut Reader<'a>) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.varint("tagged fields")?;
        for _ in 0..count {
            let tag = self.varint("tag")?;
            let size = self.varint("size of a tagged field")? as usize;
            let mut field = Reader { bytes: self.take("tagged field", size)?, flexible: true };
            take_field(tag, &mut field)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum LengthOf {
    String,
    BytesOrArray,
}

pub(super) struct Writer {
    bytes: BytesMut,
    flexible: bool,
}

impl Writer {
    /// Starts with the key's type or the value's version.
    pub(super) fn new(first: i16) -> Self {
        let mut bytes = BytesMut::with_capacity(64);
        bytes.put_i16(first);
        Self { bytes, flexible: false }
    }

    pub(super) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    fn length(&mut self, field: &'static str, of: LengthOf, length: Option<usize>) -> Result<(), RecordError> {
        let too_long = || RecordError::TooLong { field, length: length.unwrap_or(0) };
        let wide = i32::try_from(length.map_or(-1, |length| length.min(i32::MAX as usize + 1) as i64))
            .ok()
            .filter(|wide| *wide < i32::MAX)
            .ok_or_else(too_long)?;
        match (self.flexible, of) {
            (true, _) => self.varint((wide + 1).cast_unsigned()),
            (false, LengthOf::String) => self.bytes.put_i16(i16::try_from(wide).map_err(|_| too_long())?),
            (false, LengthOf::BytesOrArray) => self.bytes.put_i32(wide),
        }
        Ok(())
    }

    pub(super) fn nullable_string(&mut self, field: &'static str, value: Option<&str>) -> Result<(), RecordError> {
        self.length(field, LengthOf::String, value.map(str::len))?;
        self.bytes.put_slice(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    pub(super) fn string(&mut self, field: &'static str, value: &str) -> Result<(), RecordError> {
        self.nullable_string(field, Some(value))
    }

    pub(super) fn bytes(&mut self, field: &'static str, value: &[u8]) -> Result<(), RecordError> {
        self.length(field, LengthOf::BytesOrArray, Some(value.len()))?;
        self.bytes.put_slice(value);
        Ok(())
    }

    pub(super) fn array_count(&mut self, field: &'static str, count: usize) -> Result<(), RecordError> {
        self.length(field, LengthOf::BytesOrArray, Some(count))
    }

    /// Ends a struct of a flexible schema; each field is its tag and its bytes. Nothing in an old schema.
    pub(super) fn tagged_fields(&mut self, fields: &[(u32, &[u8])]) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        let too_long = |length| RecordError::TooLong { field: "tagged fields", length };
        self.varint(u32::try_from(fields.len()).map_err(|_| too_long(fields.len()))?);
        for (tag, bytes) in fields {
            self.varint(*tag);
            self.varint(u32::try_from(bytes.len()).map_err(|_| too_long(bytes.len()))?);
            self.bytes.put_slice(bytes);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}
