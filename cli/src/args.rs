//! The command line, as `--help` shows it.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::output::Progress;

/// A Kafka-compatible broker that an operator can see through, with a Connect worker and a search node beside it.
#[derive(Parser)]
#[command(name = "weir", version, max_term_width = 120)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: broker, Connect worker, search node
    Up(commands::serve::UpArgs),
    /// Run the broker alone
    Broker(commands::serve::BrokerArgs),
    /// Run the search node alone
    Search(commands::serve::SearchArgs),
    /// Create, list, describe, alter and delete topics
    Topics(commands::topics::TopicsArgs),
    /// Send lines as records
    Produce(commands::produce::ProduceArgs),
    /// Print records
    Consume(commands::consume::ConsumeArgs),
    /// List, describe, reset and delete consumer groups
    Groups(commands::groups::GroupsArgs),
    /// Show how far groups are behind, and whether that gets better
    Lag(commands::lag::LagArgs),
    /// Create, watch and steer connectors
    Connect(commands::connect::ConnectArgs),
    /// Say whether a process lives and does its work
    Health(commands::health::HealthArgs),
    /// Say what is wrong with configuration files
    Check(commands::check::CheckArgs),
    /// Print a script that completes weir's commands in a shell
    #[command(after_help = "Example:\n  weir completions bash > /etc/bash_completion.d/weir")]
    Completions { shell: clap_complete::Shell },
    /// Print the version
    Version,
    /// Print the reference of keys as Markdown
    #[command(hide = true)]
    Reference(commands::reference::ReferenceArgs),
}

/// Where the cluster is.
#[derive(ClapArgs)]
pub(crate) struct Cluster {
    /// Brokers to ask first, host:port separated by commas
    #[arg(
        long,
        env = "WEIR_BOOTSTRAP_SERVER",
        default_value = "localhost:9092",
        value_name = "HOST:PORT",
        global = true
    )]
    pub(crate) bootstrap_server: String,
}

impl Cluster {
    pub(crate) async fn connect(&self) -> Result<weir_client::Client, weir_client::ClientError> {
        weir_client::Client::connect(&self.bootstrap_server, "weir").await
    }

    pub(crate) fn waiting(&self) -> Progress {
        Progress::waiting(&format!("waiting for {}", self.bootstrap_server))
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Columns for people
    #[default]
    Table,
    /// One JSON document for machines
    Json,
}
