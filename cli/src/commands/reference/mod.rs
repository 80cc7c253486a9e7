//! `weir reference`: the tables of keys and metrics as Markdown. `make docs` writes them to docs/, a test compares.
//!
//! Says nothing of a key that the code does not read itself: rows come from the definitions that check configurations.

mod keys;
mod metrics;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use weir_broker::config::table::{self, Honoured, Scope};
use weir_connect::Plugins;
use weir_connect::config::definition as worker_definition;
use weir_connect_api::{ConfigKey, Connector, ConnectorKind, TransformPlugin};
use weir_connectors::Services;

use crate::config::{process_definition, search_definition};
use crate::output::print_text;
use crate::serve::plugins;
use keys::{broker_table, connect_table};
use metrics::metrics_table;

/// What stands above the tables: how files, variables and arguments go together.
const CONFIGURATION: &str = include_str!("configuration.md");
const CONNECTORS: &str = include_str!("connectors.md");
const METRICS: &str = include_str!("metrics.md");

#[derive(Args)]
#[command(after_help = "Example:\n  weir reference configuration > docs/configuration.md")]
pub(crate) struct ReferenceArgs {
    page: Page,
}

#[derive(Clone, Copy, ValueEnum)]
enum Page {
    /// Keys of the process and its parts
    Configuration,
    /// Keys of every connector class and transform
    Connectors,
    /// What /metrics exports
    Metrics,
}

pub(crate) fn run(args: &ReferenceArgs) -> anyhow::Result<()> {
    print_text(&match args.page {
        Page::Configuration => configuration(),
        Page::Connectors => connectors(&plugins(&Services::default())),
        Page::Metrics => metrics()?,
    })
}

fn configuration() -> String {
    let broker = |scope, honoured| {
        broker_table(table::keys(scope).iter().filter(|key| key.honoured == honoured).collect::<Vec<_>>().as_slice())
    };
    let sections = [
        ("The process", connect_table(process_definition().keys())),
        ("`broker:`", broker(Scope::Broker, Honoured::Yes)),
        ("Topics", broker(Scope::Topic, Honoured::Yes)),
        ("`connect:`", connect_table(worker_definition().keys())),
        ("`search:`", connect_table(search_definition().keys())),
        ("`broker:` keys without effect", broker(Scope::Broker, Honoured::NotYet)),
        ("Topic keys without effect", broker(Scope::Topic, Honoured::NotYet)),
    ];
    sections.iter().fold(CONFIGURATION.to_owned(), |page, (title, table)| page + &section(title, "", table))
}

fn metrics() -> anyhow::Result<String> {
    let sections = [
        ("Broker, groups and the process", weir_broker::metrics::families()?),
        ("Connect worker", weir_connect::metric_families()?),
        ("Search node", weir_search::metric_families()?),
    ];
    Ok(sections
        .iter()
        .fold(METRICS.to_owned(), |page, (title, families)| page + &section(title, "", &metrics_table(families))))
}

fn connectors(plugins: &Plugins) -> String {
    let (source, sink) = (Plugins::shared(ConnectorKind::Source), Plugins::shared(ConnectorKind::Sink));
    let is_in = |keys: &[ConfigKey], key: &ConfigKey| keys.iter().any(|other| other.name == key.name);
    let only = |keys: &[ConfigKey], others: &[ConfigKey]| -> Vec<ConfigKey> {
        keys.iter().filter(|key| !is_in(others, key)).cloned().collect()
    };
    let every: Vec<ConfigKey> = source.keys().iter().filter(|key| is_in(sink.keys(), key)).cloned().collect();
    let mut page = CONNECTORS.to_owned() + &section("Every connector", "", &connect_table(&every));
    for (title, keys) in
        [("Every source", only(source.keys(), sink.keys())), ("Every sink", only(sink.keys(), source.keys()))]
    {
        if !keys.is_empty() {
            page += &section(title, "", &connect_table(&keys));
        }
    }
    for connector in &plugins.connectors {
        page += &connector_section(connector.as_ref());
    }
    let names = |transform: &Arc<dyn TransformPlugin>| -> Vec<&'static str> {
        transform.config_def().keys().iter().map(|key| key.name).collect()
    };
    let families = plugins.transforms.chunk_by(|a, b| names(a) == names(b));
    families.fold(page, |page, family| page + &transforms_section(family))
}

fn connector_section(connector: &dyn Connector) -> String {
    let kind = match connector.kind() {
        ConnectorKind::Source => "source",
        ConnectorKind::Sink => "sink",
    };
    let intro = format!("{}\n{}", connector.doc(), also(connector.aliases()));
    let title = format!("`class: {}`, a {kind}", connector.class());
    section(&title, &intro, &connect_table(connector.config_def().keys()))
}

/// Transforms with the same keys, such as `parse` and its short forms.
fn transforms_section(family: &[Arc<dyn TransformPlugin>]) -> String {
    let names: Vec<_> = family.iter().map(|transform| format!("`type: {}`", transform.name())).collect();
    let aliases: Vec<_> = family.iter().flat_map(|transform| transform.aliases()).copied().collect();
    let table = family.first().map(|transform| connect_table(transform.config_def().keys())).unwrap_or_default();
    section(&format!("Transform {}", names.join(", ")), &also(&aliases), &table)
}

fn also(aliases: &[&str]) -> String {
    let names: Vec<_> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
    if names.is_empty() { String::new() } else { format!("\nOther names: {}.", names.join(", ")) }
}

fn section(title: &str, intro: &str, table: &str) -> String {
    let intro = intro.trim();
    let gap = if intro.is_empty() { "" } else { "\n\n" };
    format!("\n## {title}\n\n{intro}{gap}{table}")
}
