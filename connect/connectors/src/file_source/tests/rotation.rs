//! Each way in which a log file becomes another.

use super::*;

#[test]
fn appended_lines_come_once_and_in_order() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", &numbered(0, 10));
    assert_eq!(world.new_lines(), expected(0, 10));
    world.append("app.log", &numbered(10, 15));
    assert_eq!(world.new_lines(), expected(10, 15));
    world.restart();
    world.append("app.log", &numbered(15, 16));
    assert_eq!(world.new_lines(), expected(15, 16));
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    for paths in ["app.log", "app.log*"] {
        let mut world = World::new(paths, &[]);
        world.append("app.log", &numbered(0, 5));
        assert_eq!(world.new_lines(), expected(0, 5));
        world.append("app.log", &numbered(5, 8));
        world.rename("app.log", "app.log.1");
        world.append("app.log", &numbered(8, 12));
        assert_eq!(world.new_lines(), expected(5, 12), "{paths}");
    }
}

#[test]
fn a_file_keeps_its_source_partition_through_renames_and_restarts() {
    let mut world = World::new("app.log*", &[]);
    world.append("app.log", &numbered(0, 5));
    world.settle();
    world.rename("app.log", "app.log.1");
    world.append("app.log.1", &numbered(5, 6));
    world.settle();
    world.restart();
    world.append("app.log.1", &numbered(6, 7));
    world.settle();
    assert_eq!(world.lines(), expected(0, 7));
    assert_eq!(world.committed.len(), 1, "{:?}", world.committed.keys());
}

#[test]
fn a_copied_and_truncated_file_is_read_to_the_end_of_the_copy() {
    for paths in ["app.log", "app.log*"] {
        let mut world = World::new(paths, &[]);
        world.append("app.log", &numbered(0, 5));
        assert_eq!(world.new_lines(), expected(0, 5));
        world.append("app.log", &numbered(5, 8));
        world.copy("app.log", "app.log.1");
        world.truncate("app.log");
        world.append("app.log", &numbered(8, 9));
        assert_eq!(sorted(world.new_lines()), expected(5, 9), "{paths}");
    }
}

#[test]
fn a_copy_seen_before_the_truncation_is_not_read_as_a_file_of_its_own() {
    let mut world = World::new("app.log*", &[]);
    world.append("app.log", &numbered(0, 5));
    assert_eq!(world.new_lines(), expected(0, 5));
    world.append("app.log", &numbered(5, 7));
    world.copy("app.log", "app.log.1");
    assert_eq!(world.new_lines(), expected(5, 7));
    world.append("app.log", &numbered(7, 8));
    assert_eq!(world.new_lines(), expected(7, 8), "read from the original, which the copy lacks");
    world.truncate("app.log");
    assert_eq!(world.new_lines(), Vec::<String>::new());
    world.append("app.log", &numbered(8, 9));
    assert_eq!(world.new_lines(), expected(8, 9));
    world.restart();
    assert_eq!(world.new_lines(), Vec::<String>::new());
}

#[test]
fn two_rotations_while_down_lose_and_double_nothing() {
    for paths in ["app.log", "app.log*"] {
        let mut world = World::new(paths, &[]);
        world.append("app.log", &numbered(0, 100));
        assert_eq!(world.new_lines(), expected(0, 100));
        world.append("app.log", &numbered(100, 110));
        world.rename("app.log", "app.log.1");
        std::thread::sleep(Duration::from_millis(20));
        world.append("app.log", &numbered(110, 120));
        world.rename("app.log.1", "app.log.2");
        world.rename("app.log", "app.log.1");
        std::thread::sleep(Duration::from_millis(20));
        world.append("app.log", &numbered(120, 130));
        world.restart();
        assert_eq!(sorted(world.new_lines()), expected(100, 130), "{paths}");
    }
}

#[test]
fn two_copytruncates_while_down_lose_and_double_nothing() {
    let mut world = World::new("app.log*", &[]);
    world.append("app.log", &numbered(0, 100));
    assert_eq!(world.new_lines(), expected(0, 100));
    for round in 1..3 {
        world.append("app.log", &numbered(100 * round, 100 * round + 100));
        if round == 2 {
            world.rename("app.log.1", "app.log.2");
        }
        world.copy("app.log", "app.log.1");
        world.truncate("app.log");
    }
    world.append("app.log", &numbered(300, 310));
    world.restart();
    assert_eq!(sorted(world.new_lines()), expected(100, 310));
}

#[test]
fn the_compressed_form_of_a_read_file_is_not_read_again() {
    for is_down in [false, true] {
        let mut world = World::new("app.log*", &[]);
        world.append("app.log", &numbered(0, 500));
        assert_eq!(world.new_lines(), expected(0, 500));
        world.append("app.log", &numbered(500, 510));
        world.rename("app.log", "app.log.1");
        world.append("app.log", &numbered(510, 520));
        if !is_down {
            assert_eq!(world.new_lines(), expected(500, 520));
        }
        world.rename("app.log.1", "app.log.2");
        world.gzip("app.log.2", "app.log.2.gz");
        if is_down {
            world.restart();
            assert_eq!(
                sorted(world.new_lines()),
                expected(500, 520),
                "the rest of it is read from the compressed form"
            );
        }
        assert_eq!(world.new_lines(), Vec::<String>::new(), "down: {is_down}");
        world.restart();
        assert_eq!(world.new_lines(), Vec::<String>::new(), "down: {is_down}");
    }
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    for is_down in [false, true] {
        let mut world = World::new("app.log", &[]);
        world.append("app.log", &numbered(0, 5));
        assert_eq!(world.new_lines(), expected(0, 5));
        // The file is closed, so that the system gives its inode away.
        world.remove("app.log");
        world.settle();
        if is_down {
            world.restart();
        }
        let inode = world.committed.values().next().unwrap().1["inode"].as_u64().unwrap();
        let found = (0..2000).any(|_| {
            world.append("app.log", &numbered(5, 12));
            use std::os::unix::fs::MetadataExt;
            let is_same = std::fs::metadata(world.path("app.log")).unwrap().ino() == inode;
            if !is_same {
                world.rename("app.log", &format!("other-{}", uuid::Uuid::new_v4()));
            }
            is_same
        });
        if !found {
            // This file system does not give inodes away again: what is left is a new file.
            world.append("app.log", &numbered(5, 12));
        }
        assert_eq!(world.new_lines(), expected(5, 12), "down: {is_down}");
    }
}

#[test]
fn a_file_truncated_and_grown_beyond_the_old_position_is_read_from_its_beginning() {
    for is_down in [false, true] {
        let mut world = World::new("app.log", &[]);
        world.append("app.log", &numbered(0, 5));
        assert_eq!(world.new_lines(), expected(0, 5));
        world.truncate("app.log");
        world.append("app.log", &numbered(5, 100));
        if is_down {
            world.restart();
        }
        assert_eq!(world.new_lines(), expected(5, 100), "down: {is_down}");
    }
}

#[test]
fn a_truncated_file_with_the_same_banner_is_known_by_what_lies_before_the_position() {
    let banner = "#".repeat(2000) + "\n";
    let mut world = World::new("app.log", &[]);
    world.append("app.log", &(banner.clone() + &numbered(0, 5)));
    world.settle();
    world.topic.clear();
    world.truncate("app.log");
    world.append("app.log", &(banner + &numbered(5, 100)));
    assert_eq!(world.new_lines()[1..], expected(5, 100));
}

#[test]
fn a_file_truncated_and_grown_to_the_very_same_size_is_read_from_its_beginning() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", &numbered(100, 200));
    assert_eq!(world.new_lines(), expected(100, 200));
    std::thread::sleep(Duration::from_millis(20));
    world.truncate("app.log");
    world.append("app.log", &numbered(200, 300));
    assert_eq!(world.new_lines(), expected(200, 300));
}

#[test]
fn a_file_truncated_before_anything_was_read_is_read_anew_and_its_copy_as_well() {
    let mut world = World::new("app.log*", &[("batch.records.max", "1")]);
    world.append("app.log", &numbered(0, 200));
    world.pass();
    world.copy("app.log", "app.log.1");
    world.truncate("app.log");
    world.append("app.log", &numbered(200, 300));
    assert_eq!(sorted(world.new_lines()), expected(0, 300));
}

#[test]
fn a_checkpoint_beyond_the_end_is_not_this_files() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", &numbered(0, 50));
    assert_eq!(world.new_lines(), expected(0, 50));
    world.truncate("app.log");
    world.append("app.log", &numbered(50, 52));
    world.restart();
    assert_eq!(world.new_lines(), expected(50, 52));
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut world = World::new("app.log", &[("batch.records.max", "3")]);
    world.append("app.log", &numbered(0, 10));
    world.pass();
    world.remove("app.log");
    assert_eq!(world.new_lines(), expected(0, 10));
    assert_eq!(world.tail.open_count(), 0, "and closed then");
}

#[test]
fn a_file_deleted_and_made_anew_with_the_same_first_line_is_new() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", "started\n");
    assert_eq!(world.new_lines(), ["started"]);
    world.append("keep-the-inode-in-use", "x");
    world.remove("app.log");
    world.append("app.log", "started\nagain\n");
    assert_eq!(world.new_lines(), ["started", "again"]);
}

#[test]
fn a_real_logrotate_loses_and_doubles_nothing() {
    for method in [
        "create",
        "copytruncate",
        "create\n compress\n delaycompress",
        "copytruncate\n compress",
        "create\n dateext\n dateformat -%s",
    ] {
        let mut world = World::new("app.log*", &[]);
        let (config, state) = (world.path("rotate.conf"), world.path("rotate.state"));
        let log = world.path("app.log");
        std::fs::write(&config, format!("{} {{\n rotate 9\n {method}\n}}\n", log.display())).unwrap();
        let mut written = 0;
        for round in 0..5 {
            world.append("app.log", &numbered(written, written + 200));
            written += 200;
            match round % 3 {
                0 => world.settle(),
                1 => {
                    world.pass();
                    world.acknowledge();
                }
                _ => {}
            }
            let mut logrotate = std::process::Command::new("logrotate");
            logrotate.args(["--force", "--state"]).arg(&state).arg(&config);
            logrotate.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            let out = logrotate.output().expect("logrotate is installed (apt install logrotate)");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            if method.contains("dateext") {
                std::thread::sleep(Duration::from_millis(1001));
            }
            if round == 3 {
                world.restart();
            }
        }
        world.append("app.log", &numbered(written, written + 5));
        world.settle();
        assert_eq!(sorted(world.lines()), expected(0, written + 5), "{method}");
    }
}

#[test]
fn the_position_of_a_file_that_is_gone_for_long_is_forgotten_and_no_other() {
    let mut world = World::new("*.log", &[("forget.after", "1h")]);
    world.append("gone.log", "one\n");
    world.append("stays.log", "two\n");
    assert_eq!(sorted(world.new_lines()).len(), 2);
    world.remove("gone.log");
    world.settle();
    world.now += Duration::from_secs(3000);
    world.settle();
    assert_eq!(world.committed.len(), 2, "it may come back yet");
    world.now += Duration::from_secs(700);
    world.settle();
    let kept: Vec<_> = world.committed.keys().collect();
    assert!(kept.len() == 1 && kept[0].contains("stays.log"), "{kept:?}");
    world.restart();
    assert_eq!(world.new_lines(), Vec::<String>::new(), "the other one's position is known");
}
