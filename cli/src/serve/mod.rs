//! A process that serves: its parts, started and stopped in order.
//!
//! Start: logging → signals → broker → search node → worker: each finds what it needs running. Stop runs it backwards,
//! so that the worker's last commits still find the index and the broker: worker → search node → broker. A second
//! signal ends the process at once.

mod banner;
mod logging;
mod search;

use std::time::Instant;

use anyhow::Context;
use prometheus::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;
use weir_broker::{Broker, BrokerConfig};

use crate::config::{Config, ConfigArgs, ConfigError};
use crate::output::print_text;
use banner::Banner;
use search::Search;

/// What the shell reports for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Which parts a process has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) broker: bool,
    pub(crate) search: bool,
    /// What is logged where nobody said.
    pub(crate) log_level: &'static str,
}

/// Runs until a signal asks it to stop.
pub(crate) async fn run(args: &ConfigArgs, parts: Parts) -> anyhow::Result<()> {
    let began = Instant::now();
    let config = Config::load(args)?;
    let settings = config.process_settings()?;
    logging::init(settings.log_format, settings.log_level.as_deref().unwrap_or(parts.log_level))?;
    let mut signals = Signals::catch()?;
    tokio::select! {
        running = Running::start(&config, parts) => {
            let running = running?;
            print_text(&running.banner(&settings).text(began.elapsed()))?;
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
struct Running {
    broker: Option<Broker>,
    search: Option<Search>,
}

impl Running {
    async fn start(config: &Config, parts: Parts) -> anyhow::Result<Self> {
        let data_dir = config.process_settings()?.data_dir;
        // Everything is checked before anything is opened.
        let search = parts.search.then(|| config.search_settings(&data_dir)).transpose()?;
        let registry = Registry::new();
        let mut running = Self { broker: None, search: None };
        if parts.broker {
            let properties = config.broker_properties(&data_dir);
            let broker = BrokerConfig { properties, registry: registry.clone(), ..BrokerConfig::default() };
            running.broker = Some(weir_broker::start(broker).await.map_err(refused)?);
        }
        if let Some(settings) = search {
            match Search::start(settings, registry).await {
                Ok(search) => running.search = Some(search),
                Err(error) => return running.stop().await.and(Err(error)),
            }
        }
        Ok(running)
    }

    async fn stop(self) -> anyhow::Result<()> {
        let stopped = match self.search {
            Some(search) => search.stop().await.context("the search node did not keep all that was written"),
            None => Ok(()),
        };
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
        stopped
    }

    fn banner(&self, settings: &crate::config::ProcessSettings) -> Banner {
        let mut banner = Banner::default();
        if let Some(broker) = &self.broker {
            banner.line("kafka", banner::host_port(broker.kafka_addresses()));
            if let Some(address) = broker.http_address() {
                banner.line("metrics", format!("http://{}/metrics", banner::host_port(&[address])));
            }
        }
        if let Some(search) = &self.search {
            banner.line("search", format!("http://{}", banner::host_port(search.addresses())));
        }
        banner.line("data", settings.data_dir.display().to_string());
        banner
    }
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
