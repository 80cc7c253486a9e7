//! `weir groups`.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use chrono::DateTime;
use clap::{ArgGroup, Args, Subcommand};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponse;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use serde_json::json;
use weir_client::{Client, check, group_id, topic_name};

use crate::args::{Cluster, OutputFormat};
use crate::output::{Listing, Results, print_json, print_text};

/// The newest version with one group per request.
const OFFSET_FETCH_MAX: i16 = 7;
const OFFSET_COMMIT_MAX: i16 = 9;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
/// The generation of a commit that comes from outside the group.
const NO_GENERATION: i32 = -1;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir groups list\n  \
    weir groups describe billing --output json\n  \
    weir groups reset-offsets billing --topic orders --to-earliest            # shows what would change\n  \
    weir groups reset-offsets billing --topic orders --to-datetime 2026-10-01T00:00:00Z --execute\n  \
    weir groups delete billing")]
pub(crate) struct GroupsArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    cluster: Cluster,
    /// How to print
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Subcommand)]
enum Action {
    /// List groups and their states
    List,
    /// Show members, committed offsets and lag
    Describe { group: String },
    /// Move a group's offsets; without --execute it only shows where to
    ResetOffsets(Reset),
    /// Delete groups that have no members
    Delete {
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

#[derive(Args)]
#[command(group = ArgGroup::new("to").required(true))]
struct Reset {
    group: String,
    #[arg(long)]
    topic: String,
    /// Only these partitions, separated by commas
    #[arg(long, value_delimiter = ',')]
    partitions: Vec<i32>,
    #[arg(long, group = "to")]
    to_earliest: bool,
    #[arg(long, group = "to")]
    to_latest: bool,
    #[arg(long, group = "to")]
    to_offset: Option<i64>,
    /// RFC 3339, such as 2026-10-01T00:00:00Z
    #[arg(long, group = "to", value_name = "TIME")]
    to_datetime: Option<String>,
    /// Forward, or back when negative
    #[arg(long, group = "to", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// Do it
    #[arg(long)]
    execute: bool,
}

pub(crate) async fn run(args: GroupsArgs) -> anyhow::Result<()> {
    let mut client = args.cluster.connect().await?;
    match args.action {
        Action::List => list(&mut client, args.output).await,
        Action::Describe { group } => describe(&mut client, &group, args.output).await,
        Action::ResetOffsets(reset) => reset_offsets(&mut client, &reset, args.output).await,
        Action::Delete { groups } => delete(&mut client, &groups).await,
    }
}

async fn list(client: &mut Client, format: OutputFormat) -> anyhow::Result<()> {
    let mut groups = Vec::new();
    // Each broker knows the groups that it coordinates.
    for broker in client.metadata(Some(&[])).await?.brokers {
        let answer = client.node(*broker.node_id).await?.request(&ListGroupsRequest::default()).await?;
        check(|| format!("groups of broker {}", *broker.node_id), answer.error_code, None)?;
        groups.extend(answer.groups);
    }
    groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    let mut listing = Listing::new(&["group", "state", "protocol"]);
    for group in groups {
        listing.row(vec![
            json!(group.group_id.as_str()),
            json!(group.group_state.as_str()),
            json!(group.protocol_type.as_str()),
        ]);
    }
    listing.print(format)
}

async fn describe(client: &mut Client, group: &str, format: OutputFormat) -> anyhow::Result<()> {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let answer = client.coordinator(group).await?.request(&request).await?;
    let found = answer.groups.first().context("the broker said nothing of the group")?;
    check(|| format!("group {group}"), found.error_code, found.error_message.as_deref())?;

    let mut members = Listing::new(&["member", "client", "host"]);
    for member in &found.members {
        let cells = [member.member_id.as_str(), member.client_id.as_str(), member.client_host.as_str()];
        members.row(cells.iter().map(|cell| json!(cell)).collect());
    }
    let mut offsets = Listing::new(&["topic", "partition", "committed", "log end offset", "lag"]);
    for (topic, committed) in committed(client, group).await? {
        let leaders = client.partitions(&topic).await.unwrap_or_default();
        for (partition, offset) in committed {
            let end = match leaders.get(&partition) {
                Some(leader) => client.offset(&topic, partition, *leader, LATEST).await?,
                None => None,
            };
            let lag = end.map(|end| (end - offset).max(0));
            offsets.row(vec![json!(topic), json!(partition), json!(offset), json!(end), json!(lag)]);
        }
    }
    let state = found.group_state.as_str();
    if format == OutputFormat::Json {
        let document = json!({
            "group": group, "state": state, "protocol": found.protocol_type.as_str(),
            "assignor": found.protocol_data.as_str(), "members": members.into_json(), "offsets": offsets.into_json(),
        });
        return print_json(&document);
    }
    print_text(&format!("group  {group}\nstate  {state}\n\n"))?;
    offsets.print(format)?;
    if !found.members.is_empty() {
        print_text("\n")?;
        members.print(format)?;
    }
    Ok(())
}

/// Topic → partition → committed offset.
async fn committed(client: &mut Client, group: &str) -> anyhow::Result<BTreeMap<String, BTreeMap<i32, i64>>> {
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(None);
    let (answer, _): (OffsetFetchResponse, _) =
        client.coordinator(group).await?.request_up_to(&request, OFFSET_FETCH_MAX).await?;
    check(|| format!("offsets of group {group}"), answer.error_code, None)?;
    let mut topics: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
    for topic in &answer.topics {
        for partition in topic.partitions.iter().filter(|partition| partition.committed_offset >= 0) {
            let offsets = topics.entry(topic.name.to_string()).or_default();
            offsets.insert(partition.partition_index, partition.committed_offset);
        }
    }
    Ok(topics)
}

async fn reset_offsets(client: &mut Client, reset: &Reset, format: OutputFormat) -> anyhow::Result<()> {
    let before = committed(client, &reset.group).await?.remove(&reset.topic).unwrap_or_default();
    let mut leaders = client.partitions(&reset.topic).await?;
    if let Some(missing) = reset.partitions.iter().find(|partition| !leaders.contains_key(partition)) {
        bail!("{} has no partition {missing}", reset.topic);
    }
    leaders.retain(|partition, _| reset.partitions.is_empty() || reset.partitions.contains(partition));
    let mut listing = Listing::new(&["topic", "partition", "old offset", "new offset"]);
    let mut moved = Vec::new();
    for (partition, leader) in leaders {
        let old = before.get(&partition).copied();
        let new = target(client, reset, partition, leader, old).await?;
        listing.row(vec![json!(reset.topic), json!(partition), json!(old), json!(new)]);
        let commit = OffsetCommitRequestPartition::default().with_partition_index(partition).with_committed_offset(new);
        moved.push(commit);
    }
    if reset.execute {
        commit(client, reset, moved).await?;
    }
    listing.print(format)?;
    if !reset.execute && format == OutputFormat::Table {
        print_text("\nnothing was changed: add --execute to do it\n")?;
    }
    Ok(())
}

/// Where a partition is to go, kept within what the log holds.
async fn target(
    client: &mut Client,
    reset: &Reset,
    partition: i32,
    leader: i32,
    old: Option<i64>,
) -> anyhow::Result<i64> {
    let topic = &reset.topic;
    let start = client.offset(topic, partition, leader, EARLIEST).await?.unwrap_or(0);
    let end = client.offset(topic, partition, leader, LATEST).await?.unwrap_or(0);
    let wanted = if reset.to_earliest {
        start
    } else if let Some(offset) = reset.to_offset {
        offset
    } else if let Some(time) = &reset.to_datetime {
        let at =
            DateTime::parse_from_rfc3339(time).with_context(|| format!("`{time}` is not a time as RFC 3339 has it"))?;
        client.offset(topic, partition, leader, at.timestamp_millis()).await?.unwrap_or(end)
    } else if let Some(by) = reset.shift_by {
        old.with_context(|| format!("{topic}-{partition} has no committed offset to shift"))?.saturating_add(by)
    } else {
        end
    };
    Ok(wanted.clamp(start, end))
}

async fn commit(client: &mut Client, reset: &Reset, moved: Vec<OffsetCommitRequestPartition>) -> anyhow::Result<()> {
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(&reset.topic)).with_partitions(moved);
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(&reset.group))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(vec![topic]);
    let (answer, _) = client.coordinator(&reset.group).await?.request_up_to(&request, OFFSET_COMMIT_MAX).await?;
    for done in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        let what = || format!("{}-{} of group {}", reset.topic, done.partition_index, reset.group);
        check(what, done.error_code, None).context("offsets move only while the group has no members")?;
    }
    Ok(())
}

async fn delete(client: &mut Client, groups: &[String]) -> anyhow::Result<()> {
    let mut results = Results::default();
    for group in groups {
        results.add(&format!("deleted {group}"), delete_one(client, group).await)?;
    }
    results.finish()
}

async fn delete_one(client: &mut Client, group: &str) -> anyhow::Result<()> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
    let answer = client.coordinator(group).await?.request(&request).await?;
    let result = answer.results.first().with_context(|| format!("the broker said nothing of group {group}"))?;
    Ok(check(|| format!("group {group}"), result.error_code, None)?)
}
