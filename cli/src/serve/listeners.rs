//! Binding `host:port` of parts that speak HTTP, as the broker binds its own; reaching them from within.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use weir_broker::config::listeners::parse_host_port;
use weir_broker::{BindError, listen};

use crate::config::ConfigError;

/// Every address of every listener; `key` is where they were said.
pub(super) async fn bind(key: &str, listeners: &[String]) -> anyhow::Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    for listener in listeners {
        let (host, port) = parse_host_port(listener).map_err(|reason| ConfigError::at(key, reason))?;
        let bound = listen(&host, port).await;
        let address = format!("http://{listener} ({key})");
        sockets.extend(bound.map_err(|source| BindError { address, source })?);
    }
    Ok(sockets)
}

/// Where this process reaches a listener of its own. One on every interface is on the loopback of IPv4, too, which is there
/// also in containers without IPv6: the address as such leads nowhere in these.
pub(super) fn reachable(listener: SocketAddr) -> SocketAddr {
    if listener.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, listener.port()).into() } else { listener }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_interface_is_reached_over_the_loopback_of_ipv4() {
        let reached = ["[::]:9092", "0.0.0.0:9092", "[::1]:9092", "10.0.0.7:9092"]
            .map(|listener| reachable(listener.parse().unwrap()).to_string());
        assert_eq!(reached, ["127.0.0.1:9092", "127.0.0.1:9092", "[::1]:9092", "10.0.0.7:9092"]);
    }
}
