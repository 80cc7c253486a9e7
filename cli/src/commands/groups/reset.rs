//! `weir groups reset-offsets`: where a group is to go on reading.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use clap::{ArgGroup, Args};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use serde_json::json;
use weir_client::{Client, ClientError, TopicPartitions, check, group_id, topic_name};

use super::{committed, describe, when};
use crate::args::OutputFormat;
use crate::output::{Listing, Progress, note, print_text};

const OFFSET_COMMIT_MAX: i16 = 9;
/// The generation of a commit that comes from outside the group.
const NO_GENERATION: i32 = -1;

#[derive(Args)]
#[command(group = ArgGroup::new("of").required(true), group = ArgGroup::new("to").required(true))]
#[command(after_help = "Examples:\n  \
    weir groups reset-offsets billing --topic orders --to-earliest               # shows what would change\n  \
    weir groups reset-offsets billing --topic orders:0,1 --topic clicks --shift-by -100 --execute\n  \
    weir groups reset-offsets billing --all-topics --by-duration PT2H --execute  # two hours back")]
pub(super) struct ResetArgs {
    group: String,
    /// A topic, or some of its partitions as topic:0,1; may be repeated
    #[arg(long, group = "of", value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<String>,
    /// Every topic that the group has committed offsets of
    #[arg(long, group = "of", conflicts_with = "topic")]
    all_topics: bool,
    #[arg(long, group = "to")]
    to_earliest: bool,
    #[arg(long, group = "to")]
    to_latest: bool,
    #[arg(long, group = "to", value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// Forward, or back when negative
    #[arg(long, group = "to", allow_negative_numbers = true, value_name = "COUNT")]
    shift_by: Option<i64>,
    /// The first records at or after a time such as 2026-10-01T00:00:00Z
    #[arg(long, group = "to", value_name = "TIME")]
    to_datetime: Option<String>,
    /// The first records of the last such time: P7D, PT2H30M
    #[arg(long, group = "to", value_name = "DURATION")]
    by_duration: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
}

/// Where to, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    Offset(i64),
    ShiftBy(i64),
    Time { ms: i64 },
}

impl ResetArgs {
    fn target(&self) -> anyhow::Result<Target> {
        if let Some(offset) = self.to_offset {
            return Ok(Target::Offset(offset));
        }
        if let Some(by) = self.shift_by {
            return Ok(Target::ShiftBy(by));
        }
        if let Some(time) = &self.to_datetime {
            return Ok(Target::Time { ms: when::time_ms(time)? });
        }
        if let Some(back) = &self.by_duration {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let at = now.saturating_sub(when::duration(back)?);
            return Ok(Target::Time { ms: i64::try_from(at.as_millis()).unwrap_or(i64::MAX) });
        }
        Ok(if self.to_earliest { Target::Earliest } else { Target::Latest })
    }
}

/// Topic → its partitions that are meant; none named means all.
type Scope = BTreeMap<String, BTreeSet<i32>>;

/// Partition → where it goes on; `None` before there was anything.
struct Move {
    topic: String,
    partition: i32,
    old: Option<i64>,
    new: i64,
}

pub(super) async fn run(client: &mut Client, reset: &ResetArgs, format: OutputFormat) -> anyhow::Result<()> {
    let target = reset.target()?;
    let before = committed(client, &reset.group).await?;
    let scope = if reset.all_topics {
        ensure!(!before.is_empty(), "group {} has committed nothing: name topics with --topic", reset.group);
        before.keys().map(|topic| (topic.clone(), BTreeSet::new())).collect()
    } else {
        scope(&reset.topic)?
    };
    let readers = member_count(client, &reset.group).await?;
    if readers > 0 {
        let busy = format!("group {} has {readers} member(s): its offsets move only while it has none", reset.group);
        ensure!(!reset.execute, busy);
        note(&busy);
    }
    let moves = plan(client, &scope, &before, target).await?;
    if reset.execute {
        execute(client, &reset.group, &moves).await?;
    }
    let mut listing = Listing::new(&["topic", "partition", "old offset", "new offset"]);
    for moved in &moves {
        listing.row(vec![json!(moved.topic), json!(moved.partition), json!(moved.old), json!(moved.new)]);
    }
    listing.print(format)?;
    if !reset.execute && format == OutputFormat::Table {
        print_text("\nnothing was changed: add --execute to do it\n")?;
    }
    Ok(())
}

fn scope(topics: &[String]) -> anyhow::Result<Scope> {
    let mut scope = Scope::new();
    for text in topics {
        let (topic, partitions) = match text.split_once(':') {
            None => (text.as_str(), BTreeSet::new()),
            Some((topic, list)) => {
                let partitions: Result<BTreeSet<i32>, _> = list.split(',').map(str::parse).collect();
                (topic, partitions.with_context(|| format!("`{text}` is not topic:0,1"))?)
            }
        };
        if scope.insert(topic.to_owned(), partitions).is_some() {
            bail!("--topic {topic} is there twice: name its partitions in one, as {topic}:0,1");
        }
    }
    Ok(scope)
}

/// A group that nobody has heard of has none: offsets can be made for it.
async fn member_count(client: &mut Client, group: &str) -> anyhow::Result<usize> {
    match describe::find(client, group).await {
        Ok(found) => Ok(found.members.len()),
        Err(error) => match error.downcast_ref::<ClientError>().and_then(ClientError::kafka) {
            Some(ResponseError::GroupIdNotFound) => Ok(0),
            _ => Err(error),
        },
    }
}

async fn plan(
    client: &mut Client,
    scope: &Scope,
    before: &BTreeMap<String, BTreeMap<i32, i64>>,
    target: Target,
) -> anyhow::Result<Vec<Move>> {
    let progress = Progress::of(scope.len(), "topics looked up");
    let mut moves = Vec::new();
    for (topic, wanted) in scope {
        let mut leaders = client.partitions(topic).await?;
        if let Some(missing) = wanted.iter().find(|partition| !leaders.contains_key(partition)) {
            bail!("{topic} has no partition {missing}");
        }
        leaders.retain(|partition, _| wanted.is_empty() || wanted.contains(partition));
        let held = client.held(topic, &leaders).await?;
        let at = at_time(client, topic, &leaders, target).await?;
        for partition in leaders.into_keys() {
            let name = format!("{topic}-{partition}");
            let held = held.get(&partition).ok_or_else(|| ClientError::Leaderless(name.clone()))?;
            let old = before.get(topic).and_then(|offsets| offsets.get(&partition)).copied();
            let new = aimed(target, &name, old, held, at.get(&partition).copied())?;
            moves.push(Move { topic: topic.clone(), partition, old, new });
        }
        progress.add_one();
    }
    Ok(moves)
}

async fn at_time(
    client: &mut Client,
    topic: &str,
    leaders: &TopicPartitions,
    target: Target,
) -> Result<BTreeMap<i32, i64>, ClientError> {
    match target {
        Target::Time { ms } => client.offsets(topic, leaders, ms).await,
        _ => Ok(BTreeMap::new()),
    }
}

/// Where one partition is to go, kept within what it holds. `at` is the first offset at or after the wanted time.
fn aimed(target: Target, name: &str, old: Option<i64>, held: &Range<i64>, at: Option<i64>) -> anyhow::Result<i64> {
    let wanted = match target {
        Target::Earliest => held.start,
        Target::Latest => held.end,
        Target::Offset(offset) => offset,
        Target::ShiftBy(by) => {
            old.with_context(|| format!("{name} has no committed offset to shift"))?.saturating_add(by)
        }
        Target::Time { .. } => at.unwrap_or(held.end),
    };
    let new = wanted.clamp(held.start, held.end);
    if new != wanted {
        note(&format!("{name} holds {} to {}: {new} instead of {wanted}", held.start, held.end));
    }
    Ok(new)
}

async fn execute(client: &mut Client, group: &str, moves: &[Move]) -> anyhow::Result<()> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for moved in moves {
        let commit = OffsetCommitRequestPartition::default()
            .with_partition_index(moved.partition)
            .with_committed_offset(moved.new);
        topics.entry(&moved.topic).or_default().push(commit);
    }
    let topic = |(topic, partitions): (&str, Vec<_>)| {
        OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    };
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(topics.into_iter().map(topic).collect());
    let (answer, _) = client.coordinator(group).await?.request_up_to(&request, OFFSET_COMMIT_MAX).await?;
    for topic in &answer.topics {
        for done in &topic.partitions {
            let what = || format!("{}-{} of group {group}", topic.name.as_str(), done.partition_index);
            check(what, done.error_code, None).context("offsets move only while the group has no members")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_goes_where_it_was_sent_and_never_beyond_what_it_holds() {
        let aimed = |target, old, at| aimed(target, "t-0", old, &(10..50), at).unwrap();
        assert_eq!(aimed(Target::Earliest, Some(20), None), 10);
        assert_eq!(aimed(Target::Latest, None, None), 50);
        assert_eq!(aimed(Target::Offset(30), None, None), 30);
        assert_eq!(aimed(Target::Offset(99), None, None), 50);
        assert_eq!(aimed(Target::ShiftBy(-5), Some(20), None), 15);
        assert_eq!(aimed(Target::ShiftBy(-500), Some(20), None), 10);
        assert_eq!(aimed(Target::ShiftBy(i64::MAX), Some(20), None), 50);
        assert_eq!(aimed(Target::Time { ms: 5 }, None, Some(12)), 12);
        assert_eq!(aimed(Target::Time { ms: 5 }, None, None), 50, "nothing is that new");
    }

    #[test]
    fn what_was_never_committed_cannot_be_shifted() {
        assert!(aimed(Target::ShiftBy(1), "t-0", None, &(0..5), None).is_err());
    }

    #[test]
    fn topics_come_whole_or_with_their_partitions() {
        let texts = |texts: &[&str]| scope(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        let expected = [("a".to_owned(), BTreeSet::new()), ("b".to_owned(), BTreeSet::from([0, 2]))];
        assert_eq!(texts(&["a", "b:2,0"]).unwrap(), BTreeMap::from(expected));
        assert!(texts(&["a:x"]).is_err() && texts(&["a:"]).is_err() && texts(&["a:0", "a:1"]).is_err());
    }
}
