//! `weir connect apply`: the connectors of files against a worker's.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use indexmap::IndexMap;
use reqwest::Method;
use serde_json::{Value as Json, json};
use weir_connect::TargetState;
use weir_connect::document::{NamedConfig, WantedState};
use weir_connectors::Services;

use crate::args::OutputFormat;
use crate::commands::rest::Rest;
use crate::config::Config;
use crate::output::{Listing, Results, print_text};
use crate::serve::plugins;

#[derive(Args)]
pub(super) struct ApplyArgs {
    /// YAML, JSON, .properties, Strimzi manifests
    #[arg(value_name = "FILE", required_unless_present = "file")]
    files: Vec<PathBuf>,
    /// The same
    #[arg(long, short, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Show the plan, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete connectors of the worker that are not in the files
    #[arg(long)]
    prune: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Change,
    Keep,
    Delete,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Keep => "keep",
            Self::Delete => "delete",
        }
    }
}

/// One connector and what is to become of it, with the keys that differ.
struct Planned {
    name: String,
    step: Step,
    keys: Vec<String>,
    /// To be set; as it is where there is none.
    config: Option<Json>,
    state: Option<TargetState>,
}

/// A connector that the worker has.
struct Existing {
    config: IndexMap<String, String>,
    state: Option<TargetState>,
}

type ByName = IndexMap<String, Existing>;

pub(super) async fn run(rest: &Rest, args: &ApplyArgs, format: OutputFormat) -> anyhow::Result<()> {
    let files: Vec<PathBuf> = args.files.iter().chain(&args.file).cloned().collect();
    let wanted = Config::read_connectors(&files)?.checked_connectors(&plugins(&Services::default()))?;
    let there = current(rest).await?;
    let plan = plan(&wanted, &there, args.prune);
    let mut listing = Listing::new(&["connector", "step", "keys"]);
    for planned in &plan {
        listing.row(vec![json!(planned.name), json!(planned.step.name()), json!(planned.keys)]);
    }
    listing.print(format)?;
    if args.dry_run {
        return Ok(());
    }
    let mut results = Results::default();
    for planned in plan {
        let done = carry_out(rest, &planned).await;
        results.add_quietly(done.with_context(|| format!("connector {}", planned.name)));
    }
    results.finish()?;
    if format == OutputFormat::Table { print_text("applied\n") } else { Ok(()) }
}

async fn carry_out(rest: &Rest, planned: &Planned) -> anyhow::Result<()> {
    let path = format!("/connectors/{}", planned.name);
    match planned.step {
        Step::Keep => {}
        Step::Delete => drop(rest.call(Method::DELETE, &path, None).await?),
        Step::Create => {
            let state = planned.state.unwrap_or_default();
            let body = json!({"name": planned.name, "config": planned.config, "initial_state": state.as_str()});
            rest.call(Method::POST, "/connectors", Some(&body)).await?;
        }
        Step::Change => {
            // At rest first, at work last: what was configured before does not run once more.
            let (before, after) = match planned.state {
                Some(TargetState::Started) => (None, Some("resume")),
                Some(TargetState::Paused) => (Some("pause"), None),
                Some(TargetState::Stopped) => (Some("stop"), None),
                None => (None, None),
            };
            if let Some(action) = before {
                rest.call(Method::PUT, &format!("{path}/{action}"), None).await?;
            }
            if let Some(config) = &planned.config {
                rest.call(Method::PUT, &format!("{path}/config"), Some(config)).await?;
            }
            if let Some(action) = after {
                rest.call(Method::PUT, &format!("{path}/{action}"), None).await?;
            }
        }
    }
    Ok(())
}

async fn current(rest: &Rest) -> anyhow::Result<ByName> {
    let all = rest.get("/connectors?expand=info&expand=status").await?;
    let mut existing = ByName::new();
    for (name, entry) in all.as_object().context("the worker's answer is no object")? {
        let config = entry["info"]["config"].as_object().context("the worker tells no configuration")?;
        let texts = config.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let state = entry["status"]["connector"]["state"].as_str().and_then(TargetState::parse);
        existing.insert(name.clone(), Existing { config: texts.collect(), state });
    }
    Ok(existing)
}

fn plan(wanted: &[NamedConfig], there: &ByName, prune: bool) -> Vec<Planned> {
    let mut plan: Vec<Planned> = wanted.iter().map(|wanted| planned(wanted, there.get(&wanted.name))).collect();
    for name in there.keys().filter(|name| prune && wanted.iter().all(|connector| connector.name != **name)) {
        plan.push(Planned { name: name.clone(), step: Step::Delete, keys: Vec::new(), config: None, state: None });
    }
    plan
}

fn planned(wanted: &NamedConfig, there: Option<&Existing>) -> Planned {
    let (name, config) = (wanted.name.clone(), Some(json!(wanted.config)));
    let Some(there) = there else {
        let state = wanted.state.map(WantedState::when_created);
        return Planned { name, step: Step::Create, keys: Vec::new(), config, state };
    };
    let mut keys = differing(&there.config, &wanted.config);
    let config = config.filter(|_| !keys.is_empty());
    let state = match wanted.state {
        Some(WantedState::Always(state)) if there.state != Some(state) => Some(state),
        _ => None,
    };
    keys.extend(state.map(|_| "state".to_owned()));
    let step = if keys.is_empty() { Step::Keep } else { Step::Change };
    Planned { name, step, keys, config, state }
}

fn differing(now: &IndexMap<String, String>, wanted: &IndexMap<String, String>) -> Vec<String> {
    let changed = wanted.iter().filter(|(key, value)| now.get(*key) != Some(*value)).map(|(key, _)| key);
    let gone = now.keys().filter(|key| !wanted.contains_key(*key));
    changed.chain(gone).cloned().collect()
}

#[cfg(test)]
mod tests {
    use weir_connect::Document;
    use weir_connect::yaml::parse;

    use super::*;

    #[test]
    fn only_what_differs_is_touched() {
        let text = "connectors:\n  same: {class: x, a: 1}\n  other: {class: x, a: 2}\n  new: {class: x}\n";
        let wanted = Document::read(&parse("f", text).unwrap()).unwrap().connectors;
        let config = |name: &str, a: &str| {
            let pairs = [("connector.class", "x"), ("a", a), ("name", name)];
            let config = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            (name.to_owned(), Existing { config, state: Some(TargetState::Started) })
        };
        let there = ByName::from_iter([config("same", "1"), config("other", "1"), config("old", "1")]);
        let steps = |prune| {
            let plan = plan(&wanted, &there, prune);
            plan.into_iter().map(|planned| (planned.name, planned.step, planned.keys.join(","))).collect::<Vec<_>>()
        };
        let expected = [
            ("same".to_owned(), Step::Keep, String::new()),
            ("other".to_owned(), Step::Change, "a".to_owned()),
            ("new".to_owned(), Step::Create, String::new()),
        ];
        assert_eq!(steps(false), expected);
        assert_eq!(steps(true)[3], ("old".to_owned(), Step::Delete, String::new()));
    }

    #[test]
    fn a_wanted_state_is_brought_about_and_an_initial_one_only_at_first() {
        let manifest = "kind: KafkaConnector\nmetadata: {name: a}\nspec: {class: x, state: STATE}\n";
        let initial = "{name: a, initial_state: PAUSED, config: {connector.class: x}}";
        let pairs = [("connector.class", "x"), ("name", "a")];
        let config = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let there = Existing { config, state: Some(TargetState::Started) };
        let step = |text: &str, there: Option<&Existing>| {
            let wanted = Document::read(&parse("f", text).unwrap()).unwrap().connectors.remove(0);
            let planned = planned(&wanted, there);
            (planned.step, planned.state, planned.config.is_some())
        };
        let stopped = manifest.replace("STATE", "stopped");
        assert_eq!(step(&stopped, None), (Step::Create, Some(TargetState::Stopped), true));
        assert_eq!(step(&stopped, Some(&there)), (Step::Change, Some(TargetState::Stopped), false));
        assert_eq!(step(&manifest.replace("STATE", "running"), Some(&there)), (Step::Keep, None, false));
        assert_eq!(step(initial, None), (Step::Create, Some(TargetState::Paused), true));
        assert_eq!(step(initial, Some(&there)), (Step::Keep, None, false));
    }
}
