//! One classic group: its state, its members, and the rules that need both.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use weir_types::TopicPartition;

use super::event::{GroupError, Join, Joined, JoinedMember, Now, Protocol, Reply, RequestId, Synced};
use super::offsets::CommittedOffset;
use super::records::{CoordinatorRecord, GroupMetadataValue, RecordError, group_metadata_key};
use super::subscription::{has_partitions, subscribed_topics};
use super::turn::Turn;
use super::{MEMBERS_MAX, Member, RebalanceReason};

/// The protocol type of consumers; that of Connect's workers, for one, is `connect`.
pub(super) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Kafka's names for a group's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    Dead,
}

impl GroupState {
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// The state with what only that state has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    /// Waiting for all members to join, until the deadline.
    PreparingRebalance {
        deadline: Duration,
        initial: Option<InitialDelay>,
    },
    /// Waiting for the leader's assignment to arrive and to become durable.
    CompletingRebalance {
        sync_deadline: Duration,
        is_assignment_in_flight: bool,
    },
    /// Members that don't fetch their assignment until the deadline are removed.
    Stable {
        sync_deadline: Option<Duration>,
    },
    Dead,
}

/// The first rebalance of an empty group waits on while members keep coming, but not longer than `remaining`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub(super) remaining: Duration,
    pub(super) member_came: bool,
}

#[derive(Debug)]
pub struct Group {
    pub(super) id: Arc<str>,
    pub(super) phase: Phase,
    /// When the group got into its state; of a group that only ever committed offsets it is not known.
    pub(super) state_since_ms: Option<i64>,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    /// In the order in which they joined.
    pub(super) members: IndexMap<Arc<str>, Member>,
    /// Member id by instance id.
    pub(super) static_members: HashMap<Arc<str>, Arc<str>>,
    /// Ids given out to clients that have not joined with them yet, and until when they may.
    pub(super) pending_members: HashMap<Arc<str>, Duration>,
    pub(super) offsets: BTreeMap<TopicPartition, CommittedOffset>,
    /// By how many records commits went forward since this broker coordinates the group; where they did.
    pub(super) advances: BTreeMap<TopicPartition, u64>,
    /// What the consumers of this generation subscribe to; `None` when that is not known.
    pub(super) subscribed_topics: Option<HashSet<Arc<str>>>,
    /// Whether the log holds a record of the group itself, besides its offsets.
    pub(super) has_metadata_record: bool,
    pub(super) rebalances: [u64; RebalanceReason::COUNT],
    /// When the rebalance under way began.
    pub(super) rebalance_began: Option<Duration>,
    /// When the coordinator looks at this group next: at its deadline or before.
    pub(super) wake_up: Option<Duration>,
}

impl Group {
    pub(super) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            phase: Phase::Empty,
            state_since_ms: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            static_members: HashMap::new(),
            pending_members: HashMap::new(),
            offsets: BTreeMap::new(),
            advances: BTreeMap::new(),
            subscribed_topics: None,
            has_metadata_record: false,
            rebalances: [0; RebalanceReason::COUNT],
            rebalance_began: None,
            wake_up: None,
        }
    }

    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::PreparingRebalance { .. } => GroupState::PreparingRebalance,
            Phase::CompletingRebalance { .. } => GroupState::CompletingRebalance,
            Phase::Stable { .. } => GroupState::Stable,
            Phase::Dead => GroupState::Dead,
        }
    }

    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// Empty for a group that only commits offsets.
    pub fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// Consumers of a stable group that were assigned nothing.
    pub fn idle_member_count(&self) -> usize {
        if self.state() != GroupState::Stable || self.protocol_type() != CONSUMER_PROTOCOL_TYPE {
            return 0;
        }
        let is_idle = |member: &&Member| has_partitions(&member.assignment) != Some(true);
        self.members.values().filter(is_idle).count()
    }

    /// What has been committed and is durable.
    pub fn offsets(&self) -> &BTreeMap<TopicPartition, CommittedOffset> {
        &self.offsets
    }

    /// The partitions that it has committed, and by how many records its commits went forward since this broker coordinates
    /// the group. A first commit and one that goes back are no way forward.
    pub fn advances(&self) -> impl Iterator<Item = (&TopicPartition, u64)> {
        self.offsets.keys().map(|partition| (partition, self.advances.get(partition).copied().unwrap_or(0)))
    }

    /// Rebalances since this broker coordinates the group, in the order of [`RebalanceReason::ALL`].
    pub fn rebalances(&self) -> [u64; RebalanceReason::COUNT] {
        self.rebalances
    }

    pub(super) fn set_phase(&mut self, now: Now, phase: Phase) {
        self.phase = phase;
        self.state_since_ms = Some(now.wall_ms);
    }

    /// Nobody is here, nobody is expected, and the log holds nothing of it.
    pub(super) fn is_blank(&self) -> bool {
        self.phase == Phase::Empty
            && self.members.is_empty()
            && self.pending_members.is_empty()
            && self.offsets.is_empty()
            && !self.has_metadata_record
    }

    /// The moment at which something must happen though nobody asks.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let of_phase = match self.phase {
            Phase::PreparingRebalance { deadline, .. } => Some(deadline),
            Phase::CompletingRebalance { sync_deadline, .. } => Some(sync_deadline),
            Phase::Stable { sync_deadline } => sync_deadline,
            Phase::Empty | Phase::Dead => None,
        };
        let of_members = self.members.values().filter_map(Member::deadline);
        of_members.chain(self.pending_members.values().copied()).chain(of_phase).min()
    }

    /// The current member of this id and, if it says one, this instance id.
    pub(super) fn validated(&mut self, member_id: &str, instance_id: Option<&str>) -> Result<&mut Member, GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(current) if **current != *member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.members.get_mut(member_id).ok_or(GroupError::UnknownMemberId)
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Members that were there before always find a place again, so that a lowered limit shrinks a group without chaos.
    pub(super) fn has_room_for(&self, member_id: &str, size_max: usize) -> bool {
        let size_max = size_max.min(MEMBERS_MAX);
        let member = self.members.get(member_id);
        match self.phase {
            Phase::Empty | Phase::Dead => true,
            Phase::PreparingRebalance { .. } => {
                let is_joining = member.is_some_and(|member| member.joining.is_some());
                is_joining || self.members.values().filter(|member| member.joining.is_some()).count() < size_max
            }
            Phase::CompletingRebalance { .. } | Phase::Stable { .. } => {
                member.is_some() || self.members.len() < size_max
            }
        }
    }

    /// Whether a member with these protocols can be in one group with those there are.
    pub(super) fn accepts_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|offered| self.members.values().all(|member| member.speaks(&offered.name)))
    }

    /// Among the protocols that all speak, each member votes for the one it likes best; a tie goes to the one that the
    /// longest member likes better.
    pub(super) fn elected_protocol(&self) -> Option<Arc<str>> {
        let first = self.members.values().next()?;
        let speaks_it = |name: &str| self.members.values().all(|member| member.speaks(name));
        let mut votes: Vec<(&Arc<str>, usize)> = first
            .protocols
            .iter()
            .filter(|offered| speaks_it(&offered.name))
            .map(|offered| (&offered.name, 0))
            .collect();
        for member in self.members.values() {
            let favourite = member.protocols.iter().find_map(|p| votes.iter().position(|(name, _)| **name == p.name));
            if let Some(index) = favourite {
                votes[index].1 += 1;
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| Arc::clone(name))
    }

    pub(super) fn add_member(&mut self, member_id: Arc<str>, request: RequestId, join: &Join, now: Duration) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.pending_members.remove(&member_id);
        if let Some(instance_id) = &join.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id.clone(), Member::new(member_id, request, join, now));
    }

    /// Answers what the member waits for with `error`; the longest member leads if it was the leader.
    pub(super) fn remove_member(&mut self, turn: &mut Turn<'_>, member_id: &str, error: GroupError) {
        let Some(member) = self.members.shift_remove(member_id) else { return };
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        if let Some(request) = member.joining {
            turn.refuse_join(request, error, &member.id);
        }
        if let Some(request) = member.syncing {
            turn.reply(request, Reply::Sync(Err(error)));
        }
    }

    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        self.members.values().map(|member| member.as_joined(protocol)).collect()
    }

    /// The current generation as `member_id` is told; only the leader hears of the others.
    pub(super) fn joined(&self, member_id: &Arc<str>) -> Joined {
        Joined {
            member_id: member_id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members: if self.is_leader(member_id) { self.joined_members() } else { Vec::new() },
        }
    }

    pub(super) fn synced(&self, assignment: bytes::Bytes) -> Synced {
        Synced { protocol_type: self.protocol_type.clone(), protocol: self.protocol.clone(), assignment }
    }

    /// The union of what the members subscribe to, if all are consumers whose subscription can be read.
    pub(super) fn compute_subscribed_topics(&self) -> Option<HashSet<Arc<str>>> {
        if self.protocol_type() != CONSUMER_PROTOCOL_TYPE {
            return None;
        }
        let Some(protocol) = &self.protocol else { return Some(HashSet::new()) };
        let mut topics = HashSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// The group as it goes to the log, with the assignment that `assignment_of` gives each member.
    pub(super) fn metadata_record(
        &self,
        assignment_of: impl Fn(&Member) -> bytes::Bytes,
    ) -> Result<CoordinatorRecord, RecordError> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type().to_owned(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(str::to_owned),
            leader: self.leader.as_deref().map(str::to_owned),
            current_state_timestamp_ms: self.state_since_ms,
            members: self.members.values().map(|member| member.as_record(protocol, assignment_of(member))).collect(),
        };
        Ok(CoordinatorRecord { key: group_metadata_key(&self.id)?, value: Some(value.encode()?) })
    }

    /// A group as the log says it, before its offsets.
    pub(super) fn load_metadata(&mut self, value: &GroupMetadataValue) {
        self.generation = value.generation;
        self.protocol_type = (!value.protocol_type.is_empty()).then(|| value.protocol_type.as_str().into());
        self.protocol = value.protocol.as_deref().map(Into::into);
        self.leader = value.leader.as_deref().map(Into::into);
        self.state_since_ms = value.current_state_timestamp_ms;
        self.has_metadata_record = true;
        let members = value.members.iter().map(|metadata| Member::loaded(metadata, self.protocol.as_ref()));
        self.members = members.map(|member| (member.id.clone(), member)).collect();
        self.static_members =
            self.members.values().filter_map(|member| Some((member.instance_id.clone()?, member.id.clone()))).collect();
        self.phase = if self.members.is_empty() { Phase::Empty } else { Phase::Stable { sync_deadline: None } };
        self.subscribed_topics = self.compute_subscribed_topics();
    }
}
