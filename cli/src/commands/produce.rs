//! `weir produce`: lines become records.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use weir_client::{Client, TopicPartitions};
use weir_types::batch::RecordBatchBuilder;
use weir_types::compression::Compression;

use crate::args::Cluster;
use crate::output::{Progress, print_text};

/// A batch is sent when it holds this many bytes, and at the end of each chunk of lines that was there to read.
const BATCH_BYTES: usize = 512 << 10;
/// Lines longer than this are refused: no broker would take them.
const LINE_BYTES_MAX: usize = 64 << 20;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    echo hello | weir produce greetings\n  \
    weir produce clicks --key-separator : < clicks.txt\n  \
    weir produce orders --file orders.jsonl --compression zstd --header source=backfill")]
pub(crate) struct ProduceArgs {
    topic: String,
    /// Read lines from this file instead of stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What stands between key and value; without it records have no key
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// Send everything to this partition
    #[arg(long, short)]
    partition: Option<i32>,
    /// A header for every record, key=value; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    header: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    compression: Codec,
    #[command(flatten)]
    cluster: Cluster,
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
    let mut client = args.cluster.connect().await?;
    let partitions = client.partitions_or_create(&args.topic).await?;
    let mut sender = Sender::new(&args, client, partitions)?;
    let mut lines: Box<dyn BufRead + Send> = match &args.file {
        Some(path) => Box::new(BufReader::new(std::fs::File::open(path).with_context(|| path.display().to_string())?)),
        None => Box::new(BufReader::new(std::io::stdin())),
    };
    let mut progress = Progress::new("records sent");
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = tokio::task::block_in_place(|| lines.read_until(b'\n', &mut line))?;
        if read == 0 {
            break;
        }
        ensure!(line.len() <= LINE_BYTES_MAX, "line {} has more than {LINE_BYTES_MAX} bytes", sender.lines + 1);
        sender.add(line.strip_suffix(b"\n").unwrap_or(&line)).await?;
        progress.set(sender.lines);
    }
    sender.flush().await?;
    print_text(&format!("sent {} records to {}\n", sender.lines, args.topic))
}

/// Gathers lines into one batch per partition.
struct Sender {
    client: Client,
    topic: String,
    leaders: TopicPartitions,
    key_separator: Option<Vec<u8>>,
    fixed: Option<i32>,
    headers: Vec<(String, String)>,
    compression: Compression,
    batches: BTreeMap<i32, RecordBatchBuilder>,
    /// Where lines without a key go until the next flush, so that batches fill.
    sticky: usize,
    lines: u64,
}

impl Sender {
    fn new(args: &ProduceArgs, client: Client, leaders: TopicPartitions) -> anyhow::Result<Self> {
        if let Some(partition) = args.partition.filter(|partition| !leaders.contains_key(partition)) {
            bail!("{} has no partition {partition}: it has {}", args.topic, leaders.len());
        }
        let pair = |text: &String| {
            let (key, value) = text.split_once('=').with_context(|| format!("--header `{text}` is not key=value"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        Ok(Self {
            client,
            topic: args.topic.clone(),
            leaders,
            key_separator: args.key_separator.as_ref().map(|text| text.clone().into_bytes()),
            fixed: args.partition,
            headers: args.header.iter().map(pair).collect::<anyhow::Result<_>>()?,
            compression: args.compression.into(),
            batches: BTreeMap::new(),
            sticky: 0,
            lines: 0,
        })
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
        let compression = self.compression;
        let batch =
            self.batches.entry(partition).or_insert_with(|| RecordBatchBuilder::new(0).compression(compression));
        let headers = self.headers.iter().map(|(key, value)| (key.as_str(), Some(value.as_bytes())));
        batch.append(now_ms(), key, Some(value), &headers.collect::<Vec<_>>());
        if batch.size_bytes() >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// The partition that Kafka's own producers choose for a key: murmur2, as unsigned, modulo the count.
    fn partition_of(&self, key: Option<&[u8]>) -> i32 {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let count = self.leaders.len().max(1);
        let index = match key {
            Some(key) => (murmur2(key) & 0x7fff_ffff) as usize % count,
            None => self.sticky % count,
        };
        self.leaders.keys().nth(index).copied().unwrap_or(0)
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        for (partition, batch) in std::mem::take(&mut self.batches) {
            let leader = self.leaders.get(&partition).copied().unwrap_or(-1);
            self.client.produce(&self.topic, partition, leader, batch.build()).await?;
        }
        self.sticky += 1;
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Kafka's variant of murmur2 (`Utils.murmur2`): the default partitioner of its Java clients hashes keys with it.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ (key.len() as u32);
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafkas_own_clients() {
        // Values that the Java client computes.
        for (key, expected) in
            [("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)]
        {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }
}
