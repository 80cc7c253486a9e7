//! `weir up`, `weir broker`, `weir search`: processes that run until they are told to stop.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, ConfigArgs, Part};
use crate::serve::{self, BrokerPart, Parts};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir up                                          # data in ./weir-data, Kafka on localhost:9092\n  \
    weir up -c weir.yaml\n  \
    weir up --set data=/var/lib/weir --set log.retention.ms=86400000\n  \
    WEIR_SEARCH_LISTENERS=http://localhost:9201 weir up\n\n\
    Settings: the file, over it WEIR_… variables (WEIR_BROKER_LOG_RETENTION_MS is broker.log.retention.ms), over \
    these --set.\nCtrl-C or SIGTERM stops it in order; a second one at once.")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir broker -c /etc/kafka/server.properties\n  \
    weir broker -c weir.yaml --set log.flush=os\n  \
    WEIR_BROKER_LISTENERS=PLAINTEXT://:9092 weir broker")]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir search -c weir.yaml\n  \
    weir search --set search.listeners=http://localhost:9201 --set search.retention=30d")]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Of `weir connect run`.
#[derive(Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Run a search node in the same process, for sinks whose `url` is `embedded`
    #[arg(long)]
    search: bool,
    /// Files of connectors: YAML, JSON, .properties, Strimzi manifests
    #[arg(value_name = "FILE")]
    connectors: Vec<PathBuf>,
}

/// Where metrics and health are when nobody said: one process of each kind fits on a machine.
const WORKER_HTTP: &str = "localhost:9465";
const SEARCH_HTTP: &str = "localhost:9466";

/// Quiet: what a person who starts it by hand needs to know, they are told.
pub(crate) async fn up(args: UpArgs) -> anyhow::Result<()> {
    let parts = Parts { broker: BrokerPart::Here, search: true, worker: true, log_level: "warn" };
    serve::run(Config::load(&args.config, Part::Broker)?, parts).await
}

pub(crate) async fn broker(args: BrokerArgs) -> anyhow::Result<()> {
    let parts = Parts { broker: BrokerPart::Here, search: false, worker: false, log_level: "info" };
    serve::run(Config::load(&args.config, Part::Broker)?, parts).await
}

/// `weir connect run`.
pub(crate) async fn worker(args: &RunArgs) -> anyhow::Result<()> {
    let mut config = Config::load(&args.config, Part::Connect)?;
    args.connectors.iter().try_for_each(|path| config.add_connectors(path))?;
    let broker = BrokerPart::Elsewhere { http: WORKER_HTTP };
    serve::run(config, Parts { broker, search: args.search, worker: true, log_level: "info" }).await
}

pub(crate) async fn search(args: SearchArgs) -> anyhow::Result<()> {
    let broker = BrokerPart::Elsewhere { http: SEARCH_HTTP };
    let parts = Parts { broker, search: true, worker: false, log_level: "info" };
    serve::run(Config::load(&args.config, Part::Broker)?, parts).await
}
