//! `weir connect apply`: a file's connectors against a worker's.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use indexmap::IndexMap;
use reqwest::Method;
use serde_json::{Value as Json, json};
use weir_connect::document::NamedConfig;
use weir_connectors::Services;

use super::Rest;
use crate::args::OutputFormat;
use crate::config::Config;
use crate::output::{Listing, Results, print_text};
use crate::serve::plugins;

#[derive(Args)]
pub(super) struct ApplyArgs {
    file: PathBuf,
    /// Show the plan, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete connectors of the worker that are not in the file
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
    config: Json,
}

type Configs = IndexMap<String, IndexMap<String, String>>;

pub(super) async fn run(rest: &Rest, args: &ApplyArgs, format: OutputFormat) -> anyhow::Result<()> {
    let wanted = Config::read(&args.file)?.checked_connectors(&plugins(&Services::default()))?;
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
        let path = format!("/connectors/{}", planned.name);
        let done = match planned.step {
            Step::Keep => continue,
            Step::Delete => rest.call(Method::DELETE, &path, None).await,
            Step::Create | Step::Change => {
                rest.call(Method::PUT, &format!("{path}/config"), Some(&planned.config)).await
            }
        };
        results.add_quietly(done.map(drop).with_context(|| format!("connector {}", planned.name)));
    }
    results.finish()?;
    if format == OutputFormat::Table { print_text("applied\n") } else { Ok(()) }
}

async fn current(rest: &Rest) -> anyhow::Result<Configs> {
    let all = rest.get("/connectors?expand=info").await?;
    let mut configs = Configs::new();
    for (name, entry) in all.as_object().context("the worker's answer is no object")? {
        let config = entry["info"]["config"].as_object().context("the worker tells no configuration")?;
        let texts = config.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        configs.insert(name.clone(), texts.collect());
    }
    Ok(configs)
}

fn plan(wanted: &[NamedConfig], there: &Configs, prune: bool) -> Vec<Planned> {
    let mut plan = Vec::new();
    for NamedConfig { name, config, .. } in wanted {
        let (step, keys) = match there.get(name) {
            None => (Step::Create, Vec::new()),
            Some(now) if now == config => (Step::Keep, Vec::new()),
            Some(now) => (Step::Change, differing(now, config)),
        };
        plan.push(Planned { name: name.clone(), step, keys, config: json!(config) });
    }
    for name in there.keys().filter(|name| prune && wanted.iter().all(|connector| connector.name != **name)) {
        plan.push(Planned { name: name.clone(), step: Step::Delete, keys: Vec::new(), config: Json::Null });
    }
    plan
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
            (name.to_owned(), pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        let there = Configs::from_iter([config("same", "1"), config("other", "1"), config("old", "1")]);
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
}
