//! kafka-python's own integration tests, from its source package, against Weir as an external broker.

use std::process::Command;

use anyhow::Result;
use weir_tests::clients::{kafka_python_source, python};
use weir_tests::process::run;
use weir_tests::weir::Weir;

/// What its tests ask of a broker that Weir does not have yet; each is left out by name, with the reason.
const LEFT_OUT: [(&str, &str); 1] = [("acl", "access control lists come with security")];

#[tokio::test]
async fn its_own_integration_tests_pass() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &["num.partitions: 4"], "").await?;
    let left_out = LEFT_OUT.map(|(name, _)| format!("not {name}")).join(" and ");
    let mut command = Command::new(python()?);
    command.args(["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "test/integration", "-k", &left_out]);
    command.current_dir(kafka_python_source()?);
    command.env("KAFKA_URI", format!("kafka://{}", weir.bootstrap())).env("KAFKA_VERSION", "4.1.0");
    println!("{}", run(command)?);
    Ok(())
}
