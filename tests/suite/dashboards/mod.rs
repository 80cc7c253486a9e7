//! Every query of every dashboard, asked of a real Prometheus and a real search node about a system under load: each has
//! something to show, variables choose what they say, and figures are those of the system.

mod load;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value as Json;
use weir_tests::clients::kcat;
use weir_tests::http;
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::prometheus::{Prometheus, Target, interval};
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

use load::{ABANDONED, DOTTED, Load, ORDERS_PER_SECOND, bytes_on_disk, pipeline};
use shown::{RATE_SECONDS, Shown};

/// Rules by this much faster than as they are shipped: scrapes come every other second.
const FACTOR: u32 = 30;
const LIMIT: Duration = Duration::from_secs(60);

/// A figure: dashboard, panel, legend or heading, the label of its series if it has one, and what it must be.
type Figure<'a> = (&'a str, &'a str, &'a str, Option<(&'a str, &'a str)>, f64);

/// Figures that are not what they must be, to within that share of them, one line each.
fn wrong(shown: &Shown, figures: &[Figure<'_>], share: f64) -> Vec<String> {
    let mut found = Vec::new();
    for &(uid, title, legend, label, truth) in figures {
        let value = shown.value(uid, title, legend, label);
        if value.is_none_or(|value| (value - truth).abs() > truth * share + f64::EPSILON) {
            found.push(format!("{uid}: {title}, {legend}, {label:?}: shown {value:?}, is {truth}"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_what_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let weir = pipeline(folder.path(), &postgres).await?;
    let targets = [Target { job: "weir", cluster: "test", url: weir.http() }];
    let prometheus = Prometheus::start(&folder.path().join("prometheus"), FACTOR, "", &targets).await?;
    let mut load = Load::start(&weir)?;
    let asks = Asks { prometheus: &prometheus, weir: &weir };
    asks.until("every panel to have data", &[], |shown| Ok(shown.complaints())).await?;
    asks.until("rates to be those of the load", &[], |shown| rates_differ(shown, &load)).await?;
    let lines = load.end_of_lines()?;
    asks.figures(lines).await?;
    let there = there(&weir).await?;
    asks.until("variables to offer what there is", &[], |shown| Ok(shown.offers_differ(&there))).await?;
    asks.variables().await
}

/// A rate looks back from the last scrape, which may be an interval ago, over a window of several.
fn rates_differ(shown: &Shown, load: &Load) -> Result<Vec<String>> {
    let window = Duration::from_secs(RATE_SECONDS);
    let rates = load.rates(window)?;
    let orders = ORDERS_PER_SECOND as f64;
    let (app, of_orders) = (Some(("topic", "app")), Some(("topic", "orders")));
    let figures = [
        ("weir-topics", "Topics", "records in", app, rates.lines),
        ("weir-topics", "Topics", "records in", of_orders, orders),
        ("weir-topics", "Topics", "in", of_orders, rates.orders_bytes),
        // One group reads each order once; both sinks read each line.
        ("weir-topics", "Topics", "out", of_orders, rates.orders_bytes),
        ("weir-topics", "Topics", "read, times", app, 2.0),
        ("weir-groups", "Groups", "read", Some(("group", "keeps-up")), orders),
        ("weir-connect", "Connectors", "records", Some(("connector", "tail")), rates.lines),
        ("weir-connect", "Connectors", "records", Some(("connector", "rows")), rates.lines),
        ("weir-connect", "Connectors", "records", Some(("connector", "docs")), rates.lines),
    ];
    Ok(wrong(shown, &figures, interval(FACTOR).as_secs_f64() / window.as_secs_f64()))
}

/// What variables must offer, as others than Prometheus know it.
async fn there(weir: &Weir) -> Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let names = |list: &Json, key: &str| -> BTreeSet<String> {
        let entries = list.as_array().into_iter().flatten();
        entries.filter_map(|entry| Some(entry[key].as_str()?.to_owned())).collect()
    };
    let topics: Json = serde_json::from_str(&kcat(&["-b", &weir.bootstrap(), "-L", "-J"])?)?;
    let mut list = command(&["groups", "list", "--output", "json"])?;
    list.env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
    let groups: Json = serde_json::from_str(&run(list)?)?;
    let connectors = http::json(&format!("{}/connectors", weir.connect())).await?;
    Ok(BTreeMap::from([
        ("cluster", BTreeSet::from(["test".to_owned()])),
        ("instance", BTreeSet::from([weir.http().trim_start_matches("http://").to_owned()])),
        ("topic", names(&topics["topics"], "topic")),
        ("group", names(&groups, "group")),
        ("connector", serde_json::from_value(connectors)?),
    ]))
}

struct Asks<'a> {
    prometheus: &'a Prometheus,
    weir: &'a Weir,
}

impl Asks<'_> {
    /// Until nothing is wrong with what is shown for these variables.
    async fn until(
        &self,
        what: &str,
        variables: &[&str],
        mut wrong: impl FnMut(&Shown) -> Result<Vec<String>>,
    ) -> Result<()> {
        let mut complaints = Vec::new();
        let waited = wait_until(what, LIMIT, async || {
            let found = Shown::of(self.prometheus, self.weir, variables).and_then(|shown| wrong(&shown));
            complaints = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
            complaints.is_empty()
        });
        waited.await.with_context(|| complaints.join("\n"))
    }

    fn bytes(&self, topic: &str) -> Result<f64> {
        Ok(bytes_on_disk(&self.weir.folder().join("data"), topic)? as f64)
    }

    /// Figures that stand still once no more lines come.
    async fn figures(&self, lines: u64) -> Result<()> {
        let (gone, abandoned) = (Some(("group", "gone")), Some(("topic", "abandoned")));
        let figures = [
            ("weir-groups", "Groups", "unread", gone, ABANDONED.unread()),
            ("weir-groups", "Groups", "status", gone, 4.0),
            ("weir-topics", "Topics", "size", abandoned, self.bytes("abandoned")?),
            ("weir-topics", "Topics", "groups", abandoned, 1.0),
            ("weir-connect", "Connectors", "unwritten", Some(("connector", "docs")), 0.0),
            ("weir-connect", "Indexes", "documents", Some(("index", "app")), lines as f64),
            ("weir-cluster", "Groups in trouble", "__auto", None, 2.0),
            ("weir-cluster", "Tasks failed", "__auto", None, 0.0),
            ("weir-cluster", "Health", "__auto", None, 1.0),
            ("weir-itself", "Processes", "__auto", None, 1.0),
        ];
        self.until("figures to be those of the system", &[], |shown| Ok(wrong(shown, &figures, 0.0))).await
    }

    /// Chosen values are those that are shown, one, two, or one that would be a regular expression.
    async fn variables(&self) -> Result<()> {
        let dotted = DOTTED.topic;
        let of_dotted = format!("topic={dotted}");
        for (variables, topics) in [
            (vec!["topic=abandoned"], vec!["abandoned"]),
            (vec!["topic=abandoned", &of_dotted], vec!["abandoned", dotted]),
            (vec![&*of_dotted], vec![dotted]),
        ] {
            let bytes = topics.iter().map(|topic| self.bytes(topic)).sum::<Result<f64>>()?;
            let mut figures = vec![
                ("weir-topics", "Topics", "__auto", None, topics.len() as f64),
                ("weir-topics", "On disk", "__auto", None, bytes),
            ];
            for topic in &topics {
                figures.push(("weir-topics", "Topics", "size", Some(("topic", *topic)), self.bytes(topic)?));
            }
            let what = format!("what {topics:?} add up to");
            self.until(&what, &variables, |shown| Ok(wrong(shown, &figures, 0.0))).await?;
        }
        let instance = format!("instance={}", self.weir.http().trim_start_matches("http://"));
        let (gone, away) = (ABANDONED.unread(), DOTTED.unread());
        let others = [
            (vec!["group=gone"], ("weir-groups", "Unread", "__auto", None, gone)),
            (vec!["group=away"], ("weir-groups", "Unread", "__auto", None, away)),
            (vec!["group=gone", "group=away"], ("weir-groups", "Unread", "__auto", None, gone + away)),
            (vec!["connector=tail"], ("weir-connect", "Sinks behind by", "__auto", None, 0.0)),
            (vec![&*instance], ("weir-itself", "Processes", "__auto", None, 1.0)),
        ];
        for (variables, figure) in others {
            let what = format!("what {variables:?} shows");
            self.until(&what, &variables, |shown| Ok(wrong(shown, &[figure], 0.0))).await?;
        }
        Ok(())
    }
}
