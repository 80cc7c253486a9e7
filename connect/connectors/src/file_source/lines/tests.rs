use proptest::prelude::*;

use super::*;

const OPEN: Situation = Situation { at_line_start: true, end: BlockEnd::Open, records_max: usize::MAX };

fn splitter(line_bytes_max: usize, long_line: LongLine) -> Splitter {
    Splitter { line_end: LineEnd::Byte, line_bytes_max, long_line, multiline: None }
}

fn multiline(pattern: &str, role: PatternRole) -> Splitter {
    let multiline = Multiline { pattern: Regex::new(pattern).unwrap(), role, lines_max: 4 };
    Splitter { multiline: Some(multiline), ..splitter(1000, LongLine::Truncate) }
}

fn values<'a>(block: &'a [u8], cut: &Cut) -> Vec<&'a str> {
    cut.pieces.iter().map(|piece| std::str::from_utf8(&block[piece.value.clone()]).unwrap()).collect()
}

#[test]
fn lines_lose_their_ends_and_an_open_line_waits() {
    let block = b"one\r\ntwo\n\nthr";
    let cut = splitter(100, LongLine::Truncate).cut(block, OPEN);
    assert_eq!(values(block, &cut), ["one", "two", ""]);
    assert_eq!(cut.consumed, 10);
    assert_eq!(cut.pieces[0].span, 0..5);
}

#[test]
fn the_last_line_of_a_file_that_ended_needs_no_line_end() {
    let block = b"one\ntwo";
    let situation = Situation { end: BlockEnd::Final, ..OPEN };
    assert_eq!(values(block, &splitter(100, LongLine::Truncate).cut(block, situation)), ["one", "two"]);
    let quiet = Situation { end: BlockEnd::Quiet, ..OPEN };
    assert_eq!(values(block, &splitter(100, LongLine::Truncate).cut(block, quiet)), ["one"]);
}

#[test]
fn a_long_line_is_truncated_split_or_skipped() {
    let block = b"abcdefghij\nxy\n";
    let cut = splitter(4, LongLine::Truncate).cut(block, OPEN);
    assert_eq!(values(block, &cut), ["abcd", "xy"]);
    assert_eq!((cut.pieces[0].truncated, cut.pieces[0].span.clone(), cut.pieces[1].truncated), (true, 0..11, false));
    assert_eq!(values(block, &splitter(4, LongLine::Split).cut(block, OPEN)), ["abcd", "efgh", "ij", "xy"]);
    assert_eq!(values(block, &splitter(4, LongLine::Skip).cut(block, OPEN)), ["xy"]);
}

#[test]
fn a_long_line_whose_end_is_not_in_sight_is_dealt_with_in_parts() {
    let inside = Situation { at_line_start: false, ..OPEN };
    for (long_line, first, second) in [
        (LongLine::Truncate, vec!["abcd"], vec!["xy"]),
        (LongLine::Split, vec!["abcd", "efgh"], vec!["ij", "xy"]),
        (LongLine::Skip, vec![], vec!["xy"]),
    ] {
        let file = b"abcdefghij\nxy\n";
        let splitter = splitter(4, long_line);
        let cut = splitter.cut(&file[..9], OPEN);
        assert_eq!(values(file, &cut), first, "{long_line:?}");
        let rest = &file[cut.consumed..];
        assert_eq!(values(rest, &splitter.cut(rest, inside)), second, "{long_line:?}");
    }
}

#[test]
fn a_stack_trace_follows_the_line_that_began_it() {
    let block = b"ERROR a\n  at b\n  at c\nINFO d\nINFO e\n";
    for splitter in [multiline("^[A-Z]", PatternRole::Start), multiline(r"^\s", PatternRole::Continuation)] {
        let cut = splitter.cut(block, OPEN);
        assert_eq!(values(block, &cut), ["ERROR a\n  at b\n  at c", "INFO d"], "the last may still grow");
        let quiet = splitter.cut(block, Situation { end: BlockEnd::Quiet, ..OPEN });
        assert_eq!(values(block, &quiet).last(), Some(&"INFO e"));
    }
}

#[test]
fn an_event_has_a_most_of_lines() {
    let block = b"A\n 1\n 2\n 3\n 4\n 5\nB\n";
    let cut = multiline("^[A-Z]", PatternRole::Start).cut(block, OPEN);
    assert_eq!(values(block, &cut), ["A\n 1\n 2\n 3", " 4\n 5"]);
}

#[test]
fn utf_16_lines_end_at_whole_characters() {
    let text = "ab\r\n\u{0a0a}c\n";
    let block: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let line_end = LineEnd::Wide { newline: [b'\n', 0], carriage_return: [b'\r', 0] };
    let cut = Splitter { line_end, ..splitter(100, LongLine::Truncate) }.cut(&block, OPEN);
    assert_eq!(cut.pieces.iter().map(|p| p.value.clone()).collect::<Vec<_>>(), [0..4, 8..12]);
}

#[test]
fn no_more_records_are_cut_than_asked_for() {
    let block = b"a\nb\nc\nd\n";
    let two = Situation { records_max: 2, ..OPEN };
    for splitter in [splitter(100, LongLine::Truncate), multiline(".", PatternRole::Start)] {
        let cut = splitter.cut(block, two);
        assert_eq!((values(block, &cut), cut.consumed), (vec!["a", "b"], 4));
    }
}

proptest! {
    /// Cutting block by block, in whatever sizes they come, gives what cutting the whole file at once gives.
    #[test]
    fn where_blocks_end_does_not_change_the_records(
        text in "[ab\n]{0,80}", sizes in prop::collection::vec(1usize..40, 1..80), split in prop::bool::ANY, events in prop::bool::ANY,
    ) {
        let long_line = if split { LongLine::Split } else { LongLine::Truncate };
        let mut splitter = splitter(7, long_line);
        if events {
            let pattern = Regex::new("^a").unwrap();
            splitter.multiline = Some(Multiline { pattern, role: PatternRole::Start, lines_max: 3 });
            splitter.line_bytes_max = 200;
        }
        let file = text.as_bytes();
        let last = Situation { end: BlockEnd::Final, ..OPEN };
        let whole: Vec<String> = values(file, &splitter.cut(file, last)).into_iter().map(str::to_owned).collect();
        let mut pieces = Vec::new();
        let (mut position, mut end) = (0, 0);
        for size in sizes.into_iter().chain([file.len() + 1]) {
            end = (end + size).min(file.len());
            let block = &file[position..end];
            let at_line_start = splitter.is_line_start(&file[..position]);
            let final_block = if end == file.len() { BlockEnd::Final } else { BlockEnd::Open };
            let cut = splitter.cut(block, Situation { at_line_start, end: final_block, ..OPEN });
            pieces.extend(values(block, &cut).into_iter().map(str::to_owned));
            position += cut.consumed;
        }
        prop_assert_eq!(pieces, whole);
        prop_assert_eq!(position, file.len());
    }
}
