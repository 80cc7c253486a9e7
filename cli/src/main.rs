//! The `weir` binary: one command per file in [`commands`].
//!
//! Exit codes: 0 done; 1 failed, with the reason on stderr; 2 wrong usage or configuration. A closed pipe is not an
//! error: it ends the command quietly.

mod args;
mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser;

/// The codec reserves memory from lengths that a peer sends: here reserved memory that is never touched costs nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FAILED: u8 = 1;

fn main() -> ExitCode {
    let args = args::Args::parse();
    // Fails only when a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("weir: cannot start its threads: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
