//! `weir connect test`: the `tests:` of a file.

use std::path::Path;

use anyhow::bail;
use serde_json::json;
use weir_connect::rehearsal::{Outcome, rehearse};
use weir_connectors::Services;

use crate::args::OutputFormat;
use crate::config::{Config, ConfigError};
use crate::output::{print_json, print_text};
use crate::serve::plugins;

pub(super) fn run(file: &Path, format: OutputFormat) -> anyhow::Result<()> {
    let plugins = plugins(&Services::default());
    let document = Config::read(file)?.connectors()?;
    if document.tests.is_empty() {
        return Err(ConfigError::at(&file.display().to_string(), "there are no `tests:` in it").into());
    }
    let outcomes = rehearse(&document, &plugins);
    match format {
        OutputFormat::Json => print_json(&outcomes.iter().map(as_json).collect())?,
        OutputFormat::Table => print_text(&outcomes.iter().map(as_text).collect::<String>())?,
    }
    match outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} tests failed", outcomes.len()),
    }
}

fn as_text(outcome: &Outcome) -> String {
    let Outcome { connector, at, differences } = outcome;
    if differences.is_empty() {
        return format!("{at}: {connector}: passed\n");
    }
    differences.iter().map(|difference| format!("{at}: {connector}: {difference}\n")).collect()
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    let differences: Vec<String> = outcome.differences.iter().map(ToString::to_string).collect();
    json!({"connector": outcome.connector, "at": outcome.at.to_string(), "differences": differences})
}
