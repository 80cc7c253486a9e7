//! Stock clients as black boxes: Kafka's Java tools, Python clients, kcat. `tests/setup.sh` installs them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};

use anyhow::{Context, Result};

use crate::process::{Process, run};

/// A command-line tool of Apache Kafka, by the name of its script: `kafka-topics`.
pub fn kafka_tool(name: &str, arguments: &[&str]) -> Result<String> {
    run(kafka_tool_command(name, arguments)?)
}

pub fn kafka_tool_command(name: &str, arguments: &[&str]) -> Result<Command> {
    let jars = kafka_jars()?;
    let mut command = Command::new("java");
    command.args(["-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(format!("{}/*", jars.display())).arg(class(name)).args(arguments);
    Ok(command)
}

fn class(name: &str) -> &str {
    match name {
        "kafka-topics" => "org.apache.kafka.tools.TopicCommand",
        "kafka-console-producer" => "org.apache.kafka.tools.ConsoleProducer",
        "kafka-console-consumer" => "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "kafka-consumer-groups" => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "kafka-producer-perf-test" => "org.apache.kafka.tools.ProducerPerformance",
        "kafka-consumer-perf-test" => "org.apache.kafka.tools.ConsumerPerformance",
        "kafka-configs" => "kafka.admin.ConfigCommand",
        "kafka-dump-log" => "kafka.tools.DumpLogSegments",
        "kafka-get-offsets" => "org.apache.kafka.tools.GetOffsetShell",
        "kafka-delete-records" => "org.apache.kafka.tools.DeleteRecordsCommand",
        "kafka-log-dirs" => "org.apache.kafka.tools.LogDirsCommand",
        "kafka-groups" => "org.apache.kafka.tools.GroupsCommand",
        "kafka-cluster" => "org.apache.kafka.tools.ClusterTool",
        "kafka-storage" => "kafka.tools.StorageTool",
        "kafka-server" => "kafka.Kafka",
        "kafka-broker-api-versions" => "org.apache.kafka.tools.BrokerApiVersionsCommand",
        other => other,
    }
}

/// The interpreter of the environment that holds the Python clients.
pub fn python() -> Result<PathBuf> {
    existing(tools()?.join("python/bin/python"))
}

/// A script of `tests/python/`.
pub fn python_script(name: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(python()?);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)).args(arguments);
    Ok(command)
}

/// Programs of `groups.py`, each a thread of one process, until dropped.
pub struct Programs {
    process: Process,
    stdin: ChildStdin,
}

impl Programs {
    /// None as yet.
    pub fn start(log: &Path) -> Result<Self> {
        let (process, stdin) = Process::start_listening("groups.py", python_script("groups.py", &["many"])?, log)?;
        Ok(Self { process, stdin })
    }

    /// One more.
    pub fn add(&mut self, words: &[&str]) -> Result<()> {
        self.check()?;
        Ok(writeln!(self.stdin, "{}", words.join(" "))?)
    }

    /// An error when one of them has failed: that ends them all.
    pub fn check(&mut self) -> Result<()> {
        anyhow::ensure!(self.process.ended()?.is_none(), "a program has failed:\n{}", self.process.log_tail());
        Ok(())
    }
}

/// The unpacked source package of kafka-python, whose tests are not in the installed one.
pub fn kafka_python_source() -> Result<PathBuf> {
    existing(tools()?.join("kafka-python"))
}

pub fn kcat(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("kcat");
    command.args(arguments);
    run(command)
}

fn kafka_jars() -> Result<PathBuf> {
    let pom = include_str!("../java/pom.xml");
    let version = pom.split("<kafka.version>").nth(1).and_then(|rest| rest.split('<').next());
    existing(tools()?.join(format!("kafka-{}", version.context("tests/java/pom.xml names the version")?)))
}

/// Where `tests/setup.sh` puts what it fetches.
fn tools() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WEIR_TOOLS") {
        return Ok(folder.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Ok(cache.context("HOME is not set")?.join("weir-tools"))
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    anyhow::ensure!(path.exists(), "{} is missing: run tests/setup.sh test", path.display());
    Ok(path)
}
