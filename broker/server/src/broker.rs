//! Start and stop, in order.
//!
//! Start: check the properties → open the data folder → replay the metadata → bind the ports → serve HTTP → recover
//! partitions → accept requests, and say over HTTP that it is ready. Stop runs it backwards: no new connections, what has begun is answered within a grace, then
//! everything is cut, flushed and marked clean.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use weir_control::metadata::{MetadataImage, MetadataLog, MetadataRecord};
use weir_storage::{LogDir, LogDirError};

use crate::api::Context;
use crate::background;
use crate::config::layers::{BrokerLayers, Overrides};
use crate::config::listeners::Endpoint;
use crate::config::{BrokerConfig, ConfigError, Properties, Settings, check_properties};
use crate::groups::{self, GroupLags, Groups, OFFSETS_TOPIC, PartitionsLog, StartedLags};
use crate::http::{self, IsReady, Shown};
use crate::metadata::{FileMetadataLog, Metadata, OpenMetadataError};
use crate::metrics::{BrokerState, Metrics, register_process, scrape};
use crate::net::{self, BindError, Bound, Limits};
use crate::partition::flush::FlusherThreads;
use crate::partition::{Partitions, RecoverError, Recovered};

/// How long requests that have begun may take to be answered on shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Share of memory that requests in flight may take where `queued.max.request.bytes` does not say.
const MEMORY_SHARE: u64 = weir_types::limits::IN_FLIGHT_MEMORY_DIVISOR;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    LogDir(#[from] LogDirError),
    #[error(transparent)]
    Metadata(#[from] OpenMetadataError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error("cannot register metrics: {0}; is there another broker in this process?")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// A running broker. Dropping it without [`Broker::shutdown`] leaves its tasks running until the runtime ends.
pub struct Broker {
    kafka_addresses: Vec<SocketAddr>,
    http_addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
    cx: Arc<Context>,
    flusher_threads: FlusherThreads,
}

/// Starts a broker in the current runtime; it serves when this returns.
pub async fn start(config: BrokerConfig) -> Result<Broker, StartError> {
    check_properties(&config.properties)?;
    raise_open_files_limit();
    let none = Overrides::new();
    let from_file = BrokerLayers { file: &config.properties, dynamic_broker: &none, dynamic_default: &none };
    let settings = Settings::resolve(from_file)?;
    let dir = LogDir::open_on(config.fs.clone(), &settings.log_dir, settings.node_id, None)?;
    let cluster_id = dir.cluster_id().to_owned();
    let (mut metadata_log, mut image) = FileMetadataLog::open(config.fs.clone(), &settings.log_dir)?;
    begin_epochs(&mut metadata_log, &mut image, settings.node_id).await;
    let bound = bind_all(&settings.listeners).await?;
    let http = http::bind(&settings.http_listeners).await?;

    let metrics = Arc::new(Metrics::new(settings.metrics)?);
    metrics.register(&config.registry)?;
    register_process(&config.registry)?;
    metrics.set_state(BrokerState::Recovery);
    let (stop, cut, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let (http_addresses, started) = (http.addresses(), StartedLags::default());
    let routes = config.routes.merge(groups::routes(Arc::clone(&started)));
    let computed = metrics.computed();
    let compat = settings.shows_compat.then(|| config.compat.clone());
    let (registry, exemplars) = (config.registry.clone(), metrics.exemplars());
    let shown = Shown { registry, computed: computed.clone(), exemplars, compat };
    http.serve(shown, routes, is_ready(&started, config.is_ready), &tasks, &stop);
    // If the start fails, nothing goes on.
    let starting = stop.clone().drop_guard();
    let (image, recovered) = recover(dir, &config.properties, settings.clone(), image, &metrics).await?;
    let Recovered { partitions, flusher_threads } = recovered;
    let groups = Arc::new(Groups::new(
        Arc::new(PartitionsLog::new(Arc::clone(&partitions))),
        settings.groups.config.clone(),
        settings.groups.retention_check_interval,
        metrics.group_rebalance_seconds.clone(),
    ));
    if let Some(topic) = partitions.topic_named(OFFSETS_TOPIC) {
        groups.open(topic.partitions.len());
    }
    let lags = Arc::new(GroupLags::new(groups, Arc::clone(&partitions), settings.groups.lag.clone()));
    groups::add_metrics(&computed, metrics.bounds, &lags);
    let (node_id, log) = (settings.node_id, Box::new(metadata_log));
    let metadata = Metadata::new(config.properties, node_id, image, log, Arc::clone(&partitions))?;
    let advertised = with_bound_ports(&settings.advertised_listeners, &settings.listeners, &bound);
    let cx = Arc::new(Context::new(node_id, cluster_id, advertised, Arc::new(metadata), partitions, lags, metrics));

    let limits = Arc::new(Limits::new(settings.request_bytes_in_flight_max.unwrap_or_else(memory_share_bytes)));
    let kafka_addresses = bound.iter().flat_map(Bound::addresses).collect();
    for listener in bound {
        listener.serve(&cx, &limits, &tasks, &stop, &cut);
    }
    tasks.spawn(background::run(Arc::clone(&cx), stop.clone()));
    scrape::add(&computed, &cx, &limits);
    config.compat.show(&cx);
    // The Kafka listeners accept by now: whoever is told that the broker is ready finds it so. It is set once.
    let _ = started.set(Arc::clone(&cx.lags));
    starting.disarm();
    cx.metrics.set_state(BrokerState::Running);
    info!(node_id = settings.node_id, addresses = ?kafka_addresses, "broker started");
    Ok(Broker { kafka_addresses, http_addresses, stop, cut, tasks, cx, flusher_threads })
}

impl Broker {
    /// Where clients connect: every address of every listener, with the ports really bound.
    pub fn kafka_addresses(&self) -> &[SocketAddr] {
        &self.kafka_addresses
    }

    /// Where `/metrics` and `/health` are: every address of each of `http.listeners`.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http_addresses
    }

    /// Stops in order; returns when nothing of the broker runs any more.
    pub async fn shutdown(self) {
        self.cx.metrics.set_state(BrokerState::ShuttingDown);
        self.stop.cancel();
        // First, so that members who wait for a rebalance don't hold up their connections.
        self.cx.groups.stop().await;
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN_GRACE, self.tasks.wait()).await.is_err() {
            self.cut.cancel();
            self.tasks.wait().await;
        }
        let (cx, flusher_threads) = (self.cx, self.flusher_threads);
        let closed = tokio::task::spawn_blocking(move || {
            flusher_threads.stop();
            cx.partitions.close(cx.settings().recovery_threads);
        });
        if let Err(panic) = closed.await {
            std::panic::resume_unwind(panic.into_panic());
        }
        info!("broker stopped");
    }
}

/// Once the broker has started and the other parts of the process are ready, too.
fn is_ready(started: &StartedLags, parts: Option<IsReady>) -> IsReady {
    let started = Arc::clone(started);
    Arc::new(move || started.get().is_some() && parts.as_ref().is_none_or(|are_ready| are_ready()))
}

/// Each start begins new leader epochs. A log that cannot be written now will refuse changes, too; what is there is served.
async fn begin_epochs(log: &mut FileMetadataLog, image: &mut MetadataImage, broker: i32) {
    if image.partition_count() == 0 {
        return;
    }
    let started = MetadataRecord::BrokerStarted { broker };
    match log.append(std::slice::from_ref(&started)).await {
        Ok(()) => image.apply(&started),
        Err(error) => warn!(%error, "the leader epochs stay as they were before the start"),
    }
}

/// Opens all partitions, on threads of their own: the runtime goes on.
async fn recover(
    dir: LogDir,
    file: &Properties,
    settings: Settings,
    image: MetadataImage,
    metrics: &Arc<Metrics>,
) -> Result<(MetadataImage, Recovered), RecoverError> {
    let (file, metrics) = (file.clone(), Arc::clone(metrics));
    let recovered = tokio::task::spawn_blocking(move || {
        let recovered = Partitions::recover(dir, &file, &settings, &image, &metrics)?;
        Ok((image, recovered))
    });
    match recovered.await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

async fn bind_all(listeners: &[Endpoint]) -> Result<Vec<Bound>, BindError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for endpoint in listeners {
        bound.push(net::bind(endpoint).await?);
    }
    Ok(bound)
}

/// Where a listener's port was left to the system, clients are told the one it chose.
fn with_bound_ports(advertised: &[Endpoint], listeners: &[Endpoint], bound: &[Bound]) -> Vec<Endpoint> {
    let mut advertised = advertised.to_vec();
    for endpoint in &mut advertised {
        let same_name = listeners.iter().zip(bound).find(|(listener, _)| listener.name == endpoint.name);
        if let Some((_, bound)) = same_name.filter(|_| endpoint.port == 0) {
            endpoint.port = bound.port();
        }
    }
    advertised
}

/// Each partition keeps a file open: the usual soft limit of 1024 would end at a thousand partitions.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        warn!(%error, ?limit, "cannot raise the limit of open files");
    }
}

fn memory_share_bytes() -> usize {
    let info = rustix::system::sysinfo();
    (info.totalram * u64::from(info.mem_unit) / MEMORY_SHARE) as usize
}
