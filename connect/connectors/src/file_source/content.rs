//! The bytes of a file, plain or gzip: the only place that reads what lies in a file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use bytes::BytesMut;
use flate2::read::MultiGzDecoder;

use super::identity::{FileKey, Look};

/// How much of a `.gz` is decompressed at once while passing over what is already read.
const SKIP_BYTES: usize = 64 << 10;

pub(crate) enum Content {
    Plain(File),
    Gzip(Box<Gzip>),
}

/// A `.gz` is read in order only; going back starts it again.
pub(crate) struct Gzip {
    file: File,
    decoder: MultiGzDecoder<File>,
    /// Decompressed and perhaps not asked for yet: begins at `window_position`.
    window: BytesMut,
    window_position: u64,
}

impl Content {
    pub(crate) fn open(path: &Path, is_gzip: bool) -> std::io::Result<Self> {
        let file = File::open(path)?;
        Ok(if is_gzip { Self::Gzip(Box::new(Gzip::new(file)?)) } else { Self::Plain(file) })
    }

    fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(gzip) => &gzip.file,
        }
    }

    pub(crate) fn key(&self) -> std::io::Result<FileKey> {
        let metadata = self.file().metadata()?;
        Ok(FileKey { device: metadata.dev(), inode: metadata.ino() })
    }

    /// The size on disk, compressed for a `.gz`.
    pub(crate) fn stored_bytes(&self) -> std::io::Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    /// The bytes from `position` on, `length` of them or as many as there are.
    pub(crate) fn read(&mut self, position: u64, length: usize) -> std::io::Result<BytesMut> {
        match self {
            Self::Plain(file) => read_plain(file, position, length),
            Self::Gzip(gzip) => gzip.read(position, length),
        }
    }
}

impl Look for Content {
    fn look(&mut self, position: u64, length: u64) -> std::io::Result<Option<Vec<u8>>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.read(position, length)?;
        Ok((bytes.len() == length).then(|| bytes.to_vec()))
    }
}

fn read_plain(file: &File, position: u64, length: usize) -> std::io::Result<BytesMut> {
    let size = file.metadata()?.len();
    let there = usize::try_from(size.saturating_sub(position)).unwrap_or(usize::MAX);
    let mut block = BytesMut::zeroed(length.min(there));
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    block.truncate(filled);
    Ok(block)
}

impl Gzip {
    fn new(file: File) -> std::io::Result<Self> {
        let decoder = MultiGzDecoder::new(from_start(&file)?);
        Ok(Self { file, decoder, window: BytesMut::new(), window_position: 0 })
    }

    fn read(&mut self, position: u64, length: usize) -> std::io::Result<BytesMut> {
        if position < self.window_position {
            self.decoder = MultiGzDecoder::new(from_start(&self.file)?);
            (self.window, self.window_position) = (BytesMut::new(), 0);
        }
        while self.window_position < position {
            if self.window.is_empty() && self.fill(SKIP_BYTES)? == 0 {
                return Ok(BytesMut::new());
            }
            let ahead = usize::try_from(position - self.window_position).unwrap_or(usize::MAX);
            let passed = self.window.len().min(ahead);
            drop(self.window.split_to(passed));
            self.window_position += passed as u64;
        }
        while self.window.len() < length {
            if self.fill(length - self.window.len())? == 0 {
                break;
            }
        }
        Ok(BytesMut::from(&self.window[..self.window.len().min(length)]))
    }

    /// Decompresses up to `count` bytes more. A file that is still being written ends in the middle: that is an end.
    fn fill(&mut self, count: usize) -> std::io::Result<usize> {
        let before = self.window.len();
        self.window.resize(before + count, 0);
        let read = loop {
            match self.decoder.read(&mut self.window[before..]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => break Ok(0),
                other => break other,
            }
        };
        self.window.truncate(before + read.as_ref().copied().unwrap_or(0));
        read
    }
}

/// A second descriptor of the file, at its beginning.
fn from_start(file: &File) -> std::io::Result<File> {
    use std::io::{Seek, SeekFrom};
    let mut again = file.try_clone()?;
    again.seek(SeekFrom::Start(0))?;
    Ok(again)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(folder: &Path, text: &[u8], cut_off: usize) -> Content {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        let bytes = encoder.finish().unwrap();
        let path = folder.join("a.gz");
        std::fs::write(&path, &bytes[..bytes.len() - cut_off]).unwrap();
        Content::open(&path, true).unwrap()
    }

    #[test]
    fn a_gzip_file_is_read_at_decompressed_positions_forwards_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (0..50_000u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let mut content = gzip(folder.path(), &text, 0);
        for position in [0, 300_000, 100_000, 100_000, 5, text.len() - 10] {
            let block = content.read(position as u64, 1000).unwrap();
            assert_eq!(block, &text[position..text.len().min(position + 1000)], "at {position}");
        }
        assert!(content.read(text.len() as u64 + 1, 10).unwrap().is_empty());
    }

    #[test]
    fn a_gzip_file_that_is_still_written_ends_where_its_bytes_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut content = gzip(folder.path(), b"hello\n", 8);
        assert_eq!(content.read(0, 100).unwrap(), &b"hello\n"[..]);
    }

    #[test]
    fn a_look_beyond_the_end_sees_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "hello\n").unwrap();
        let mut content = Content::open(&path, false).unwrap();
        assert_eq!(content.look(1, 4).unwrap(), Some(b"ello".to_vec()));
        assert_eq!(content.look(3, 4).unwrap(), None);
    }
}
