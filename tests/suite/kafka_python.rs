//! kafka-python's own integration tests, from its source package, against Weir as an external broker.

use std::process::Command;

use anyhow::Result;
use weir_tests::clients::{kafka_python_source, python};
use weir_tests::process::run;
use weir_tests::weir::Weir;

/// What its tests ask of a broker that Weir does not have yet; each is left out by name, with the reason.
const LEFT_OUT: [(&str, &str); 8] = [
    ("acl", "access control lists come with security"),
    ("ssl", "so does TLS"),
    ("sasl", "and so do passwords"),
    ("transactional", "transactions come later"),
    ("elect_leaders", "elections come with a cluster"),
    ("alter_replica_log_dirs", "so does moving replicas"),
    ("alter_partition_reassignments", "and so does reassigning them"),
    ("describe_metadata_quorum", "and the quorum that decides it"),
];

/// Passed, skipped (for Kafka before 0.10.1), left out.
const COUNTS: (u32, u32, u32) = (48, 1, 18);

/// What kafka-python sets up its own brokers with.
const SETTINGS: [&str; 4] =
    ["node.id: 0", "num.partitions: 4", "group.min.session.timeout.ms: 100", "group.initial.rebalance.delay.ms: 0"];

#[tokio::test]
async fn its_own_integration_tests_pass() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &SETTINGS, "").await?;
    let left_out = LEFT_OUT.map(|(name, _)| format!("not {name}")).join(" and ");
    let mut command = Command::new(python()?);
    command.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "test/integration", "-k", &left_out]);
    command.current_dir(kafka_python_source()?);
    command.env("KAFKA_URI", format!("kafka://{}", weir.bootstrap())).env("KAFKA_VERSION", "4.1.0");
    let report = run(command)?;
    println!("{report}");
    assert_eq!(counts(&report), COUNTS, "tests went missing, or new ones came: look which, then say so here");
    Ok(())
}

/// How many tests passed, were skipped by themselves, and were left out by name.
fn counts(report: &str) -> (u32, u32, u32) {
    // Its tests leave threads that still print something when all is done.
    let summary = report.lines().rfind(|line| line.contains(" passed") && line.contains(" in ")).unwrap_or_default();
    let count = |word: &str| {
        let before = summary.split(", ").find_map(|part| part.split_once(word));
        before.and_then(|(count, _)| count.trim().parse().ok()).unwrap_or(0)
    };
    (count(" passed"), count(" skipped"), count(" deselected"))
}
