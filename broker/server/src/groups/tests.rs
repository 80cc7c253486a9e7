//! The runtime beside a log in memory that can hold, fail and be slow.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::Semaphore;
use weir_control::groups::{AppendFailure, CommitPartition, CommittedOffset, GroupState, Protocol};

use super::log::{LoadError, Replay, replay_batches};
use prometheus::{Histogram, HistogramOpts};

use super::*;

/// Batches per partition; appends wait for a permit of `disk`.
#[derive(Default)]
struct MemoryLog {
    partitions: Mutex<BTreeMap<i32, Vec<Bytes>>>,
    appends: AtomicUsize,
    disk: Option<Semaphore>,
    failure: Mutex<Option<AppendFailure>>,
    batch_bytes_max: Option<usize>,
    /// Held by a test for as long as reading shall take.
    reading: Mutex<()>,
}

impl OffsetsLog for MemoryLog {
    fn append(&self, partition: i32, batches: Vec<Bytes>) -> BoxFuture<'_, Vec<Result<(), AppendFailure>>> {
        Box::pin(async move {
            if let Some(disk) = &self.disk {
                disk.acquire().await.expect("never closed").forget();
            }
            self.appends.fetch_add(1, Ordering::Relaxed);
            let failure = *self.failure.lock().unwrap();
            let mut partitions = self.partitions.lock().unwrap();
            let log = partitions.entry(partition).or_default();
            let outcomes = batches.into_iter().map(|batch| match failure {
                Some(failure) => Err(failure),
                None if self.batch_bytes_max.is_some_and(|max| batch.len() > max) => Err(AppendFailure::TooLarge),
                None => {
                    log.push(batch);
                    Ok(())
                }
            });
            outcomes.collect()
        })
    }

    fn replay(&self, partition: i32, replay: &mut Replay<'_>) -> Result<(), LoadError> {
        let _reading = self.reading.lock().unwrap();
        let batches = self.partitions.lock().unwrap().get(&partition).cloned().unwrap_or_default();
        for bytes in batches {
            replay_batches(&bytes, replay)?;
        }
        Ok(())
    }
}

async fn open(log: &Arc<MemoryLog>, partition_count: usize) -> Groups {
    let config = GroupConfig {
        initial_rebalance_delay: Duration::ZERO,
        session_timeout: Duration::ZERO..=Duration::from_secs(60),
        ..GroupConfig::default()
    };
    let log: Arc<dyn OffsetsLog> = Arc::clone(log) as _;
    let groups = Groups::new(log, config, Duration::from_secs(600), histogram());
    groups.open(partition_count);
    while groups.read_all(|_| ()) == Err(GroupError::CoordinatorLoading) {
        tokio::task::yield_now().await;
    }
    groups
}

fn histogram() -> Histogram {
    Histogram::with_opts(HistogramOpts::new("rebalances", "Of a test.")).unwrap()
}

fn commit_of(group: &str, partition: i32, offset: i64, metadata: &str) -> Commit {
    let offset = CommittedOffset {
        offset,
        leader_epoch: None,
        metadata: metadata.into(),
        commit_timestamp_ms: 0,
        expire_timestamp_ms: None,
    };
    let partition = TopicPartition { topic: "orders".into(), partition };
    let partitions = vec![CommitPartition { partition, offset }];
    Commit { group: group.into(), member_id: "".into(), instance_id: None, generation: None, partitions }
}

fn offset_of(groups: &Groups, group: &str, partition: i32) -> Option<i64> {
    let partition = TopicPartition { topic: "orders".into(), partition };
    let read = groups.read(group, |group| group.offsets().get(&partition).map(|offset| offset.offset));
    read.unwrap().flatten()
}

fn join_of(group: &str, member_id: &str, new_member_id: &str) -> Join {
    Join {
        group: group.into(),
        member_id: member_id.into(),
        new_member_id: new_member_id.into(),
        instance_id: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: Bytes::from_static(b"meta") }],
        requires_known_member_id: false,
        can_skip_assignment: false,
    }
}

async fn become_member(groups: &Groups, group: &str) -> Joined {
    let joined = groups.join(join_of(group, "", "m-1")).await.unwrap();
    let sync = Sync {
        group: group.into(),
        member_id: joined.member_id.clone(),
        instance_id: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments: vec![(joined.member_id.clone(), Bytes::from_static(b"all of it"))],
    };
    assert_eq!(groups.sync(sync).await.unwrap().assignment, Bytes::from_static(b"all of it"));
    joined
}

#[tokio::test]
async fn groups_and_offsets_are_there_again_after_a_restart() {
    let log = Arc::new(MemoryLog::default());
    let groups = open(&log, 50).await;
    let joined = become_member(&groups, "g").await;
    assert_eq!(groups.commit(commit_of("simple", 0, 7, "m")).await, Ok(vec![Ok(())]));
    groups.stop().await;
    assert_eq!(groups.commit(commit_of("simple", 0, 8, "m")).await, Err(GroupError::CoordinatorNotAvailable));

    let groups = open(&log, 50).await;
    assert_eq!(offset_of(&groups, "simple", 0), Some(7));
    assert_eq!(groups.heartbeat("g".into(), joined.member_id, None, joined.generation).await, Ok(()));
    assert_eq!(groups.read("g", Group::state), Ok(Some(GroupState::Stable)));
    groups.stop().await;
}

#[tokio::test]
async fn commits_that_come_while_the_disk_is_busy_share_a_write() {
    let log = Arc::new(MemoryLog { disk: Some(Semaphore::new(0)), ..MemoryLog::default() });
    let groups = open(&log, 1).await;
    let commits: Vec<_> = (0..100).map(|index| groups.commit(commit_of("g", index, 5, ""))).collect();
    let disk = log.disk.as_ref().unwrap();
    let answers = async {
        let mut commits = Box::pin(join_all(commits));
        tokio::select! {
            _ = &mut commits => panic!("answered before the disk was"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        assert_eq!(offset_of(&groups, "g", 0), None, "what is not durable is not shown");
        disk.add_permits(1000);
        commits.await
    };
    assert!(answers.await.into_iter().all(|answer| answer == Ok(vec![Ok(())])));
    assert!(log.appends.load(Ordering::Relaxed) <= 3, "{} writes", log.appends.load(Ordering::Relaxed));
    assert_eq!(offset_of(&groups, "g", 99), Some(5));
    groups.stop().await;
}

#[tokio::test]
async fn heartbeats_are_answered_while_the_disk_is_busy() {
    let log = Arc::new(MemoryLog { disk: Some(Semaphore::new(1)), ..MemoryLog::default() });
    let groups = open(&log, 1).await;
    let joined = become_member(&groups, "g").await;
    let busy = groups.commit(commit_of("other", 0, 1, ""));
    let mut busy = std::pin::pin!(busy);
    tokio::select! {
        _ = &mut busy => panic!("answered before the disk was"),
        beat = groups.heartbeat("g".into(), joined.member_id, None, joined.generation) => assert_eq!(beat, Ok(())),
    }
    log.disk.as_ref().unwrap().add_permits(1);
    assert_eq!(busy.await, Ok(vec![Ok(())]));
    groups.stop().await;
}

#[tokio::test]
async fn a_commit_that_is_not_written_is_refused_and_not_kept() {
    let log = Arc::new(MemoryLog::default());
    let groups = open(&log, 1).await;
    *log.failure.lock().unwrap() = Some(AppendFailure::Unavailable);
    assert_eq!(groups.commit(commit_of("g", 0, 5, "")).await, Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(offset_of(&groups, "g", 0), None);
    *log.failure.lock().unwrap() = None;
    assert_eq!(groups.commit(commit_of("g", 0, 6, "")).await, Ok(vec![Ok(())]));
    assert_eq!(offset_of(&groups, "g", 0), Some(6));
    groups.stop().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_harms_no_other() {
    let log = Arc::new(MemoryLog {
        disk: Some(Semaphore::new(0)),
        batch_bytes_max: Some(1024 * 1024),
        ..MemoryLog::default()
    });
    let groups = open(&log, 1).await;
    // The first is on its way while the others gather.
    let first = groups.commit(commit_of("a", 0, 1, ""));
    let member = |id: &str| Join {
        protocols: vec![Protocol { name: "range".into(), metadata: Bytes::from(vec![7; 900 * 1024]) }],
        ..join_of("huge", "", id)
    };
    let huge = async {
        let (one, two) = tokio::join!(groups.join(member("m-1")), groups.join(member("m-2")));
        let leader = one.unwrap();
        two.unwrap();
        let sync = Sync {
            group: "huge".into(),
            member_id: leader.member_id,
            instance_id: None,
            generation: leader.generation,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        };
        groups.sync(sync).await
    };
    let others = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let others = join_all((0..5).map(|index| groups.commit(commit_of("b", index, 2, ""))));
        let release = async { log.disk.as_ref().unwrap().add_permits(1000) };
        tokio::join!(others, release).0
    };
    let (first, huge, others) = tokio::join!(first, huge, others);
    assert_eq!(first, Ok(vec![Ok(())]));
    assert_eq!(huge, Err(GroupError::RecordTooLarge));
    assert!(others.into_iter().all(|answer| answer == Ok(vec![Ok(())])));
    groups.stop().await;
}

#[tokio::test]
async fn sessions_end_without_anybody_asking() {
    let log = Arc::new(MemoryLog::default());
    let groups = open(&log, 1).await;
    let join = Join { session_timeout: Duration::from_millis(50), ..join_of("g", "", "m-1") };
    assert!(groups.join(join).await.is_ok());
    assert_eq!(groups.read("g", |group| group.members().len()), Ok(Some(1)));
    let ended = async {
        while groups.read("g", Group::state) != Ok(Some(GroupState::Empty)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the session ends");
    groups.stop().await;
}

#[tokio::test]
async fn while_a_partition_is_read_its_groups_are_told_to_wait() {
    let log = Arc::new(MemoryLog::default());
    let groups = Groups::new(Arc::clone(&log) as _, GroupConfig::default(), Duration::from_secs(600), histogram());
    {
        let _reading = log.reading.lock().unwrap();
        groups.open(1);
        assert_eq!(groups.read("g", |_| ()), Err(GroupError::CoordinatorLoading));
        assert!(groups.is_loading("g"));
        assert_eq!(groups.read_all(|_| ()), Err(GroupError::CoordinatorLoading));
        let answer = groups.commit(commit_of("g", 0, 1, "")).now_or_never();
        assert_eq!(answer, Some(Err(GroupError::CoordinatorLoading)), "answered at once");
    }
    while groups.read_all(|_| ()) == Err(GroupError::CoordinatorLoading) {
        tokio::task::yield_now().await;
    }
    assert!(!groups.is_loading("g"));
    assert_eq!(groups.commit(commit_of("g", 0, 1, "")).await, Ok(vec![Ok(())]));
    groups.stop().await;
}

#[tokio::test]
async fn without_the_topic_there_is_no_coordinator() {
    let log: Arc<dyn OffsetsLog> = Arc::new(MemoryLog::default());
    let groups = Groups::new(log, GroupConfig::default(), Duration::from_secs(600), histogram());
    assert_eq!(groups.commit(commit_of("g", 0, 1, "")).await, Err(GroupError::NotCoordinator));
    assert_eq!(groups.read("g", |_| ()), Err(GroupError::NotCoordinator));
    assert_eq!(groups.read_all(|_| ()), Ok(()));
}

#[tokio::test]
async fn deleted_topics_take_their_offsets_with_them() {
    let log = Arc::new(MemoryLog::default());
    let groups = open(&log, 4).await;
    for group in ["a", "b", "c"] {
        assert_eq!(groups.commit(commit_of(group, 0, 5, "")).await, Ok(vec![Ok(())]));
    }
    groups.topics_deleted(&["orders".into()]);
    // Each group's next write comes after its tombstones.
    for group in ["a", "b", "c"] {
        assert_eq!(groups.commit(commit_of(group, 1, 6, "")).await, Ok(vec![Ok(())]));
        assert_eq!((offset_of(&groups, group, 0), offset_of(&groups, group, 1)), (None, Some(6)));
    }
    groups.stop().await;
}
