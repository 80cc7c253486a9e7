//! Death at any moment: lines carry numbers, and each must be in the topic exactly once.

use rand::SeedableRng;

use super::*;

const ROUNDS: usize = 25;
const SEEDS: u64 = 60;

/// One life of files under rotations, truncations and deaths of the worker.
fn live(seed: u64, more: &[(&str, &str)]) -> (World, u32) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new("app.log*", more);
    let mut written = 0;
    for _ in 0..ROUNDS {
        let count = random.random_range(0..60);
        world.append("app.log", &numbered(written, written + count));
        written += count;
        for _ in 0..random.random_range(0..3) {
            world.pass();
        }
        if random.random_bool(0.5) {
            world.acknowledge();
        }
        match random.random_range(0..8) {
            0 => rotate(&world, false),
            1 => rotate(&world, true),
            2 | 3 => world.crash(&mut random),
            _ => {}
        }
    }
    world.settle();
    (world, written)
}

/// Nothing lost, nothing twice; a failure says which lines were, and by which reads.
fn each_came_once(world: &World, written: u32, seed: u64) {
    let mut reads = vec![Vec::new(); usize::try_from(written).unwrap()];
    for record in &world.topic {
        let header = super::super::header::parse(record.headers[0].value.as_ref().unwrap()).unwrap();
        for line in text(record).lines() {
            let number: usize = line.strip_prefix("line ").unwrap().parse().unwrap();
            reads[number].push(header.clone());
        }
    }
    let wrong: Vec<_> = reads.iter().enumerate().filter(|(_, reads)| reads.len() != 1).take(5).collect();
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}

fn rotate(world: &World, by_copy: bool) {
    for age in (1..30).rev().filter(|age| world.path(&format!("app.log.{age}")).exists()) {
        world.rename(&format!("app.log.{age}"), &format!("app.log.{}", age + 1));
    }
    if by_copy {
        world.copy("app.log", "app.log.1");
        world.truncate("app.log");
    } else {
        world.rename("app.log", "app.log.1");
        world.append("app.log", "");
    }
}

#[test]
fn whenever_the_worker_dies_each_line_comes_exactly_once() {
    for seed in 0..SEEDS {
        let (world, written) = live(seed, &[("batch.records.max", "37")]);
        each_came_once(&world, written, seed);
    }
}

#[test]
fn whenever_the_worker_dies_each_event_of_several_lines_comes_exactly_once() {
    for seed in 0..SEEDS / 3 {
        let config = [("batch.records.max", "7"), ("multiline.start.pattern", "[05]$")];
        let (world, written) = live(seed, &config);
        each_came_once(&world, written, seed);
    }
}

#[test]
fn whenever_the_worker_dies_parts_of_long_lines_come_exactly_once() {
    for seed in 0..10 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut world =
            World::new("app.log", &[("max.line.bytes", "16"), ("on.long.line", "split"), ("batch.records.max", "5")]);
        let mut written = String::new();
        for n in 0..40 {
            let line = format!("{n}:").repeat(random.random_range(1..30));
            world.append("app.log", &format!("{line}\n"));
            written.push_str(&line);
            world.pass();
            if random.random_bool(0.3) {
                world.crash(&mut random);
            } else if random.random_bool(0.5) {
                world.acknowledge();
            }
        }
        world.settle();
        let mut pieces: Vec<(u64, String)> = world
            .topic
            .iter()
            .map(|record| {
                let header = super::super::header::parse(record.headers[0].value.as_ref().unwrap()).unwrap();
                (header.bytes.start, text(record))
            })
            .collect();
        pieces.sort();
        assert_eq!(pieces.into_iter().map(|(_, text)| text).collect::<String>(), written, "seed {seed}");
    }
}

#[test]
fn recovery_lasts_until_the_offsets_handed_over_have_passed_what_was_delivered() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", &numbered(0, 5));
    world.pass();
    world.deliver_uncommitted();
    world.restart();
    assert!(!world.tail.is_recovered(world.now), "no pass has come by the file yet");
    world.settle();
    assert!(world.tail.is_recovered(world.now));
    assert_eq!(world.lines(), expected(0, 5));
}

#[test]
fn recovery_does_not_wait_for_ever_for_a_file_that_is_gone() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", &numbered(0, 5));
    world.pass();
    world.deliver_uncommitted();
    world.remove("app.log");
    world.restart();
    world.pass();
    assert!(!world.tail.is_recovered(world.now), "it may have been renamed");
    world.now += Duration::from_secs(60);
    assert!(world.tail.is_recovered(world.now));
}
