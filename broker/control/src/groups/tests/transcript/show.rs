//! What happened, as a transcript says it.

use std::fmt::Write as _;

use super::super::super::records::{CoordinatorRecord, GroupMetadataValue, OffsetCommitValue, RecordKey};
use super::super::super::*;
use super::{GROUP, Play};

impl Play {
    pub(super) fn show(&mut self) {
        let Some(group) = self.coordinator.group(GROUP) else { return self.out.push_str("  no such group\n") };
        writeln!(self.out, "  {} generation {}", group.state().as_str(), group.generation()).unwrap();
        for member in group.members() {
            writeln!(self.out, "  member {} has {:?}", member.id(), text(member.assignment())).unwrap();
        }
        for ((partition, offset), (_, advance)) in group.offsets().iter().zip(group.advances()) {
            let (topic, index) = (&partition.topic, partition.partition);
            write!(self.out, "  {topic}-{index} at {} {:?}", offset.offset, offset.metadata).unwrap();
            self.out += &if advance > 0 { format!(" after {advance}\n") } else { "\n".to_owned() };
        }
    }

    pub(super) fn show_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Reply { to, reply } => {
                let who = self.requests[to].clone();
                self.show_reply(&who, reply);
            }
            Effect::Rebalanced { took } => writeln!(self.out, "  rebalanced in {} ms", took.as_millis()).unwrap(),
            Effect::Append { records, .. } => {
                for record in records {
                    writeln!(self.out, "  log: {}", describe(record)).unwrap();
                }
            }
        }
    }

    fn show_reply(&mut self, who: &str, reply: &Reply) {
        let line = match reply {
            Reply::Join(Ok(joined)) => {
                if let Some(client) = self.clients.get_mut(who) {
                    client.member_id = joined.member_id.to_string();
                    client.generation = joined.generation;
                }
                let protocol = joined.protocol.as_deref().unwrap_or_default();
                let members: Vec<String> =
                    joined.members.iter().map(|m| format!("{}={}", m.member_id, text(&m.metadata))).collect();
                let members =
                    if members.is_empty() { String::new() } else { format!(", members {}", members.join(" ")) };
                let skip = if joined.skip_assignment { ", skip assignment" } else { "" };
                format!(
                    "joined generation {} as {}, {protocol}, leader {}{members}{skip}",
                    joined.generation, joined.member_id, joined.leader
                )
            }
            Reply::Join(Err(refused)) => {
                let client = self.clients.get_mut(who).filter(|_| refused.error == GroupError::MemberIdRequired);
                if let Some(client) = client {
                    client.member_id = refused.member_id.to_string();
                }
                format!("join: {:?} {}", refused.error, refused.member_id).trim_end().to_owned()
            }
            Reply::Sync(Ok(synced)) => format!("synced {:?}", text(&synced.assignment)),
            Reply::Sync(Err(error)) => format!("sync: {error:?}"),
            Reply::Heartbeat(result) => format!("heartbeat: {}", outcome(result)),
            Reply::Leave(result) => format!("leave: {}", outcomes(result)),
            Reply::Commit(result) => format!("commit: {}", outcomes(result)),
            Reply::DeleteGroup(result) => format!("delete: {}", outcome(result)),
            Reply::DeleteOffsets(result) => format!("delete offsets: {}", outcomes(result)),
        };
        writeln!(self.out, "  {who} {line}").unwrap();
    }
}

fn outcome(result: &Result<(), GroupError>) -> String {
    result.as_ref().map_or_else(|error| format!("{error:?}"), |()| "ok".into())
}

fn outcomes(result: &Result<Vec<Result<(), GroupError>>, GroupError>) -> String {
    match result {
        Ok(results) => results.iter().map(outcome).collect::<Vec<_>>().join(", "),
        Err(error) => format!("{error:?}"),
    }
}

fn describe(record: &CoordinatorRecord) -> String {
    match (RecordKey::decode(&record.key).unwrap(), &record.value) {
        (RecordKey::OffsetCommit { partition, .. }, Some(value)) => {
            let value = OffsetCommitValue::decode(value).unwrap();
            format!("{}-{} at {}", partition.topic, partition.partition, value.offset)
        }
        (RecordKey::OffsetCommit { partition, .. }, None) => {
            format!("{}-{} gone", partition.topic, partition.partition)
        }
        (RecordKey::GroupMetadata { .. }, Some(value)) => {
            let value = GroupMetadataValue::decode(value).unwrap();
            let members: Vec<String> =
                value.members.iter().map(|m| format!(" {}={}", m.member_id, text(&m.assignment))).collect();
            format!("group generation {}{}", value.generation, members.concat())
        }
        (RecordKey::GroupMetadata { .. }, None) => "group gone".into(),
        (RecordKey::Other { key_type }, _) => format!("key type {key_type}"),
    }
}

fn text(bytes: &[u8]) -> String {
    match subscription::subscribed_topics(bytes) {
        Some(topics) if !bytes.is_empty() => {
            let mut topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            topics.sort_unstable();
            format!("sub:{}", topics.join("+"))
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
