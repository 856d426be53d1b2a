//! Bytes of a listing to its lines, none of them longer than a cap.

use std::collections::VecDeque;

/// The longest line that is read, in bytes: room for a name and a target of [`MAX_PATH`](crate::path::MAX_PATH) each.
pub const MAX_LISTING_LINE: usize = 16 * 1024;

/// A line without its end.
#[derive(Clone, Debug)]
pub(super) struct RawLine {
    /// Its bytes, or as many as are kept of it.
    pub(super) bytes: Vec<u8>,
    /// Whether it was longer.
    pub(super) overlong: bool,
    /// Whether an empty line stands before it, or nothing.
    pub(super) is_first: bool,
}

/// Takes the lines out of bytes that are cut anywhere. Empty lines are no lines.
#[derive(Debug)]
pub(super) struct Lines {
    /// The line whose end has not come yet.
    partial: RawLine,
    whole: VecDeque<RawLine>,
}

impl Lines {
    pub(super) fn new() -> Lines {
        Lines { partial: RawLine::new(true), whole: VecDeque::new() }
    }

    /// The lines that are whole, the first of them first.
    pub(super) fn whole(&mut self) -> &mut VecDeque<RawLine> {
        &mut self.whole
    }

    /// Takes bytes, with ends of lines among them.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.partial.push(head);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        self.partial.push(rest);
    }

    /// Takes one line as it is, whatever is in it.
    pub(super) fn push_line(&mut self, line: &[u8]) {
        self.partial.push(line);
        self.end_line();
    }

    /// Ends the line that has begun.
    pub(super) fn end_line(&mut self) {
        // Some servers end lines with CR CR LF.
        while self.partial.bytes.last() == Some(&b'\r') {
            self.partial.bytes.pop();
        }
        if self.partial.bytes.is_empty() {
            self.partial = RawLine::new(true);
        } else {
            self.whole.push_back(std::mem::replace(&mut self.partial, RawLine::new(false)));
        }
    }
}

impl RawLine {
    fn new(is_first: bool) -> RawLine {
        RawLine { bytes: Vec::new(), overlong: false, is_first }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LISTING_LINE.saturating_sub(self.bytes.len());
        self.overlong |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}
