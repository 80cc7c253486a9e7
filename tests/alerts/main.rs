//! Fault → alert: real faults, a real Prometheus with the rules that are shipped, thirty times as fast. Each fault raises
//! its alert and no other, and a load that is healthy for an hour beside them raises none. docs/alerts.md has the matrix.
//!
//! Faults come in waves, each with a Prometheus and processes of its own. A wave in which the machine was too slow to tell is
//! repeated; what makes it so is in [`wave`].
//!
//! `ALERTS_WAVES=disks,groups` runs these alone.

mod connect;
mod disks;
mod groups;
mod healthy;
mod latency;
mod page;
mod processes;
mod stage;
mod wave;

use std::time::Duration;

use anyhow::{Result, ensure};

use wave::{Wave, run};

/// Thirty minutes pass in one.
const FACTOR: u32 = 30;

/// How long so many minutes of the rules take.
fn minutes(count: f64) -> Duration {
    Duration::from_secs(60).mul_f64(count / f64::from(FACTOR))
}

/// The same for programs that want to be told in seconds.
fn seconds(of_minutes: f64) -> String {
    minutes(of_minutes).as_secs_f64().to_string()
}

struct Fault {
    what: &'static str,
    alert: &'static str,
    cluster: &'static str,
    /// The group, connector, index or API it is about; nothing where it is the cluster.
    of: &'static str,
    /// In minutes: longer than that it must not take.
    limit: f64,
}

const fn fault(what: &'static str, alert: &'static str, cluster: &'static str, of: &'static str, limit: f64) -> Fault {
    Fault { what, alert, cluster, of, limit }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_raises_its_alert_and_no_other() -> Result<()> {
    page::is_complete()?;
    if !rustix::process::getuid().is_root() {
        println!("only root can fill and freeze a disk of its own: nothing was tested");
        return Ok(());
    }
    let wanted = std::env::var("ALERTS_WAVES").unwrap_or_default();
    let mut outcome = Outcome::default();
    outcome.of::<disks::Disks>(&wanted).await;
    outcome.of::<processes::Processes>(&wanted).await;
    outcome.of::<groups::Groups>(&wanted).await;
    outcome.of::<connect::Connect>(&wanted).await;
    outcome.of::<latency::Latency>(&wanted).await;
    println!("{}", outcome.rows);
    ensure!(outcome.errors.is_empty(), "{}", outcome.errors.join("\n"));
    if wanted.is_empty() { page::write(&outcome.rows) } else { Ok(()) }
}

#[derive(Default)]
struct Outcome {
    rows: String,
    errors: Vec<String>,
}

impl Outcome {
    /// Runs a wave, if it is among those that are wanted.
    async fn of<W: Wave>(&mut self, wanted: &str) {
        if !wanted.is_empty() && !wanted.split(',').any(|name| name == W::NAME) {
            return;
        }
        match run::<W>().await {
            Ok(after) => self.rows += &page::rows(W::FAULTS, &after),
            Err(error) => self.errors.push(format!("{}: {error:#}", W::NAME)),
        }
    }
}
