//! Where faults happen: brokers, each a cluster of its own on a disk of its own, and the clients that go with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use weir_tests::beat::Beat;
use weir_tests::clients::Programs;
use weir_tests::disk::SmallDisk;
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::prometheus::Target;
use weir_tests::weir::{Weir, command};

use crate::{Fault, minutes};

/// Brokers and clients by name. What it holds ends with it, the disks last.
pub(super) struct Stage {
    programs: Programs,
    beats: Vec<Beat>,
    weirs: BTreeMap<&'static str, Weir>,
    /// That of what is well.
    pub(super) postgres: Postgres,
    pub(super) targets: Vec<Target>,
    interrupted: BTreeSet<&'static str>,
    caused: BTreeMap<(&'static str, &'static str), SystemTime>,
    disks: Vec<SmallDisk>,
    folder: TempDir,
}

impl Stage {
    pub(super) async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            programs: Programs::start(&folder.path().join("programs.log"))?,
            beats: Vec::new(),
            weirs: BTreeMap::new(),
            postgres: Postgres::start().await?,
            targets: Vec::new(),
            interrupted: BTreeSet::new(),
            caused: BTreeMap::new(),
            disks: Vec::new(),
            folder,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `weir up` as a cluster of that name, on a disk of that size.
    pub(super) async fn cluster(&mut self, name: &'static str, size: &str) -> Result<()> {
        self.cluster_with(name, size, &[]).await
    }

    /// The same with further lines of the broker's section.
    pub(super) async fn cluster_with(&mut self, name: &'static str, size: &str, config: &[&str]) -> Result<()> {
        self.disk(name, size)?;
        self.cluster_on_its_disk(name, config, "", &[]).await
    }

    /// A disk for a cluster of that name.
    pub(super) fn disk(&mut self, name: &str, size: &str) -> Result<PathBuf> {
        let at = self.folder.path().join(name);
        self.disks.push(SmallDisk::mount(&at, size)?);
        Ok(at)
    }

    /// `weir up` in the folder of that name as it is.
    pub(super) async fn cluster_on_its_disk(
        &mut self,
        name: &'static str,
        config: &[&str],
        sections: &str,
        variables: &[(&str, &str)],
    ) -> Result<()> {
        // Five minutes of standing still, like everything else in the rules, pass faster.
        let window = format!("group.lag.window.ms: {}", minutes(5.0).as_millis());
        let always = [
            &window,
            "group.initial.rebalance.delay.ms: 0",
            "log.retention.check.interval.ms: 500",
            "offsets.topic.num.partitions: 1",
        ];
        let folder = self.folder.path().join(name);
        let weir = Weir::up_with(&folder, &[&always, config].concat(), sections, variables).await?;
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

    /// A fault of that cluster, and of whatever it is about there, is about to be caused.
    pub(super) fn now(&mut self, cluster: &'static str, of: &'static str) {
        self.caused.insert((cluster, of), SystemTime::now());
    }

    pub(super) fn caused(&self, fault: &Fault) -> Result<SystemTime> {
        let caused = self.caused.get(&(fault.cluster, fault.of));
        caused.copied().with_context(|| format!("{} was not caused", fault.what))
    }

    /// A fault lets the targets of that cluster fall silent: that they do says nothing about the machine.
    pub(super) fn interrupt(&mut self, cluster: &'static str) {
        self.interrupted.insert(cluster);
    }

    pub(super) fn is_interrupted(&self, cluster: &str) -> bool {
        self.interrupted.contains(cluster)
    }

    /// A program of `groups.py` that runs until the end.
    pub(super) fn program(&mut self, verb: &str, cluster: &str, arguments: &[&str]) -> Result<()> {
        let bootstrap = self.weir(cluster)?.bootstrap();
        self.programs.add(&[&[verb, &bootstrap], arguments].concat())
    }

    /// Something that is done again and again until the end.
    pub(super) fn beat(&mut self, pause: Duration, work: impl FnMut() -> Result<()> + Send + 'static) {
        self.beats.push(Beat::start(pause, work));
    }

    /// Bytes that are appended to a file again and again.
    pub(super) fn append(&mut self, file: &Path, bytes: impl Into<Vec<u8>>, pause: Duration) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        let bytes = bytes.into();
        self.beat(pause, move || Ok(file.write_all(&bytes)?));
        Ok(())
    }

    /// An error when something that should go on does not.
    pub(super) fn check(&mut self) -> Result<()> {
        ensure!(self.beats.iter().all(Beat::lives), "something does not go on: its error is above");
        self.programs.check()
    }

    /// One `weir` command against a cluster, to its end.
    pub(super) fn weir_says(&self, cluster: &str, arguments: &[&str]) -> Result<String> {
        let mut command = command(arguments)?;
        command.env("WEIR_BOOTSTRAP_SERVER", self.weir(cluster)?.bootstrap());
        run(command)
    }
}
