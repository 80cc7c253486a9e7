//! `weir up`, `weir broker`, `weir search`: processes that run until they are told to stop.

use clap::Args;

use crate::config::ConfigArgs;
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

/// Where metrics and health are when nobody said: one process of each kind fits on a machine.
const WORKER_HTTP: &str = "localhost:9465";
const SEARCH_HTTP: &str = "localhost:9466";

/// Quiet: what a person who starts it by hand needs to know, they are told.
pub(crate) async fn up(args: UpArgs) -> anyhow::Result<()> {
    serve::run(&args.config, Parts { broker: BrokerPart::Here, search: true, worker: true, log_level: "warn" }).await
}

pub(crate) async fn broker(args: BrokerArgs) -> anyhow::Result<()> {
    serve::run(&args.config, Parts { broker: BrokerPart::Here, search: false, worker: false, log_level: "info" }).await
}

/// `weir connect run`.
pub(crate) async fn worker(config: &ConfigArgs) -> anyhow::Result<()> {
    serve::run(
        config,
        Parts { broker: BrokerPart::Elsewhere { http: WORKER_HTTP }, search: false, worker: true, log_level: "info" },
    )
    .await
}

pub(crate) async fn search(args: SearchArgs) -> anyhow::Result<()> {
    serve::run(
        &args.config,
        Parts { broker: BrokerPart::Elsewhere { http: SEARCH_HTTP }, search: true, worker: false, log_level: "info" },
    )
    .await
}
