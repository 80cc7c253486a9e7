//! Zigzag varints, as records use them.

/// Takes a varint off the front of `bytes`. `None` if it is cut short or longer than 64 bits.
pub(super) fn read_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value: u64 = 0;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // The tenth byte has room for one bit only.
            if index == 9 && byte > 1 {
                return None;
            }
            *bytes = &bytes[index + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// As [`read_i64`], for a value that must fit 32 bits.
pub(super) fn read_i32(bytes: &mut &[u8]) -> Option<i32> {
    read_i64(bytes).and_then(|value| i32::try_from(value).ok())
}

pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1) as u64 ^ (value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_survive_and_small_numbers_are_short() {
        for (value, len) in [(0, 1), (-1, 1), (63, 1), (64, 2), (-64, 1), (-65, 2), (i64::MAX, 10), (i64::MIN, 10)] {
            let mut out = Vec::new();
            write(&mut out, value);
            assert_eq!(out.len(), len, "{value}");
            assert_eq!(read_i64(&mut out.as_slice()), Some(value));
        }
    }

    #[test]
    fn cut_and_overlong_ones_are_refused() {
        assert_eq!(read_i64(&mut [0x80u8].as_slice()), None);
        assert_eq!(read_i64(&mut [0xffu8; 11].as_slice()), None);
        let mut ten = [0xffu8; 10];
        ten[9] = 2;
        assert_eq!(read_i64(&mut ten.as_slice()), None);
        let mut wide = Vec::new();
        write(&mut wide, i64::from(i32::MAX) + 1);
        assert_eq!(read_i32(&mut wide.as_slice()), None);
    }
}
