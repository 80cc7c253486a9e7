//! Where faults happen: brokers, each a cluster of its own on a disk of its own, and the clients that go with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use weir_tests::clients::python_script;
use weir_tests::disk::SmallDisk;
use weir_tests::process::{Process, run};
use weir_tests::prometheus::Target;
use weir_tests::weir::{Weir, command};

/// Five minutes of standing still, like everything else in the rules, pass in five seconds.
const BROKER: [&str; 4] = [
    "group.lag.window.ms: 5000",
    "group.initial.rebalance.delay.ms: 0",
    "log.retention.check.interval.ms: 500",
    "offsets.topic.num.partitions: 1",
];

/// Brokers and clients by name. What it holds ends with it, the disks last.
pub(super) struct Stage {
    clients: BTreeMap<String, Process>,
    weirs: BTreeMap<&'static str, Weir>,
    pub(super) targets: Vec<Target>,
    disks: Vec<SmallDisk>,
    folder: TempDir,
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self { clients: BTreeMap::new(), weirs: BTreeMap::new(), targets: Vec::new(), disks: Vec::new(), folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `weir up` as a cluster of that name, on a disk of that size of which so many bytes are taken.
    pub(super) async fn cluster(&mut self, name: &'static str, size: &str, taken: u64, config: &[&str]) -> Result<()> {
        self.disk(name, size)?;
        if taken > 0 {
            std::fs::write(self.folder.path().join(name).join("ballast"), vec![0; usize::try_from(taken)?])?;
        }
        self.cluster_on_its_disk(name, config, "").await
    }

    /// A disk for a cluster of that name.
    pub(super) fn disk(&mut self, name: &str, size: &str) -> Result<()> {
        self.disks.push(SmallDisk::mount(&self.folder.path().join(name), size)?);
        Ok(())
    }

    /// The same in its folder as it is.
    pub(super) async fn cluster_on_its_disk(
        &mut self,
        name: &'static str,
        config: &[&str],
        sections: &str,
    ) -> Result<()> {
        let weir = Weir::up(&self.folder.path().join(name), &[&BROKER, config].concat(), sections).await?;
        self.targets.push(Target { job: "weir", cluster: name, url: weir.http() });
        self.weirs.insert(name, weir);
        Ok(())
    }

    pub(super) fn weir(&self, name: &str) -> Result<&Weir> {
        self.weirs.get(name).with_context(|| format!("no cluster {name}"))
    }

    pub(super) fn weir_mut(&mut self, name: &str) -> Result<&mut Weir> {
        self.weirs.get_mut(name).with_context(|| format!("no cluster {name}"))
    }

    /// A program of `groups.py` that runs until the end, or until the next of that name.
    pub(super) fn client(&mut self, name: &str, cluster: &str, verb: &str, arguments: &[&str]) -> Result<()> {
        let bootstrap = self.weir(cluster)?.bootstrap();
        let script = python_script("groups.py", &[&[verb, &bootstrap], arguments].concat())?;
        self.run(name, script)
    }

    /// Shell words, again and again.
    pub(super) fn repeat(&mut self, name: &str, words: &str) -> Result<()> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("while :; do {words}; done")]).current_dir(self.folder.path());
        self.run(name, shell)
    }

    fn run(&mut self, name: &str, command: Command) -> Result<()> {
        let log = self.folder.path().join(format!("{name}.log"));
        self.clients.insert(name.to_owned(), Process::start(name, command, &log)?);
        Ok(())
    }

    /// One `weir` command against a cluster, to its end.
    pub(super) fn weir_says(&self, cluster: &str, arguments: &[&str]) -> Result<String> {
        let mut command = command(arguments)?;
        command.env("WEIR_BOOTSTRAP_SERVER", self.weir(cluster)?.bootstrap());
        run(command)
    }
}
