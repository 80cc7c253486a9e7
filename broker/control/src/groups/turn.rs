//! What a group may use while it handles one event: the time, the settings, and where its wishes go.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_types::TopicPartition;

use super::GroupConfig;
use super::event::{AppendId, CommitPartition, Effect, GroupError, JoinRefused, Joined, Now, Reply, RequestId};
use super::records::CoordinatorRecord;

/// What happens when the records are durable, or when they can't become so.
#[derive(Debug)]
pub(super) enum FollowUp {
    /// Nothing waits for it.
    Nothing,
    /// Hand the assignment to the members that wait for it.
    PropagateAssignment {
        generation: i32,
        assignments: Vec<(Arc<str>, bytes::Bytes)>,
    },
    AnswerJoin {
        request: RequestId,
        joined: Box<Joined>,
    },
    ApplyCommit {
        request: RequestId,
        accepted: Vec<CommitPartition>,
        results: Vec<Result<(), GroupError>>,
    },
    RemoveOffsets {
        partitions: Vec<TopicPartition>,
        answer: Option<(RequestId, Vec<Result<(), GroupError>>)>,
    },
    RemoveGroup {
        request: Option<RequestId>,
    },
}

#[derive(Debug)]
pub(super) struct PendingAppend {
    pub(super) append: AppendId,
    pub(super) group: Arc<str>,
    pub(super) follow_up: FollowUp,
}

/// Appends that the runtime has not reported on, oldest first. Their number is bounded by the requests in flight plus a
/// few per group: each request and each timer makes at most one.
#[derive(Debug, Default)]
pub(super) struct Appends {
    next_id: u64,
    pending: VecDeque<PendingAppend>,
}

impl Appends {
    /// Takes it out; the runtime reports in order, so it is nearly always the first.
    pub(super) fn take(&mut self, append: AppendId) -> Option<PendingAppend> {
        let index = self.pending.iter().position(|pending| pending.append == append)?;
        self.pending.remove(index)
    }

    /// The partitions whose commits are on their way to the log.
    pub(super) fn partitions_of(&self, group: &str) -> impl Iterator<Item = &TopicPartition> {
        let commits = self.pending.iter().filter(move |pending| &*pending.group == group).flat_map(|pending| {
            match &pending.follow_up {
                FollowUp::ApplyCommit { accepted, .. } => accepted.as_slice(),
                _ => &[],
            }
        });
        commits.map(|commit| &commit.partition)
    }
}

pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) config: &'a GroupConfig,
    pub(super) appends: &'a mut Appends,
    pub(super) effects: Vec<Effect>,
}

impl Turn<'_> {
    pub(super) fn reply(&mut self, to: RequestId, reply: Reply) {
        self.effects.push(Effect::Reply { to, reply });
    }

    pub(super) fn refuse_join(&mut self, to: RequestId, error: GroupError, member_id: &Arc<str>) {
        self.reply(to, Reply::Join(Err(JoinRefused { error, member_id: member_id.clone() })));
    }

    pub(super) fn append(&mut self, group: &Arc<str>, records: Vec<CoordinatorRecord>, follow_up: FollowUp) {
        let append = AppendId(self.appends.next_id);
        self.appends.next_id += 1;
        self.appends.pending.push_back(PendingAppend { append, group: group.clone(), follow_up });
        self.effects.push(Effect::Append { append, records });
    }
}
