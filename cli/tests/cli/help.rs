use std::path::Path;

use crate::process::{outcome, weir};

#[test]
fn help_lists_every_command() {
    let (code, help, _) = outcome(weir(Path::new(".")).arg("--help"));
    assert_eq!(code, 0);
    let commands = [
        "up",
        "broker",
        "search",
        "topics",
        "produce",
        "consume",
        "groups",
        "connect",
        "health",
        "check",
        "completions",
        "version",
    ];
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not in\n{help}");
    }
}

#[test]
fn every_command_has_examples() {
    for command in [
        "up",
        "broker",
        "search",
        "topics",
        "produce",
        "consume",
        "groups",
        "connect",
        "health",
        "check",
        "completions",
    ] {
        let (code, help, _) = outcome(weir(Path::new(".")).args([command, "--help"]));
        assert_eq!(code, 0);
        let examples = help.split_once("Example").expect(command).1;
        assert!(examples.contains(&format!("weir {command}")), "{help}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&["topics", "paint"][..], &["consume"], &["produce", "t", "--compression", "rar"], &["check"]] {
        let (code, stdout, stderr) = outcome(weir(Path::new(".")).args(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
}

#[test]
fn completions_are_a_script() {
    let (code, script, _) = outcome(weir(Path::new(".")).args(["completions", "bash"]));
    assert_eq!(code, 0);
    assert!(script.contains("complete -F _weir") && script.contains("reset-offsets"));
}

#[test]
fn version_is_one_line() {
    let expected = format!("weir {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(outcome(weir(Path::new(".")).arg("version")).1, expected);
}

#[test]
fn nobody_there_is_exit_code_3() {
    let (code, stdout, stderr) =
        outcome(weir(Path::new(".")).args(["topics", "list", "--bootstrap-server", "localhost:1"]));
    assert_eq!((code, stdout.as_str()), (3, ""));
    let expected = "weir: localhost:1: cannot connect: Connection refused (os error 111); is a broker running there? \
                    (--bootstrap-server names another)\n";
    assert_eq!(stderr, expected);
    let (code, _, stderr) = outcome(weir(Path::new(".")).args(["connect", "list", "--url", "http://localhost:1"]));
    assert_eq!(code, 3, "{stderr}");
}
