//! Snappy, with and without the framing of the xerial library that Java clients write.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `82 53 4e 41 50 50 59 00` |
//! | 4 | version, big endian, 1 |
//! | 4 | oldest compatible version, big endian, 1 |
//! | then, repeated: 4 | length of the chunk, big endian |
//! | … | the chunk: one raw snappy block |
//!
//! Data without that head is one raw snappy block: some clients (and old librdkafka) send that.

use std::io;

use super::{Compression, DecompressError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_BYTES: usize = 16;
const VERSION: [u8; 4] = 1u32.to_be_bytes();
/// What the xerial library buffers before it writes a chunk.
const CHUNK_BYTES: usize = 32 * 1024;

pub(super) fn decompress(input: &[u8], out_bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    if !input.starts_with(&MAGIC) {
        block(input, &mut out, out_bytes_max)?;
        return Ok(out);
    }
    let mut rest = input.get(HEADER_BYTES..).ok_or_else(|| malformed("the framing's head is cut short"))?;
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("a chunk's length is cut short"))?;
        let len = u32::from_be_bytes(*len) as usize;
        let chunk = after.get(..len).ok_or_else(|| malformed("a chunk is longer than the data"))?;
        block(chunk, &mut out, out_bytes_max)?;
        rest = &after[len..];
    }
    Ok(out)
}

pub(super) fn compress(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(HEADER_BYTES + input.len() / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION);
    out.extend_from_slice(&VERSION);
    let mut encoder = snap::raw::Encoder::new();
    for chunk in input.chunks(CHUNK_BYTES) {
        let block = encoder.compress_vec(chunk).map_err(io::Error::other)?;
        let len = u32::try_from(block.len()).map_err(io::Error::other)?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}

fn block(input: &[u8], out: &mut Vec<u8>, out_bytes_max: usize) -> Result<(), DecompressError> {
    let len = snap::raw::decompress_len(input).map_err(malformed)?;
    let end = out.len().saturating_add(len);
    if end > out_bytes_max {
        return Err(DecompressError::TooLarge { codec: Compression::Snappy, out_bytes_max });
    }
    // Snappy at best makes 64 bytes of 3: a longer claim is a lie, and is not worth its memory.
    if len / 32 > input.len() {
        return Err(malformed("a block claims more output than its bytes can hold"));
    }
    let start = out.len();
    out.resize(end, 0);
    snap::raw::Decoder::new().decompress(input, &mut out[start..]).map_err(malformed)?;
    Ok(())
}

fn malformed(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DecompressError {
    DecompressError::Malformed {
        codec: Compression::Snappy,
        source: io::Error::new(io::ErrorKind::InvalidData, reason),
    }
}
