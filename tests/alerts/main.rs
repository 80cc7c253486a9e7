//! Fault → alert: real faults, a real Prometheus with the rules that are shipped, sixty times as fast. Each fault raises its
//! alert and no other, and a load that is healthy for an hour raises none. docs/alerts.md has the matrix.
//!
//! A program of its own, so that it has the machine to itself: what overloads the machine is a fault, too.

mod faults;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::prometheus::Prometheus;
use weir_tests::wait::wait_until;

use stage::Stage;

/// A minute passes in a second.
const FACTOR: u32 = 60;
/// An hour.
const HEALTHY_FOR: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(150);
/// Scrapes before anything goes wrong, so that rates know what was.
const BEFORE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(500);
const PAGE: &str = "../docs/alerts.md";

struct Fault {
    what: &'static str,
    alert: &'static str,
    cluster: &'static str,
    /// The group, connector or index it is about; nothing where it is the cluster.
    of: &'static str,
}

const fn fault(what: &'static str, alert: &'static str, cluster: &'static str, of: &'static str) -> Fault {
    Fault { what, alert, cluster, of }
}

const FAULTS: [Fault; 26] = [
    fault("a broker is killed", "WeirBrokerDown", "down", ""),
    fault("a worker is killed", "WeirTargetDown", "worker", ""),
    fault("the log of a partition cannot be opened", "WeirPartitionsOffline", "offline", ""),
    fault("the log folder is gone", "WeirLogDirOffline", "log-dir", ""),
    fault("a tenth of the disk is left", "WeirDiskLow", "disk-low", ""),
    fault("producers fill the disk", "WeirDiskCritical", "disk-full", ""),
    fault("they go on producing", "WeirErrorBudgetFast", "disk-full", ""),
    fault("something else fills the disk, slowly", "WeirDiskFillsWithinDay", "disk-fills", ""),
    fault("clients open connections and keep them", "WeirFileDescriptorsLow", "descriptors", ""),
    fault("the disk of the log stops for a moment, again and again", "WeirProduceSlow", "slow", ""),
    fault("the disk of the index does", "WeirIndexBehind", "index", ""),
    fault("there are more series than the limit", "WeirSeriesDropped", "series", ""),
    fault("the table of a sink is missing", "WeirTaskFailed", "connect", "no-table"),
    fault("the Postgres of a sink is stopped", "WeirSinkLag", "connect", "away"),
    fault("one line in a hundred is poison", "WeirDeadLetters", "connect", "letters"),
    fault("many lines are", "WeirConnectorErrors", "connect", "refuses"),
    fault("a document has a time that is none", "WeirIndexRejects", "connect", "odd"),
    fault("a consumer is ten minutes behind", "WeirGroupLagHigh", "groups", "high"),
    fault("a consumer is 45 minutes behind", "WeirGroupLagCritical", "groups", "critical"),
    fault("a consumer falls behind little by little", "WeirGroupLagGrowing", "groups", "growing"),
    fault("a member reads and never commits", "WeirConsumerStalled", "groups", "stalled"),
    fault("a consumer is stopped", "WeirConsumerGone", "groups", "gone"),
    fault("a group is set back", "WeirGroupRewound", "groups", "rewound"),
    fault("members join and leave again and again", "WeirRebalanceStorm", "groups", "storm"),
    fault("retention comes near what a group has not read", "WeirDataLossRisk", "groups", "risk"),
    fault("retention passes a slow group", "WeirDataLost", "groups", "lost"),
];

type Labels = BTreeMap<String, String>;

impl Fault {
    fn raises(&self, alert: &Labels) -> bool {
        let is = |label: &str, value: &str| alert.get(label).is_some_and(|found| found == value);
        let of_it = ["group", "connector", "index"].iter().any(|label| is(label, self.of));
        is("alertname", self.alert) && is("cluster", self.cluster) && (self.of.is_empty() || of_it)
    }
}

/// Seconds from the fault to its alert, by place in the table; and alerts that no fault has.
#[derive(Default)]
struct Seen {
    after: BTreeMap<usize, f64>,
    others: BTreeSet<String>,
}

impl Seen {
    fn look(&mut self, firing: &[Labels], since: Instant) {
        for alert in firing {
            let raised = FAULTS.iter().enumerate().filter(|(_, fault)| fault.raises(alert));
            let mut is_known = false;
            for (place, _) in raised {
                is_known = true;
                self.after.entry(place).or_insert_with(|| since.elapsed().as_secs_f64());
            }
            if !is_known {
                self.others.insert(format!("{alert:?}"));
            }
        }
    }

    fn missing(&self) -> Vec<&'static str> {
        let missing = FAULTS.iter().enumerate().filter(|(place, _)| !self.after.contains_key(place));
        missing.map(|(_, fault)| fault.alert).collect()
    }

    fn matrix(&self) -> String {
        let mut table = String::new();
        for (place, fault) in FAULTS.iter().enumerate() {
            let minutes = self.after.get(&place).map_or(f64::NAN, |seconds| seconds * f64::from(FACTOR) / 60.0);
            let _ = writeln!(table, "{}{minutes:.0} |", row(fault));
        }
        table
    }
}

/// A line of the page, but for its last column.
fn row(fault: &Fault) -> String {
    format!("| {} | [{alert}](runbooks/{alert}.md) | ", fault.what, alert = fault.alert)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_raises_its_alert_and_no_other() -> Result<()> {
    if !rustix::process::getuid().is_root() {
        println!("only root can fill and freeze a disk of its own: nothing was tested");
        return Ok(());
    }
    let mut stage = Stage::new()?;
    let mut held = faults::set_up(&mut stage).await?;
    let prometheus =
        Prometheus::start(&stage.folder().join("prometheus"), FACTOR, faults::OBJECTIVES, &stage.targets).await?;
    let all = stage.targets.len();
    let waited = wait_until("all targets to answer", LIMIT, async || {
        prometheus.query("up == 1").await.is_ok_and(|up| up.len() == all)
    });
    waited.await?;
    tokio::time::sleep(BEFORE).await;
    let since = Instant::now();
    faults::cause(&mut stage, &mut held).await?;

    let mut seen = Seen::default();
    while since.elapsed() < LIMIT && (!seen.missing().is_empty() || since.elapsed() < HEALTHY_FOR) {
        seen.look(&prometheus.firing().await?, since);
        tokio::time::sleep(POLL).await;
    }
    let matrix = seen.matrix();
    println!("{matrix}");
    ensure!(seen.others.is_empty(), "nothing was wrong that these say:\n{:#?}\n{matrix}", seen.others);
    ensure!(seen.missing().is_empty(), "not raised: {:?}\n{matrix}", seen.missing());
    page(&matrix)
}

/// docs/alerts.md has these faults; `UPDATE_ALERTS=1` writes them, with the times of this run.
fn page(matrix: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if std::env::var_os("UPDATE_ALERTS").is_some() {
        let (head, _) = page.split_once("| --- | --- | --- |\n").context("the page has a table")?;
        return Ok(std::fs::write(&path, format!("{head}| --- | --- | --- |\n{matrix}"))?);
    }
    let stale: Vec<_> = FAULTS.iter().map(row).filter(|row| !page.contains(row)).collect();
    ensure!(stale.is_empty(), "docs/alerts.md lacks, UPDATE_ALERTS=1 writes it:\n{}", stale.join("\n"));
    Ok(())
}
