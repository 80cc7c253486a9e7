//! What only a person at a terminal sees.

use std::process::{Command, Stdio};

use crate::broker::Broker;
use crate::groups::read_by_g;

/// What a terminal shows of a shell's line; `weir` in it is the binary, and knows the broker.
fn on_a_terminal(broker: &Broker, line: &str, variables: &[(&str, &str)]) -> String {
    let mut script = Command::new("script");
    // A terminal that nobody has opened a window for has no columns.
    let line = format!("stty cols 100; {}", line.replace("weir ", concat!(env!("CARGO_BIN_EXE_weir"), " ")));
    script.args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR").env("WEIR_BOOTSTRAP_SERVER", &broker.address);
    script.current_dir(broker.folder.path()).envs(variables.iter().copied()).stdin(Stdio::null());
    String::from_utf8(script.output().unwrap().stdout).unwrap()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let broker = read_by_g();
    let coloured = on_a_terminal(&broker, "weir groups list", &[]);
    assert!(coloured.contains("\u{1b}[38;5;11mEmpty"), "{coloured:?}");
    let plain = on_a_terminal(&broker, "weir groups list", &[("NO_COLOR", "1")]);
    assert!(plain.contains("Empty") && !plain.contains('\u{1b}'), "{plain:?}");
    assert!(!broker.ok(&["groups", "list"]).contains('\u{1b}'));
}

#[test]
fn what_takes_over_two_seconds_shows_how_far_it_is_and_leaves_no_trace() {
    let broker = Broker::start();
    let slow = on_a_terminal(&broker, "(echo a; echo b; sleep 3) | weir produce t", &[]);
    assert!(slow.contains("2 records sent, "), "{slow:?}");
    assert!(slow.trim_end().ends_with("sent 2 records to t"), "{slow:?}");
    let read = on_a_terminal(&broker, "timeout 4 weir consume t --from-beginning > records", &[]);
    assert!(read.contains("2 records read, "), "{read:?}");
    assert_eq!(std::fs::read_to_string(broker.folder.path().join("records")).unwrap(), "a\nb\n");
    let quick = on_a_terminal(&broker, "echo c | weir produce t", &[]);
    assert_eq!(quick.trim_end(), "sent 1 records to t");
}
