//! One member of a consumer group that reads one topic: the classic protocol with the range assignor.
//!
//! Never starts a task: the caller sends heartbeats between its fetches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::client::{Client, OFFSET_FETCH_MAX, SETTLE_LIMIT, group_id, is_settling, settle, string, topic_name};
use crate::error::{ClientError, check};

const SESSION_TIMEOUT: Duration = Duration::from_secs(45);
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);
/// A join may be answered only when the rebalance ends.
const JOIN_LIMIT: Duration = Duration::from_secs(90);
const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";
/// The wire version of subscriptions and assignments: no owned partitions, no rack.
const EMBEDDED_VERSION: i16 = 0;
/// The newest version with topic names.
const OFFSET_COMMIT_MAX: i16 = 9;

pub struct GroupMember {
    group: String,
    topic: String,
    member_id: StrBytes,
    /// `None` between rebalances.
    generation_id: Option<i32>,
    heartbeat_due: Instant,
    committed: BTreeMap<i32, i64>,
}

impl GroupMember {
    pub fn new(group: &str, topic: &str) -> Self {
        Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            member_id: StrBytes::default(),
            generation_id: None,
            heartbeat_due: Instant::now(),
            committed: BTreeMap::new(),
        }
    }

    /// False once the coordinator has called a rebalance: join again.
    pub fn is_joined(&self) -> bool {
        self.generation_id.is_some()
    }

    /// Joins, assigns when chosen as leader, and gives the partitions with their committed offsets.
    pub async fn join(&mut self, client: &mut Client) -> Result<BTreeMap<i32, Option<i64>>, ClientError> {
        let give_up = Instant::now() + SETTLE_LIMIT;
        loop {
            let joined = self.send_join(client).await?;
            let member_id = joined.member_id.clone();
            let error = match check(|| format!("joining group {}", self.group), joined.error_code, None) {
                Ok(()) => match self.sync(client, joined).await? {
                    Some(assigned) => {
                        self.heartbeat_due = Instant::now() + HEARTBEAT_EVERY;
                        return self.committed_offsets(client, &assigned).await;
                    }
                    None => continue,
                },
                Err(error) => error,
            };
            match error.kafka() {
                Some(ResponseError::MemberIdRequired) => self.member_id = member_id,
                Some(ResponseError::UnknownMemberId) => self.member_id = StrBytes::default(),
                _ if is_settling(&error) => settle(give_up, || error).await?,
                _ => return Err(error),
            }
        }
    }

    async fn send_join(&self, client: &mut Client) -> Result<JoinGroupResponse, ClientError> {
        let subscription = ConsumerProtocolSubscription::default().with_topics(vec![string(&self.topic)]);
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(PROTOCOL))
            .with_metadata(embedded(&subscription));
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_session_timeout_ms(millis(SESSION_TIMEOUT))
            .with_rebalance_timeout_ms(millis(REBALANCE_TIMEOUT))
            .with_member_id(self.member_id.clone())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(vec![protocol]);
        let connection = client.coordinator(&self.group).await?;
        connection.set_answer_limit(JOIN_LIMIT);
        connection.request(&request).await
    }

    /// `None` when another rebalance began meanwhile.
    async fn sync(&mut self, client: &mut Client, joined: JoinGroupResponse) -> Result<Option<Vec<i32>>, ClientError> {
        self.member_id = joined.member_id.clone();
        let assignments =
            if joined.leader == joined.member_id { self.assign(client, &joined).await? } else { Vec::new() };
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(joined.generation_id)
            .with_member_id(self.member_id.clone())
            .with_protocol_type(joined.protocol_type.clone())
            .with_protocol_name(joined.protocol_name.clone())
            .with_assignments(assignments);
        let answer = client.coordinator(&self.group).await?.request(&request).await?;
        if ResponseError::try_from_code(answer.error_code) == Some(ResponseError::RebalanceInProgress) {
            return Ok(None);
        }
        check(|| format!("joining group {}", self.group), answer.error_code, None)?;
        self.generation_id = Some(joined.generation_id);
        Ok(Some(self.assigned(answer.assignment)))
    }

    fn assigned(&self, assignment: Bytes) -> Vec<i32> {
        assigned_partitions(assignment).remove(&self.topic).unwrap_or_default()
    }

    /// Kafka's range assignor for one topic: members in order of id, the first ones get one more.
    async fn assign(
        &self,
        client: &mut Client,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
        let partitions: Vec<i32> = client.partitions(&self.topic).await?.into_keys().collect();
        let mut members: Vec<&StrBytes> = joined.members.iter().map(|member| &member.member_id).collect();
        members.sort();
        let shares = range(&partitions, members.len());
        let assignment = |(member, share): (&StrBytes, Vec<i32>)| {
            let topic = AssignedTopic::default().with_topic(topic_name(&self.topic)).with_partitions(share);
            let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![topic]);
            SyncGroupRequestAssignment::default().with_member_id(member.clone()).with_assignment(embedded(&assignment))
        };
        Ok(members.into_iter().zip(shares).map(assignment).collect())
    }

    async fn committed_offsets(
        &mut self,
        client: &mut Client,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, Option<i64>>, ClientError> {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name(&self.topic))
            .with_partition_indexes(partitions.to_vec());
        let request = OffsetFetchRequest::default().with_group_id(group_id(&self.group)).with_topics(Some(vec![topic]));
        let connection = client.coordinator(&self.group).await?;
        let (answer, _) = connection.request_up_to(&request, OFFSET_FETCH_MAX).await?;
        check(|| format!("offsets of group {}", self.group), answer.error_code, None)?;
        let mut offsets = BTreeMap::new();
        for found in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            check(|| format!("{}-{}", self.topic, found.partition_index), found.error_code, None)?;
            offsets.insert(found.partition_index, (found.committed_offset >= 0).then_some(found.committed_offset));
        }
        self.committed = offsets.iter().filter_map(|(partition, offset)| Some((*partition, (*offset)?))).collect();
        Ok(offsets)
    }

    /// Commits next offsets; does nothing when none has moved.
    pub async fn commit(&mut self, client: &mut Client, offsets: &BTreeMap<i32, i64>) -> Result<(), ClientError> {
        let Some(generation_id) = self.generation_id else { return Ok(()) };
        let moved: BTreeMap<i32, i64> =
            offsets.iter().filter(|(p, offset)| self.committed.get(p) != Some(offset)).map(|(p, o)| (*p, *o)).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let partition = |(partition, offset): (&i32, &i64)| {
            OffsetCommitRequestPartition::default().with_partition_index(*partition).with_committed_offset(*offset)
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(&self.topic))
            .with_partitions(moved.iter().map(partition).collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id_or_member_epoch(generation_id)
            .with_member_id(self.member_id.clone())
            .with_topics(vec![topic]);
        let (answer, _) = client.coordinator(&self.group).await?.request_up_to(&request, OFFSET_COMMIT_MAX).await?;
        for done in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            if self.is_over(done.error_code) {
                return Ok(());
            }
            check(|| format!("commit of group {}", self.group), done.error_code, None)?;
        }
        self.committed.extend(moved);
        Ok(())
    }

    /// Sends a heartbeat when one is due.
    pub async fn heartbeat(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let Some(generation_id) = self.generation_id.filter(|_| Instant::now() >= self.heartbeat_due) else {
            return Ok(());
        };
        self.heartbeat_due = Instant::now() + HEARTBEAT_EVERY;
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(generation_id)
            .with_member_id(self.member_id.clone());
        let answer = client.coordinator(&self.group).await?.request(&request).await?;
        if self.is_over(answer.error_code) {
            return Ok(());
        }
        check(|| format!("heartbeat of group {}", self.group), answer.error_code, None)
    }

    /// Whether a code says that this generation has ended; then the member is to join again.
    fn is_over(&mut self, code: i16) -> bool {
        let over = match ResponseError::try_from_code(code) {
            Some(ResponseError::UnknownMemberId) => {
                self.member_id = StrBytes::default();
                true
            }
            Some(ResponseError::RebalanceInProgress | ResponseError::IllegalGeneration) => true,
            _ => false,
        };
        if over {
            self.generation_id = None;
        }
        over
    }

    /// Does nothing for a member that the group has never heard of.
    pub async fn leave(self, client: &mut Client) -> Result<(), ClientError> {
        if self.member_id.is_empty() {
            return Ok(());
        }
        let member = MemberIdentity::default().with_member_id(self.member_id.clone());
        let request = LeaveGroupRequest::default().with_group_id(group_id(&self.group)).with_members(vec![member]);
        let answer = client.coordinator(&self.group).await?.request(&request).await?;
        check(|| format!("leaving group {}", self.group), answer.error_code, None)
    }
}

/// Topic → partitions, as a member of the consumer protocol was told them; empty when these bytes are of another protocol.
pub fn assigned_partitions(mut assignment: Bytes) -> BTreeMap<String, Vec<i32>> {
    let version = assignment.try_get_i16();
    let decoded = version.ok().and_then(|version| ConsumerProtocolAssignment::decode(&mut assignment, version).ok());
    let topics = decoded.into_iter().flat_map(|decoded| decoded.assigned_partitions);
    topics.map(|topic| (topic.topic.to_string(), topic.partitions)).collect()
}

fn range(partitions: &[i32], members: usize) -> Vec<Vec<i32>> {
    let (each, more) = (partitions.len() / members.max(1), partitions.len() % members.max(1));
    let mut rest = partitions.iter().copied();
    (0..members).map(|member| rest.by_ref().take(each + usize::from(member < more)).collect()).collect()
}

/// A message of the consumer protocol: its version, then its fields. Encoding these into memory cannot fail.
fn embedded(message: &impl Encodable) -> Bytes {
    let mut bytes = bytes::BytesMut::new();
    bytes::BufMut::put_i16(&mut bytes, EMBEDDED_VERSION);
    match message.encode(&mut bytes, EMBEDDED_VERSION) {
        Ok(()) => bytes.freeze(),
        Err(error) => unreachable!("version {EMBEDDED_VERSION} has every field that is set: {error}"),
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_another_protocol_assign_nothing() {
        assert_eq!(assigned_partitions(Bytes::new()), BTreeMap::new());
        assert_eq!(assigned_partitions(Bytes::from_static(b"{\"connector\": 1}")), BTreeMap::new());
        let topic = AssignedTopic::default().with_topic(topic_name("t")).with_partitions(vec![2, 0]);
        let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![topic]);
        assert_eq!(assigned_partitions(embedded(&assignment)), BTreeMap::from([("t".to_owned(), vec![2, 0])]));
    }

    #[test]
    fn partitions_are_shared_out_in_ranges_the_first_members_getting_one_more() {
        assert_eq!(range(&[0, 1, 2, 3, 4], 2), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(range(&[0], 3), [vec![0], vec![], vec![]]);
    }
}
