//! JoinGroup: who may come in, under which id, and whether that needs a rebalance.

use std::sync::Arc;

use super::event::{GroupError, Join, Reply, RequestId};
use super::group::{Group, Phase};
use super::turn::{FollowUp, Turn};
use super::{
    GroupConfig, MEMBER_METADATA_BYTES_MAX, Member, PENDING_MEMBERS_MAX, PROTOCOLS_MAX, RebalanceReason, TEXT_BYTES_MAX,
};

/// What can be refused without looking at the group.
pub(super) fn validate(join: &Join, config: &GroupConfig) -> Result<(), GroupError> {
    if !config.session_timeout.contains(&join.session_timeout) {
        return Err(GroupError::InvalidSessionTimeout);
    }
    let texts = [&join.member_id, &join.new_member_id, &join.client_id, &join.client_host, &join.protocol_type];
    let texts = texts.into_iter().chain(&join.instance_id).chain(join.protocols.iter().map(|offered| &offered.name));
    let is_text_too_long = texts.into_iter().any(|text| text.len() > TEXT_BYTES_MAX);
    let metadata_bytes: usize = join.protocols.iter().map(|offered| offered.metadata.len()).sum();
    if is_text_too_long || join.protocols.len() > PROTOCOLS_MAX || metadata_bytes > MEMBER_METADATA_BYTES_MAX {
        return Err(GroupError::InvalidRequest);
    }
    Ok(())
}

impl Group {
    pub(super) fn on_join(&mut self, turn: &mut Turn<'_>, request: RequestId, join: &Join) {
        if self.phase != Phase::Dead && !self.has_room_for(&join.member_id, turn.config.group_size_max) {
            return self.turn_away(turn, request, &join.member_id);
        }
        let refusal = if self.phase == Phase::Dead {
            Some(GroupError::CoordinatorNotAvailable)
        } else if !self.accepts_protocols(&join.protocol_type, &join.protocols) {
            Some(GroupError::InconsistentGroupProtocol)
        } else {
            None
        };
        match refusal {
            Some(error) => turn.refuse_join(request, error, &join.member_id),
            None if join.member_id.is_empty() => self.join_without_id(turn, request, join),
            None => self.join_with_id(turn, request, join),
        }
    }

    /// No room: not for a new member, nor for one of a group that must shrink. The others need not wait for it.
    fn turn_away(&mut self, turn: &mut Turn<'_>, request: RequestId, member_id: &str) {
        self.pending_members.remove(member_id);
        self.remove_member(turn, member_id, GroupError::GroupMaxSizeReached);
        turn.refuse_join(request, GroupError::GroupMaxSizeReached, &Arc::default());
        if let Phase::PreparingRebalance { .. } = self.phase {
            self.rebalance_or_complete_join(turn, RebalanceReason::MemberLeft);
        }
    }

    fn join_without_id(&mut self, turn: &mut Turn<'_>, request: RequestId, join: &Join) {
        let known = join.instance_id.as_ref().and_then(|instance_id| self.static_members.get(instance_id)).cloned();
        if let Some(old_id) = known {
            self.replace_static_member(turn, request, join, &old_id);
        } else if join.requires_known_member_id && join.instance_id.is_none() {
            if self.pending_members.len() >= PENDING_MEMBERS_MAX {
                return turn.refuse_join(request, GroupError::GroupMaxSizeReached, &Arc::default());
            }
            let until = turn.now.monotonic + join.session_timeout;
            self.pending_members.insert(join.new_member_id.clone(), until);
            turn.refuse_join(request, GroupError::MemberIdRequired, &join.new_member_id);
        } else {
            self.join_as_new(turn, request, join, join.new_member_id.clone());
        }
    }

    fn join_with_id(&mut self, turn: &mut Turn<'_>, request: RequestId, join: &Join) {
        if self.pending_members.contains_key(&join.member_id) && join.instance_id.is_none() {
            return self.join_as_new(turn, request, join, join.member_id.clone());
        }
        if let Err(error) = self.validated(&join.member_id, join.instance_id.as_deref()) {
            return turn.refuse_join(request, error, &join.member_id);
        }
        let is_leader = self.is_leader(&join.member_id);
        let is_changed = self.members.get(&join.member_id).is_some_and(|member| member.protocols != join.protocols);
        let reason = match self.phase {
            Phase::PreparingRebalance { .. } => None,
            // Its answer got lost, or it asks twice: the generation it missed is still the current one.
            Phase::CompletingRebalance { .. } if !is_changed => {
                return turn.reply(request, Reply::Join(Ok(self.joined(&join.member_id))));
            }
            // The leader joins again to assign anew, for reasons that are not in its metadata, as a changed topic.
            Phase::Stable { .. } if is_leader => Some(RebalanceReason::LeaderRejoined),
            Phase::Stable { .. } if !is_changed => {
                return turn.reply(request, Reply::Join(Ok(self.joined(&join.member_id))));
            }
            _ => Some(RebalanceReason::MetadataChanged),
        };
        self.update_member(turn, request, join, &join.member_id);
        self.rebalance_or_complete_join(turn, reason.unwrap_or(RebalanceReason::MetadataChanged));
    }

    fn join_as_new(&mut self, turn: &mut Turn<'_>, request: RequestId, join: &Join, member_id: Arc<str>) {
        self.add_member(member_id, request, join, turn.now.monotonic);
        if let Phase::PreparingRebalance { initial: Some(initial), .. } = &mut self.phase {
            initial.member_came = true;
        }
        self.rebalance_or_complete_join(turn, RebalanceReason::MemberJoined);
    }

    /// The member waits for the next generation with what it says now.
    fn update_member(&mut self, turn: &mut Turn<'_>, request: RequestId, join: &Join, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.protocols.clone_from(&join.protocols);
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        if let Some(superseded) = member.joining.replace(request) {
            turn.refuse_join(superseded, GroupError::RebalanceInProgress, &member.id);
        }
    }

    /// A static member came back without its id (KIP-345): it takes the place of its former self, which is fenced. The
    /// others notice only if the group would now elect another protocol.
    fn replace_static_member(&mut self, turn: &mut Turn<'_>, request: RequestId, join: &Join, old_id: &Arc<str>) {
        let new_id = join.new_member_id.clone();
        let old_leader = self.leader.clone();
        self.rename_member(turn, old_id, &new_id);
        self.update_member(turn, request, join, &new_id);
        if let Some(member) = self.members.get_mut(&new_id) {
            member.client_id.clone_from(&join.client_id);
            member.client_host.clone_from(&join.client_host);
            member.renew_session(turn.now.monotonic);
        }
        if !matches!(self.phase, Phase::Stable { .. }) {
            // Between join and sync the leader may be assigning to the former id: only a new rebalance helps.
            return self.rebalance_or_complete_join(turn, RebalanceReason::StaticMemberReplaced);
        }
        if self.elected_protocol() != self.protocol {
            return self.rebalance_or_complete_join(turn, RebalanceReason::StaticMemberReplaced);
        }
        let mut joined = self.joined(&new_id);
        if self.is_leader(&new_id) && join.can_skip_assignment {
            joined.skip_assignment = true;
        } else {
            // A client that knows no `skip_assignment` must not think that it leads: it would assign.
            joined.leader = old_leader.unwrap_or_default();
            joined.members = Vec::new();
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.joining = None;
        }
        match self.metadata_record(|member| member.assignment.clone()) {
            Ok(record) => {
                // If this can't be written the client is told so and comes again, to be replaced once more.
                let follow_up = FollowUp::AnswerJoin { request, joined: Box::new(joined) };
                turn.append(&self.id, vec![record], follow_up);
            }
            Err(_) => turn.refuse_join(request, GroupError::RecordTooLarge, &new_id),
        }
    }

    /// In the same place of the order; whatever the former id waits for is answered as fenced.
    fn rename_member(&mut self, turn: &mut Turn<'_>, old_id: &Arc<str>, new_id: &Arc<str>) {
        let Some((index, _, mut member)) = self.members.shift_remove_full(old_id) else { return };
        if let Some(request) = member.joining.take() {
            turn.refuse_join(request, GroupError::FencedInstanceId, old_id);
        }
        if let Some(request) = member.syncing.take() {
            turn.reply(request, Reply::Sync(Err(GroupError::FencedInstanceId)));
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        self.members.shift_insert(index, new_id.clone(), Member { id: new_id.clone(), ..member });
    }
}
