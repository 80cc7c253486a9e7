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

/// What kafka-python sets up its own brokers with.
const SETTINGS: [&str; 4] =
    ["node.id: 0", "num.partitions: 4", "group.min.session.timeout.ms: 100", "group.initial.rebalance.delay.ms: 0"];

#[tokio::test]
async fn its_own_integration_tests_pass() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &SETTINGS, "").await?;
    let left_out = LEFT_OUT.map(|(name, _)| format!("not {name}")).join(" and ");
    let mut command = Command::new(python()?);
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "test/integration", "-k", &left_out]);
    command.current_dir(kafka_python_source()?);
    command.env("KAFKA_URI", format!("kafka://{}", weir.bootstrap())).env("KAFKA_VERSION", "4.1.0");
    println!("{}", run(command)?);
    Ok(())
}
