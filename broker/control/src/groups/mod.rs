//! Groups: who is a member, who leads, who got what, and how far each group has read.
//!
//! One [`Coordinator`] decides for all groups of one partition of `__consumer_offsets`. It takes an [`Event`] and
//! answers with [`Effect`]s: replies to send, records to append. What must survive a crash is a record first: the reply
//! that depends on it leaves when the runtime says [`Event::Appended`].
//!
//! Read in this order: `event` (what goes in and out), `coordinator` (which group, which timer), `group` (one group's
//! state), `join`, `rebalance`, `sync`, `leave`, `offsets` (what each event does), `records` (the bytes).
//!
//! The classic protocol, as Kafka's documentation and clients define it:
//!
//! ```text
//!          first join                  all joined, or timeout                  leader's assignment is durable
//!   Empty ───────────► PreparingRebalance ───────────────► CompletingRebalance ───────────────► Stable
//!     ▲                   │       ▲  ▲  member joins, leaves, expires   │                         │
//!     └───────────────────┘       │  └──────────────────────────────────┘                         │
//!      nobody joined              └───────────────────────────────────────────────────────────────┘
//!   Dead: being deleted
//! ```
//!
//! Never: reads a clock, does I/O, looks into metadata or assignments of any protocol type but `consumer` (whose topics
//! decide which offsets may expire or be deleted), or answers a commit before it is durable.

mod coordinator;
mod event;
mod group;
mod join;
mod leave;
mod member;
mod offsets;
mod rebalance;
pub mod records;
mod subscription;
mod sync;
mod turn;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use coordinator::Coordinator;
pub use event::{
    AppendFailure, AppendId, Commit, CommitPartition, Effect, Event, GroupError, Join, JoinRefused, Joined,
    JoinedMember, Leaver, Now, Protocol, Reply, RequestId, Sync, Synced,
};
pub use group::{Group, GroupState};
pub use member::Member;
pub use offsets::CommittedOffset;
pub use rebalance::RebalanceReason;

/// A client that got a member id but does not join with it is remembered for its session timeout: so many per group.
pub const PENDING_MEMBERS_MAX: usize = 10_000;
/// Members per group, whatever `group.max.size` says.
pub const MEMBERS_MAX: usize = 10_000;
/// Groups per partition of `__consumer_offsets`.
pub const GROUPS_MAX: usize = 50_000;
/// What a member may send as metadata for all its protocols together.
pub const MEMBER_METADATA_BYTES_MAX: usize = 1024 * 1024;
/// Protocols that a member may offer.
pub const PROTOCOLS_MAX: usize = 100;
/// The longest id, name or host that the record schemas can say.
pub const TEXT_BYTES_MAX: usize = i16::MAX as usize;
/// How long a member that has never completed a join may wait for one, however short its session timeout is.
pub const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The settings of all groups, checked.
#[derive(Debug, Clone)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long the first member of an empty group waits for others.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms` to `group.max.session.timeout.ms`.
    pub session_timeout: RangeInclusive<Duration>,
    /// `group.max.size`
    pub group_size_max: usize,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention: Duration,
}

impl Default for GroupConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::from_secs(3),
            session_timeout: Duration::from_secs(6)..=Duration::from_secs(30 * 60),
            group_size_max: i32::MAX as usize,
            offset_metadata_bytes_max: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

#[cfg(test)]
mod tests;
