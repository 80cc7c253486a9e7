//! LeaveGroup: members go before their sessions expire; several at once when an operator removes them (KIP-345).

use super::RebalanceReason;
use super::event::{GroupError, Leaver};
use super::group::{Group, Phase};
use super::turn::Turn;

impl Group {
    pub(super) fn on_leave(
        &mut self,
        turn: &mut Turn<'_>,
        leavers: &[Leaver],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if self.phase == Phase::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let members_before = self.members.len();
        let pending_before = self.pending_members.len();
        let results = leavers.iter().map(|leaver| self.remove_leaver(turn, leaver)).collect();
        let is_joining = matches!(self.phase, Phase::PreparingRebalance { .. });
        if self.members.len() < members_before || (is_joining && self.pending_members.len() < pending_before) {
            self.rebalance_or_complete_join(turn, RebalanceReason::MemberLeft);
        }
        Ok(results)
    }

    fn remove_leaver(&mut self, turn: &mut Turn<'_>, leaver: &Leaver) -> Result<(), GroupError> {
        if leaver.instance_id.is_none() && self.pending_members.remove(&leaver.member_id).is_some() {
            return Ok(());
        }
        let by_instance_alone = leaver.instance_id.as_ref().filter(|_| leaver.member_id.is_empty());
        let member_id = match by_instance_alone {
            Some(instance_id) => self.static_members.get(instance_id).cloned().ok_or(GroupError::UnknownMemberId)?,
            None => self.validated(&leaver.member_id, leaver.instance_id.as_deref())?.id.clone(),
        };
        self.remove_member(turn, &member_id, GroupError::UnknownMemberId);
        Ok(())
    }
}
