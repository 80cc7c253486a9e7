//! Faults that happen at once, and what Prometheus makes of them. It is judged at the end, by what Prometheus has stored: an
//! alert that fired for one evaluation counts.
//!
//! On a machine that is too slow a test like this one says nothing: scrapes fail, rates are of other times, and a load that
//! should be healthy is not. That is seen by what no fault touches: each scrape of such a target must have been answered in
//! its turn, and each evaluation of the rules must have been made. A wave where this is not so is run again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use weir_tests::prometheus::{Labels, Prometheus, interval};
use weir_tests::wait::wait_until;

use crate::stage::Stage;
use crate::{FACTOR, Fault, groups, healthy, minutes};

/// All in minutes. Before anything goes wrong, so that rates know what was.
const BEFORE: f64 = 5.0;
/// After the last alert, so that what would follow it shows.
const AFTER: f64 = 5.0;
const START_LIMIT: Duration = Duration::from_secs(60);
const TRIES: usize = 3;
/// Two scrapes may be so many intervals apart.
const APART_MAX: f64 = 1.5;

pub(super) trait Wave: Sized {
    const NAME: &'static str;
    const FAULTS: &'static [Fault];
    /// In minutes: so long it goes on, even if all alerts are there.
    const AT_LEAST: f64 = 0.0;

    /// Everything runs and is well. What it gives holds what faults need, until the end.
    async fn set_up(stage: &mut Stage) -> Result<Self>;

    /// Everything goes wrong.
    async fn cause(&mut self, stage: &mut Stage, prometheus: &Prometheus) -> Result<()>;
}

/// Minutes from each fault to its alert, in the order of the table.
pub(super) async fn run<W: Wave>() -> Result<Vec<f64>> {
    let mut why = String::new();
    for _ in 0..TRIES {
        let seen = once::<W>().await?;
        if seen.too_slow.is_empty() {
            return seen.verdict(W::FAULTS);
        }
        why = seen.too_slow.join("\n");
        println!("{}: the machine is too slow, this run says nothing:\n{why}", W::NAME);
    }
    bail!("the machine is too slow, {TRIES} times in a row:\n{why}")
}

async fn once<W: Wave>() -> Result<Seen> {
    let mut stage = Stage::new().await?;
    healthy::set_up(&mut stage).await?;
    let mut wave = W::set_up(&mut stage).await?;
    let folder = stage.folder().join("prometheus");
    let prometheus = Prometheus::start(&folder, FACTOR, groups::OBJECTIVES, &stage.targets).await?;
    // Prometheus itself is one more.
    let all = stage.targets.len() + 1;
    let is_scraped = async || prometheus.query("up == 1").await.is_ok_and(|up| up.len() == all);
    wait_until("all targets to answer", START_LIMIT, is_scraped).await?;
    let start = SystemTime::now();
    tokio::time::sleep(minutes(BEFORE)).await;
    let caused = SystemTime::now();
    wave.cause(&mut stage, &prometheus).await?;
    let mut complete_since = None;
    loop {
        stage.check()?;
        let seen = Seen::so_far(&prometheus, &stage, W::FAULTS, start.elapsed()?).await?;
        if !seen.too_slow.is_empty() || !seen.others.is_empty() || !seen.overdue(W::FAULTS)?.is_empty() {
            return Ok(seen);
        }
        if seen.is_complete() && caused.elapsed()? >= minutes(W::AT_LEAST) {
            let since = *complete_since.get_or_insert_with(SystemTime::now);
            if since.elapsed()? >= minutes(AFTER) {
                return Ok(seen);
            }
        }
        tokio::time::sleep(interval(FACTOR)).await;
    }
}

/// What Prometheus has seen since a wave began.
struct Seen {
    /// When each fault was caused, and its alert fired, in seconds since 1970.
    caused: Vec<f64>,
    fired: Vec<Option<f64>>,
    /// Alerts that no fault has, or that came before their fault did.
    others: Vec<String>,
    too_slow: Vec<String>,
}

impl Seen {
    async fn so_far(prometheus: &Prometheus, stage: &Stage, faults: &[Fault], past: Duration) -> Result<Self> {
        let caused: Result<Vec<f64>> = faults.iter().map(|fault| epoch(stage.caused(fault)?)).collect();
        let mut seen =
            Self { caused: caused?, fired: vec![None; faults.len()], others: Vec::new(), too_slow: Vec::new() };
        for alert in prometheus.points("ALERTS{alertstate=\"firing\"}", past).await? {
            let (first, _) = *alert.points.first().context("a series has points")?;
            match faults.iter().position(|fault| fault.raises(&alert.labels)) {
                Some(place) if first >= seen.caused[place] => {
                    let fired = &mut seen.fired[place];
                    *fired = Some(fired.map_or(first, |earlier| first.min(earlier)));
                }
                _ => seen.others.push(format!("{:?}", alert.labels)),
            }
        }
        for up in prometheus.points("up", past).await? {
            let cluster = up.labels.get("cluster").map(String::as_str).unwrap_or_default();
            if !stage.is_interrupted(cluster) && !in_turn(&up.points) {
                seen.too_slow.push(format!("not scraped in each turn: {:?}", up.labels));
            }
        }
        for missed in prometheus.points("prometheus_rule_group_iterations_missed_total", past).await? {
            if missed.points.first().map(|(_, count)| count) != missed.points.last().map(|(_, count)| count) {
                seen.too_slow.push(format!("not evaluated in each turn: {:?}", missed.labels));
            }
        }
        Ok(seen)
    }

    fn is_complete(&self) -> bool {
        self.fired.iter().all(Option::is_some)
    }

    /// Alerts that are missing though they should be there by now.
    fn overdue(&self, faults: &[Fault]) -> Result<Vec<String>> {
        let now = epoch(SystemTime::now())?;
        let waiting = faults.iter().zip(&self.caused).zip(&self.fired).filter(|(_, fired)| fired.is_none());
        let overdue = waiting.filter(|((fault, caused), _)| now - *caused > minutes(fault.limit).as_secs_f64());
        Ok(overdue.map(|((fault, _), _)| format!("{} ({})", fault.alert, fault.what)).collect())
    }

    fn verdict(&self, faults: &[Fault]) -> Result<Vec<f64>> {
        ensure!(self.others.is_empty(), "nothing was wrong that these say:\n{}", self.others.join("\n"));
        let overdue = self.overdue(faults)?;
        ensure!(overdue.is_empty(), "not raised in time: {overdue:?}");
        let after = self.fired.iter().flatten().zip(&self.caused).map(|(fired, caused)| fired - caused);
        let after: Vec<f64> = after.map(|seconds| seconds / minutes(1.0).as_secs_f64()).collect();
        let late = faults.iter().zip(&after).filter(|(fault, after)| **after > fault.limit);
        let late: Vec<_> = late.map(|(fault, after)| format!("{} after {after:.0} minutes", fault.alert)).collect();
        ensure!(late.is_empty(), "too late: {late:?}");
        Ok(after)
    }
}

impl Fault {
    fn raises(&self, alert: &Labels) -> bool {
        let is = |label: &str, value: &str| alert.get(label).is_some_and(|found| found == value);
        let of_it = ["group", "connector", "index", "api"].iter().any(|label| is(label, self.of));
        is("alertname", self.alert) && is("cluster", self.cluster) && (self.of.is_empty() || of_it)
    }
}

/// Whether each scrape was answered, and none left out.
fn in_turn(up: &[(f64, f64)]) -> bool {
    let apart_max = interval(FACTOR).as_secs_f64() * APART_MAX;
    up.iter().all(|(_, value)| *value == 1.0) && up.windows(2).all(|pair| pair[1].0 - pair[0].0 <= apart_max)
}

fn epoch(time: SystemTime) -> Result<f64> {
    Ok(time.duration_since(UNIX_EPOCH)?.as_secs_f64())
}
