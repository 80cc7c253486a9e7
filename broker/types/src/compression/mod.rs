//! The codecs that producers use, decompression bounded by a limit that the caller names.
//!
//! Never trusts a length inside the compressed bytes: output grows as it is produced, up to the limit.

mod snappy;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

/// How the records of a batch are compressed; the numbers are those of the batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

/// Why bytes could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    #[error("the {codec} data decompresses to more than {out_bytes_max} bytes")]
    TooLarge { codec: Compression, out_bytes_max: usize },
    #[error("the {codec} data is malformed: {source}")]
    Malformed { codec: Compression, source: io::Error },
}

impl Compression {
    /// From the lowest three bits of a batch's attributes. `None` for a number that Kafka has not given out.
    pub fn from_code(code: u8) -> Option<Compression> {
        match code {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    pub fn code(self) -> u8 {
        self as u8
    }

    /// Kafka's name, as in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Decompresses all of `input`. Fails, instead of growing further, once the output passes `out_bytes_max`.
pub fn decompress(codec: Compression, input: &[u8], out_bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let malformed = |source| DecompressError::Malformed { codec, source };
    match codec {
        Compression::None => bounded(codec, input, out_bytes_max),
        Compression::Gzip => bounded(codec, flate2::read::MultiGzDecoder::new(input), out_bytes_max),
        Compression::Snappy => snappy::decompress(input, out_bytes_max),
        Compression::Lz4 => bounded(codec, lz4_flex::frame::FrameDecoder::new(input), out_bytes_max),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(malformed)?;
            bounded(codec, decoder, out_bytes_max)
        }
    }
}

/// Compresses as Kafka's Java client does: gzip, xerial-framed snappy, an lz4 frame, a zstd frame.
pub fn compress(codec: Compression, input: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(input)?;
            encoder.finish()
        }
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(input)?;
            encoder.finish().map_err(io::Error::other)
        }
        Compression::Zstd => zstd::stream::encode_all(input, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

fn bounded(codec: Compression, reader: impl Read, out_bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let limit = u64::try_from(out_bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut out).map_err(|source| DecompressError::Malformed { codec, source })?;
    if out.len() > out_bytes_max {
        return Err(DecompressError::TooLarge { codec, out_bytes_max });
    }
    Ok(out)
}
