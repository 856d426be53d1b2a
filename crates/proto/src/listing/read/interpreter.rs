//! One listing in one dialect: what its lines have told so far.

use jiff::Timestamp;

use super::date::Orders;
use super::dialect::Dialect;
use super::line::{Context, Line};
use super::lines::RawLine;
use super::reader::{Listed, Unreadable};
use crate::listing::Entry;

/// Reads the lines of a listing one after the other.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    pub(super) dialect: Dialect,
    now: Timestamp,
    orders: Orders,
    /// The first line of an entry of two.
    begun: Option<RawLine>,
    /// Whether an entry has come.
    has_entries: bool,
    /// The directory of the entries that come, where it is not the listed one.
    directory: Option<Vec<u8>>,
}

impl Interpreter {
    pub(super) fn new(dialect: Dialect, now: Timestamp) -> Interpreter {
        Interpreter { dialect, now, orders: Orders::ALL, begun: None, has_entries: false, directory: None }
    }

    /// An interpreter that begins the same listing anew, and knows already in which orders its dates are.
    pub(super) fn again(self) -> Interpreter {
        Interpreter { orders: self.orders, ..Interpreter::new(self.dialect, self.now) }
    }

    /// Reads the next line, and gives out what is known then: none, one or two results, through `tell`.
    pub(super) fn read(&mut self, line: RawLine, mut tell: impl FnMut(Told)) {
        let Some(begun) = self.begun.take() else { return self.read_alone(line, tell) };
        if !line.overlong {
            let both = [begun.bytes.as_slice(), b" ", &line.bytes].concat();
            if let Line::Entry(entry) = self.look(&both, begun.is_first) {
                let raw = [begun.bytes.as_slice(), b"\n", &line.bytes].concat();
                return tell(self.entry(*entry, raw, true));
            }
        }
        tell(Told::unreadable(begun));
        self.read_alone(line, tell);
    }

    /// Gives out what waits for a line that does not come any more.
    pub(super) fn end(&mut self) -> Option<Told> {
        self.begun.take().map(Told::unreadable)
    }

    fn read_alone(&mut self, line: RawLine, mut tell: impl FnMut(Told)) {
        // A line of two blanks is a name of one where no facts are told; elsewhere it is nothing.
        if self.dialect != Dialect::Facts && line.bytes.trim_ascii().is_empty() {
            return tell(Told::skipped(line, false));
        }
        let read = if line.overlong { Line::Foreign } else { self.look(&line.bytes, line.is_first) };
        match read {
            Line::Entry(entry) => tell(self.entry(*entry, line.bytes, true)),
            Line::Loose(entry) => tell(self.entry(*entry, line.bytes, false)),
            Line::Begun => self.begun = Some(line),
            Line::Heading => tell(Told::skipped(line, true)),
            Line::Directory(path) => {
                // The first may be that of the listed directory itself.
                self.directory = self.has_entries.then_some(path);
                tell(Told::skipped(line, true));
            }
            Line::Foreign => tell(Told::unreadable(line)),
        }
    }

    fn look(&mut self, line: &[u8], is_first: bool) -> Line {
        let mut context = Context { now: self.now, orders: self.orders, is_first };
        let read = self.dialect.read(line, &mut context);
        // Only what is an entry has a date.
        if matches!(read, Line::Entry(_) | Line::Loose(_)) {
            self.orders = context.orders;
        }
        read
    }

    fn entry(&mut self, entry: Entry, raw: Vec<u8>, is_sure: bool) -> Told {
        self.has_entries = true;
        let entry = Entry { raw, directory: self.directory.clone(), ..entry };
        Told { listed: Listed::Entry(Box::new(entry)), is_of_dialect: is_sure }
    }
}

/// What a line or two came to.
pub(super) struct Told {
    pub(super) listed: Listed,
    /// Whether it speaks for the dialect.
    pub(super) is_of_dialect: bool,
}

impl Told {
    pub(super) fn unreadable(line: RawLine) -> Told {
        let line = Unreadable { raw: line.bytes, overlong: line.overlong };
        Told { listed: Listed::Unreadable(line), is_of_dialect: false }
    }

    fn skipped(line: RawLine, is_of_dialect: bool) -> Told {
        Told { listed: Listed::Skipped(line.bytes), is_of_dialect }
    }
}
