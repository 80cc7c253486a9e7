//! docs/alerts.md: the faults of this test, with the times of a run, and the alerts that it cannot raise.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use weir_tests::prometheus::rule_files;

use crate::wave::Wave;
use crate::{Fault, connect, disks, groups, latency, processes};

const FAULTS: [&[Fault]; 5] = [
    disks::Disks::FAULTS,
    processes::Processes::FAULTS,
    groups::Groups::FAULTS,
    connect::Connect::FAULTS,
    latency::Latency::FAULTS,
];
const HEAD: &str = "| fault | alert | minutes |\n| --- | --- | --- |\n";
/// Alerts without a fault, and what a fault of theirs would take.
const WITHOUT: [(&str, &str); 8] = [
    ("WeirUnderMinIsr", "a follower that is gone, of a topic that asks for two"),
    ("WeirUnderReplicated", "a follower that is gone"),
    ("WeirUnderReplicatedLong", "a follower that stays away"),
    ("WeirIsrFlapping", "a follower that cannot keep up"),
    ("WeirUncleanElection", "a leader that is gone while its followers are behind"),
    ("WeirElectionChurn", "leaders that come and go"),
    ("WeirLeadersNotPreferred", "a leader that was away and has come back"),
    ("WeirBrokersUneven", "brokers to compare"),
];

/// Each alert of the rules has a fault here or a reason why not, and the page has them all.
pub(super) fn is_complete() -> Result<()> {
    let caused: BTreeSet<_> = FAULTS.iter().copied().flatten().map(|fault| fault.alert.to_owned()).collect();
    let without: BTreeSet<_> = WITHOUT.iter().map(|(alert, _)| (*alert).to_owned()).collect();
    let mut shipped = BTreeSet::new();
    for file in rule_files()? {
        let rules = std::fs::read_to_string(file)?;
        shipped.extend(rules.lines().filter_map(|line| Some(line.trim().strip_prefix("- alert: ")?.to_owned())));
    }
    ensure!(caused.is_disjoint(&without), "these have a fault: {:?}", caused.intersection(&without));
    let listed: BTreeSet<_> = caused.union(&without).cloned().collect();
    let differs: Vec<_> = shipped.symmetric_difference(&listed).collect();
    ensure!(differs.is_empty(), "neither caused nor said why not, or not shipped: {differs:?}");
    if std::env::var_os("UPDATE_ALERTS").is_some() {
        return Ok(());
    }
    let page = std::fs::read_to_string(path())?;
    let rows = FAULTS.iter().copied().flatten().map(row).chain(WITHOUT.iter().map(row_without));
    let stale: Vec<_> = rows.filter(|row| !page.contains(row)).collect();
    ensure!(stale.is_empty(), "docs/alerts.md lacks, UPDATE_ALERTS=1 writes it:\n{}", stale.join("\n"));
    Ok(())
}

/// With `UPDATE_ALERTS=1`, the page gets these rows.
pub(super) fn write(rows: &str) -> Result<()> {
    if std::env::var_os("UPDATE_ALERTS").is_none() {
        return Ok(());
    }
    let page = std::fs::read_to_string(path())?;
    let (before, rest) = page.split_once(HEAD).context("the page has a table of faults")?;
    let (_, rest) = rest.split_once("\n\n").context("something follows it")?;
    let (between, _) = rest.split_once("| --- | --- |\n").context("the page has a table of alerts without")?;
    let without: String = WITHOUT.iter().map(|row| row_without(row) + "\n").collect();
    Ok(std::fs::write(path(), format!("{before}{HEAD}{rows}\n{between}| --- | --- |\n{without}"))?)
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts.md")
}

/// Lines of the page: faults, and after how many minutes their alerts came.
pub(super) fn rows(faults: &[Fault], after: &[f64]) -> String {
    let mut rows = String::new();
    for (fault, minutes) in faults.iter().zip(after) {
        let _ = writeln!(rows, "{}{minutes:.0} |", row(fault));
    }
    rows
}

/// But for its last column.
fn row(fault: &Fault) -> String {
    format!("| {} | {} | ", fault.what, link(fault.alert))
}

fn row_without((alert, wants): &(&str, &str)) -> String {
    format!("| {} | {wants} |", link(alert))
}

fn link(alert: &str) -> String {
    format!("[{alert}](runbooks/{alert}.md)")
}
