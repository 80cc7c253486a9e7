//! All groups of one partition of `__consumer_offsets`: which group an event is for, and whose time is up.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::event::{AppendFailure, AppendId, Commit, Effect, Event, GroupError, Join, Now, Reply, RequestId};
use super::group::{Group, Phase};
use super::records::{GroupMetadataValue, OffsetCommitValue, RecordError, RecordKey};
use super::turn::{Appends, FollowUp, PendingAppend, Turn};
use super::{CommittedOffset, GROUPS_MAX, GroupConfig, TEXT_BYTES_MAX, join};

/// Deadlines are looked at no finer than this, so that a timer of zero length can't keep the coordinator busy.
const TIMER_TICK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct Coordinator {
    config: GroupConfig,
    groups: HashMap<Arc<str>, Group>,
    /// One entry per group that has a deadline: at it or before. A heartbeat only moves deadlines away and leaves it.
    wake_ups: BTreeSet<(Duration, Arc<str>)>,
    appends: Appends,
}

impl Coordinator {
    pub fn new(config: GroupConfig) -> Self {
        Self { config, groups: HashMap::new(), wake_ups: BTreeSet::new(), appends: Appends::default() }
    }

    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Takes one record of the log, in the order of the log, before the first step. A record of another protocol is
    /// skipped; one that can't be read is an error and changes nothing.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        match RecordKey::decode(key)? {
            RecordKey::OffsetCommit { group, partition } => match value {
                Some(value) => {
                    let offset = CommittedOffset::loaded(OffsetCommitValue::decode(value)?);
                    self.group_or_new(&group).offsets.insert(partition, offset);
                }
                None => {
                    if let Some(group) = self.groups.get_mut(&group) {
                        group.offsets.remove(&partition);
                    }
                }
            },
            RecordKey::GroupMetadata { group } => match value {
                Some(value) => {
                    let value = GroupMetadataValue::decode(value)?;
                    self.group_or_new(&group).load_metadata(&value);
                }
                None => {
                    if let Some(group) = self.groups.get_mut(&group) {
                        let offsets = std::mem::take(&mut group.offsets);
                        *group = Group { offsets, ..Group::new(group.id.clone()) };
                    }
                }
            },
            RecordKey::Other { .. } => {}
        }
        Ok(())
    }

    fn group_or_new(&mut self, id: &Arc<str>) -> &mut Group {
        self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()))
    }

    /// After the last [`Self::replay`]: members get a full session to show that they live.
    pub fn finish_loading(&mut self, now: Now) {
        self.groups.retain(|_, group| group.has_metadata_record || !group.offsets.is_empty());
        for group in self.groups.values_mut() {
            for member in group.members.values_mut() {
                member.renew_session(now.monotonic);
            }
            reschedule(&mut self.wake_ups, group, now.monotonic);
        }
    }

    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id).filter(|group| group.phase != Phase::Dead)
    }

    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values().filter(|group| group.phase != Phase::Dead)
    }

    /// When to send [`Event::Tick`] if nothing comes before.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.wake_ups.first().map(|(deadline, _)| *deadline)
    }

    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = match event {
            Event::Join { request, join } => self.on_join(now, request, &join),
            Event::Sync { request, sync } => {
                let id = sync.group.clone();
                self.with_group(now, &id, |group, turn| match group {
                    Some(group) => group.on_sync(turn, request, sync),
                    None => turn.reply(request, Reply::Sync(Err(no_such_group(&id)))),
                })
            }
            Event::Heartbeat { request, group, member_id, instance_id, generation } => {
                let turn = turn(now, &self.config, &mut self.appends);
                let result = self.groups.get_mut(&group).map_or(Err(no_such_group(&group)), |group| {
                    group.on_heartbeat(&turn, &member_id, instance_id.as_deref(), generation)
                });
                vec![Effect::Reply { to: request, reply: Reply::Heartbeat(result) }]
            }
            Event::Leave { request, group: id, leavers } => self.with_group(now, &id, |group, turn| {
                let result = group.map_or(Err(no_such_group(&id)), |group| group.on_leave(turn, &leavers));
                turn.reply(request, Reply::Leave(result));
            }),
            Event::Commit { request, commit } => self.on_commit(now, request, commit),
            Event::DeleteGroup { request, group } => self.with_group(now, &group, |group, turn| match group {
                Some(group) => group.on_delete(turn, request),
                None => turn.reply(request, Reply::DeleteGroup(Err(GroupError::GroupIdNotFound))),
            }),
            Event::DeleteOffsets { request, group, partitions } => {
                self.with_group(now, &group, |group, turn| match group {
                    Some(group) => group.on_delete_offsets(turn, request, partitions),
                    None => turn.reply(request, Reply::DeleteOffsets(Err(GroupError::GroupIdNotFound))),
                })
            }
            Event::TopicsDeleted { topics } => self.for_each(now, |group, turn| group.on_topics_deleted(turn, &topics)),
            Event::ExpireOffsets => self.for_each(now, |group, turn| group.expire_offsets(turn)),
            Event::Appended { append } => self.on_append_done(now, append, Ok(())),
            Event::AppendFailed { append, failure } => self.on_append_done(now, append, Err(failure)),
            Event::Tick => Vec::new(),
        };
        self.wake_groups(now, &mut effects);
        effects
    }

    /// Runs `body` on the group, if there is one, and looks at its deadlines afterwards.
    fn with_group(&mut self, now: Now, id: &str, body: impl FnOnce(Option<&mut Group>, &mut Turn<'_>)) -> Vec<Effect> {
        let mut group = self.groups.get_mut(id);
        let mut turn = turn(now, &self.config, &mut self.appends);
        body(group.as_deref_mut(), &mut turn);
        if let Some(group) = group {
            reschedule(&mut self.wake_ups, group, now.monotonic);
        }
        turn.effects
    }

    fn for_each(&mut self, now: Now, mut body: impl FnMut(&mut Group, &mut Turn<'_>)) -> Vec<Effect> {
        let mut turn = turn(now, &self.config, &mut self.appends);
        for group in self.groups.values_mut() {
            body(group, &mut turn);
        }
        turn.effects
    }

    fn on_join(&mut self, now: Now, request: RequestId, join: &Join) -> Vec<Effect> {
        let is_known = self.groups.contains_key(&join.group);
        let refusal = if !is_valid_group_id(&join.group) {
            Some(GroupError::InvalidGroupId)
        } else if let Err(error) = join::validate(join, &self.config) {
            Some(error)
        } else if !is_known && !join.member_id.is_empty() {
            Some(GroupError::UnknownMemberId)
        } else if !is_known && self.groups.len() >= GROUPS_MAX {
            Some(GroupError::TooManyGroups)
        } else {
            None
        };
        if let Some(error) = refusal {
            let mut turn = turn(now, &self.config, &mut self.appends);
            turn.refuse_join(request, error, &join.member_id);
            return turn.effects;
        }
        self.group_or_new(&join.group);
        let effects = self.with_group(now, &join.group, |group, turn| {
            if let Some(group) = group {
                group.on_join(turn, request, join);
            }
        });
        self.forget_if_blank(&join.group);
        effects
    }

    fn on_commit(&mut self, now: Now, request: RequestId, commit: Commit) -> Vec<Effect> {
        let is_known = self.groups.contains_key(&commit.group);
        let refusal = match commit.generation {
            _ if is_known => None,
            _ if commit.group.len() > TEXT_BYTES_MAX => Some(GroupError::InvalidGroupId),
            Some(_) => Some(GroupError::IllegalGeneration),
            None if self.groups.len() >= GROUPS_MAX => Some(GroupError::TooManyGroups),
            None => None,
        };
        if let Some(error) = refusal {
            return vec![Effect::Reply { to: request, reply: Reply::Commit(Err(error)) }];
        }
        let id = commit.group.clone();
        self.group_or_new(&id);
        let effects = self.with_group(now, &id, |group, turn| {
            if let Some(group) = group {
                group.on_commit(turn, request, commit);
            }
        });
        self.forget_if_blank(&id);
        effects
    }

    /// A group of which nothing was accepted leaves no trace, so that requests that fail can't fill the memory.
    fn forget_if_blank(&mut self, id: &str) {
        let is_blank = self.groups.get(id).is_some_and(Group::is_blank);
        if is_blank && self.appends.partitions_of(id).next().is_none() {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(Group { id, wake_up: Some(wake_up), .. }) = self.groups.remove(id) {
            self.wake_ups.remove(&(wake_up, id));
        }
    }

    fn on_append_done(&mut self, now: Now, append: AppendId, outcome: Result<(), AppendFailure>) -> Vec<Effect> {
        let Some(PendingAppend { group: id, follow_up, .. }) = self.appends.take(append) else { return Vec::new() };
        if let (FollowUp::RemoveGroup { .. }, Ok(())) = (&follow_up, outcome) {
            self.forget(&id);
        }
        self.with_group(now, &id, |group, turn| match (follow_up, outcome) {
            (FollowUp::Nothing, _) => {}
            (FollowUp::PropagateAssignment { generation, assignments }, outcome) => match (group, outcome) {
                (Some(group), Ok(())) => group.on_assignment_stored(turn, generation, assignments),
                (Some(group), Err(failure)) => group.on_assignment_failed(turn, generation, failure),
                (None, _) => {}
            },
            (FollowUp::AnswerJoin { request, joined }, Ok(())) => turn.reply(request, Reply::Join(Ok(*joined))),
            (FollowUp::AnswerJoin { request, joined }, Err(failure)) => {
                turn.refuse_join(request, failure.into(), &joined.member_id);
            }
            (FollowUp::ApplyCommit { request, accepted, results }, Ok(())) => {
                if let Some(group) = group {
                    group.apply_commit(accepted);
                }
                turn.reply(request, Reply::Commit(Ok(results)));
            }
            (FollowUp::ApplyCommit { request, .. }, Err(failure)) => {
                turn.reply(request, Reply::Commit(Err(failure.into())));
            }
            (FollowUp::RemoveOffsets { partitions, answer }, outcome) => {
                if let (Some(group), Ok(())) = (group, outcome) {
                    group.apply_removal(&partitions);
                }
                if let Some((request, results)) = answer {
                    turn.reply(request, Reply::DeleteOffsets(outcome.map(|()| results).map_err(Into::into)));
                }
            }
            (FollowUp::RemoveGroup { request }, outcome) => {
                if let Some(group) = group {
                    group.phase = Phase::Empty;
                }
                if let Some(request) = request {
                    turn.reply(request, Reply::DeleteGroup(outcome.map_err(Into::into)));
                }
            }
        })
    }

    /// Each group at most once per step, whatever its timers are.
    fn wake_groups(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut due = Vec::new();
        while let Some(first) = self.wake_ups.first()
            && first.0 <= now.monotonic
        {
            due.extend(self.wake_ups.pop_first());
        }
        for (_, id) in due {
            effects.extend(self.with_group(now, &id, |group, turn| {
                if let Some(group) = group {
                    group.wake_up = None;
                    group.on_deadline(turn);
                }
            }));
            self.forget_if_blank(&id);
        }
    }
}

fn turn<'a>(now: Now, config: &'a GroupConfig, appends: &'a mut Appends) -> Turn<'a> {
    Turn { now, config, appends, effects: Vec::new() }
}

/// To a member of a group that is not there.
fn no_such_group(id: &str) -> GroupError {
    if is_valid_group_id(id) { GroupError::UnknownMemberId } else { GroupError::InvalidGroupId }
}

fn is_valid_group_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= TEXT_BYTES_MAX
}

/// A wake-up that comes too early is harmless: only an earlier deadline replaces it.
fn reschedule(wake_ups: &mut BTreeSet<(Duration, Arc<str>)>, group: &mut Group, now: Duration) {
    let Some(deadline) = group.next_deadline() else { return };
    let deadline = deadline.max(now + TIMER_TICK);
    if group.wake_up.is_some_and(|wake_up| wake_up <= deadline) {
        return;
    }
    if let Some(wake_up) = group.wake_up.take() {
        wake_ups.remove(&(wake_up, group.id.clone()));
    }
    group.wake_up = Some(deadline);
    wake_ups.insert((deadline, group.id.clone()));
}
