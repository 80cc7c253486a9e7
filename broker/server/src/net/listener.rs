//! Binding and accepting.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::IntGauge;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use weir_repeats::Repeats;

use super::connection::Connection;
use super::limits::Limits;
use crate::api::Context;
use crate::config::listeners::Endpoint;

/// Tries for a port that is free on every address of a host, when port 0 leaves the choice to the system.
const FREE_PORT_TRIES: usize = 16;
/// Pause after accept fails for want of file descriptors: an immediate retry would spin.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

static NOT_ACCEPTED: Repeats = Repeats::new();
static REFUSED: Repeats = Repeats::new();

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", remedy(.source))]
pub struct BindError {
    pub address: String,
    #[source]
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (stop what listens there, or choose another port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need a privilege; choose another port)",
        _ => "",
    }
}

/// A listener that holds its port but does not accept yet.
#[derive(Debug)]
pub(crate) struct Bound {
    pub name: Arc<str>,
    sockets: Vec<TcpListener>,
}

/// Binds a listener of the Kafka protocol.
pub(crate) async fn bind(endpoint: &Endpoint) -> Result<Bound, BindError> {
    let bound = listen(&endpoint.host, endpoint.port).await;
    let sockets = bound.map_err(|source| BindError { address: endpoint.to_string(), source })?;
    Ok(Bound { name: Arc::clone(&endpoint.name), sockets })
}

/// Listens on every address of a host, all on one port: `localhost` is the loopback of IPv4 and of IPv6, an empty host
/// every interface. A machine without IPv6 does without.
pub async fn listen(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let mut addresses = resolve(host, port).await?;
    for _ in 1..FREE_PORT_TRIES {
        match bind_all(&addresses).await {
            Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
        addresses.iter_mut().for_each(|address| address.set_port(0));
    }
    bind_all(&addresses).await
}

/// IPv4 first. An empty host is every interface: one dual-stack socket where IPv6 exists.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = match host {
        "" => vec![SocketAddr::from(([0u16; 8], port))],
        // Both loopbacks, whatever the hosts file says: clients resolve localhost to either.
        "localhost" => {
            vec![SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], port))]
        }
        host => lookup_host((host, port)).await?.collect(),
    };
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

/// The first address may choose the port; the others take the same. A machine without IPv6 does without.
async fn bind_all(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    for address in addresses {
        let mut address = *address;
        if let Some(first) = sockets.first() {
            address.set_port(first.local_addr()?.port());
        }
        match TcpListener::bind(address).await {
            Ok(socket) => sockets.push(socket),
            Err(error) if address.is_ipv6() && no_such_family(&error) => {
                if sockets.is_empty() {
                    sockets.push(TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, address.port())).await?);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sockets)
}

fn no_such_family(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::PROTONOSUPPORT))
}

impl Bound {
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    pub(crate) fn port(&self) -> u16 {
        self.addresses().first().map_or(0, SocketAddr::port)
    }

    /// Accepts until `stop`; connections run as tasks of `tracker` and end with `cut` at the latest.
    pub(crate) fn serve(
        self,
        cx: &Arc<Context>,
        limits: &Arc<Limits>,
        tracker: &TaskTracker,
        stop: &CancellationToken,
        cut: &CancellationToken,
    ) {
        for socket in self.sockets {
            // Set before a client connects: accepted sockets inherit it, and the window they announce follows from it.
            if let Some(bytes) = cx.settings().socket_receive_buffer_bytes
                && let Err(error) = sockopt::set_socket_recv_buffer_size(&socket, bytes)
            {
                warn!(listener = %self.name, %error, bytes, "cannot set socket.receive.buffer.bytes");
            }
            let acceptor = Acceptor {
                name: Arc::clone(&self.name),
                connections: cx.metrics.connections(&self.name),
                cx: Arc::clone(cx),
                limits: Arc::clone(limits),
                tracker: tracker.clone(),
                stop: stop.clone(),
                cut: cut.clone(),
            };
            tracker.spawn(acceptor.run(socket));
        }
    }
}

struct Acceptor {
    name: Arc<str>,
    /// Those that are open.
    connections: IntGauge,
    cx: Arc<Context>,
    limits: Arc<Limits>,
    tracker: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Acceptor {
    async fn run(self, socket: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    if let Some(suppressed) = NOT_ACCEPTED.say(&self.name) {
                        warn!(listener = %self.name, %error, suppressed, "cannot accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let settings = self.cx.settings();
        let (total_max, per_ip_max) = (settings.connections_max, settings.connections_per_ip_max);
        let admission = match self.limits.admit(peer.ip().to_canonical(), total_max, per_ip_max) {
            Ok(admission) => admission,
            Err(refused) => {
                if let Some(suppressed) = REFUSED.say((&self.name, refused)) {
                    warn!(listener = %self.name, %peer, ?refused, suppressed, "connection refused: max.connections or max.connections.per.ip");
                }
                return;
            }
        };
        if let Err(error) = tune(&stream, settings.socket_send_buffer_bytes) {
            debug!(%peer, %error, "cannot set TCP_NODELAY or socket.send.buffer.bytes");
        }
        let connection = Connection::new(stream, peer, &self.name, &self.cx, &self.limits);
        let open = OpenConnection::new(self.connections.clone());
        let (stop, cut) = (self.stop.clone(), self.cut.clone());
        self.tracker.spawn(async move {
            let (_admission, _open) = (admission, open);
            tokio::select! {
                () = connection.serve(stop) => {}
                () = cut.cancelled() => {}
            }
        });
    }
}

/// Counted while it lives.
struct OpenConnection(IntGauge);

impl OpenConnection {
    fn new(count: IntGauge) -> Self {
        count.inc();
        Self(count)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Answers are written whole: waiting to fill packets only adds delay. And with a large send buffer sendfile wakes the
/// reader for every few pages, while a small one lets whole pieces through.
fn tune(stream: &TcpStream, send_buffer_bytes: Option<usize>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(bytes) = send_buffer_bytes {
        sockopt::set_socket_send_buffer_size(stream, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_both_loopbacks_on_one_port() {
        let sockets = listen("localhost", 0).await.unwrap();
        let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert!(addresses.iter().all(|address| address.port() == addresses[0].port()), "{addresses:?}");
        assert!(addresses[0].ip().is_loopback() && addresses[0].is_ipv4(), "{addresses:?}");
        // Where there is no IPv6, IPv4 is enough.
        let has_ipv6 = TcpListener::bind("[::1]:0").await.is_ok();
        assert_eq!(addresses.get(1).map(|address| address.ip().is_loopback()), has_ipv6.then_some(true));
    }

    #[tokio::test]
    async fn an_address_that_this_machine_lacks_is_an_error_when_it_is_ipv4() {
        // TEST-NET-1 belongs to nobody.
        assert_eq!(listen("192.0.2.1", 0).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn a_connection_has_the_configured_send_buffer_and_no_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        tune(&stream, Some(50_000)).unwrap();
        // Linux keeps as much again for its own bookkeeping (socket(7)).
        assert_eq!(sockopt::socket_send_buffer_size(&stream).unwrap(), 100_000);
        assert!(stream.nodelay().unwrap());
    }
}
