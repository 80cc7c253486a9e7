//! A disk that fails: what it held can be read, it takes no more, and somebody is told.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_storage::fs::{Fs, Hook, Operation, Verdict};

use crate::harness::*;

const KAFKA_STORAGE_ERROR: i16 = 56;

/// Syncs of one partition fail, while they shall.
#[derive(Default)]
struct FailedSync(AtomicBool);

impl Hook for FailedSync {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        match operation {
            Operation::Sync(file) if self.0.load(Ordering::Relaxed) && is_of_bad(file) => {
                Verdict::Fail(std::io::Error::from_raw_os_error(5))
            }
            _ => Verdict::Proceed,
        }
    }
}

fn is_of_bad(file: &File) -> bool {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    path.to_string_lossy().contains("/bad-0")
}

/// What tells of disks: log folders online, partitions online and offline, and reasons not to be well.
fn told(broker: &TestBroker) -> ([f64; 3], Vec<String>) {
    let partitions = broker.metric("weir_partitions");
    let online = broker.metric("weir_log_dir_online").into_values().sum();
    assert_eq!(broker.metric("weir_offline_partitions")[""], partitions["offline"]);
    let reasons = broker.metric("weir_cluster_health_reason").into_iter();
    let reasons = reasons.filter(|(_, is_so)| *is_so > 0.0).map(|(reason, _)| reason).collect();
    ([online, partitions["online"], partitions["offline"]], reasons)
}

#[tokio::test]
async fn a_partition_whose_disk_failed_is_offline_and_can_be_read() {
    let disk = Arc::new(FailedSync::default());
    let broker = TestBroker::start_on(Fs::with_hook(disk.clone()), &[]).await;
    let mut client = broker.client_with_topic("bad", 1).await;
    assert_eq!(client.create_topic("good", 1, &[]).await, 0);
    assert_eq!(client.produce("bad", 0, batch(&["before"])).await.error_code, 0);
    assert_eq!(told(&broker), ([1.0, 2.0, 0.0], Vec::new()));

    disk.0.store(true, Ordering::Relaxed);
    assert_eq!(client.produce("bad", 0, batch(&["lost"])).await.error_code, KAFKA_STORAGE_ERROR);
    let reasons = ["log_dir_offline", "offline_partitions"].map(str::to_owned).to_vec();
    assert_eq!(told(&broker), ([0.0, 1.0, 1.0], reasons.clone()));
    assert_eq!(records(&client.fetch("bad", 0, 0).await), [(0, "before".to_owned())]);

    // A disk that works again is not trusted again.
    disk.0.store(false, Ordering::Relaxed);
    assert_eq!(client.produce("bad", 0, batch(&["lost"])).await.error_code, KAFKA_STORAGE_ERROR);
    assert_eq!(client.produce("good", 0, batch(&["kept"])).await.error_code, 0);
    assert_eq!(told(&broker), ([0.0, 1.0, 1.0], reasons));
    let broker = broker.restart(&[]).await;
    assert_eq!(told(&broker), ([1.0, 2.0, 0.0], Vec::new()));
    assert_eq!(broker.client().await.produce("bad", 0, batch(&["after"])).await.error_code, 0);
}
