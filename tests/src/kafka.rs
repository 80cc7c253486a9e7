//! A real Apache Kafka, broker and controller in one process, on ports of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::net::TcpStream;

use crate::clients::{kafka_tool, kafka_tool_command};
use crate::process::Process;
use crate::wait::wait_until;
use crate::weir::free_port;

const START_LIMIT: Duration = Duration::from_secs(90);
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

pub struct Kafka {
    pub bootstrap: String,
    process: Process,
}

impl Kafka {
    /// With its data, its log and its server.properties in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let (port, controller) = (free_port()?, free_port()?);
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={data}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            data = folder.join("data").display(),
        );
        let config = folder.join("server.properties");
        std::fs::write(&config, properties)?;
        let config = config.to_string_lossy();
        kafka_tool("kafka-storage", &["format", "-t", CLUSTER_ID, "-c", &config])?;
        let mut command = kafka_tool_command("kafka-server", &[&config])?;
        command.current_dir(folder);
        let process = Process::start("kafka", command, &folder.join("kafka.log"))?;
        let mut kafka = Self { bootstrap: format!("127.0.0.1:{port}"), process };
        // It listens once it serves.
        let is_up = async || kafka.has_ended() || TcpStream::connect(&kafka.bootstrap).await.is_ok();
        wait_until("Apache Kafka to start", START_LIMIT, is_up).await?;
        anyhow::ensure!(!kafka.has_ended(), "Apache Kafka ended at once:\n{}", kafka.process.log_tail());
        Ok(kafka)
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.process.ended(), Ok(None))
    }
}
