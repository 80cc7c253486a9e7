//! What goes into a coordinator and what comes out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_types::TopicPartition;

use super::CommittedOffset;
use super::records::CoordinatorRecord;

/// The two clocks: deadlines follow one that never jumps, records carry the other.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since any fixed moment of this process.
    pub monotonic: Duration,
    /// Since 1970.
    pub wall_ms: i64,
}

/// Chosen by the runtime; each gets exactly one reply, at once or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Chosen by the coordinator, ascending; each comes back as [`Event::Appended`] or [`Event::AppendFailed`], in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppendId(pub u64);

#[derive(Debug)]
pub enum Event {
    Join {
        request: RequestId,
        join: Join,
    },
    Sync {
        request: RequestId,
        sync: Sync,
    },
    Heartbeat {
        request: RequestId,
        group: Arc<str>,
        member_id: Arc<str>,
        instance_id: Option<Arc<str>>,
        generation: i32,
    },
    Leave {
        request: RequestId,
        group: Arc<str>,
        leavers: Vec<Leaver>,
    },
    Commit {
        request: RequestId,
        commit: Commit,
    },
    DeleteGroup {
        request: RequestId,
        group: Arc<str>,
    },
    DeleteOffsets {
        request: RequestId,
        group: Arc<str>,
        partitions: Vec<TopicPartition>,
    },
    /// The topics are gone, and with them what groups committed for them.
    TopicsDeleted {
        topics: Vec<Arc<str>>,
    },
    /// The records of this append are durable.
    Appended {
        append: AppendId,
    },
    AppendFailed {
        append: AppendId,
        failure: AppendFailure,
    },
    /// Time to drop offsets that nobody needs any more, and groups without members and offsets.
    ExpireOffsets,
    /// Time has passed; due at [`super::Coordinator::next_deadline`].
    Tick,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Reply {
        to: RequestId,
        reply: Reply,
    },
    /// In the order of their ids. Without records it is durable as soon as those before it are.
    Append {
        append: AppendId,
        records: Vec<CoordinatorRecord>,
    },
    /// A rebalance is over, this long after it began.
    Rebalanced {
        took: Duration,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    /// One result per leaver, in the order of the request.
    Leave(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// One result per partition, in the order of the request.
    Commit(Result<Vec<Result<(), GroupError>>, GroupError>),
    DeleteGroup(Result<(), GroupError>),
    /// One result per partition, in the order of the request.
    DeleteOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
}

/// Why a request was refused. What a client should do about it is the wire's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("the coordinator can't answer now, ask again")]
    CoordinatorNotAvailable,
    #[error("another broker coordinates this group")]
    NotCoordinator,
    #[error("the coordinator is still loading this group")]
    CoordinatorLoading,
    #[error("the group id is empty or too long")]
    InvalidGroupId,
    #[error("the request contradicts itself or the protocol's bounds")]
    InvalidRequest,
    #[error("the session timeout is outside group.min.session.timeout.ms to group.max.session.timeout.ms")]
    InvalidSessionTimeout,
    #[error("no such member")]
    UnknownMemberId,
    #[error("join again with the member id given")]
    MemberIdRequired,
    #[error("another member joined with the same group.instance.id")]
    FencedInstanceId,
    #[error("the generation is not the current one")]
    IllegalGeneration,
    #[error("the group is rebalancing, join again")]
    RebalanceInProgress,
    #[error("the protocols have none in common with the group's")]
    InconsistentGroupProtocol,
    #[error("the group has group.max.size members")]
    GroupMaxSizeReached,
    #[error("this broker coordinates no more groups")]
    TooManyGroups,
    #[error("no such group")]
    GroupIdNotFound,
    #[error("the group has members")]
    NonEmptyGroup,
    #[error("the group is subscribed to the topic")]
    SubscribedToTopic,
    #[error("the metadata is longer than offset.metadata.max.bytes")]
    OffsetMetadataTooLarge,
    #[error("the record is larger than __consumer_offsets takes")]
    RecordTooLarge,
}

/// Why records did not become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFailure {
    /// The disk or the replicas; the same may work later.
    Unavailable,
    /// This broker no longer leads the partition.
    NotLeader,
    TooLarge,
}

impl From<AppendFailure> for GroupError {
    fn from(failure: AppendFailure) -> Self {
        match failure {
            AppendFailure::Unavailable => Self::CoordinatorNotAvailable,
            AppendFailure::NotLeader => Self::NotCoordinator,
            AppendFailure::TooLarge => Self::RecordTooLarge,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

#[derive(Debug, Clone)]
pub struct Join {
    pub group: Arc<str>,
    /// Empty for a client that has none yet.
    pub member_id: Arc<str>,
    /// What a client that has none gets: unique, made by the runtime.
    pub new_member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocol_type: Arc<str>,
    /// In the client's order of preference.
    pub protocols: Vec<Protocol>,
    /// The client understands [`GroupError::MemberIdRequired`] (KIP-394).
    pub requires_known_member_id: bool,
    /// The client understands [`Joined::skip_assignment`] (KIP-814).
    pub can_skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    pub member_id: Arc<str>,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Arc<str>,
    /// The leader need not assign: the group keeps its assignment.
    pub skip_assignment: bool,
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct JoinedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub metadata: Bytes,
}

#[derive(Debug, Clone, PartialEq)]
pub struct JoinRefused {
    pub error: GroupError,
    /// To join with, when that is what the error asks for.
    pub member_id: Arc<str>,
}

#[derive(Debug, Clone)]
pub struct Sync {
    pub group: Arc<str>,
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
    /// Checked when given (KIP-559).
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Member id and what it gets; from the leader only.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Exactly the leader's bytes.
    pub assignment: Bytes,
}

/// Who leaves: a member by its id, or a static member by its instance id alone.
#[derive(Debug, Clone)]
pub struct Leaver {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
pub struct Commit {
    pub group: Arc<str>,
    /// Empty, with no instance id and no generation, from a client that does not use group management.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: Option<i32>,
    pub partitions: Vec<CommitPartition>,
}

#[derive(Debug, Clone)]
pub struct CommitPartition {
    pub partition: TopicPartition,
    pub offset: CommittedOffset,
}
