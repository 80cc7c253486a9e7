//! A worker from start to end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::active_topics::ActiveTopics;
use crate::compat;
use crate::config::WorkerConfig;
use crate::definition::Plugins;
use crate::document::NamedConfig;
use crate::kafka::Cluster;
use crate::loggers::Loggers;
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
    #[error("connect metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("connect listeners: {0}")]
    Listener(#[from] std::io::Error),
}

/// What the process around a worker gives it.
pub struct Host {
    pub registry: Registry,
    /// The same under Kafka Connect's own names.
    pub compat: Registry,
    /// Where REST answers.
    pub rest: Vec<TcpListener>,
    pub loggers: Arc<dyn Loggers>,
}

/// A running worker.
pub struct Worker {
    slot: rest::Slot,
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    opening: JoinHandle<()>,
    rest_addresses: Vec<std::net::SocketAddr>,
}

/// Starts a worker: REST answers at once, and what needs the worker's topics waits until they are read; while the cluster
/// is away it keeps trying. `connectors` are the ones of a file: each is created, or given its configuration anew, where it differs
/// from what the worker remembers.
pub fn start(
    config: WorkerConfig,
    plugins: Plugins,
    connectors: Vec<NamedConfig>,
    host: Host,
) -> Result<Worker, StartError> {
    let metrics = Metrics::register(&host.registry)?;
    let slot = rest::Slot::default();
    compat::register(&host.compat, &slot, &metrics)?;
    let stop = CancellationToken::new();
    let addresses: std::io::Result<_> = host.rest.iter().map(TcpListener::local_addr).collect();
    let rest_addresses = addresses?;
    let context =
        rest::Context { slot: slot.clone(), plugins: plugins.clone(), loggers: host.loggers, stop: stop.clone() };
    let router = rest::router(context);
    let serve = |listener| tokio::spawn(serve(listener, router.clone(), stop.clone()));
    let servers = host.rest.into_iter().map(serve).collect();
    let opening = tokio::spawn(open(config, plugins, connectors, metrics, slot.clone(), stop.clone()));
    Ok(Worker { slot, stop, servers, opening, rest_addresses })
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the REST server ended");
    }
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
                    let name = connector.name.clone();
                    if let Err(error) = runtime.apply(connector).await {
                        tracing::error!(connector = name, %error, "a connector cannot be started");
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
    let (status, status_rows) = statuses;
    let writing = status.clone();
    let active_topics = ActiveTopics::restore(&status_rows, Box::new(move |rows| writing.put_in_background(rows)));
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
        status,
        active_topics: config.is_topic_tracking_enabled.then(|| Arc::new(active_topics)),
        is_topic_reset_allowed: config.is_topic_reset_allowed,
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

    /// Tells, whenever it is asked, whether the worker has read its topics and started its connectors.
    pub fn readiness(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        // Must not keep the worker's clients beyond its end.
        let slot = self.slot.downgrade();
        move || slot.upgrade().is_some_and(|runtime| runtime.initialized())
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
