//! `weir health`, as probes run it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{Process, command, free_port, outcome, weir};

#[test]
fn a_process_that_cannot_work_yet_lives_but_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, connect) = (free_port(), free_port());
    let settings = [
        format!("http.listeners=localhost:{metrics}"),
        format!("connect.listeners=http://localhost:{connect}"),
        "connect.bootstrap.servers=localhost:1".to_owned(),
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let mut worker = Process::start(folder.path(), &[&["connect", "run"], &arguments[..]].concat());
    let url = format!("http://localhost:{metrics}");
    let health = |more: &[&str]| outcome(weir(folder.path()).args(["health", "--url", &url]).args(more));

    assert_eq!(health(&["--live"]), (0, "ok\n".to_owned(), String::new()));
    let (code, stdout, stderr) = health(&[]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert_eq!(stderr, format!("weir: {url}/health/ready answers 503 Service Unavailable: starting\n"));

    let asked = Instant::now();
    assert_eq!(health(&["--wait", "1"]).0, 1);
    assert!(asked.elapsed() >= Duration::from_secs(1), "has not waited");

    assert!(worker.terminate().success());
    assert_eq!(health(&["--live"]).0, 3);
}

#[test]
fn a_process_that_works_is_ready_at_the_address_that_the_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, search) = (free_port(), free_port());
    let settings =
        [format!("http.listeners=localhost:{metrics}"), format!("search.listeners=http://localhost:{search}")];
    let arguments = ["search", "--set", &settings[0], "--set", &settings[1]];
    let _node = Process::start(folder.path(), &arguments);
    let url = format!("http://localhost:{metrics}/");
    assert_eq!(outcome(weir(Path::new(".")).arg("health").env("WEIR_URL", url)).0, 0);
}

#[test]
fn whoever_waits_goes_on_once_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, search) = (free_port(), free_port());
    let (address, url) = (format!("http.listeners=localhost:{metrics}"), format!("http://localhost:{metrics}"));
    let mut waiting = command(folder.path()).args(["health", "--wait", "60", "--url", &url]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "nobody answers yet");
    let search = format!("search.listeners=http://localhost:{search}");
    let _node = Process::start(folder.path(), &["search", "--set", &address, "--set", &search]);
    assert!(waiting.wait().unwrap().success());
}
