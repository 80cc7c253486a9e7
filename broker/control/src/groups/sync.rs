//! SyncGroup and Heartbeat: the leader hands in the assignment, each member fetches its own, and shows that it lives.

use std::sync::Arc;

use bytes::Bytes;

use super::RebalanceReason;
use super::event::{AppendFailure, Effect, GroupError, Reply, RequestId, Sync};
use super::group::{Group, Phase};
use super::turn::{FollowUp, Turn};

impl Group {
    pub(super) fn on_sync(&mut self, turn: &mut Turn<'_>, request: RequestId, sync: Sync) {
        if let Err(error) = self.validate_sync(&sync) {
            return turn.reply(request, Reply::Sync(Err(error)));
        }
        let is_leader = self.is_leader(&sync.member_id);
        let Some(member) = self.members.get_mut(&sync.member_id) else { return };
        member.has_synced = true;
        if let Phase::Stable { .. } = self.phase {
            member.renew_session(turn.now.monotonic);
            let assignment = member.assignment.clone();
            turn.reply(request, Reply::Sync(Ok(self.synced(assignment))));
            if self.members.values().all(|member| member.has_synced) {
                self.phase = Phase::Stable { sync_deadline: None };
            }
            return;
        }
        if let Some(superseded) = member.syncing.replace(request) {
            turn.reply(superseded, Reply::Sync(Err(GroupError::RebalanceInProgress)));
        }
        if let (true, Phase::CompletingRebalance { is_assignment_in_flight, .. }) = (is_leader, &mut self.phase)
            && !*is_assignment_in_flight
        {
            *is_assignment_in_flight = true;
            self.store_assignment(turn, sync.assignments);
        }
    }

    fn validate_sync(&mut self, sync: &Sync) -> Result<(), GroupError> {
        if self.phase == Phase::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.validated(&sync.member_id, sync.instance_id.as_deref())?;
        if sync.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |said: &Option<Arc<str>>, is: &Option<Arc<str>>| said.is_some() && said != is;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        match self.phase {
            Phase::PreparingRebalance { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn store_assignment(&mut self, turn: &mut Turn<'_>, mut assignments: Vec<(Arc<str>, Bytes)>) {
        assignments.retain(|(member_id, _)| self.members.contains_key(member_id));
        let find = |member_id: &str| assignments.iter().rfind(|(id, _)| **id == *member_id);
        let record = self
            .metadata_record(|member| find(&member.id).map_or_else(Bytes::new, |(_, assignment)| assignment.clone()));
        match record {
            Ok(record) => {
                self.has_metadata_record = true;
                let follow_up = FollowUp::PropagateAssignment { generation: self.generation, assignments };
                turn.append(&self.id, vec![record], follow_up);
            }
            Err(_) => self.on_assignment_failed(turn, self.generation, AppendFailure::TooLarge),
        }
    }

    /// The assignment of `generation` is durable. If the group has moved on meanwhile, nobody waits for it any more.
    pub(super) fn on_assignment_stored(
        &mut self,
        turn: &mut Turn<'_>,
        generation: i32,
        assignments: Vec<(Arc<str>, Bytes)>,
    ) {
        let Phase::CompletingRebalance { sync_deadline, .. } = self.phase else { return };
        if generation != self.generation {
            return;
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (member_id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.assignment = assignment;
            }
        }
        let is_complete = self.members.values().all(|member| member.has_synced);
        self.set_phase(turn.now, Phase::Stable { sync_deadline: (!is_complete).then_some(sync_deadline) });
        if let Some(began) = self.rebalance_began.take() {
            turn.effects.push(Effect::Rebalanced { took: turn.now.monotonic.saturating_sub(began) });
        }
        let synced = self.synced(Bytes::new());
        for member in self.members.values_mut() {
            member.renew_session(turn.now.monotonic);
            if let Some(request) = member.syncing.take() {
                let synced = super::Synced { assignment: member.assignment.clone(), ..synced.clone() };
                turn.reply(request, Reply::Sync(Ok(synced)));
            }
        }
    }

    /// All who wait are told why, and the group assigns anew.
    pub(super) fn on_assignment_failed(&mut self, turn: &mut Turn<'_>, generation: i32, failure: AppendFailure) {
        if generation != self.generation || !matches!(self.phase, Phase::CompletingRebalance { .. }) {
            return;
        }
        self.fail_syncs(turn, failure.into());
        self.rebalance_or_complete_join(turn, RebalanceReason::AssignmentNotStored);
    }

    pub(super) fn on_heartbeat(
        &mut self,
        turn: &Turn<'_>,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        if self.phase == Phase::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let (current, phase) = (self.generation, self.phase);
        let member = self.validated(member_id, instance_id)?;
        if generation != current {
            return Err(GroupError::IllegalGeneration);
        }
        member.renew_session(turn.now.monotonic);
        match phase {
            Phase::PreparingRebalance { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}
