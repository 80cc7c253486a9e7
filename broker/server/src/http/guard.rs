//! What strangers may take of the HTTP server: so many connections, and so much time.
//!
//! An exchange, from the first byte of a request until the last of its answer is taken, has a deadline: who sends or reads a
//! byte a second is cut off. So has a connection on which nothing happens. And whoever comes gets a place: while all are taken,
//! a connection of the address that has most of them makes way ([`places`]). When the process has no file descriptors left, one
//! that was kept in reserve lets the next one in.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};
use tracing::warn;
use weir_repeats::Repeats;

use super::places::{Place, Places};

/// Connections that are served at once.
const CONNECTIONS_MAX: usize = 256;
/// Longer than Prometheus waits for a scrape.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);
/// Longer than the usual intervals between scrapes, which share a connection.
const IDLE_LIMIT: Duration = Duration::from_secs(120);
/// A pause after a failed accept, which is nearly always for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

static NOT_ACCEPTED: Repeats = Repeats::new();

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections_max: usize,
    pub(super) exchange: Duration,
    pub(super) idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_max: CONNECTIONS_MAX, exchange: EXCHANGE_LIMIT, idle: IDLE_LIMIT }
    }
}

/// A listener whose connections are guarded.
pub(super) struct Guarded {
    socket: TcpListener,
    places: Arc<Places>,
    limits: Limits,
}

impl Guarded {
    /// All listeners share the places.
    pub(super) fn new(socket: TcpListener, places: &Arc<Places>, limits: Limits) -> Self {
        Self { socket, places: Arc::clone(places), limits }
    }
}

impl Listener for Guarded {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    let place = self.places.take(peer.ip().to_canonical()).await;
                    return (GuardedStream::new(stream, place, self.limits), peer);
                }
                Err(error) => {
                    if let Some(suppressed) = NOT_ACCEPTED.say(()) {
                        warn!(%error, suppressed, "cannot accept an HTTP connection");
                    }
                    if !self.places.give_reserve() {
                        self.places.make_way(Instant::now());
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection with a deadline.
pub(super) struct GuardedStream {
    stream: TcpStream,
    limits: Limits,
    deadline: Pin<Box<Sleep>>,
    is_exchanging: bool,
    /// Since the exchange began: a flush before the answer ends nothing.
    has_written: bool,
    /// Given back after the connection is closed.
    place: Place,
}

impl GuardedStream {
    fn new(stream: TcpStream, place: Place, limits: Limits) -> Self {
        Self { stream, limits, deadline: Box::pin(sleep(limits.idle)), is_exchanging: false, has_written: false, place }
    }

    fn exchanging(&mut self, is_exchanging: bool) {
        if self.is_exchanging != is_exchanging {
            (self.is_exchanging, self.has_written) = (is_exchanging, false);
            let limit = if is_exchanging { self.limits.exchange } else { self.limits.idle };
            let now = Instant::now();
            self.deadline.as_mut().reset(now + limit);
            self.place.exchanging(is_exchanging, now);
        }
    }

    /// `polled`, unless it is not ready and the deadline is over, or the place is another's.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() && self.deadline.as_mut().poll(cx).is_ready() {
            let message = "the HTTP connection made too little progress";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
        }
        if polled.is_pending() && self.place.is_lost(cx) {
            let message = "the HTTP connection made way for another";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, message)));
        }
        polled
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.exchanging(true);
        }
        self.in_time(cx, polled)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written |= polled.is_ready();
        self.in_time(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.has_written |= polled.is_ready();
        self.in_time(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when an answer is written whole.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if polled.is_ready() && self.has_written {
            self.exchanging(false);
        }
        self.in_time(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
