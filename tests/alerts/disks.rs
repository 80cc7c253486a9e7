//! Disks: full, getting full, and gone.

use std::fs::{rename, write};

use anyhow::Result;
use weir_tests::prometheus::Prometheus;

use crate::stage::Stage;
use crate::wave::Wave;
use crate::{Fault, fault, minutes};

const DISK_MIB: usize = 256;
/// Of it, so much is taken by what is not Weir's.
const TAKEN_MIB: usize = 230;

pub(super) struct Disks;

impl Wave for Disks {
    const NAME: &'static str = "disks";
    const FAULTS: &'static [Fault] = &[
        fault("the log folder is gone", "WeirLogDirOffline", "log-dir", "", 5.0),
        fault("a tenth of the disk is left", "WeirDiskLow", "disk-low", "", 9.0),
        fault("producers fill the disk", "WeirDiskCritical", "disk-full", "", 15.0),
        fault("they go on producing", "WeirErrorBudgetFast", "disk-full", "Produce", 20.0),
        fault("something else fills the disk, slowly", "WeirDiskFillsWithinDay", "disk-fills", "", 110.0),
    ];

    async fn set_up(stage: &mut Stage) -> Result<Self> {
        for name in ["log-dir", "disk-low", "disk-fills"] {
            stage.cluster(name, &format!("{DISK_MIB}m")).await?;
        }
        // Of data alone: its log, which says so, must have a place.
        stage.disk("disk-full/data", "24m")?;
        stage.cluster_on_its_disk("disk-full", &[], "", &[]).await?;
        Ok(Self)
    }

    async fn cause(&mut self, stage: &mut Stage, _: &Prometheus) -> Result<()> {
        let broker = stage.folder().join("log-dir/data/broker");
        stage.now("log-dir", "");
        rename(&broker, broker.with_extension("away"))?;
        stage.now("disk-low", "");
        write(stage.folder().join("disk-low/ballast"), vec![0; TAKEN_MIB << 20])?;
        stage.now("disk-full", "");
        stage.now("disk-full", "Produce");
        stage.program("fill", "disk-full", &["300", "10000", "full"])?;
        let ballast = stage.folder().join("disk-fills/ballast");
        stage.now("disk-fills", "");
        stage.append(&ballast, vec![0; 400_000], minutes(0.25))
    }
}
