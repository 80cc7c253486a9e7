//! From one generation to the next, and what happens when time is up.

use std::time::Duration;

use super::event::{GroupError, Reply};
use super::group::{Group, InitialDelay, Phase};
use super::turn::{FollowUp, Turn};

/// How long a slow disk may hold up a complete rebalance before the group is looked at again.
const ASSIGNMENT_WRITE_GRACE: Duration = Duration::from_secs(1);

/// Why a group rebalances, as operators ask it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebalanceReason {
    MemberJoined,
    MemberLeft,
    SessionExpired,
    SyncExpired,
    MetadataChanged,
    LeaderRejoined,
    StaticMemberReplaced,
    AssignmentNotStored,
}

impl RebalanceReason {
    pub const ALL: [Self; 8] = [
        Self::MemberJoined,
        Self::MemberLeft,
        Self::SessionExpired,
        Self::SyncExpired,
        Self::MetadataChanged,
        Self::LeaderRejoined,
        Self::StaticMemberReplaced,
        Self::AssignmentNotStored,
    ];
    pub const COUNT: usize = Self::ALL.len();

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemberJoined => "member_joined",
            Self::MemberLeft => "member_left",
            Self::SessionExpired => "session_expired",
            Self::SyncExpired => "sync_expired",
            Self::MetadataChanged => "metadata_changed",
            Self::LeaderRejoined => "leader_rejoined",
            Self::StaticMemberReplaced => "static_member_replaced",
            Self::AssignmentNotStored => "assignment_not_stored",
        }
    }
}

impl Group {
    /// Starts a rebalance, or if one is under way, ends it when this was the last member it waited for.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>, reason: RebalanceReason) {
        match self.phase {
            Phase::Dead => {}
            Phase::PreparingRebalance { initial, .. } => {
                if initial.is_none() && self.have_all_joined() {
                    self.complete_join(turn);
                }
            }
            Phase::Empty => self.prepare_initial_rebalance(turn, reason),
            Phase::CompletingRebalance { .. } | Phase::Stable { .. } => self.prepare_rebalance(turn, reason),
        }
    }

    fn begin_rebalance(&mut self, turn: &Turn<'_>, reason: RebalanceReason) {
        self.rebalances[reason as usize] += 1;
        self.rebalance_began.get_or_insert(turn.now.monotonic);
    }

    fn prepare_initial_rebalance(&mut self, turn: &mut Turn<'_>, reason: RebalanceReason) {
        self.begin_rebalance(turn, reason);
        let delay = turn.config.initial_rebalance_delay;
        let initial = InitialDelay { remaining: self.rebalance_timeout().saturating_sub(delay), member_came: false };
        let deadline = turn.now.monotonic + delay;
        self.set_phase(turn.now, Phase::PreparingRebalance { deadline, initial: Some(initial) });
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn<'_>, reason: RebalanceReason) {
        self.begin_rebalance(turn, reason);
        self.fail_syncs(turn, GroupError::RebalanceInProgress);
        let deadline = turn.now.monotonic + self.rebalance_timeout();
        self.set_phase(turn.now, Phase::PreparingRebalance { deadline, initial: None });
        if self.have_all_joined() {
            self.complete_join(turn);
        }
    }

    /// The most patient member's: nobody who may still come is left behind.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    fn have_all_joined(&self) -> bool {
        self.pending_members.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// Those who wait for an assignment are told to join again, and their sessions start anew.
    pub(super) fn fail_syncs(&mut self, turn: &mut Turn<'_>, error: GroupError) {
        for member in self.members.values_mut() {
            if let Some(request) = member.syncing.take() {
                member.renew_session(turn.now.monotonic);
                turn.reply(request, Reply::Sync(Err(error)));
            }
        }
    }

    fn on_join_deadline(&mut self, turn: &mut Turn<'_>, initial: Option<InitialDelay>) {
        match initial {
            Some(InitialDelay { remaining, member_came: true }) if !remaining.is_zero() => {
                let delay = turn.config.initial_rebalance_delay.min(remaining);
                let initial = InitialDelay { remaining: remaining - delay, member_came: false };
                let deadline = turn.now.monotonic + delay;
                self.phase = Phase::PreparingRebalance { deadline, initial: Some(initial) };
            }
            _ => self.complete_join(turn),
        }
    }

    /// The next generation: of those who joined, and of static members whether they did or not.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        let is_missing = |member: &super::Member| member.joining.is_none() && member.instance_id.is_none();
        let missing: Vec<_> = self.members.values().filter(|m| is_missing(m)).map(|m| m.id.clone()).collect();
        for member_id in missing {
            self.remove_member(turn, &member_id, GroupError::UnknownMemberId);
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Static members only, none of which came: wait on, until their sessions expire.
            let deadline = turn.now.monotonic + self.rebalance_timeout();
            self.phase = Phase::PreparingRebalance { deadline, initial: None };
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.elected_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        if self.members.is_empty() {
            return self.become_empty(turn);
        }
        let sync_deadline = turn.now.monotonic + self.rebalance_timeout();
        self.set_phase(turn.now, Phase::CompletingRebalance { sync_deadline, is_assignment_in_flight: false });
        self.answer_joins(turn);
    }

    /// A leader that did not join gives its place to the longest member that did. False if none did.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(|leader| has_joined(&**leader)) {
            return true;
        }
        match self.members.values().find(|member| member.joining.is_some()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.set_phase(turn.now, Phase::Empty);
        self.rebalance_began = None;
        self.leader = None;
        // Without it the group would come back with its members after a restart, to lose them by their sessions.
        if let Ok(record) = self.metadata_record(|_| bytes::Bytes::new()) {
            self.has_metadata_record = true;
            turn.append(&self.id, vec![record], FollowUp::Nothing);
        }
    }

    fn answer_joins(&mut self, turn: &mut Turn<'_>) {
        let waiting: Vec<_> = self.members.values().filter_map(|m| Some((m.joining?, m.id.clone()))).collect();
        for (request, member_id) in waiting {
            turn.reply(request, Reply::Join(Ok(self.joined(&member_id))));
        }
        for member in self.members.values_mut() {
            member.joining = None;
            member.is_new = false;
            member.has_synced = false;
            member.renew_session(turn.now.monotonic);
        }
    }

    /// Everything of this group that is due.
    pub(super) fn on_deadline(&mut self, turn: &mut Turn<'_>) {
        self.expire_pending_members(turn);
        self.expire_sessions(turn);
        let now = turn.now.monotonic;
        match self.phase {
            Phase::PreparingRebalance { deadline, initial } if deadline <= now => self.on_join_deadline(turn, initial),
            Phase::CompletingRebalance { sync_deadline, .. } if sync_deadline <= now => self.expire_syncs(turn),
            Phase::Stable { sync_deadline: Some(deadline) } if deadline <= now => self.expire_syncs(turn),
            _ => {}
        }
    }

    fn expire_pending_members(&mut self, turn: &mut Turn<'_>) {
        let before = self.pending_members.len();
        self.pending_members.retain(|_, until| *until > turn.now.monotonic);
        let is_joining = matches!(self.phase, Phase::PreparingRebalance { .. });
        if self.pending_members.len() < before && is_joining {
            self.rebalance_or_complete_join(turn, RebalanceReason::SessionExpired);
        }
    }

    fn expire_sessions(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.monotonic;
        let is_expired = |member: &super::Member| member.deadline().is_some_and(|deadline| deadline <= now);
        let expired: Vec<_> = self.members.values().filter(|m| is_expired(m)).map(|m| m.id.clone()).collect();
        for member_id in &expired {
            self.remove_member(turn, member_id, GroupError::UnknownMemberId);
        }
        if !expired.is_empty() {
            self.rebalance_or_complete_join(turn, RebalanceReason::SessionExpired);
        }
    }

    /// Members that joined but never asked for their assignment hold it: they are removed (KAFKA-13790's remedy).
    fn expire_syncs(&mut self, turn: &mut Turn<'_>) {
        let silent: Vec<_> = self.members.values().filter(|m| !m.has_synced).map(|m| m.id.clone()).collect();
        if let Phase::Stable { sync_deadline } = &mut self.phase {
            *sync_deadline = None;
        }
        if silent.is_empty() {
            // All have asked, the leader's assignment is on its way to the disk: wait on.
            if let Phase::CompletingRebalance { sync_deadline, .. } = &mut self.phase {
                *sync_deadline = turn.now.monotonic + ASSIGNMENT_WRITE_GRACE;
            }
            return;
        }
        for member_id in &silent {
            self.remove_member(turn, member_id, GroupError::UnknownMemberId);
        }
        self.rebalance_or_complete_join(turn, RebalanceReason::SyncExpired);
    }
}
