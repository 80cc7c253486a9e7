//! `weir groups`.

mod describe;
mod reset;
mod when;

use std::collections::BTreeMap;

use anyhow::Context;
use clap::{Args, Subcommand};
use kafka_protocol::messages::{DeleteGroupsRequest, ListGroupsRequest, OffsetFetchRequest};
use serde_json::json;
use weir_client::{Client, ClientError, check, group_id};

use crate::args::{Cluster, OutputFormat};
use crate::output::{Colour, Listing, Progress, Results};

/// The newest version with one group per request.
const OFFSET_FETCH_MAX: i16 = 7;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir groups list\n  \
    weir groups describe billing --output json\n  \
    weir groups reset-offsets billing --topic orders --to-earliest            # shows what would change\n  \
    weir groups reset-offsets billing --all-topics --to-datetime 2026-10-01T00:00:00Z --execute\n  \
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
    /// Show members with their partitions, committed offsets and lag
    Describe { group: String },
    /// Move a group's offsets; without --execute it only shows where to
    ResetOffsets(reset::ResetArgs),
    /// Delete groups that have no members
    Delete {
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

pub(crate) async fn run(args: GroupsArgs) -> anyhow::Result<()> {
    let _progress =
        (!matches!(args.action, Action::Delete { .. } | Action::ResetOffsets(_))).then(|| args.cluster.waiting());
    let mut client = args.cluster.connect().await?;
    match args.action {
        Action::List => list(&mut client, args.output).await,
        Action::Describe { group } => describe::run(&mut client, &group, args.output).await,
        Action::ResetOffsets(reset) => reset::run(&mut client, &reset, args.output).await,
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
    let mut listing = Listing::new(&["group", "state", "protocol"]).painted("state", Colour::of_state);
    for group in groups {
        listing.row(vec![
            json!(group.group_id.as_str()),
            json!(group.group_state.as_str()),
            json!(group.protocol_type.as_str()),
        ]);
    }
    listing.print(format)
}

/// Topic → partition → committed offset.
async fn committed(client: &mut Client, group: &str) -> Result<BTreeMap<String, BTreeMap<i32, i64>>, ClientError> {
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(None);
    let (answer, _) = client.coordinator(group).await?.request_up_to(&request, OFFSET_FETCH_MAX).await?;
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

async fn delete(client: &mut Client, groups: &[String]) -> anyhow::Result<()> {
    let mut results = Results::default();
    let progress = Progress::of(groups.len(), "groups deleted");
    for group in groups {
        results.add(&format!("deleted {group}"), delete_one(client, group).await)?;
        progress.add_one();
    }
    results.finish()
}

async fn delete_one(client: &mut Client, group: &str) -> anyhow::Result<()> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
    let answer = client.coordinator(group).await?.request(&request).await?;
    let result = answer.results.first().with_context(|| format!("the broker said nothing of group {group}"))?;
    Ok(check(|| format!("group {group}"), result.error_code, None)?)
}
