//! `weir groups describe`: who reads what, and how far behind.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::Member as ConsumerMember;
use kafka_protocol::messages::describe_groups_response::DescribedGroupMember;
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest};
use serde_json::{Value as Json, json};
use weir_client::{Client, ClientError, assigned_partitions, check, group_id};

use super::committed;
use crate::args::OutputFormat;
use crate::output::{Colour, Listing, painted, print_json, print_text};

/// A group as its coordinator knows it, by either protocol.
pub(super) struct Group {
    pub(super) state: String,
    protocol: String,
    assignor: String,
    pub(super) members: Vec<Member>,
}

/// A member and what it was told to read.
pub(super) struct Member {
    id: String,
    client: String,
    host: String,
    instance: Option<String>,
    assigned: BTreeMap<String, Vec<i32>>,
}

impl From<&DescribedGroupMember> for Member {
    fn from(member: &DescribedGroupMember) -> Self {
        Self {
            id: member.member_id.to_string(),
            client: member.client_id.to_string(),
            host: member.client_host.to_string(),
            instance: member.group_instance_id.as_ref().map(ToString::to_string),
            assigned: assigned_partitions(member.member_assignment.clone()),
        }
    }
}

impl From<&ConsumerMember> for Member {
    fn from(member: &ConsumerMember) -> Self {
        let topics = &member.assignment.topic_partitions;
        Self {
            id: member.member_id.to_string(),
            client: member.client_id.to_string(),
            host: member.client_host.to_string(),
            instance: member.instance_id.as_ref().map(ToString::to_string),
            assigned: topics.iter().map(|topic| (topic.topic_name.to_string(), topic.partitions.clone())).collect(),
        }
    }
}

impl Member {
    fn reads(&self, topic: &str, partition: i32) -> bool {
        self.assigned.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }
}

/// One partition that the group has committed for, or that one of its members reads.
struct Stand {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
}

impl Stand {
    fn lag(&self) -> Option<i64> {
        self.committed.zip(self.end).map(|(committed, end)| (end - committed).max(0))
    }
}

pub(super) async fn run(client: &mut Client, group: &str, format: OutputFormat) -> anyhow::Result<()> {
    let found = find(client, group).await?;
    let stands = stands(client, group, &found.members).await?;
    let members = member_listing(&found.members, &stands);
    let mut offsets = Listing::new(&["topic", "partition", "committed", "log end offset", "lag", "member"])
        .painted("lag", Colour::of_lag)
        .only_in_json("member");
    for stand in &stands {
        let reader = found.members.iter().find(|member| member.reads(&stand.topic, stand.partition));
        let (committed, end, lag) = (json!(stand.committed), json!(stand.end), json!(stand.lag()));
        let reader = json!(reader.map(|member| &member.id));
        offsets.row(vec![json!(stand.topic), json!(stand.partition), committed, end, lag, reader]);
    }
    if format == OutputFormat::Json {
        return print_json(&json!({
            "group": group, "state": found.state, "protocol": found.protocol, "assignor": found.assignor,
            "members": members.into_json(), "offsets": offsets.into_json(),
        }));
    }
    print_text(&heading(group, &found, &stands))?;
    for listing in [members, offsets].into_iter().filter(|listing| !listing.is_empty()) {
        print_text("\n")?;
        listing.print(format)?;
    }
    Ok(())
}

fn heading(group: &str, found: &Group, stands: &[Stand]) -> String {
    let state = painted(&found.state, Colour::of_state(&json!(found.state)));
    let lag: i64 = stands.iter().filter_map(Stand::lag).sum();
    let lag = painted(&lag.to_string(), Colour::of_lag(&json!(lag)));
    let assignor = if found.assignor.is_empty() { "-" } else { &found.assignor };
    format!("group     {group}\nstate     {state}\nassignor  {assignor}\nlag       {lag}\n")
}

fn member_listing(members: &[Member], stands: &[Stand]) -> Listing {
    let mut listing =
        Listing::new(&["member", "client", "host", "instance", "assigned", "lag"]).painted("lag", Colour::of_lag);
    for member in members {
        let read = stands.iter().filter(|stand| member.reads(&stand.topic, stand.partition));
        let lag: i64 = read.filter_map(Stand::lag).sum();
        let assigned = if member.assigned.is_empty() { Json::Null } else { json!(member.assigned) };
        let (id, client, host) = (json!(member.id), json!(member.client), json!(member.host));
        listing.row(vec![id, client, host, json!(member.instance), assigned, json!(lag)]);
    }
    listing
}

/// Asks for a group of the classic protocol, then for one of the newer (KIP-848), where the broker has that.
pub(super) async fn find(client: &mut Client, group: &str) -> anyhow::Result<Group> {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let answer = client.coordinator(group).await?.request(&request).await?;
    let found = answer.groups.first().context("the broker said nothing of the group")?;
    match check(|| format!("group {group}"), found.error_code, found.error_message.as_deref()) {
        Ok(()) => Ok(Group {
            state: found.group_state.to_string(),
            protocol: found.protocol_type.to_string(),
            assignor: found.protocol_data.to_string(),
            members: found.members.iter().map(Member::from).collect(),
        }),
        Err(error) if error.kafka() == Some(ResponseError::GroupIdNotFound) => match find_newer(client, group).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(error.into()),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn find_newer(client: &mut Client, group: &str) -> Result<Option<Group>, ClientError> {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(group)]);
    let answer = match client.coordinator(group).await?.request(&request).await {
        Err(ClientError::Unknown { .. }) => return Ok(None),
        answer => answer?,
    };
    let found = answer.groups.first().filter(|found| found.error_code == 0);
    Ok(found.map(|found| Group {
        state: found.group_state.to_string(),
        protocol: "consumer".to_owned(),
        assignor: found.assignor_name.to_string(),
        members: found.members.iter().map(Member::from).collect(),
    }))
}

async fn stands(client: &mut Client, group: &str, members: &[Member]) -> anyhow::Result<Vec<Stand>> {
    let committed = committed(client, group).await?;
    let mut stands = Vec::new();
    for (topic, partitions) in concerned(&committed, members) {
        // A topic that is gone has no end, and its offsets still show.
        let leaders = client.partitions(topic).await.unwrap_or_default();
        let held = client.held(topic, &leaders).await?;
        for partition in partitions {
            let committed = committed.get(topic).and_then(|offsets| offsets.get(&partition)).copied();
            let end = held.get(&partition).map(|held| held.end);
            stands.push(Stand { topic: topic.to_owned(), partition, committed, end });
        }
    }
    Ok(stands)
}

/// What the group has committed for and what its members read, before they commit for the first time, too.
fn concerned<'a>(
    committed: &'a BTreeMap<String, BTreeMap<i32, i64>>,
    members: &'a [Member],
) -> BTreeMap<&'a str, BTreeSet<i32>> {
    let mut concerned: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for (topic, offsets) in committed {
        concerned.entry(topic).or_default().extend(offsets.keys());
    }
    for (topic, partitions) in members.iter().flat_map(|member| &member.assigned) {
        concerned.entry(topic).or_default().extend(partitions);
    }
    concerned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_reads_shows_before_anything_is_committed() {
        let member = Member {
            id: String::new(),
            client: String::new(),
            host: String::new(),
            instance: None,
            assigned: BTreeMap::from([("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![0])]),
        };
        let committed = BTreeMap::from([("a".to_owned(), BTreeMap::from([(0, 5), (1, 5)]))]);
        let expected = BTreeMap::from([("a", BTreeSet::from([0, 1, 2])), ("b", BTreeSet::from([0]))]);
        assert_eq!(concerned(&committed, &[member]), expected);
    }
}
