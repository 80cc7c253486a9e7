//! A group over time, told minute by minute; the window is five minutes.

use super::*;

const MINUTE_MS: i64 = 60_000;

/// One record per second since 0; the log begins at `start`.
fn at(minute: i64, committed: i64, committed_minute: i64, start: i64) -> Position {
    let end_offset = minute * 60;
    let first_unread = committed.max(start);
    Position {
        committed_offset: committed,
        commit_timestamp_ms: committed_minute * MINUTE_MS,
        log_start_offset: start,
        end_offset,
        append_time_ms: (first_unread < end_offset).then_some(first_unread * 1000),
    }
}

struct Story {
    tracker: LagTracker,
    members: usize,
}

impl Story {
    fn new(members: usize) -> Self {
        Self { tracker: LagTracker::new(LagConfig::default()), members }
    }

    fn see(&mut self, minute: i64, position: Position) -> LagStatus {
        let reading = Reading {
            group: "g".into(),
            member_count: self.members,
            positions: vec![(TopicPartition::new("t", 0), position)],
        };
        self.tracker.observe(minute * MINUTE_MS, vec![reading]);
        self.status()
    }

    fn status(&self) -> LagStatus {
        self.tracker.group("g").unwrap().status
    }

    fn evidence(&self) -> String {
        self.tracker.group("g").unwrap().worst_partitions()[0].evidence()
    }

    fn since_minute(&self) -> i64 {
        self.tracker.group("g").unwrap().since_ms / MINUTE_MS
    }
}

#[test]
fn a_group_that_has_read_all_is_ok_however_long_ago_it_committed() {
    let mut story = Story::new(1);
    let mut idle = at(10, 600, 10, 0);
    for minute in 10..60 {
        assert_eq!(story.see(minute, idle), LagStatus::Ok);
    }
    // A record after an idle hour: nobody is late yet.
    idle.end_offset += 1;
    idle.append_time_ms = Some(60 * MINUTE_MS);
    assert_eq!(story.see(60, idle), LagStatus::Ok);
    assert_eq!(story.see(64, idle), LagStatus::Ok);
    assert_eq!(story.see(65, idle), LagStatus::Stalled);
}

#[test]
fn commits_that_do_not_move_are_stalled_with_members_and_stopped_without() {
    for (members, status, words) in [(2, LagStatus::Stalled, "has members"), (0, LagStatus::Stopped, "no members")] {
        let mut story = Story::new(members);
        for minute in 10..15 {
            assert_eq!(story.see(minute, at(minute, 600, 10, 0)), LagStatus::Ok, "{minute}");
        }
        assert_eq!(story.see(16, at(16, 600, 10, 0)), status);
        assert_eq!(story.since_minute(), 10);
        assert_eq!(story.see(18, at(18, 600, 10, 0)), status);
        assert_eq!(story.since_minute(), 10);
        let evidence = story.evidence();
        assert!(evidence.contains(words) && evidence.contains("offset 600 for 8 min"), "{evidence}");
        assert_eq!(story.see(19, at(19, 1140, 19, 0)), LagStatus::Ok);
    }
}

#[test]
fn committing_the_same_offset_again_is_no_movement() {
    let mut story = Story::new(1);
    for minute in 10..16 {
        story.see(minute, at(minute, 600, minute, 0));
    }
    assert_eq!(story.status(), LagStatus::Stalled);
}

#[test]
fn a_tracker_that_starts_anew_believes_old_commits_and_old_records() {
    let mut story = Story::new(0);
    assert_eq!(story.see(30, at(30, 600, 10, 0)), LagStatus::Stopped);
    assert_eq!(story.since_minute(), 10);
}

#[test]
fn a_lag_that_never_falls_is_a_warning_and_one_that_does_is_not() {
    let mut story = Story::new(1);
    // Reads 40 of the 60 records that come each minute.
    for minute in 10..=25 {
        story.see(minute, at(minute, 600 + (minute - 10) * 40, minute, 0));
    }
    assert_eq!(story.status(), LagStatus::Warn);
    let evidence = story.evidence();
    assert!(evidence.contains("not once fewer in 15 min"), "{evidence}");
    // Catches up a little, though still far behind.
    assert_eq!(story.see(26, at(26, 1300, 26, 0)), LagStatus::Ok);
    // Small lags are nobody's concern.
    let mut small = Story::new(1);
    for minute in 10..=25 {
        assert_eq!(small.see(minute, at(minute, minute * 60 - 50, minute, 0)), LagStatus::Ok);
    }
}

#[test]
fn an_hour_without_lag_before_is_no_part_of_the_warning() {
    let mut story = Story::new(1);
    // Has read all for an hour, each look the same; then reads nothing of what comes, but commits.
    for minute in 10..70 {
        story.see(minute, at(minute, minute * 60, minute, 0));
    }
    for minute in 70..80 {
        story.see(minute, at(minute, 69 * 60 + minute, minute, 0));
    }
    assert_eq!((story.status(), story.since_minute()), (LagStatus::Warn, 67));
}

#[test]
fn going_back_is_told_until_it_has_caught_up() {
    let mut story = Story::new(1);
    story.see(10, at(10, 600, 10, 0));
    assert_eq!(story.see(11, at(11, 100, 11, 0)), LagStatus::Rewound);
    assert!(story.evidence().contains("from offset 600 to 100"), "{}", story.evidence());
    assert_eq!(story.see(12, at(12, 400, 12, 0)), LagStatus::Rewound);
    assert_eq!(story.see(13, at(13, 780, 13, 0)), LagStatus::Ok);
}

#[test]
fn records_deleted_unread_are_lost_and_counted_once() {
    let mut story = Story::new(1);
    story.see(10, at(10, 100, 9, 0));
    assert_eq!(story.see(11, at(11, 100, 9, 250)), LagStatus::Lost);
    let evidence = story.evidence();
    assert!(evidence.contains("150 records from offset 100 on") && evidence.contains("begins at 250"), "{evidence}");
    let total = |story: &Story| story.tracker.group("g").unwrap().worst_partitions()[0].lost_records_total;
    assert_eq!(total(&story), 150);
    story.see(12, at(12, 100, 9, 250));
    assert_eq!(total(&story), 150);
    story.see(13, at(13, 100, 9, 300));
    assert_eq!(total(&story), 200);
    // The group goes on at the log's start: what was lost stays counted, and is not lag.
    story.see(14, at(14, 500, 14, 300));
    assert_eq!((total(&story), story.status()), (200, LagStatus::Ok));
    assert_eq!(at(14, 100, 9, 300).lag_records(), 540);
}

#[test]
fn the_worst_partition_speaks_for_the_group_and_what_is_gone_is_forgotten() {
    let mut tracker = LagTracker::new(LagConfig::default());
    let reading = |positions| vec![Reading { group: "g".into(), member_count: 0, positions }];
    let (good, bad) = (at(30, 1800, 30, 0), at(30, 600, 10, 0));
    let positions = vec![(TopicPartition::new("t", 0), good), (TopicPartition::new("t", 1), bad)];
    tracker.observe(30 * MINUTE_MS, reading(positions));
    let group = tracker.group("g").unwrap();
    assert_eq!((group.status, group.worst_partitions()[0].partition.partition), (LagStatus::Stopped, 1));
    tracker.observe(31 * MINUTE_MS, reading(vec![(TopicPartition::new("t", 0), good)]));
    assert_eq!(tracker.group("g").unwrap().status, LagStatus::Ok);
    tracker.observe(32 * MINUTE_MS, Vec::new());
    assert!(tracker.group("g").is_none());
}

#[test]
fn what_comes_and_goes_beside_it_leaves_a_partition_its_history() {
    let mut tracker = LagTracker::new(LagConfig::default());
    let mut see = |minute: i64, partitions: &[i32], start| {
        let of = |index: &i32| (TopicPartition::new("t", *index), at(minute, 100, 9, start));
        let positions = partitions.iter().map(of).collect();
        tracker.observe(minute * MINUTE_MS, vec![Reading { group: "g".into(), member_count: 1, positions }]);
        let group = tracker.group("g").unwrap();
        group.partitions().map(|lag| (lag.partition.partition, lag.lost_records_total)).collect::<Vec<_>>()
    };
    see(10, &[1, 3], 100);
    assert_eq!(see(11, &[1, 3], 250), [(1, 150), (3, 150)]);
    assert_eq!(see(12, &[0, 1, 2, 3, 4], 250), [(0, 0), (1, 150), (2, 0), (3, 150), (4, 0)]);
    assert_eq!(see(13, &[3], 250), [(3, 150)]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut tracker = LagTracker::new(LagConfig::default());
    let position = at(10, 0, 0, 0);
    let positions = (0..).take(LAG_PARTITIONS_MAX + 7).map(|index| (TopicPartition::new("t", index), position));
    tracker.observe(0, vec![Reading { group: "g".into(), member_count: 1, positions: positions.collect() }]);
    assert_eq!((tracker.dropped_partitions(), tracker.group("g").unwrap().left_out), (7, 7));
}
