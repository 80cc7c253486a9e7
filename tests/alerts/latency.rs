//! What is slow: disks that stop for a moment, and threads that have too much to do.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use weir_tests::disk::FreezableDisk;
use weir_tests::prometheus::Prometheus;

use crate::stage::Stage;
use crate::wave::Wave;
use crate::{Fault, fault};

const LOG_BYTES: u64 = 256 << 20;
const INDEX_BYTES: u64 = 128 << 20;
/// A disk is held up for so long, so that a scrape sees it each time, then for a moment not. As long as thresholds ask for, which are of real disks and are not
/// divided as the rules' windows are.
const HOLD: Duration = Duration::from_millis(2_000);
const RELEASE: Duration = Duration::from_millis(1_500);
/// An ApiVersions request: its length, API 18, version 0, correlation id 1, no client id.
const SMALL_REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
const REQUESTS_AT_ONCE: usize = 1000;

pub(super) struct Latency {
    index: Option<FreezableDisk>,
    log: Option<FreezableDisk>,
}

impl Wave for Latency {
    const NAME: &'static str = "latency";
    const FAULTS: &'static [Fault] = &[
        fault("the disk of the log stops for a moment, again and again", "WeirProduceSlow", "slow", "", 18.0),
        fault("the disk of the index does", "WeirIndexBehind", "index", "", 20.0),
        fault("a client floods a broker with small requests", "WeirHandlersBusy", "busy", "", 22.0),
    ];

    async fn set_up(stage: &mut Stage) -> Result<Self> {
        let log = FreezableDisk::mount(&data_of(stage, "slow")?, LOG_BYTES)?;
        stage.cluster_on_its_disk("slow", &[], "", &[]).await?;
        stage.program("produce", "slow", &["10", "orders"])?;
        let index = FreezableDisk::mount(&data_of(stage, "index")?.join("search"), INDEX_BYTES)?;
        let yaml = "connectors:\n  docs: {class: search, topics: [orders], url: embedded, index: orders}\n";
        stage.cluster_on_its_disk("index", &[], yaml, &[]).await?;
        stage.program("produce", "index", &["10", "orders"])?;
        stage.disk("busy", "256m")?;
        // One thread, so that the machine has something left for everybody else.
        stage.cluster_on_its_disk("busy", &[], "", &[("TOKIO_WORKER_THREADS", "1")]).await?;
        Ok(Self { log: Some(log), index: Some(index) })
    }

    async fn cause(&mut self, stage: &mut Stage, _: &Prometheus) -> Result<()> {
        for (disk, cluster) in [(self.log.take(), "slow"), (self.index.take(), "index")] {
            stage.now(cluster, "");
            if let Some(disk) = disk {
                stage.beat(RELEASE, move || {
                    disk.freeze()?;
                    std::thread::sleep(HOLD);
                    disk.thaw()
                });
            }
        }
        stage.now("busy", "");
        flood(stage, "busy")
    }
}

fn data_of(stage: &mut Stage, cluster: &str) -> Result<PathBuf> {
    Ok(stage.disk(cluster, "512m")?.join("data"))
}

/// As many requests as a broker takes. Who reads the answers ends with the broker.
fn flood(stage: &mut Stage, cluster: &str) -> Result<()> {
    for _ in 0..2 {
        let mut requests = TcpStream::connect(("127.0.0.1", stage.weir(cluster)?.ports.kafka))?;
        let mut answers = requests.try_clone()?;
        std::thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
        let many = SMALL_REQUEST.repeat(REQUESTS_AT_ONCE);
        stage.beat(Duration::ZERO, move || Ok(requests.write_all(&many)?));
    }
    Ok(())
}
