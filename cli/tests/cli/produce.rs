//! What becomes of records when brokers and connections fail.

use std::io::Write;
use std::process::Stdio;

use crate::broker::Broker;
use crate::process::{command, free_port, outcome, weir};
use crate::proxy::LossyProxy;

const ANSWERS_LOST: usize = 3;

/// A broker that tells its clients to come through a proxy.
fn behind_a_lossy_network() -> (Broker, LossyProxy) {
    let address = format!("127.0.0.1:{}", free_port());
    let proxy = LossyProxy::start(&address, ANSWERS_LOST);
    let advertised = format!("advertised.listeners=PLAINTEXT://{}", proxy.address);
    (Broker::start_at(address, &["--set", &advertised]), proxy)
}

fn produce(broker: &Broker, proxy: &LossyProxy, arguments: &[&str], lines: &str) -> (i32, String, String) {
    let mut command = weir(broker.folder.path());
    command.args(["produce", "t", "--bootstrap-server", &proxy.address]).args(arguments).write_stdin(lines);
    outcome(&mut command)
}

#[test]
fn a_lost_answer_doubles_no_record() {
    let (broker, proxy) = behind_a_lossy_network();
    let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
    let (code, stdout, stderr) = produce(&broker, &proxy, &[], &lines);
    assert_eq!((code, stdout.as_str()), (0, "sent 1000 records to t\n"), "{stderr}");
    assert!(stderr.contains("the connection broke") && stderr.trim_end().ends_with("sending again"), "{stderr}");
    assert!(proxy.has_lost_all());
    assert_eq!(broker.ok(&["consume", "t", "--from-beginning", "-e"]), lines);
}

#[test]
fn without_idempotence_a_lost_answer_is_an_error_and_nothing_is_sent_twice() {
    let (broker, proxy) = behind_a_lossy_network();
    for arguments in [&["--idempotence=false"][..], &["--acks", "1"]] {
        let (code, _, stderr) = produce(&broker, &proxy, arguments, "a\n");
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains("0 records were sent before this") && stderr.lines().count() == 1, "{stderr}");
    }
    // acks=1 is answered before the flush, which readers wait for.
    broker.ok(&["consume", "t", "--from-beginning", "-n", "2"]);
    assert_eq!(broker.ok(&["consume", "t", "--from-beginning", "-e"]), "a\na\n");
}

#[test]
fn acks_0_waits_for_no_answer() {
    let (broker, proxy) = behind_a_lossy_network();
    broker.ok(&["topics", "create", "t"]);
    let direct = ["t", "--acks", "0"];
    broker.produce(&direct, "a\nb\n");
    drop(proxy);
    assert_eq!(broker.ok(&["consume", "t", "--from-beginning", "-n", "2"]), "a\nb\n");
    let (code, _, stderr) = broker.weir(&["produce", "t", "--acks", "0", "--idempotence"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("needs --acks all"), "{stderr}");
}

#[test]
fn sending_goes_on_once_the_broker_is_back() {
    let mut broker = Broker::start();
    broker.ok(&["topics", "create", "t"]);
    let mut command = command(broker.folder.path());
    command.args(["produce", "t"]).env("WEIR_BOOTSTRAP_SERVER", &broker.address);
    let mut producer = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = producer.stdin.take().unwrap();
    input.write_all(b"before\n").unwrap();
    assert_eq!(broker.ok(&["consume", "t", "--from-beginning", "-n", "1"]), "before\n");
    broker.kill_9();
    input.write_all(b"between\n").unwrap();
    broker.restart();
    input.write_all(b"after\n").unwrap();
    drop(input);
    let output = producer.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"sent 3 records to t\n"[..]), "{text}");
    assert_eq!(broker.ok(&["consume", "t", "--from-beginning", "-e"]), "before\nbetween\nafter\n");
}

#[test]
fn a_broker_that_stays_away_is_given_up() {
    let mut broker = Broker::start();
    broker.ok(&["topics", "create", "t"]);
    let mut command = command(broker.folder.path());
    command.args(["produce", "t", "--delivery-timeout-ms", "500"]).env("WEIR_BOOTSTRAP_SERVER", &broker.address);
    let mut producer = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = producer.stdin.take().unwrap();
    input.write_all(b"before\n").unwrap();
    assert_eq!(broker.ok(&["consume", "t", "--from-beginning", "-n", "1"]), "before\n");
    broker.kill_9();
    input.write_all(b"after\n").unwrap();
    let output = producer.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("1 records were sent before this"), "{text}");
}
