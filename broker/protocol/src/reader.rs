//! Reading primitives from a slice: never past its end, never trusting a length.

use std::ops::Range;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("needed {needed} bytes at position {position}, had {available}")]
    TooShort { position: usize, needed: usize, available: usize },
    #[error("length {length} at position {position} is out of range")]
    BadLength { position: usize, length: i64 },
    #[error("string at position {position} is not UTF-8")]
    NotUtf8 { position: usize },
    #[error("{kind} is null at position {position}, which its version does not allow")]
    UnexpectedNull { kind: &'static str, position: usize },
}

/// A cursor. Positions are from the slice's start, so that a caller can cut the ranges out of the shared buffer.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], ReadError> {
        let available = self.bytes.len() - self.position;
        if len > available {
            return Err(ReadError::TooShort { position: self.position, needed: len, available });
        }
        let taken = &self.bytes[self.position..self.position + len];
        self.position += len;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, ReadError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, ReadError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<[u8; 16], ReadError> {
        self.fixed()
    }

    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, ReadError> {
        let position = self.position;
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| ReadError::BadLength { position, length: value as i64 });
            }
        }
        Err(ReadError::BadLength { position, length: value as i64 })
    }

    /// A length with -1 (or 0 in compact form) for null.
    fn nullable_length(&mut self, wide: bool, is_compact: bool) -> Result<Option<usize>, ReadError> {
        let position = self.position;
        let length = match (is_compact, wide) {
            (true, _) => i64::from(self.unsigned_varint()?) - 1,
            (false, true) => i64::from(self.i32()?),
            (false, false) => i64::from(self.i16()?),
        };
        match length {
            -1 => Ok(None),
            0.. => Ok(Some(length as usize)),
            _ => Err(ReadError::BadLength { position, length }),
        }
    }

    pub(crate) fn nullable_string(&mut self, is_compact: bool) -> Result<Option<&'a str>, ReadError> {
        let Some(len) = self.nullable_length(false, is_compact)? else { return Ok(None) };
        let position = self.position;
        std::str::from_utf8(self.take(len)?).map(Some).map_err(|_| ReadError::NotUtf8 { position })
    }

    pub(crate) fn string(&mut self, is_compact: bool) -> Result<&'a str, ReadError> {
        let position = self.position;
        self.nullable_string(is_compact)?.ok_or(ReadError::UnexpectedNull { kind: "string", position })
    }

    /// Where the bytes lie; the bytes themselves are not touched.
    pub(crate) fn nullable_bytes(&mut self, is_compact: bool) -> Result<Option<Range<usize>>, ReadError> {
        let Some(len) = self.nullable_length(true, is_compact)? else { return Ok(None) };
        let start = self.position;
        self.take(len)?;
        Ok(Some(start..start + len))
    }

    /// An array's element count; at most as many as there are bytes left, since each element takes one at least.
    pub(crate) fn array_count(&mut self, is_compact: bool) -> Result<usize, ReadError> {
        let position = self.position;
        let count =
            self.nullable_length(true, is_compact)?.ok_or(ReadError::UnexpectedNull { kind: "array", position })?;
        if count > self.bytes.len() - self.position {
            return Err(ReadError::BadLength { position, length: count as i64 });
        }
        Ok(count)
    }

    /// Tagged fields of whatever tags: skipped.
    pub(crate) fn skip_tagged_fields(&mut self) -> Result<(), ReadError> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let len = self.unsigned_varint()? as usize;
            self.take(len)?;
        }
        Ok(())
    }
}
