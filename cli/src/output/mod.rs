//! What goes to stdout: tables for people, JSON for machines; and what goes to stderr while one waits.

mod listing;
mod progress;

use std::io::{self, IsTerminal, Write};

use serde_json::Value as Json;

pub(crate) use listing::{Colour, Listing, painted};
pub(crate) use progress::Progress;

pub(crate) fn print_json(value: &Json) -> anyhow::Result<()> {
    print_text(&format!("{value:#}\n"))
}

/// Stdout could not be written to.
#[derive(Debug, thiserror::Error)]
#[error("stdout: {0}")]
pub(crate) struct StdoutError(#[from] io::Error);

impl StdoutError {
    /// The reader has gone, as in `weir consume … | head`.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

pub(crate) fn print_text(text: &str) -> anyhow::Result<()> {
    Ok(print_bytes(text.as_bytes())?)
}

pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), StdoutError> {
    progress::aside(|| {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    })
}

/// Begins a new screen, where stdout is a terminal.
pub(crate) fn clear_screen() -> anyhow::Result<()> {
    if io::stdout().is_terminal() { print_text("\x1b[H\x1b[2J\x1b[3J") } else { Ok(()) }
}

/// A line on stderr for the person who waits.
pub(crate) fn note(text: &str) {
    progress::aside(|| eprintln!("weir: {text}"));
}

/// What became of several things that were asked for at once: one that fails does not keep the others from being done.
#[derive(Default)]
pub(crate) struct Results {
    failed: Option<anyhow::Error>,
}

impl Results {
    /// Says `done`, or keeps the first error and says the others.
    pub(crate) fn add(&mut self, done: &str, result: anyhow::Result<()>) -> anyhow::Result<()> {
        let is_done = result.is_ok();
        self.add_quietly(result);
        if is_done { print_text(&format!("{done}\n")) } else { Ok(()) }
    }

    pub(crate) fn add_quietly(&mut self, result: anyhow::Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if self.failed.is_some() => note(&format!("{error:#}")),
            Err(error) => self.failed = Some(error),
        }
    }

    /// The first error.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}
