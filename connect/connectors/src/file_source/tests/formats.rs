//! What a record is: encodings, long lines, events of several lines, compressed files, the last line.

use super::*;

#[test]
fn a_last_line_without_an_end_waits_until_the_file_is_gone_and_quiet() {
    let mut world = World::new("app.log", &[]);
    world.append("app.log", "one\ntw");
    assert_eq!(world.new_lines(), ["one"]);
    world.append("app.log", "o\nthr");
    assert_eq!(world.new_lines(), ["two"]);
    world.remove("app.log");
    assert_eq!(world.new_lines(), ["thr"]);
}

#[test]
fn a_compressed_file_is_read_whole_and_once() {
    let mut world = World::new("*", &[]);
    world.append("old", &(numbered(0, 3000) + "last"));
    world.gzip("old", "old.gz");
    let mut all = expected(0, 3000);
    all.push("last".into());
    assert_eq!(world.new_lines(), all);
    world.restart();
    assert_eq!(world.new_lines(), Vec::<String>::new());
}

#[test]
fn a_compressed_file_goes_on_where_its_reading_ended() {
    let mut world = World::new("*.gz", &[("batch.records.max", "100")]);
    world.append("old", &numbered(0, 1000));
    world.gzip("old", "old.gz");
    while world.lines().len() < 300 {
        world.pass();
        world.acknowledge();
    }
    world.restart();
    world.settle();
    assert_eq!(world.lines(), expected(0, 1000));
}

#[test]
fn a_stack_trace_is_one_record_once_it_is_complete() {
    let mut world = World::new("app.log", &[("multiline.start.pattern", r"^\d")]);
    world.append("app.log", "1 error\n  at a\n");
    world.pass();
    assert!(world.pending.is_empty(), "it may go on");
    world.append("app.log", "  at b\n2 fine\n");
    assert_eq!(world.new_lines(), ["1 error\n  at a\n  at b", "2 fine"]);
}

#[test]
fn a_line_longer_than_a_read_is_cut_as_the_key_says() {
    let long = "x".repeat(3 << 20);
    for (rule, lengths) in [("truncate", vec![2 << 20, 4]), ("skip", vec![4]), ("split", vec![2 << 20, 1 << 20, 4])] {
        let mut world = World::new("app.log", &[("on.long.line", rule), ("max.line.bytes", "2MiB")]);
        world.append("app.log", &long);
        world.settle();
        world.append("app.log", "\nnext\n");
        let lines: Vec<usize> = world.new_lines().iter().map(String::len).collect();
        assert_eq!(lines, lengths, "{rule}");
    }
}

#[test]
fn a_truncated_line_says_so() {
    let mut world = World::new("app.log", &[("max.line.bytes", "16")]);
    world.append("app.log", "0123456789abcdefXYZ\nshort\n");
    world.settle();
    let marked: Vec<bool> = world.topic.iter().map(|r| r.headers.iter().any(|h| &*h.key == "weir.truncated")).collect();
    assert_eq!(marked, [true, false]);
}

#[test]
fn a_long_line_can_be_an_error_that_says_where_it_is() {
    let rules = [("max.line.bytes", "16"), ("on.long.line", "dead-letter")];
    let mut world = World::new("app.log", &rules);
    world.append("app.log", "short\n0123456789abcdefXYZ\nnext\n");
    world.pass();
    let rejected: Vec<_> = world.pending.iter().flat_map(|batch| &batch.rejected).collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].record.value, Payload::Bytes("0123456789abcdef".into()));
    assert!(rejected[0].error.message.ends_with("app.log: the line at byte 6 is longer than max.line.bytes"));
    world.acknowledge();
    assert_eq!(world.new_lines(), ["short", "next"]);
}

#[test]
fn other_encodings_become_utf_8() {
    let utf_16: Vec<u8> = "grüße\r\n漢字\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (encoding, bytes, lines) in [
        ("utf-16le", utf_16, ["grüße", "漢字"]),
        ("iso-8859-1", b"gr\xfc\xdfe\nna\xefve\n".to_vec(), ["grüße", "naïve"]),
    ] {
        let mut world = World::new("app.log", &[("encoding", encoding)]);
        append(&world.path("app.log"), &bytes);
        assert_eq!(world.new_lines(), lines, "{encoding}");
    }
}

#[test]
fn keys_and_headers_are_as_configured() {
    let mut world = World::new("app.log", &[("key", "path"), ("header.path", "true")]);
    world.append("app.log", "one\n");
    world.settle();
    let path = world.path("app.log").display().to_string();
    assert_eq!(world.topic[0].key, Payload::Bytes(path.clone().into()));
    let header = world.topic[0].headers.iter().find(|h| &*h.key == "path").unwrap();
    assert_eq!(header.value.as_deref(), Some(path.as_bytes()));
}
