//! The search node in this process: the index and its HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;
use weir_search::{BulkLog, SearchNode};

use crate::config::SearchSettings;

pub(super) struct Search {
    node: SearchNode,
    addresses: Vec<SocketAddr>,
    servers: JoinSet<()>,
    stop: CancellationToken,
}

impl Search {
    /// Opens the index; it answers when this returns.
    pub(super) async fn start(
        settings: SearchSettings,
        sockets: Vec<TcpListener>,
        bulk: Option<Arc<dyn BulkLog>>,
        registry: Registry,
    ) -> anyhow::Result<Self> {
        let node = tokio::task::spawn_blocking(move || SearchNode::open(settings.node, &registry)).await??;
        for (shard, reason) in node.unreadable_shards() {
            error!(shard, reason, "a shard cannot be read: what is in it is not found");
        }
        let (mut servers, stop) = (JoinSet::new(), CancellationToken::new());
        let addresses = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        for socket in sockets {
            let served = weir_search::serve(node.clone(), socket, bulk.clone(), stop.clone().cancelled_owned());
            servers.spawn(async move {
                if let Err(error) = served.await {
                    error!(%error, "the search node's HTTP server has ended");
                }
            });
        }
        Ok(Self { node, addresses, servers, stop })
    }

    pub(super) fn node(&self) -> &SearchNode {
        &self.node
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Finishes the requests under way, then makes durable what was written.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.servers.join_all().await;
        Ok(self.node.commit_all().await?)
    }
}
