use super::*;
use crate::fs::faults::{Fault, Faults};

#[test]
fn a_folder_keeps_its_cluster_and_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/on/the/way");
    let first = LogDir::open(&path, 1, None).unwrap();
    let cluster_id = first.cluster_id().to_owned();
    assert_eq!(cluster_id.len(), 22);
    assert!(matches!(LogDir::open(&path, 1, None), Err(LogDirError::InUse { .. })));
    drop(first);
    assert_eq!(LogDir::open(&path, 1, None).unwrap().cluster_id(), cluster_id);
    let error = LogDir::open(&path, 2, None).err().unwrap().to_string();
    assert!(error.contains("node.id 1") && error.contains("meta.properties"), "{error}");
    assert!(matches!(LogDir::open(&path, 1, Some("other")), Err(LogDirError::OtherCluster { .. })));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("meta.properties"), "version=2\nnode.id=1\ncluster.id=x\n").unwrap();
    assert!(matches!(LogDir::open(dir.path(), 1, None), Err(LogDirError::NewerVersion { found: 2, .. })));
    std::fs::write(dir.path().join("meta.properties"), "node.id=1\n").unwrap();
    assert!(LogDir::open(dir.path(), 1, None).err().unwrap().to_string().contains("version"));
}

#[test]
fn the_clean_marker_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = LogDir::open(dir.path(), 1, None).unwrap();
    assert!(!log_dir.was_clean_shutdown());
    log_dir.mark_clean_shutdown().unwrap();
    drop(log_dir);
    assert!(LogDir::open(dir.path(), 1, None).unwrap().was_clean_shutdown());
    assert!(!LogDir::open(dir.path(), 1, None).unwrap().was_clean_shutdown());
}

#[test]
fn partitions_come_with_their_checkpoints_and_deleted_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = LogDir::open(dir.path(), 1, None).unwrap();
    for name in ["b-1", "a-b-0", "gone-3.0123456789abcdef0123456789abcdef-delete", "unrelated"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let (a, b) = (TopicPartition::new("a-b", 0), TopicPartition::new("b", 1));
    let checkpoints = Checkpoints {
        recovery_points: vec![(b.clone(), 7)],
        high_watermarks: vec![(b.clone(), 9)],
        log_start_offsets: vec![(a.clone(), 3)],
    };
    log_dir.write_checkpoints(&checkpoints).unwrap();
    let found = log_dir.partitions();
    assert_eq!(found.iter().map(|found| &found.partition).collect::<Vec<_>>(), [&a, &b]);
    assert_eq!((found[0].recovery_point, found[0].log_start_offset, found[0].high_watermark), (0, 3, None));
    assert_eq!((found[1].recovery_point, found[1].log_start_offset, found[1].high_watermark), (7, 0, Some(9)));
    assert!(!dir.path().join("gone-3.0123456789abcdef0123456789abcdef-delete").exists());
    assert!(dir.path().join("unrelated").exists());
}

#[test]
fn a_failed_sync_takes_the_folder_offline_and_a_full_disk_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (faults, fs) = Faults::new(Fault::None);
    let log_dir = LogDir::open_on(fs, dir.path(), 1, None).unwrap();
    let write = || log_dir.write_checkpoints(&Checkpoints::default());
    write().unwrap();
    faults.set(Fault::DiskFull { after_bytes: 1 });
    write().unwrap_err();
    assert!(log_dir.is_online());
    faults.set(Fault::FailedSync);
    write().unwrap_err();
    assert!(!log_dir.is_online());
    faults.set(Fault::None);
    write().unwrap();
    assert!(!log_dir.is_online(), "nobody has looked at the disk yet");
}

#[test]
fn the_disk_has_a_size() {
    let dir = tempfile::tempdir().unwrap();
    let usage = LogDir::open(dir.path(), 1, None).unwrap().usage().unwrap();
    assert!(usage.total_bytes >= usage.free_bytes && usage.free_bytes > 0);
}

#[test]
fn a_disk_says_how_long_it_was_busy_and_memory_has_none() {
    let stat = "  166508    18423 16474722    87543  2141580  1498237 98745056  3654812        0  1234567  3825104    0  0  0  0  214578   82748\n";
    assert_eq!(busy(stat), Some(Duration::from_millis(1_234_567)));
    assert_eq!(busy("1 2 3"), None);
    if let Ok(dir) = tempfile::tempdir_in("/dev/shm") {
        assert_eq!(LogDir::open(dir.path(), 1, None).unwrap().disk_busy(), None);
    }
}
