//! A process that serves: its parts, started and stopped in order.
//!
//! Start: logging → signals → broker → search node → worker: each finds what it needs running. Stop runs it backwards,
//! so that the worker's last commits still find the index and the broker: worker → search node → broker. A second
//! signal ends the process at once. A process without a broker has its HTTP server before and after all else.

mod banner;
mod bulk;
mod http;
mod listeners;
mod logging;
mod search;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use prometheus::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;
use weir_broker::http::Shown;
use weir_broker::metrics::{Compat, register_process};
use weir_broker::{Broker, BrokerConfig};
use weir_connect::{Host, Plugins, Worker};
use weir_connectors::Services;
use weir_search::BulkLog;

use crate::allocator;
use crate::config::{Config, ConfigError, ProcessSettings};
use banner::Banner;
use bulk::TopicBulkLog;
use http::{Http, Readiness};
use logging::Logging;
use search::Search;

/// What the shell reports for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Which parts a process has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) broker: BrokerPart,
    pub(crate) search: bool,
    pub(crate) worker: bool,
    /// What is logged where nobody said.
    pub(crate) log_level: &'static str,
}

/// Whether a process has a broker, whose HTTP server is that of all parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerPart {
    Here,
    /// `http` is where the process serves metrics and health where nobody said.
    Elsewhere {
        http: &'static str,
    },
}

/// Runs until a signal asks it to stop.
pub(crate) async fn run(config: Config, parts: Parts) -> anyhow::Result<()> {
    let began = Instant::now();
    allocator::give_back().context("cannot start its threads")?;
    let settings = config.process_settings()?;
    let logging = logging::init(settings.log_format, settings.log_level.as_deref().unwrap_or(parts.log_level))?;
    // Lives until everything has stopped: what that did is told, too.
    let _traces = weir_trace::init(env!("CARGO_PKG_VERSION")).map_err(|error| ConfigError::new(error.to_string()))?;
    let mut signals = Signals::catch()?;
    tokio::select! {
        running = Running::start(&config, parts, logging) => {
            let running = running?;
            running.banner(&config, &settings).show(settings.log_format, began.elapsed())?;
            let signal = signals.next().await;
            info!(signal, "stopping");
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(INTERRUPTED);
            });
            running.stop().await
        }
        _ = signals.next() => Ok(()),
    }
}

/// The parts that run, in the order of their start.
#[derive(Default)]
struct Running {
    http: Option<Http>,
    broker: Option<Broker>,
    search: Option<Search>,
    worker: Option<Worker>,
}

impl Running {
    async fn start(config: &Config, parts: Parts, logging: Arc<Logging>) -> anyhow::Result<Self> {
        let mut running = Self::default();
        match running.start_parts(config, parts, logging).await {
            Ok(()) => Ok(running),
            Err(error) => running.stop().await.and(Err(error)),
        }
    }

    async fn start_parts(&mut self, config: &Config, parts: Parts, logging: Arc<Logging>) -> anyhow::Result<()> {
        let data_dir = config.process_settings()?.data_dir;
        // What can be checked is checked before anything is opened.
        let search = parts.search.then(|| config.search_settings(&data_dir)).transpose()?;
        let mut connectors =
            if parts.worker { config.checked_connectors(&plugins(&Services::default()))? } else { Vec::new() };
        let told = config.worker(None)?;
        if parts.broker == BrokerPart::Here {
            config.check_broker(&data_dir)?;
        }
        // Ports are held before anything is opened, too: whoever asks early waits, and is answered.
        let rest = if parts.worker { listeners::bind("connect.listeners", &told.listeners).await? } else { Vec::new() };
        let search_sockets = match &search {
            Some(settings) => listeners::bind("search.listeners", &settings.listeners).await?,
            None => Vec::new(),
        };
        let (registry, compat, readiness) = (Registry::new(), Compat::default(), Readiness::default());
        match parts.broker {
            BrokerPart::Here => {
                let properties = config.broker_properties(&data_dir);
                let is_ready = Some(readiness.ask());
                let (registry, compat) = (registry.clone(), compat.clone());
                let broker = BrokerConfig { properties, registry, compat, is_ready, ..BrokerConfig::default() };
                self.broker = Some(weir_broker::start(broker).await.map_err(refused)?);
            }
            BrokerPart::Elsewhere { http } => {
                let listeners = config.http_listeners(http)?;
                register_process(&registry)?;
                let compat = config.shows_compat()?.then(|| compat.clone());
                let shown = Shown::of(registry.clone(), compat);
                self.http = Some(Http::start(&listeners, shown, readiness.ask()).await?);
            }
        }
        let own_broker = self.broker.as_ref().and_then(|broker| broker.kafka_addresses().first());
        let worker = config.worker(own_broker.map(|listener| listeners::reachable(*listener).to_string()))?;
        if let Some(settings) = search {
            let mut bulk: Option<Arc<dyn BulkLog>> = None;
            if let Some(topic) = settings.bulk_topic.clone().filter(|_| parts.worker) {
                connectors.extend(bulk::connector(&topic)?);
                bulk = Some(Arc::new(TopicBulkLog::open(worker.bootstrap_servers.clone(), topic).await?));
            }
            self.search = Some(Search::start(settings, search_sockets, bulk, registry.clone()).await?);
        }
        if parts.worker {
            let services = Services { search: self.search.as_ref().map(|search| search.node().clone()) };
            let host = Host { registry, compat: compat.registry.clone(), rest, loggers: logging };
            self.worker = Some(weir_connect::start(worker, plugins(&services), connectors, host)?);
        }
        readiness.parts_run(match &self.worker {
            Some(worker) => Arc::new(worker.readiness()),
            None => Arc::new(|| true),
        });
        Ok(())
    }

    async fn stop(self) -> anyhow::Result<()> {
        if let Some(worker) = self.worker {
            worker.shutdown().await;
        }
        let stopped = match self.search {
            Some(search) => search.stop().await.context("the search node did not keep all that was written"),
            None => Ok(()),
        };
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
        if let Some(http) = self.http {
            http.stop().await;
        }
        stopped
    }

    fn banner(&self, config: &Config, settings: &ProcessSettings) -> Banner {
        let mut banner = Banner::default();
        if let Some(broker) = &self.broker {
            banner.line("kafka", banner::host_port(broker.kafka_addresses()));
        }
        let broker = self.broker.as_ref().map(Broker::http_addresses);
        let http = broker.or(self.http.as_ref().map(Http::addresses)).unwrap_or_default();
        if !http.is_empty() {
            banner.line("metrics", format!("http://{}/metrics", banner::host_port(http)));
        }
        if let Some(worker) = &self.worker {
            banner.line("connect", format!("http://{}", banner::host_port(worker.rest_addresses())));
        }
        if let Some(search) = &self.search {
            banner.line("search", format!("http://{}", banner::host_port(search.addresses())));
        }
        let log_dirs = config.told_log_dirs().filter(|_| self.broker.is_some());
        if let Some(folder) = log_dirs {
            banner.line("log.dirs", folder.to_owned());
        }
        // A worker keeps everything in topics.
        if (self.broker.is_some() && log_dirs.is_none()) || self.search.is_some() {
            banner.line("data", settings.data_dir.display().to_string());
        }
        banner
    }
}

/// Every connector and transform that this binary has.
pub(crate) fn plugins(services: &Services) -> Plugins {
    Plugins { connectors: weir_connectors::connectors(services), transforms: weir_connectors::transforms() }
}

/// What the broker says of its configuration is for whoever wrote that.
fn refused(error: weir_broker::StartError) -> anyhow::Error {
    match error {
        weir_broker::StartError::Config(error) => ConfigError::new(error.to_string()).into(),
        error => error.into(),
    }
}

/// SIGINT and SIGTERM, caught from the start on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
