//! Death at any moment: lines carry numbers, and each must be in the topic exactly once.

use rand::SeedableRng;

use super::*;

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
