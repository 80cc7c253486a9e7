//! Processes: killed, short of something, badly scraped, or with a log that cannot be opened.

use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use weir_tests::http;
use weir_tests::process::run;
use weir_tests::prometheus::{Prometheus, Target};
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, Worker};

use crate::stage::Stage;
use crate::wave::Wave;
use crate::{Fault, fault};

const SERIES_MAX: usize = 5;
/// Descriptors that are left when it starts, and that clients take.
const DESCRIPTORS: usize = 100;
const CONNECTIONS: usize = 85;
/// Above the threshold, as it is divided, and below the timeout of a scrape.
const DELAY: Duration = Duration::from_millis(900);
const LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Processes {
    worker: Option<Worker>,
    twin: Weir,
    connections: Vec<TcpStream>,
    way_is_slow: Arc<AtomicBool>,
}

impl Wave for Processes {
    const NAME: &'static str = "processes";
    const FAULTS: &'static [Fault] = &[
        fault("a broker is killed", "WeirBrokerDown", "down", "", 8.0),
        fault("a worker is killed", "WeirTargetDown", "worker", "", 8.0),
        fault("the log of a partition cannot be opened", "WeirPartitionsOffline", "offline", "", 5.0),
        fault("1 in 100 produce requests is for it", "WeirErrorBudgetSlow", "offline", "Produce", 25.0),
        fault("clients open connections and keep them", "WeirFileDescriptorsLow", "descriptors", "", 10.0),
        fault("there are more series than the limit", "WeirSeriesDropped", "series", "", 4.0),
        fault("the way to a broker's metrics is slow", "WeirScrapeSlow", "far", "", 16.0),
        fault("two clusters are scraped under one name", "WeirControllerCount", "twins", "", 4.0),
    ];

    async fn set_up(stage: &mut Stage) -> Result<Self> {
        for name in ["down", "offline", "descriptors", "twins"] {
            stage.cluster(name, "256m").await?;
        }
        let limit = format!("metrics.max.series.per.family: {SERIES_MAX}");
        stage.cluster_with("series", "256m", &[&limit]).await?;
        stage.weir_says("offline", &["topics", "create", "whole"])?;
        stage.weir_says("offline", &["topics", "create", "broken"])?;
        let twin = Weir::up(&stage.disk("twin", "256m")?, &[], "").await?;
        let worker = Worker::start(stage.folder(), &stage.weir("series")?.bootstrap(), &[])?;
        let metrics = format!("{}/metrics", worker.http());
        wait_until("the worker to answer", LIMIT, async || http::is_ok(&metrics).await).await?;
        stage.targets.push(Target { job: "weir-connect", cluster: "worker", url: worker.http() });
        stage.cluster("far", "256m").await?;
        let way_is_slow = Arc::new(AtomicBool::new(false));
        let way = way_to(stage.weir("far")?.ports.http, Arc::clone(&way_is_slow)).await?;
        stage.targets.last_mut().context("far is the last")?.url = way;
        Ok(Self { worker: Some(worker), twin, connections: Vec::new(), way_is_slow })
    }

    async fn cause(&mut self, stage: &mut Stage, prometheus: &Prometheus) -> Result<()> {
        stage.interrupt("down");
        stage.now("down", "");
        stage.weir_mut("down")?.kill_9()?;
        stage.interrupt("worker");
        stage.now("worker", "");
        self.worker.take().context("the worker runs")?.kill_9()?;
        stage.now("far", "");
        self.way_is_slow.store(true, Ordering::Relaxed);
        stage.now("descriptors", "");
        self.connections = use_up_descriptors(stage.weir("descriptors")?).await?;
        stage.now("series", "");
        for topic in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            stage.weir_says("series", &["topics", "create", topic])?;
        }
        stage.now("offline", "");
        break_a_log(stage).await?;
        stage.now("offline", "Produce");
        stage.program("fail", "offline", &["100", "100", "whole", "broken"])?;
        scrape_as_twins(stage, prometheus, &self.twin).await
    }
}

/// A partition whose log cannot be opened.
async fn break_a_log(stage: &mut Stage) -> Result<()> {
    stage.interrupt("offline");
    let partition = stage.folder().join("offline/data/broker/broken-0");
    let weir = stage.weir_mut("offline")?;
    weir.stop()?;
    std::fs::remove_dir_all(&partition)?;
    std::fs::write(&partition, "not a folder")?;
    weir.start().await
}

/// Connections until four of five descriptors are taken, of a process that may have few.
async fn use_up_descriptors(weir: &Weir) -> Result<Vec<TcpStream>> {
    let text = http::text(&format!("{}/metrics", weir.http())).await?;
    let open = text.lines().find_map(|line| line.strip_prefix("process_open_fds ")).context("process_open_fds")?;
    let limit = open.parse::<f64>()? as usize + DESCRIPTORS;
    let process = weir.id().context("it runs")?.to_string();
    let mut limited = Command::new("prlimit");
    limited.args(["--pid", &process, &format!("--nofile={limit}:{limit}")]);
    run(limited)?;
    (0..CONNECTIONS).map(|_| Ok(TcpStream::connect(("127.0.0.1", weir.ports.kafka))?)).collect()
}

/// Gives another cluster the name of the first. It happens when Prometheus scrapes it first.
async fn scrape_as_twins(stage: &mut Stage, prometheus: &Prometheus, twin: &Weir) -> Result<()> {
    stage.targets.push(Target { job: "weir", cluster: "twins", url: twin.http() });
    prometheus.scrape(&stage.targets)?;
    let both = async || prometheus.query("up{cluster=\"twins\"} == 1").await.is_ok_and(|up| up.len() == 2);
    wait_until("the twin to be scraped", LIMIT, both).await?;
    stage.now("twins", "");
    Ok(())
}

/// An address that leads to a port of this machine; requests wait on their way while it is slow.
async fn way_to(port: u16, is_slow: Arc<AtomicBool>) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { continue };
            let ((from_client, mut to_client), (mut from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(there(from_client, to_server, Arc::clone(&is_slow)));
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        }
    });
    Ok(url)
}

async fn there(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_slow: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut request = vec![0; 8192];
    loop {
        let size = from.read(&mut request).await?;
        if size == 0 {
            return to.shutdown().await;
        }
        if is_slow.load(Ordering::Relaxed) {
            tokio::time::sleep(DELAY).await;
        }
        to.write_all(&request[..size]).await?;
    }
}
