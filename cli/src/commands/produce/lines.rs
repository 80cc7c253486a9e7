//! Lines to send, read on a thread of their own: what is there goes out while the next is awaited.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use tokio::sync::mpsc;

/// Lines longer than this are refused: no broker takes them.
const LINE_BYTES_MAX: u64 = 64 << 20;
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that may wait: reading goes on while one is sent.
const CHUNKS_QUEUED_MAX: usize = 4;
const READ_BYTES: usize = 64 << 10;

/// Lines that were there to be read at once, without their ends.
pub(super) type Chunk = Vec<Vec<u8>>;

/// Reads until the end or the first error.
pub(super) fn read(input: Box<dyn Read + Send>) -> io::Result<mpsc::Receiver<io::Result<Chunk>>> {
    let (chunks, lines) = mpsc::channel(CHUNKS_QUEUED_MAX);
    let mut input = BufReader::with_capacity(READ_BYTES, input);
    thread::Builder::new().name("lines".to_owned()).spawn(move || {
        loop {
            match next_chunk(&mut input) {
                Ok(chunk) if chunk.is_empty() => return,
                chunk => {
                    let is_last = chunk.is_err();
                    if chunks.blocking_send(chunk).is_err() || is_last {
                        return;
                    }
                }
            }
        }
    })?;
    Ok(lines)
}

/// Blocks for the first line only; empty at the end.
fn next_chunk(input: &mut BufReader<Box<dyn Read + Send>>) -> io::Result<Chunk> {
    let (mut chunk, mut bytes) = (Chunk::new(), 0);
    while bytes < CHUNK_BYTES && (chunk.is_empty() || input.buffer().contains(&b'\n')) {
        let mut line = Vec::new();
        if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == LINE_BYTES_MAX {
            let message = format!("a line has {LINE_BYTES_MAX} bytes or more: are these lines?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        bytes += line.len();
        chunk.push(line);
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: impl Read + Send + 'static) -> Vec<Vec<u8>> {
        let mut chunks = read(Box::new(input)).unwrap();
        std::iter::from_fn(|| chunks.blocking_recv()).flat_map(|chunk| chunk.unwrap()).collect()
    }

    #[test]
    fn ends_of_lines_are_cut_off_and_the_last_needs_none() {
        assert_eq!(lines(&b"a\n\nb"[..]), [b"a".to_vec(), vec![], b"b".to_vec()]);
        assert!(lines(&b""[..]).is_empty());
    }

    #[test]
    fn chunks_do_not_lose_lines() {
        let text: String = (0..100_000).map(|number| format!("{number}\n")).collect();
        let found = lines(io::Cursor::new(text));
        assert_eq!(found.len(), 100_000);
        assert_eq!(found[99_999], b"99999");
    }

    #[test]
    fn what_has_no_lines_is_refused() {
        let mut chunks = read(Box::new(io::repeat(b'x'))).unwrap();
        let error = chunks.blocking_recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    /// Never gives anything.
    struct Silence;

    impl Read for Silence {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }
    }

    #[test]
    fn a_line_is_handed_on_while_the_next_is_awaited() {
        let mut chunks = read(Box::new(b"hi\n".chain(Silence))).unwrap();
        assert_eq!(chunks.blocking_recv().unwrap().unwrap(), [b"hi".to_vec()]);
    }
}
