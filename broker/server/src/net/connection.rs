//! One connection: requests in, answers out in the order of the requests.
//!
//! As in Kafka a connection's requests are handled one after another. The one exception is a row of Produce requests:
//! each is appended as soon as it is read, so that a pipelining producer's writes share a flush.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures::future::{BoxFuture, FutureExt};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use weir_protocol::frame::{FrameError, LENGTH_BYTES, frame_length, take_frame};

use super::limits::Limits;
use super::output;
use crate::api::{self, Answered, CallError, Context, Peer};

/// Requests of one connection that may wait for their flush. Clients that bound this themselves keep 5; one that does not
/// should fill a flush round rather than wait for it. Their bytes are bounded by the budget for all connections.
const PIPELINED_MAX: usize = 100;
/// The least that is read at once.
const READ_BYTES_MIN: usize = 4 * 1024;
/// The largest read buffer kept between requests; larger ones are made for the request at hand.
const READ_BYTES_KEPT_MAX: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("no progress for {0:?} (connections.max.idle.ms)")]
    Idle(Duration),
}

pub(super) struct Connection {
    stream: TcpStream,
    peer: Arc<Peer>,
    cx: Arc<Context>,
    limits: Arc<Limits>,
    /// What was read and is not a whole request yet.
    buffer: BytesMut,
    /// The size of the last request, which the next one is likely to have.
    read_bytes: usize,
    /// Admission of the request whose beginning is in `buffer`.
    admitted: Option<OwnedSemaphorePermit>,
}

struct Request {
    frame: BytesMut,
    /// When its last byte was there.
    received: Instant,
    admitted: OwnedSemaphorePermit,
}

/// A request that has begun.
struct Pending {
    answer: BoxFuture<'static, Result<Answered, CallError>>,
    /// Held until the answer is written: its bytes are in memory until then.
    _admitted: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        address: SocketAddr,
        listener: &Arc<str>,
        cx: &Arc<Context>,
        limits: &Arc<Limits>,
    ) -> Self {
        Self {
            stream,
            peer: Arc::new(Peer { address, listener: Arc::clone(listener) }),
            cx: Arc::clone(cx),
            limits: Arc::clone(limits),
            buffer: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            admitted: None,
        }
    }

    /// Serves until the peer closes, misbehaves or idles, or until `stop`; what has begun is answered first.
    pub(super) async fn serve(self, stop: CancellationToken) {
        let peer = Arc::clone(&self.peer);
        if let Err(reason) = self.run(stop).await {
            debug!(peer = %peer.address, listener = %peer.listener, %reason, "connection closed");
        }
    }

    async fn run(mut self, stop: CancellationToken) -> Result<(), ConnectionError> {
        let mut pending: VecDeque<Pending> = VecDeque::new();
        loop {
            let has_pending = !pending.is_empty();
            tokio::select! {
                biased;
                answered = first_answer(&mut pending), if has_pending => {
                    let _pending = pending.pop_front();
                    self.write(answered?).await?;
                }
                request = self.read_request(), if pending.len() < PIPELINED_MAX => match request? {
                    Some(request) => self.begin(request, &mut pending).await?,
                    None => return self.drain(&mut pending).await,
                },
                () = stop.cancelled() => return self.drain(&mut pending).await,
            }
        }
    }

    /// Starts a Produce beside other Produces; answers anything else before the next request is read.
    async fn begin(&mut self, request: Request, pending: &mut VecDeque<Pending>) -> Result<(), ConnectionError> {
        let Request { frame, received, admitted } = request;
        if !api::may_overlap(&frame) {
            self.drain(pending).await?;
            let answered = api::begin(&self.cx, &self.peer, frame, received)?.await?;
            return self.write(answered).await;
        }
        let mut answer = api::begin(&self.cx, &self.peer, frame, received)?;
        // The first poll appends, so that appends happen in the order of arrival.
        let answer = match futures::poll!(&mut answer) {
            Poll::Ready(answered) if pending.is_empty() => return self.write(answered?).await,
            Poll::Ready(answered) => std::future::ready(answered).boxed(),
            Poll::Pending => answer.boxed(),
        };
        pending.push_back(Pending { answer, _admitted: admitted });
        Ok(())
    }

    async fn drain(&mut self, pending: &mut VecDeque<Pending>) -> Result<(), ConnectionError> {
        while let Some(first) = pending.pop_front() {
            let answered = first.answer.await?;
            self.write(answered).await?;
        }
        Ok(())
    }

    async fn write(&mut self, answered: Answered) -> Result<(), ConnectionError> {
        let idle_max = self.idle_max();
        let (reply, sending) = answered.send();
        output::write(&mut self.stream, reply, idle_max).await?;
        sending.done();
        Ok(())
    }

    /// The next whole request, or `None` when the peer has closed between requests. May be dropped and called again.
    async fn read_request(&mut self) -> Result<Option<Request>, ConnectionError> {
        let length_max = self.cx.settings().request_bytes_max;
        loop {
            let mut missing = self.read_bytes;
            if let Some(length) = frame_length(&self.buffer, length_max)? {
                let admitted = match self.admitted.take() {
                    Some(admitted) => admitted,
                    None => match self.admit_bytes(length).await {
                        Some(admitted) => admitted,
                        None => return Ok(None),
                    },
                };
                if let Some(frame) = take_frame(&mut self.buffer, length_max)? {
                    self.read_bytes = (LENGTH_BYTES + length).clamp(READ_BYTES_MIN, READ_BYTES_KEPT_MAX);
                    return Ok(Some(Request { frame, received: Instant::now(), admitted }));
                }
                self.admitted = Some(admitted);
                missing = LENGTH_BYTES + length - self.buffer.len();
            }
            self.buffer.reserve(missing);
            let idle_max = self.idle_max();
            let read = timeout(idle_max, self.stream.read_buf(&mut self.buffer));
            if read.await.map_err(|_| ConnectionError::Idle(idle_max))?? == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits until the request fits into the budget of bytes in flight.
    async fn admit_bytes(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        let admission = self.limits.admit_bytes(length);
        tokio::pin!(admission);
        if let Poll::Ready(admitted) = futures::poll!(&mut admission) {
            return admitted;
        }
        let since = Instant::now();
        let admitted = admission.await;
        self.cx.metrics.throttle_seconds.inc_by(since.elapsed().as_secs_f64());
        admitted
    }

    fn idle_max(&self) -> Duration {
        self.cx.settings().connections_idle_max
    }
}

async fn first_answer(pending: &mut VecDeque<Pending>) -> Result<Answered, CallError> {
    match pending.front_mut() {
        Some(first) => (&mut first.answer).await,
        None => std::future::pending().await,
    }
}
