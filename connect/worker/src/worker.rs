//! A worker from start to end.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::definition::Plugins;
use crate::document::NamedConfig;
use crate::kafka::Cluster;
use crate::metrics::Metrics;
use crate::offsets::SharedOffsets;
use crate::rest;
use crate::retry::Backoff;
use crate::runtime::{Runtime, Shared};
use crate::store::{OffsetStore, Table};

/// How often the gauges of states are brought up to date.
const STATES_EVERY: Duration = Duration::from_secs(1);

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("connect listeners: cannot listen on {address}: {source}; is another worker running?")]
    Listen { address: String, source: std::io::Error },
    #[error("connect metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A running worker.
pub struct Worker {
    slot: rest::Slot,
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    opening: JoinHandle<()>,
    rest_addresses: Vec<std::net::SocketAddr>,
}

/// Starts a worker: REST answers at once, with 503 until the worker has read its topics; while the cluster is away it
/// keeps trying. `connectors` are the ones of a file: each is created, or given its configuration anew, where it differs
/// from what the worker remembers.
pub async fn start(
    config: WorkerConfig,
    plugins: Plugins,
    connectors: Vec<NamedConfig>,
    registry: &Registry,
) -> Result<Worker, StartError> {
    let metrics = Metrics::register(registry)?;
    let slot = rest::Slot::default();
    let stop = CancellationToken::new();
    let mut servers = Vec::new();
    let mut rest_addresses = Vec::new();
    let router = rest::router(slot.clone(), plugins.clone());
    for address in &config.listeners {
        let failed = |source| StartError::Listen { address: address.clone(), source };
        for resolved in tokio::net::lookup_host(address).await.map_err(failed)? {
            let listener = TcpListener::bind(resolved).await.map_err(failed)?;
            rest_addresses.push(listener.local_addr().map_err(failed)?);
            let (router, stop) = (router.clone(), stop.clone());
            servers.push(tokio::spawn(async move {
                let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
                if let Err(error) = served {
                    tracing::error!(%error, "the REST server ended");
                }
            }));
        }
    }
    let opening = tokio::spawn(open(config, plugins, connectors, metrics, slot.clone(), stop.clone()));
    Ok(Worker { slot, stop, servers, opening, rest_addresses })
}

/// Reads the worker's topics, repeating until the cluster is there, and starts the connectors.
async fn open(
    config: WorkerConfig,
    plugins: Plugins,
    connectors: Vec<NamedConfig>,
    metrics: Metrics,
    slot: rest::Slot,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match open_once(&config, plugins.clone(), metrics.clone()).await {
            Ok(runtime) => {
                for connector in connectors {
                    if let Err(error) = runtime.put(&connector.name, connector.config).await {
                        tracing::error!(connector = connector.name, %error, "a connector cannot be started");
                    }
                }
                slot.fill(Arc::clone(&runtime));
                return show_states(&runtime, &stop).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the worker's topics cannot be read: trying again");
                let error = weir_connect_api::ConnectError::retriable(error.to_string());
                backoff.wait(&stop, &error).await;
            }
        }
    }
}

/// Tasks change their states by themselves: the gauges follow.
async fn show_states(runtime: &Runtime, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(STATES_EVERY);
    while !stop.is_cancelled() {
        ticks.tick().await;
        runtime.show_states();
    }
}

async fn open_once(
    config: &WorkerConfig,
    plugins: Plugins,
    metrics: Metrics,
) -> Result<Arc<Runtime>, crate::kafka::ClusterError> {
    let cluster = Cluster::new(&config.bootstrap_servers);
    let (configs, offsets, statuses) = tokio::try_join!(
        Table::open(&cluster, &config.config_topic),
        OffsetStore::open(&cluster, &config.offset_topic),
        Table::open(&cluster, &config.status_topic),
    )?;
    let (configs, rows) = configs;
    let asking = cluster.clone();
    let cluster_id = tokio::task::spawn_blocking(move || asking.cluster_id()).await.ok().flatten();
    let shared = Shared {
        plugins,
        cluster,
        cluster_id,
        offsets: SharedOffsets::new(offsets),
        metrics,
        worker_id: config.listeners.first().cloned().unwrap_or_else(|| config.group_id.clone()),
        commit_every: config.offset_flush_interval,
        status: statuses.0,
    };
    let runtime = Arc::new(Runtime::new(Arc::new(shared), configs));
    runtime.restore(&rows).await;
    Ok(runtime)
}

impl Worker {
    /// Where REST listens; the port that was given for 0.
    pub fn rest_addresses(&self) -> &[std::net::SocketAddr] {
        &self.rest_addresses
    }

    /// Whether the worker has read its topics and started its connectors.
    pub fn is_ready(&self) -> bool {
        self.slot.runtime().is_some()
    }

    /// Stops the tasks, with their offsets committed, then REST.
    pub async fn shutdown(self) {
        if let Some(runtime) = self.slot.runtime() {
            runtime.shutdown().await;
        }
        self.stop.cancel();
        self.opening.abort();
        // Once it is gone, so are the last clients: none is left to miss a broker that stops next.
        let _ = self.opening.await;
        for server in self.servers {
            let _ = server.await;
        }
    }
}
