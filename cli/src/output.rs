//! What goes to stdout: tables for people, JSON for machines; and what goes to stderr while one waits.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value as Json;

use crate::args::OutputFormat;

/// Work that takes longer than this shows its progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(2);
const COLUMN_GAP: u16 = 2;
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Rows of one listing: columns are named once, for both formats.
pub(crate) struct Listing {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Json>>,
}

impl Listing {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Json>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(self, format: OutputFormat) -> anyhow::Result<()> {
        match format {
            OutputFormat::Json => print_json(&self.into_json()),
            OutputFormat::Table => print_text(&self.into_table()),
        }
    }

    /// An array with one object per row.
    pub(crate) fn into_json(self) -> Json {
        let object = |row: Vec<Json>| self.columns.iter().map(|c| key(c)).zip(row).collect();
        Json::Array(self.rows.into_iter().map(|row| Json::Object(object(row))).collect())
    }

    fn into_table(self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(arrangement());
        table.set_header(self.columns.iter().map(|column| column.to_uppercase()));
        for row in self.rows {
            table.add_row(row.iter().map(cell));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, COLUMN_GAP));
        }
        let text = table.to_string();
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// Lines are folded on a terminal, never in a pipe.
fn arrangement() -> ContentArrangement {
    if io::stdout().is_terminal() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled }
}

/// A column's name as a key: `log end offset` is `log_end_offset`.
fn key(column: &str) -> String {
    column.replace(' ', "_")
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

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
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
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
            Err(error) if self.failed.is_some() => eprintln!("weir: {error:#}"),
            Err(error) => self.failed = Some(error),
        }
    }

    /// The first error.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// A line on stderr that counts, shown on a terminal once the work has taken two seconds.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    began: std::time::Instant,
    what: &'static str,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { bar: None, began: std::time::Instant::now(), what }
    }

    pub(crate) fn set(&mut self, count: u64) {
        if self.bar.is_none() && self.began.elapsed() >= PROGRESS_AFTER && io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_message(self.what);
            let style = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}, {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(REDRAW_EVERY);
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(count);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_listing_is_columns_for_people_and_objects_for_machines() {
        let listing = || {
            let mut listing = Listing::new(&["topic", "log end offset"]);
            listing.row(vec![json!("orders"), json!(7)]);
            listing.row(vec![json!("clicks"), json!([1, 2])]);
            listing.row(vec![json!("none"), Json::Null]);
            listing
        };
        assert_eq!(listing().into_table(), "TOPIC   LOG END OFFSET\norders  7\nclicks  1,2\nnone    -\n");
        assert_eq!(
            listing().into_json(),
            json!([
                {"topic": "orders", "log_end_offset": 7},
                {"topic": "clicks", "log_end_offset": [1, 2]},
                {"topic": "none", "log_end_offset": null},
            ])
        );
    }
}
