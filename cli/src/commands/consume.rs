//! `weir consume`: records become lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::ensure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use tokio::signal::unix::{SignalKind, signal};
use weir_client::{Client, ClientError, Fetched, GroupMember, TopicPartitions};
use weir_types::batch::{Record, RecordBatches};

use crate::args::Cluster;
use crate::output::{Progress, note, print_bytes};

const FETCH_WAIT: Duration = Duration::from_millis(500);

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir consume orders                              # what comes from now on\n  \
    weir consume orders --from-beginning --max-messages 10\n  \
    weir consume orders --group billing              # goes on where the group was\n  \
    weir consume orders --partition 2 --offset 1000 --format json | jq .value")]
pub(crate) struct ConsumeArgs {
    topic: String,
    /// Begin with the oldest record
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,
    /// Read as a member of this group and commit what was read
    #[arg(long, short, conflicts_with_all = ["partition", "offset"])]
    group: Option<String>,
    /// Begin at this offset; negative counts from the end
    #[arg(long, allow_negative_numbers = true)]
    offset: Option<i64>,
    /// Read this partition only
    #[arg(long, short)]
    partition: Option<i32>,
    /// Stop after this many records
    #[arg(long, short = 'n')]
    max_messages: Option<u64>,
    /// Stop at the end of what is there now
    #[arg(long, short)]
    exit_at_end: bool,
    #[arg(long, value_enum, default_value_t)]
    format: RecordFormat,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum RecordFormat {
    /// The value
    #[default]
    Value,
    /// Key, a tab, the value
    KeyValue,
    /// One JSON object per record: topic, partition, offset, timestamp, key, value, headers
    Json,
}

pub(crate) async fn run(args: ConsumeArgs) -> anyhow::Result<()> {
    ensure!(args.max_messages != Some(0), "--max-messages 0 asks for nothing");
    match &args.group {
        Some(group) => with_group(&args, group).await,
        None => alone(&args).await,
    }
}

async fn alone(args: &ConsumeArgs) -> anyhow::Result<()> {
    let mut client = args.cluster.connect().await?;
    let mut leaders = client.partitions(&args.topic).await?;
    if let Some(only) = args.partition {
        leaders.retain(|partition, _| *partition == only);
        ensure!(!leaders.is_empty(), "{} has no partition {only}", args.topic);
    }
    let mut reader = Reader::new(args, client, leaders.clone());
    for (partition, held) in reader.held(&leaders).await? {
        let offset = reader.first_offset(partition, &held)?;
        reader.offsets.insert(partition, offset);
    }
    reader.mark_ends().await?;
    while !reader.is_done() {
        reader.fetch().await?;
    }
    Ok(())
}

async fn with_group(args: &ConsumeArgs, group: &str) -> anyhow::Result<()> {
    let client = args.cluster.connect().await?;
    // A fetch may wait: heartbeats and commits have a connection of their own.
    let mut membership = args.cluster.connect().await?;
    let mut member = GroupMember::new(group, &args.topic);
    let mut reader = Reader::new(args, client, TopicPartitions::new());
    let mut terminate = signal(SignalKind::terminate())?;
    let read = tokio::select! {
        read = read_as_member(&mut reader, &mut member, &mut membership) => read,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    // What was cut off may have left an answer on the wire.
    membership.reset();
    let left = member.leave(&mut membership).await;
    read.and(left.map_err(Into::into))
}

async fn read_as_member(
    reader: &mut Reader<'_>,
    member: &mut GroupMember,
    membership: &mut Client,
) -> anyhow::Result<()> {
    while !reader.is_done() {
        if !member.is_joined() {
            let mine = member.join(membership).await?;
            reader.take_over(mine).await?;
            reader.mark_ends().await?;
        }
        reader.fetch().await?;
        member.commit(membership, &reader.offsets).await?;
        member.heartbeat(membership).await?;
    }
    Ok(())
}

/// Reads partitions of one topic and prints their records.
struct Reader<'a> {
    args: &'a ConsumeArgs,
    client: Client,
    leaders: TopicPartitions,
    offsets: BTreeMap<i32, i64>,
    /// Where each partition ended when reading began, for `--exit-at-end`.
    ends: Option<BTreeMap<i32, i64>>,
    printed: u64,
    /// Only where the records themselves do not show it.
    progress: Option<Progress>,
}

impl<'a> Reader<'a> {
    fn new(args: &'a ConsumeArgs, client: Client, leaders: TopicPartitions) -> Self {
        let progress = is_stdout_a_file().then(|| Progress::counting("records read"));
        Self { args, client, leaders, offsets: BTreeMap::new(), ends: None, printed: 0, progress }
    }

    /// Partitions as a group assigned them, with the offsets that were committed.
    async fn take_over(&mut self, committed: BTreeMap<i32, Option<i64>>) -> anyhow::Result<()> {
        let mut leaders = self.client.partitions(&self.args.topic).await?;
        leaders.retain(|partition, _| committed.contains_key(partition));
        self.offsets.clear();
        for (partition, held) in self.held(&leaders).await? {
            let offset = match committed.get(&partition).copied().flatten() {
                Some(offset) => self.held_offset(partition, &held, offset),
                None => self.first_offset(partition, &held)?,
            };
            self.offsets.insert(partition, offset);
        }
        self.leaders = leaders;
        Ok(())
    }

    fn first_offset(&self, partition: i32, held: &Range<i64>) -> anyhow::Result<i64> {
        let topic = &self.args.topic;
        match self.args.offset {
            Some(offset) if offset < 0 => Ok((held.end + offset).max(held.start)),
            Some(offset) => {
                let is_held = held.contains(&offset) || offset == held.end;
                ensure!(is_held, "{topic}-{partition} has no offset {offset}: it holds {} to {}", held.start, held.end);
                Ok(offset)
            }
            None if self.args.from_beginning || self.args.exit_at_end => Ok(held.start),
            None => Ok(held.end),
        }
    }

    /// Where a group goes on: retention may have passed its offset, or the topic may have been made anew.
    fn held_offset(&self, partition: i32, held: &Range<i64>, committed: i64) -> i64 {
        let offset = committed.clamp(held.start, held.end);
        if offset != committed {
            let topic = &self.args.topic;
            note(&format!(
                "{topic}-{partition} does not hold the group's offset {committed} any more: reading from {offset}"
            ));
        }
        offset
    }

    /// What partitions hold now, each of them.
    async fn held(&mut self, leaders: &TopicPartitions) -> Result<BTreeMap<i32, Range<i64>>, ClientError> {
        let topic = &self.args.topic;
        if let Some((partition, _)) = leaders.iter().find(|(_, leader)| **leader < 0) {
            return Err(ClientError::Leaderless(format!("{topic}-{partition}")));
        }
        self.client.held(topic, leaders).await
    }

    async fn mark_ends(&mut self) -> anyhow::Result<()> {
        if self.args.exit_at_end {
            let held = self.held(&self.leaders.clone()).await?;
            self.ends = Some(held.into_iter().map(|(partition, held)| (partition, held.end)).collect());
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let is_at = |(partition, end): (&i32, &i64)| self.offsets.get(partition).is_none_or(|offset| offset >= end);
        let all_read = self.ends.as_ref().is_some_and(|ends| ends.iter().all(is_at));
        all_read || self.args.max_messages.is_some_and(|most| self.printed >= most)
    }

    /// One fetch from each leader in turn.
    async fn fetch(&mut self) -> anyhow::Result<()> {
        let leaders: std::collections::BTreeSet<i32> = self.leaders.values().copied().collect();
        if leaders.is_empty() {
            tokio::time::sleep(FETCH_WAIT).await;
        }
        for leader in leaders {
            let led = |partition: &i32| self.leaders.get(partition) == Some(&leader);
            let offsets = self.offsets.iter().filter(|(p, _)| led(p)).map(|(p, offset)| (*p, *offset)).collect();
            for (partition, fetched) in self.client.fetch(&self.args.topic, leader, &offsets, FETCH_WAIT).await? {
                self.print(partition, &fetched)?;
            }
        }
        Ok(())
    }

    /// The offset moves only when the lines are written.
    fn print(&mut self, partition: i32, fetched: &Fetched) -> anyhow::Result<()> {
        let mut next = self.offsets.get(&partition).copied().unwrap_or(0);
        let mut most = self.args.max_messages.map_or(u64::MAX, |most| most.saturating_sub(self.printed));
        let mut lines = Vec::new();
        let mut count = 0;
        for batch in RecordBatches::new(&fetched.batches) {
            let batch = batch?;
            if !batch.is_control() && batch.next_offset() > next {
                for record in batch.records()?.iter() {
                    let record = record?;
                    if record.offset >= next && most > 0 {
                        self.write(&mut lines, partition, &record);
                        (next, most, count) = (record.offset + 1, most - 1, count + 1);
                    }
                }
            }
            if most == 0 {
                break;
            }
            next = next.max(batch.next_offset());
        }
        print_bytes(&lines)?;
        self.printed += count;
        if let Some(progress) = &self.progress {
            progress.set(self.printed);
        }
        self.offsets.insert(partition, next);
        Ok(())
    }

    fn write(&self, lines: &mut Vec<u8>, partition: i32, record: &Record<'_>) {
        match self.args.format {
            RecordFormat::Value => lines.extend_from_slice(record.value.unwrap_or_default()),
            RecordFormat::KeyValue => {
                lines.extend_from_slice(record.key.unwrap_or_default());
                lines.push(b'\t');
                lines.extend_from_slice(record.value.unwrap_or_default());
            }
            RecordFormat::Json => lines.extend_from_slice(self.json(partition, record).to_string().as_bytes()),
        }
        lines.push(b'\n');
    }

    fn json(&self, partition: i32, record: &Record<'_>) -> Json {
        let headers = record.headers.iter().map(|(key, value)| ((*key).to_owned(), readable(*value)));
        json!({
            "topic": self.args.topic, "partition": partition, "offset": record.offset, "timestamp": record.timestamp,
            "key": readable(record.key), "value": readable(record.value),
            "headers": headers.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// Neither a terminal nor a pipe into something that writes to one.
fn is_stdout_a_file() -> bool {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    stdout.and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// JSON as it is, other text as a string, null as null, bytes that are no text as `{"base64": …}`.
fn readable(bytes: Option<&[u8]>) -> Json {
    let Some(bytes) = bytes else { return Json::Null };
    match (serde_json::from_slice::<Json>(bytes), std::str::from_utf8(bytes)) {
        (Ok(json @ (Json::Object(_) | Json::Array(_))), _) => json,
        (_, Ok(text)) => json!(text),
        (_, Err(_)) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_what_it_can_and_loses_nothing() {
        assert_eq!(readable(Some(br#"{"b":1,"a":[2]}"#)).to_string(), r#"{"b":1,"a":[2]}"#);
        assert_eq!(readable(Some(b"42")), json!("42"));
        assert_eq!(readable(Some(b"")), json!(""));
        assert_eq!(readable(Some(b"\xff\x00")), json!({"base64": "/wA="}));
        assert_eq!(readable(None), Json::Null);
    }
}
