//! Many files at once.

use std::collections::HashSet;

use super::*;

#[test]
fn files_that_begin_alike_are_all_read() {
    let banner = "#".repeat(1500) + "\n";
    let mut world = World::new("*.log", &[]);
    for file in 0..50 {
        world.append(&format!("{file}.log"), &format!("{banner}line {file}\n"));
    }
    let lines: HashSet<String> = world.new_lines().into_iter().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 50);
    world.restart();
    assert_eq!(world.new_lines(), Vec::<String>::new());
}

#[test]
fn files_with_the_same_content_are_each_read() {
    let mut world = World::new("*.log", &[]);
    for file in ["a.log", "b.log", "c.log"] {
        world.append(file, "same\n");
    }
    assert_eq!(world.new_lines(), ["same"; 3]);
    world.append("d.log", "same\n");
    assert_eq!(world.new_lines(), ["same"]);
}

#[test]
fn ten_thousand_files_are_read_with_few_descriptors() {
    const FILES: u32 = 10_000;
    let mut world = World::new("*.log", &[("open.files.max", "64")]);
    for file in 0..FILES {
        world.append(&format!("{file}.log"), &format!("line {file}\n"));
    }
    world.settle();
    assert_eq!(sorted(world.lines()), expected(0, FILES));
    assert!(world.tail.open_count() <= 64);
    for file in 0..FILES {
        world.append(&format!("{file}.log"), &format!("line {}\n", FILES + file));
    }
    world.restart();
    world.settle();
    assert_eq!(sorted(world.lines()), expected(0, 2 * FILES));
}

#[test]
fn a_busy_file_does_not_keep_others_from_their_turn() {
    let mut world = World::new("*.log", &[("batch.bytes.max", "64KiB")]);
    world.append("busy.log", &numbered(0, 300_000));
    for file in 0..5 {
        world.append(&format!("{file}.log"), "small\n");
    }
    for _ in 0..8 {
        world.pass();
    }
    world.acknowledge();
    let small = world.lines().iter().filter(|line| *line == "small").count();
    assert_eq!(small, 5);
}

#[test]
fn a_pass_gives_no_more_than_its_limits() {
    let mut world = World::new("*.log", &[("batch.records.max", "1000")]);
    for file in 0..10 {
        world.append(&format!("{file}.log"), &"\n".repeat(5000));
    }
    for _ in 0..60 {
        assert!(world.pass() <= 1000);
    }
    world.acknowledge();
    assert_eq!(world.topic.len(), 50_000);
}

#[test]
fn excluded_and_old_files_are_left_alone_until_they_grow() {
    let mut world = World::new("*.log", &[("exclude", "b.*"), ("ignore.older", "1h")]);
    for file in ["a.log", "b.log", "old.log"] {
        world.append(file, "line 1\n");
    }
    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_400);
    let old = OpenOptions::new().append(true).open(world.path("old.log")).unwrap();
    old.set_modified(yesterday).unwrap();
    assert_eq!(world.new_lines(), ["line 1"]);
    world.append("old.log", "line 2\n");
    assert_eq!(world.new_lines(), ["line 1", "line 2"]);
}

#[test]
fn a_first_start_may_begin_at_the_end_and_later_files_at_their_beginning() {
    let mut world = World::new("*.log", &[("start.position", "end")]);
    world.append("a.log", "old\n");
    world.pass();
    world.append("a.log", "new\n");
    world.append("b.log", "first\n");
    let mut lines = world.new_lines();
    lines.sort();
    assert_eq!(lines, ["first", "new"]);
}
