//! Binding `host:port` of parts that speak HTTP, as the broker binds its own.

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
