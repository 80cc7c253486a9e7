//! Cuts a block of a file into records: lines, long lines, and events of several lines.
//!
//! Keeps nothing between blocks. Where a record ends depends only on the bytes from the position on, so a read can be
//! repeated after a crash and cuts at the same places. That a position lies within a long line shows in the byte
//! before it.

use std::ops::Range;

use memchr::memchr;
use regex::bytes::Regex;

/// What becomes of a line that is longer than `max.line.bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongLine {
    /// Its beginning is kept and marked, the rest is passed over.
    Truncate,
    /// It becomes several records.
    Split,
    /// It is passed over.
    Skip,
    /// Its beginning is kept as a record that is in error, the rest is passed over.
    DeadLetter,
}

/// How several lines become one record.
#[derive(Debug, Clone)]
pub(crate) struct Multiline {
    pub(crate) pattern: Regex,
    pub(crate) role: PatternRole,
    pub(crate) lines_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatternRole {
    /// A line that matches begins a record.
    Start,
    /// A line that matches belongs to the record before it.
    Continuation,
}

/// The bytes that end a line, in the file's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// `\n`, and a `\r` before it is not part of the line.
    Byte,
    /// `\n` in two bytes.
    Wide { newline: [u8; 2], carriage_return: [u8; 2] },
}

impl LineEnd {
    fn width(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Wide { .. } => 2,
        }
    }

    /// The place of the first line end in `bytes`, which begin at a character's beginning.
    fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Byte => memchr(b'\n', bytes),
            Self::Wide { newline, .. } => bytes.chunks_exact(2).position(|pair| pair == newline).map(|at| at * 2),
        }
    }

    fn ends(self, bytes: &[u8]) -> bool {
        match self {
            Self::Byte => bytes.last() == Some(&b'\n'),
            Self::Wide { newline, .. } => bytes.ends_with(&newline),
        }
    }

    /// The line without its end.
    fn trim(self, bytes: &[u8], line: Range<usize>) -> Range<usize> {
        let (newline, carriage_return): (&[u8], &[u8]) = match &self {
            Self::Byte => (b"\n", b"\r"),
            Self::Wide { newline, carriage_return } => (newline, carriage_return),
        };
        let mut end = line.end;
        if bytes[line.start..end].ends_with(newline) {
            end -= newline.len();
            if bytes[line.start..end].ends_with(carriage_return) {
                end -= carriage_return.len();
            }
        }
        line.start..end
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Splitter {
    pub(crate) line_end: LineEnd,
    pub(crate) line_bytes_max: usize,
    pub(crate) long_line: LongLine,
    pub(crate) multiline: Option<Multiline>,
}

/// What is known about the block besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Situation {
    /// The byte before the block ends a line, or the block begins the file.
    pub(crate) at_line_start: bool,
    pub(crate) end: BlockEnd,
    pub(crate) records_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockEnd {
    /// More bytes may follow.
    Open,
    /// Nothing came for `multiline.timeout`: complete lines at the end are a record.
    Quiet,
    /// Nothing will come, or a delivered record begins here: what is left is a record, line end or not.
    Final,
}

/// One record: the bytes it takes up, line ends included, and those that are its value. Both within the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) span: Range<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) truncated: bool,
}

/// The records of a block and how many of its bytes are done with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) consumed: usize,
}

impl Splitter {
    /// The line end before a position says whether a line begins there.
    pub(crate) fn is_line_start(&self, before: &[u8]) -> bool {
        before.is_empty() || self.line_end.ends(before)
    }

    pub(crate) fn cut(&self, block: &[u8], situation: Situation) -> Cut {
        let mut cut = Cut::default();
        if !situation.at_line_start && self.long_line != LongLine::Split {
            match self.line_end.find(block) {
                Some(at) => cut.consumed = at + self.line_end.width(),
                None => return Cut { consumed: self.whole_characters(block.len()), ..cut },
            }
        }
        match &self.multiline {
            None => self.cut_lines(block, situation, &mut cut),
            Some(multiline) => self.cut_events(multiline, block, situation, &mut cut),
        }
        cut
    }

    fn cut_lines(&self, block: &[u8], situation: Situation, cut: &mut Cut) {
        let Situation { end, records_max, .. } = situation;
        while cut.consumed < block.len() && cut.pieces.len() < records_max {
            let start = cut.consumed;
            let until = match self.line_end.find(&block[start..]) {
                Some(at) => start + at + self.line_end.width(),
                None if end == BlockEnd::Final => block.len(),
                None if block.len() - start > self.line_bytes_max => return self.cut_open_line(block, cut),
                None => return,
            };
            self.push(block, start..until, cut);
        }
    }

    /// A line that is too long already, and whose end is not in sight.
    fn cut_open_line(&self, block: &[u8], cut: &mut Cut) {
        let start = cut.consumed;
        let most = self.whole_characters(self.line_bytes_max);
        match self.long_line {
            LongLine::Skip => cut.consumed = start + self.whole_characters(block.len() - start),
            LongLine::Truncate | LongLine::DeadLetter => {
                let span = start..start + most;
                cut.consumed = span.end;
                cut.pieces.push(Piece { value: span.clone(), span, truncated: true });
            }
            LongLine::Split => {
                while block.len() - cut.consumed > self.line_bytes_max {
                    let span = cut.consumed..cut.consumed + most;
                    cut.consumed = span.end;
                    cut.pieces.push(Piece { value: span.clone(), span, truncated: false });
                }
            }
        }
    }

    fn whole_characters(&self, bytes: usize) -> usize {
        bytes - bytes % self.line_end.width()
    }

    /// Takes `span`, which ends a record, as one record, or by the rule for long lines.
    fn push(&self, block: &[u8], span: Range<usize>, cut: &mut Cut) {
        cut.consumed = span.end;
        let value = self.line_end.trim(block, span.clone());
        if value.len() <= self.line_bytes_max {
            return cut.pieces.push(Piece { span, value, truncated: false });
        }
        let most = self.whole_characters(self.line_bytes_max);
        match self.long_line {
            LongLine::Skip => {}
            LongLine::Truncate | LongLine::DeadLetter => {
                let value = value.start..value.start + most;
                cut.pieces.push(Piece { span, value, truncated: true });
            }
            LongLine::Split => {
                let mut start = value.start;
                while value.end - start > self.line_bytes_max {
                    let part = start..start + most;
                    start = part.end;
                    cut.pieces.push(Piece { span: part.clone(), value: part, truncated: false });
                }
                cut.pieces.push(Piece { span: start..span.end, value: start..value.end, truncated: false });
            }
        }
    }

    fn cut_events(&self, multiline: &Multiline, block: &[u8], situation: Situation, cut: &mut Cut) {
        let Situation { end, records_max, .. } = situation;
        let (mut at, mut lines) = (cut.consumed, 0usize);
        while at < block.len() {
            let line = match self.line_end.find(&block[at..]) {
                Some(found) => at..at + found + self.line_end.width(),
                None if end == BlockEnd::Final => at..block.len(),
                None => break,
            };
            let matches = multiline.pattern.is_match(&block[self.line_end.trim(block, line.clone())]);
            let begins = matches == (multiline.role == PatternRole::Start);
            let full = lines >= multiline.lines_max || line.end - cut.consumed > self.line_bytes_max;
            if lines > 0 && (begins || full) {
                self.push(block, cut.consumed..line.start, cut);
                lines = 0;
            }
            if cut.pieces.len() >= records_max {
                return;
            }
            (at, lines) = (line.end, lines + 1);
        }
        let rest = block.len() - at;
        if lines > 0 && (end != BlockEnd::Open || rest > self.line_bytes_max || at - cut.consumed > self.line_bytes_max)
        {
            self.push(block, cut.consumed..at, cut);
            lines = 0;
        }
        if lines == 0 && rest > self.line_bytes_max {
            self.cut_open_line(block, cut);
        }
    }
}

#[cfg(test)]
mod tests;
