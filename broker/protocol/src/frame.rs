//! Length-prefixed frames: four bytes of big-endian length, then that many bytes.

use bytes::{Buf, BytesMut};

/// Bytes of the length that precedes each frame.
pub const LENGTH_BYTES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame length {length} is negative")]
    Negative { length: i32 },
    #[error("frame of {length} bytes is larger than {length_max}")]
    TooLarge { length: usize, length_max: usize },
}

/// The length of the frame at the start of `buffer`, once its prefix is there.
pub fn frame_length(buffer: &[u8], length_max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    let length = usize::try_from(length).map_err(|_| FrameError::Negative { length })?;
    if length > length_max {
        return Err(FrameError::TooLarge { length, length_max });
    }
    Ok(Some(length))
}

/// Cuts the next frame (without its prefix) off `buffer`, or `None` while it is incomplete. Copies nothing.
pub fn take_frame(buffer: &mut BytesMut, length_max: usize) -> Result<Option<BytesMut>, FrameError> {
    let Some(length) = frame_length(buffer, length_max)? else { return Ok(None) };
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_one_by_one_and_only_when_whole() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 2, 1, 2, 0, 0, 0, 3, 9][..]);
        assert_eq!(take_frame(&mut buffer, 10).unwrap().unwrap(), &[1, 2][..]);
        assert_eq!(take_frame(&mut buffer, 10), Ok(None));
        buffer.extend_from_slice(&[8, 7]);
        assert_eq!(take_frame(&mut buffer, 10).unwrap().unwrap(), &[9, 8, 7][..]);
        assert_eq!(take_frame(&mut buffer, 10), Ok(None));
    }

    #[test]
    fn hostile_lengths_are_refused_before_anything_is_reserved() {
        assert_eq!(frame_length(&[0xff; 4], 10), Err(FrameError::Negative { length: -1 }));
        assert_eq!(frame_length(&[0, 0, 0, 11], 10), Err(FrameError::TooLarge { length: 11, length_max: 10 }));
    }
}
