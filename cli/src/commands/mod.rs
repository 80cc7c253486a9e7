//! One file per family of commands. Each takes its arguments apart, asks the cluster, prints.

pub(crate) mod check;
pub(crate) mod connect;
pub(crate) mod consume;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod lag;
pub(crate) mod produce;
pub(crate) mod reference;
mod rest;
pub(crate) mod serve;
pub(crate) mod topics;

use clap::CommandFactory;

use crate::args::{Args, Command};
use crate::output::print_text;

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Up(args) => serve::up(args).await,
        Command::Broker(args) => serve::broker(args).await,
        Command::Search(args) => serve::search(args).await,
        Command::Topics(args) => topics::run(args).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Groups(args) => groups::run(args).await,
        Command::Lag(args) => lag::run(args).await,
        Command::Connect(args) => connect::run(args).await,
        Command::Health(args) => health::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "weir", &mut script);
            print_text(&String::from_utf8_lossy(&script))
        }
        Command::Reference(args) => reference::run(&args),
        Command::Version => print_text(concat!("weir ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}
