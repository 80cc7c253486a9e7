//! Putting answers on a socket. Record bytes go from file to socket without passing through here.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir_protocol::fetch::Piece;

use super::connection::ConnectionError;
use crate::api::{RecordRange, Reply};

/// Writes an answer whole. A peer that takes no byte for `idle_max` is given up.
pub(super) async fn write(stream: &mut TcpStream, reply: Reply, idle_max: Duration) -> Result<(), ConnectionError> {
    match reply {
        Reply::None => Ok(()),
        Reply::Frame(frame) => timeout(idle_max, stream.write_all(&frame))
            .await
            .map_err(|_| ConnectionError::Idle(idle_max))?
            .map_err(ConnectionError::Io),
        Reply::Pieces(pieces) => {
            let last = pieces.len().saturating_sub(1);
            for (index, piece) in pieces.into_iter().enumerate() {
                match piece {
                    Piece::Bytes(bytes) => send(stream, &bytes, index < last, idle_max).await?,
                    Piece::Payload(range) => send_range(stream, &range, idle_max).await?,
                }
            }
            Ok(())
        }
    }
}

/// Sends bytes; `more` tells the kernel not to put them on the wire alone.
async fn send(stream: &TcpStream, mut bytes: &[u8], more: bool, idle_max: Duration) -> Result<(), ConnectionError> {
    let flags = if more { SendFlags::MORE | SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL };
    while !bytes.is_empty() {
        let sent = when_writable(stream, idle_max, || Ok(rustix::net::send(stream, bytes, flags)?)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Sends a range of a file out of the page cache.
async fn send_range(stream: &TcpStream, range: &RecordRange, idle_max: Duration) -> Result<(), ConnectionError> {
    let mut position = range.position;
    let end = range.position + range.len as u64;
    while position < end {
        let missing = (end - position) as usize;
        let sent = when_writable(stream, idle_max, || {
            Ok(rustix::fs::sendfile(stream, &*range.file, Some(&mut position), missing)?)
        })
        .await?;
        if sent == 0 {
            // The frame's length is already sent: only closing tells the reader that the rest will not come.
            return Err(
                io::Error::new(io::ErrorKind::UnexpectedEof, "a log file is shorter than its index says").into()
            );
        }
    }
    Ok(())
}

async fn when_writable(
    stream: &TcpStream,
    idle_max: Duration,
    mut operation: impl FnMut() -> io::Result<usize>,
) -> Result<usize, ConnectionError> {
    loop {
        let attempt = stream.try_io(Interest::WRITABLE, || {
            loop {
                match operation() {
                    Err(error) if Errno::from_io_error(&error) == Some(Errno::INTR) => {}
                    other => return other,
                }
            }
        });
        match attempt {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                timeout(idle_max, stream.writable()).await.map_err(|_| ConnectionError::Idle(idle_max))??;
            }
            other => return Ok(other?),
        }
    }
}
