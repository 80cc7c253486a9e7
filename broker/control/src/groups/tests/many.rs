//! Groups too large for a transcript.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::*;

const MEMBERS: u64 = 100;

struct Crowd {
    coordinator: Coordinator,
    now: Now,
    next_request: u64,
    log: Vec<records::CoordinatorRecord>,
}

impl Crowd {
    fn new() -> Self {
        let now = Now { monotonic: Duration::from_secs(1), wall_ms: 1 };
        Self { coordinator: Coordinator::new(GroupConfig::default()), now, next_request: 0, log: Vec::new() }
    }

    /// Steps, writes what is to be written, and returns all replies.
    fn step(&mut self, event: Event) -> Vec<(RequestId, Reply)> {
        let mut replies = Vec::new();
        let mut effects = self.coordinator.step(self.now, event);
        while !effects.is_empty() {
            let mut next = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Reply { to, reply } => replies.push((to, reply)),
                    Effect::Rebalanced { .. } => {}
                    Effect::Append { append, records } => {
                        self.log.extend(records);
                        next.extend(self.coordinator.step(self.now, Event::Appended { append }));
                    }
                }
            }
            effects = next;
        }
        replies
    }

    fn tick_after(&mut self, time: Duration) -> Vec<(RequestId, Reply)> {
        self.now.monotonic += time;
        self.step(Event::Tick)
    }

    fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    fn join(&mut self, member_id: &str, name: &str) -> Vec<(RequestId, Reply)> {
        let request = self.request();
        let join = Join {
            group: "crowd".into(),
            member_id: member_id.into(),
            new_member_id: name.into(),
            instance_id: None,
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(300),
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "range".into(), metadata: Bytes::from_static(b"m") }],
            requires_known_member_id: false,
            can_skip_assignment: false,
        };
        self.step(Event::Join { request, join })
    }

    fn sync(&mut self, joined: &Joined) -> Vec<(RequestId, Reply)> {
        let request = self.request();
        let assignments = joined
            .members
            .iter()
            .map(|member| (member.member_id.clone(), Bytes::from(format!("for {}", member.member_id))));
        let sync = Sync {
            group: "crowd".into(),
            member_id: joined.member_id.clone(),
            instance_id: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.step(Event::Sync { request, sync })
    }
}

fn joined(replies: Vec<(RequestId, Reply)>) -> Vec<Joined> {
    let joined = replies.into_iter().map(|(_, reply)| match reply {
        Reply::Join(Ok(joined)) => joined,
        other => panic!("not a join: {other:?}"),
    });
    joined.collect()
}

/// All sync, the leader last; each must get what the leader made for it.
fn sync_all(crowd: &mut Crowd, mut joined: Vec<Joined>) {
    joined.sort_by_key(|joined| joined.leader == joined.member_id);
    let mut assigned = BTreeSet::new();
    for member in &joined {
        for (_, reply) in crowd.sync(member) {
            let Reply::Sync(Ok(synced)) = reply else { panic!("not synced: {reply:?}") };
            assigned.insert(String::from_utf8(synced.assignment.to_vec()).unwrap());
        }
    }
    let expected: BTreeSet<_> = joined.iter().map(|joined| format!("for {}", joined.member_id)).collect();
    assert_eq!(assigned, expected);
}

#[test]
fn a_hundred_members_join_rebalance_and_lose_half_of_them() {
    let mut crowd = Crowd::new();
    for member in 0..MEMBERS {
        assert_eq!(crowd.join("", &format!("m{member}")), []);
    }
    let mut first = crowd.tick_after(Duration::from_secs(3));
    first.extend(crowd.tick_after(Duration::from_secs(3)));
    let first = joined(first);
    assert_eq!(first.len(), MEMBERS as usize);
    assert_eq!(
        first.iter().map(|joined| joined.members.len()).sum::<usize>(),
        MEMBERS as usize,
        "only the leader hears of all"
    );
    sync_all(&mut crowd, first);

    // One more: all must join again, and nobody is answered before the last has.
    assert_eq!(crowd.join("", "late"), []);
    for member in 1..MEMBERS {
        assert_eq!(crowd.join(&format!("m{member}"), ""), []);
    }
    let second = joined(crowd.join("m0", ""));
    assert_eq!(second.len(), MEMBERS as usize + 1);
    assert!(second.iter().all(|joined| joined.generation == 2));
    sync_all(&mut crowd, second);

    // Half go silent; the others heartbeat, hear of the rebalance, and join.
    let heartbeat = |crowd: &mut Crowd, member: u64| {
        let (request, member_id) = (crowd.request(), Arc::from(format!("m{member}")));
        let event = Event::Heartbeat { request, group: "crowd".into(), member_id, instance_id: None, generation: 2 };
        crowd.step(event).pop().unwrap().1
    };
    crowd.tick_after(Duration::from_secs(30));
    for member in 0..MEMBERS / 2 {
        assert_eq!(heartbeat(&mut crowd, member), Reply::Heartbeat(Ok(())));
    }
    crowd.tick_after(Duration::from_secs(20));
    let mut third = Vec::new();
    for member in 0..MEMBERS / 2 {
        assert_eq!(heartbeat(&mut crowd, member), Reply::Heartbeat(Err(GroupError::RebalanceInProgress)));
        third.extend(crowd.join(&format!("m{member}"), ""));
    }
    let third = joined(third);
    assert_eq!(third.len(), MEMBERS as usize / 2);
    sync_all(&mut crowd, third);
}

#[test]
fn every_request_gets_exactly_one_reply() {
    let mut crowd = Crowd::new();
    let mut answered = BTreeSet::new();
    let mut note = |replies: Vec<(RequestId, Reply)>| {
        for (request, _) in replies {
            assert!(answered.insert(request), "{request:?} is answered twice");
        }
    };
    for round in 0..5 {
        for member in 0..20 {
            note(crowd.join("", &format!("m{round}-{member}")));
            note(crowd.join(&format!("m{round}-{member}"), ""));
        }
        note(crowd.tick_after(Duration::from_secs(3)));
        note(crowd.tick_after(Duration::from_secs(400)));
    }
    note(crowd.tick_after(Duration::from_secs(4000)));
    assert_eq!(answered.len() as u64, crowd.next_request);
    assert_eq!(crowd.coordinator.group("crowd").map(Group::state), Some(GroupState::Empty));
}

#[test]
fn requests_that_fail_leave_no_group_behind() {
    let mut crowd = Crowd::new();
    let request = crowd.request();
    let commit = Commit {
        group: "other".into(),
        member_id: Arc::default(),
        instance_id: None,
        generation: None,
        partitions: Vec::new(),
    };
    crowd.step(Event::Commit { request, commit });
    assert_eq!(crowd.coordinator.groups().count(), 0);
    assert_eq!(crowd.coordinator.next_deadline(), None);
}
