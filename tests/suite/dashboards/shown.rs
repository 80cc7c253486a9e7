//! What the dashboards show: answers by dashboard, panel and legend or heading.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::Value as Json;
use weir_tests::process::run;
use weir_tests::prometheus::Prometheus;
use weir_tests::weir::Weir;

/// What `rate` in panels looks back over.
pub(super) const RATE_SECONDS: u64 = 10;
const OF_THREE: &str = "one of three answers, by how late it is: here it is much too late";
/// Queries that have nothing to show here, by dashboard, panel and legend, and why.
const EMPTY: [(&str, &str, &str, &str); 9] = [
    (
        "weir-brokers",
        "Disk busy",
        "{{instance}} {{log_dir}}",
        "in memory, or over several disks, there is no such disk",
    ),
    ("weir-brokers", "Error budget", "{{instance}} {{api}}", "no request fails"),
    ("weir-cluster", "Oldest unread record", "within the objective", OF_THREE),
    ("weir-cluster", "Oldest unread record", "late", OF_THREE),
    ("weir-connect", "Dead letters and retries", "{{connector}}, retries", "no call had to be repeated"),
    ("weir-groups", "Groups", "to drain", "no group is a minute behind and catches up"),
    ("weir-groups", "Oldest unread record", "within the objective", OF_THREE),
    ("weir-groups", "Oldest unread record", "late", OF_THREE),
    ("weir-groups", "Time to drain", "{{group}}, {{topic}}", "no group is a minute behind and catches up"),
];

pub(super) struct Shown(Vec<Json>);

impl Shown {
    /// With these variables, `NAME=VALUE`; others stand at All.
    pub(super) fn of(prometheus: &Prometheus, weir: &Weir, variables: &[&str]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/live.py");
        let mut live = Command::new("python3");
        live.arg(script).args(["--prometheus", prometheus.url(), "--search", &weir.search()]);
        live.args(["--seconds", "60", "--rate-interval", &format!("{RATE_SECONDS}s")]).args(variables);
        Ok(Self(serde_json::from_str(&run(live)?)?))
    }

    /// Dashboard, panel, answer.
    fn answers(&self) -> impl Iterator<Item = (&str, &str, &Json)> {
        self.0.iter().flat_map(|dashboard| {
            let panels = dashboard["panels"].as_array().into_iter().flatten();
            panels.flat_map(|one| {
                let place = (text(&dashboard["uid"]), text(&one["panel"]["title"]));
                one["answers"].as_array().into_iter().flatten().map(move |answer| (place.0, place.1, answer))
            })
        })
    }

    /// Why queries are not as they should be, one line each.
    pub(super) fn complaints(&self) -> Vec<String> {
        let may_be_empty: BTreeSet<_> = EMPTY.iter().map(|(uid, title, legend, _)| (*uid, *title, *legend)).collect();
        let there: BTreeSet<_> =
            self.answers().map(|(uid, title, answer)| (uid, title, text(&answer["legend"]))).collect();
        let gone = may_be_empty.difference(&there).map(|place| format!("no such query: {place:?}"));
        let empty = self.answers().filter(|(uid, title, answer)| {
            !has_data(answer) && !may_be_empty.contains(&(*uid, *title, text(&answer["legend"])))
        });
        let empty = empty.map(|(uid, title, answer)| format!("{uid}: {title}: no data: {}", answer["query"]));
        gone.chain(empty).collect()
    }

    /// Variables that offer something else than there is, in whatever dashboard, one line each.
    pub(super) fn offers_differ(&self, truth: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
        let mut unasked: BTreeSet<_> = truth.keys().copied().collect();
        let mut found = Vec::new();
        for dashboard in &self.0 {
            for (name, offered) in dashboard["offers"].as_object().into_iter().flatten() {
                let offered: BTreeSet<_> = offered.as_array().into_iter().flatten().map(text).collect();
                let there: BTreeSet<_> = truth.get(name.as_str()).into_iter().flatten().map(String::as_str).collect();
                unasked.remove(name.as_str());
                if offered != there {
                    found.push(format!("{}: ${name} offers {offered:?}, there are {there:?}", dashboard["uid"]));
                }
            }
        }
        found.extend(unasked.iter().map(|name| format!("no dashboard has a variable {name}")));
        found
    }

    /// The value now of the one series with this label, or of the one without any, in the answer with this legend.
    pub(super) fn value(&self, uid: &str, title: &str, legend: &str, label: Option<(&str, &str)>) -> Option<f64> {
        let asked = |(at, of, answer): &(&str, &str, &Json)| *at == uid && *of == title && answer["legend"] == legend;
        let series = self.answers().filter(asked).flat_map(|(_, _, answer)| answer["series"].as_array()).flatten();
        let has = |series: &&Json| match label {
            Some((name, value)) => series["metric"][name] == value,
            None => series["metric"].as_object().is_some_and(|labels| labels.is_empty()),
        };
        let mut found = series.filter(has);
        let (one, more) = (found.next()?, found.next());
        points(one).last().copied().filter(|_| more.is_none())
    }
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

fn points(series: &Json) -> Vec<f64> {
    let points = series["values"].as_array().cloned().unwrap_or_else(|| vec![series["value"].clone()]);
    points.iter().filter_map(|point| text(&point[1]).parse().ok()).collect()
}

/// A number at some time, in some series; or documents, in some bucket if there are any.
fn has_data(answer: &Json) -> bool {
    let series = answer["series"].as_array().into_iter().flatten();
    let mut numbers = series.flat_map(points).filter(|number| number.is_finite());
    let document = &answer["answer"];
    let found = document["hits"]["total"]["value"].as_u64().is_some_and(|total| total > 0);
    numbers.next().is_some() || found && document.get("aggregations").is_none_or(has_documents)
}

fn has_documents(aggregations: &Json) -> bool {
    let mut buckets =
        aggregations.as_object().into_iter().flatten().filter_map(|(_, of)| of["buckets"].as_array()).flatten();
    buckets.any(|bucket| bucket["doc_count"].as_u64().is_some_and(|count| count > 0) && is_leaf_or_filled(bucket))
}

fn is_leaf_or_filled(bucket: &Json) -> bool {
    let mut nested = bucket.as_object().into_iter().flatten().filter(|(_, of)| of.get("buckets").is_some()).peekable();
    nested.peek().is_none() || has_documents(bucket)
}
