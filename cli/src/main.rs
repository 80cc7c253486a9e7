//! The `weir` binary: one command per file in [`commands`].
//!
//! Reading order: [`args`] (what there is), [`commands`] (one file per family), [`config`] (what a process is told to
//! do), [`serve`] (processes that run until a signal), [`output`] (tables and JSON), [`exit`] (what scripts see).

mod allocator;
mod args;
mod commands;
mod config;
mod exit;
mod output;
mod serve;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    // Fails only when a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("weir: cannot start its threads: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    let done = runtime.block_on(commands::run(args));
    // What matters has been waited for: a question to a broker that is gone may hold its thread for long.
    runtime.shutdown_background();
    exit::code(done)
}
