//! Who a file is: where it lies (device and inode), what it begins with, and what lies just before the position.
//!
//! An inode alone is not enough (it is given to the next file), nor is a first line (many files share it). Only
//! together do they tell a renamed file from a new one, and a copy from its original.

use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};
use weir_connect_api::{SourceOffset, SourcePartition};

/// A file is known by at most so many of its first bytes; by fewer while it is shorter.
pub(crate) const PREFIX_BYTES_MAX: u64 = 1024;
/// How many bytes before the position are compared before reading goes on there.
pub(crate) const TAIL_BYTES_MAX: u64 = 256;

/// Where a file lies. Survives a rename; is given to another file after a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The name that one file's content keeps for as long as it is followed, whatever path and inode it moves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(crate) u64);

impl StreamId {
    pub(crate) fn random() -> Self {
        Self(uuid::Uuid::new_v4().as_u64_pair().0)
    }
}

/// A hash of `length` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) length: u64,
    pub(crate) hash: u64,
}

impl Fingerprint {
    /// Of no bytes: fits every file.
    pub(crate) const EMPTY: Self = Self { length: 0, hash: FNV_BASIS };

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, hash: fnv1a(bytes) }
    }

    /// Of the first 0, 1, 2, … bytes.
    pub(crate) fn of_every_prefix(bytes: &[u8]) -> Vec<Self> {
        let mut hash = FNV_BASIS;
        let rest = bytes.iter().zip(1..).map(|(byte, length)| {
            hash = fnv1a_step(hash, *byte);
            Self { length, hash }
        });
        std::iter::once(Self::EMPTY).chain(rest).collect()
    }

    pub(crate) fn fits(&self, bytes: &[u8]) -> bool {
        Self::of(bytes) == *self
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a: the hash is stored, so it must never change, and it is only ever taken of a kilobyte.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_BASIS, |hash, byte| fnv1a_step(hash, *byte))
}

fn fnv1a_step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
}

/// How far a file was read, and enough of its content to find it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) key: FileKey,
    pub(crate) prefix: Fingerprint,
    /// The next byte to read; in decompressed bytes for a `.gz`.
    pub(crate) position: u64,
    /// Of the bytes just before `position`.
    pub(crate) tail: Fingerprint,
}

/// Something whose bytes can be looked at: a file, or in tests a slice.
pub(crate) trait Look {
    /// `None` when the content ends before `position + length`.
    fn look(&mut self, position: u64, length: u64) -> std::io::Result<Option<Vec<u8>>>;
}

impl Mark {
    /// Whether this content was read up to the mark's position.
    pub(crate) fn fits(&self, content: &mut dyn Look) -> std::io::Result<bool> {
        let begins = content.look(0, self.prefix.length)?.is_some_and(|bytes| self.prefix.fits(&bytes));
        if !begins {
            return Ok(false);
        }
        let tail = content.look(self.position - self.tail.length, self.tail.length)?;
        Ok(tail.is_some_and(|bytes| self.tail.fits(&bytes)))
    }
}

/// What REST shows as the source's partition.
pub(crate) fn partition(id: StreamId, path: &std::path::Path) -> SourcePartition {
    let mut partition = Map::new();
    partition.insert("file".into(), format!("{:016x}", id.0).into());
    partition.insert("path".into(), path.to_string_lossy().into());
    partition.into()
}

/// What REST shows as the source's offset.
pub(crate) fn offset(mark: &Mark, path: &std::path::Path) -> SourceOffset {
    let Json::Object(offset) = json!({
        "position": mark.position,
        "path": path.to_string_lossy(),
        "device": mark.key.device,
        "inode": mark.key.inode,
        "prefix": fingerprint_text(&mark.prefix),
        "tail": fingerprint_text(&mark.tail),
    }) else {
        unreachable!("an object was built")
    };
    offset
}

/// A committed partition and offset, read back. `None` when they are not ours.
pub(crate) fn parse_committed(
    partition: &Map<String, Json>,
    offset: &Map<String, Json>,
) -> Option<(StreamId, PathBuf, Mark)> {
    let id = StreamId(u64::from_str_radix(partition.get("file")?.as_str()?, 16).ok()?);
    let path = offset.get("path").or_else(|| partition.get("path"))?.as_str()?;
    let fingerprint = |name: &str| match offset.get(name) {
        None => Some(Fingerprint::EMPTY),
        Some(text) => parse_fingerprint(text.as_str()?),
    };
    let mark = Mark {
        key: FileKey { device: offset.get("device")?.as_u64()?, inode: offset.get("inode")?.as_u64()? },
        prefix: fingerprint("prefix")?,
        position: offset.get("position")?.as_u64()?,
        tail: fingerprint("tail")?,
    };
    let plausible = mark.tail.length <= mark.position.min(TAIL_BYTES_MAX) && mark.prefix.length <= PREFIX_BYTES_MAX;
    plausible.then(|| (id, path.into(), mark))
}

/// `1024:89abcdef01234567`: as text, because JSON numbers lose the low bits of a hash.
fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    format!("{}:{:016x}", fingerprint.length, fingerprint.hash)
}

fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let (length, hash) = text.split_once(':')?;
    Some(Fingerprint { length: length.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Look for &[u8] {
        fn look(&mut self, position: u64, length: u64) -> std::io::Result<Option<Vec<u8>>> {
            let (from, to) = (usize::try_from(position).unwrap(), usize::try_from(position + length).unwrap());
            Ok(self.get(from..to).map(<[u8]>::to_vec))
        }
    }

    fn mark(content: &[u8], position: usize) -> Mark {
        Mark {
            key: FileKey { device: 1, inode: 2 },
            prefix: Fingerprint::of(&content[..content.len().min(1024)]),
            position: position as u64,
            tail: Fingerprint::of(&content[position.saturating_sub(256)..position]),
        }
    }

    #[test]
    fn a_mark_fits_content_that_grew_and_not_content_that_was_replaced() {
        let mark = mark(b"one\ntwo\n", 4);
        assert!(mark.fits(&mut b"one\ntwo\nthree\n".as_slice()).unwrap());
        assert!(!mark.fits(&mut b"uno\ntwo\nthree\n".as_slice()).unwrap(), "another prefix");
        assert!(!mark.fits(&mut b"one".as_slice()).unwrap(), "shorter than what was known");
    }

    #[test]
    fn the_bytes_before_the_position_tell_files_with_one_prefix_apart() {
        let banner = vec![b'#'; 2000];
        let (a, b) = ([&banner[..], b"alpha\nmore\n"].concat(), [&banner[..], b"bravo\nmore\n"].concat());
        let mark = mark(&a, 2006);
        assert!(mark.fits(&mut a.as_slice()).unwrap());
        assert!(!mark.fits(&mut b.as_slice()).unwrap());
    }

    #[test]
    fn the_fingerprints_of_all_prefixes_are_those_of_each() {
        let every = Fingerprint::of_every_prefix(b"hello");
        assert_eq!(every, (0..=5).map(|n| Fingerprint::of(&b"hello"[..n])).collect::<Vec<_>>());
    }

    #[test]
    fn a_committed_offset_reads_back_as_it_was() {
        let (id, path, mark) = (StreamId(u64::MAX - 5), PathBuf::from("/var/log/a.log"), mark(b"one\ntwo\n", 4));
        let back = parse_committed(&partition(id, &path), &offset(&mark, &path));
        assert_eq!(back, Some((id, path, mark)));
        assert_eq!(parse_committed(&Map::new(), &Map::new()), None);
    }
}
