//! `weir produce`: lines become records.

mod lines;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use weir_client::{Acks, ClientError, Producer, ProducerSettings, partition_of_key};
use weir_types::batch::RecordBatchBuilder;
use weir_types::compression::Compression;

use crate::args::Cluster;
use crate::config::ConfigError;
use crate::output::{Progress, note, print_text};

/// A batch is sent before it gets larger than this, and whenever no more lines are there to be read.
const BATCH_BYTES: usize = 512 << 10;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    echo hello | weir produce greetings\n  \
    weir produce clicks --key-separator : < clicks.txt\n  \
    tail -F /var/log/syslog | weir produce syslog\n  \
    weir produce orders --file orders.jsonl --compression zstd --header source=backfill")]
pub(crate) struct ProduceArgs {
    topic: String,
    /// Read lines from this file instead of stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What stands between key and value; without it records have no key
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// A value that is this text is sent as null, which deletes the key in a compacted topic
    #[arg(long, value_name = "TEXT")]
    null_marker: Option<String>,
    /// Send everything to this partition
    #[arg(long, short)]
    partition: Option<i32>,
    /// A header for every record, key=value; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    header: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    compression: Codec,
    /// Which answer to wait for: none, the leader's, or that of all in-sync replicas
    #[arg(long, value_enum, default_value_t, value_name = "ACKS")]
    acks: AcksArg,
    /// Whether the broker is to tell a batch that is sent again from a new one; on unless --acks says otherwise
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    idempotence: Option<bool>,
    /// How long to go on trying to send a batch
    #[arg(long, value_name = "MS", default_value_t = 120_000)]
    delivery_timeout_ms: u64,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    #[value(name = "0")]
    None,
    #[value(name = "1")]
    Leader,
    #[default]
    All,
}

impl From<AcksArg> for Acks {
    fn from(acks: AcksArg) -> Self {
        match acks {
            AcksArg::None => Self::None,
            AcksArg::Leader => Self::Leader,
            AcksArg::All => Self::All,
        }
    }
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::None,
            Codec::Gzip => Self::Gzip,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Zstd => Self::Zstd,
        }
    }
}

pub(crate) async fn run(args: ProduceArgs) -> anyhow::Result<()> {
    let input: Box<dyn Read + Send> = match &args.file {
        Some(path) => Box::new(File::open(path).with_context(|| path.display().to_string())?),
        None => Box::new(io::stdin()),
    };
    let settings = settings(&args)?;
    let client = args.cluster.connect().await?;
    let producer = Producer::open(client, &args.topic, settings).await?;
    let mut sender = Sender::new(&args, producer)?;
    let progress = Progress::counting("records sent");
    let mut chunks = lines::read(input)?;
    while let Some(chunk) = chunks.recv().await {
        let sent = sender.send(chunk.context("cannot read lines")?, chunks.is_empty()).await;
        sent.with_context(|| format!("{} records were sent before this", sender.acknowledged))?;
        progress.set(sender.acknowledged);
    }
    drop(progress);
    print_text(&format!("sent {} records to {}\n", sender.acknowledged, args.topic))
}

fn settings(args: &ProduceArgs) -> Result<ProducerSettings, ConfigError> {
    let is_idempotent = args.idempotence.unwrap_or(args.acks == AcksArg::All);
    if is_idempotent && args.acks != AcksArg::All {
        return Err(ConfigError::new("--idempotence=true needs --acks all: only then is a lost answer made good"));
    }
    let delivery_limit = Duration::from_millis(args.delivery_timeout_ms);
    Ok(ProducerSettings { acks: args.acks.into(), is_idempotent, delivery_limit, on_retry: tell_retry })
}

fn tell_retry(error: &ClientError) {
    note(&format!("{error}: sending again"));
}

/// Gathers lines into one batch per partition.
struct Sender {
    producer: Producer,
    key_separator: Option<Vec<u8>>,
    null_marker: Option<Vec<u8>>,
    fixed: Option<i32>,
    headers: Vec<(String, String)>,
    compression: Compression,
    batches: BTreeMap<i32, RecordBatchBuilder>,
    /// Where lines without a key go until the next flush, so that batches fill.
    sticky: usize,
    lines: u64,
    /// Records that the broker has answered for.
    acknowledged: u64,
}

impl Sender {
    fn new(args: &ProduceArgs, producer: Producer) -> anyhow::Result<Self> {
        let leaders = producer.partitions();
        if let Some(partition) = args.partition.filter(|partition| !leaders.contains_key(partition)) {
            bail!("{} has no partition {partition}: it has {}", args.topic, leaders.len());
        }
        let pair = |text: &String| {
            let (key, value) = text.split_once('=').with_context(|| format!("--header `{text}` is not key=value"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        Ok(Self {
            producer,
            key_separator: args.key_separator.as_ref().map(|text| text.clone().into_bytes()),
            null_marker: args.null_marker.as_ref().map(|text| text.clone().into_bytes()),
            fixed: args.partition,
            headers: args.header.iter().map(pair).collect::<anyhow::Result<_>>()?,
            compression: args.compression.into(),
            batches: BTreeMap::new(),
            sticky: 0,
            lines: 0,
            acknowledged: 0,
        })
    }

    /// Sends what fills a batch, and all of it before nothing is left to read.
    async fn send(&mut self, lines: lines::Chunk, is_last_for_now: bool) -> anyhow::Result<()> {
        for line in lines {
            self.add(&line).await?;
        }
        if is_last_for_now { self.flush().await } else { Ok(()) }
    }

    async fn add(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.lines += 1;
        let (key, value) = match &self.key_separator {
            None => (None, line),
            Some(separator) => {
                let at = line.windows(separator.len()).position(|window| window == separator);
                let at = at.with_context(|| format!("line {} has no key: the separator is not in it", self.lines))?;
                (Some(&line[..at]), &line[at + separator.len()..])
            }
        };
        let partition = self.partition_of(key);
        let size_bytes = self.batches.get(&partition).map_or(0, RecordBatchBuilder::size_bytes);
        if size_bytes > 0 && size_bytes + line.len() > BATCH_BYTES {
            self.flush().await?;
        }
        let compression = self.compression;
        let batch =
            self.batches.entry(partition).or_insert_with(|| RecordBatchBuilder::new(0).compression(compression));
        let headers: Vec<_> = self.headers.iter().map(|(key, value)| (key.as_str(), Some(value.as_bytes()))).collect();
        let value = Some(value).filter(|value| self.null_marker.as_deref() != Some(*value));
        batch.append(now_ms(), key, value, &headers);
        Ok(())
    }

    fn partition_of(&self, key: Option<&[u8]>) -> i32 {
        let leaders = self.producer.partitions();
        match (self.fixed, key) {
            (Some(fixed), _) => fixed,
            (None, Some(key)) => partition_of_key(key, leaders),
            (None, None) => leaders.keys().nth(self.sticky % leaders.len().max(1)).copied().unwrap_or(0),
        }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        for (partition, batch) in std::mem::take(&mut self.batches) {
            let count = u64::try_from(batch.record_count()).unwrap_or(0);
            self.producer.send(partition, batch).await?;
            self.acknowledged += count;
        }
        self.sticky += 1;
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
