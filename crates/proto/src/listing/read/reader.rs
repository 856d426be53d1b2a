//! From the bytes of a listing to its entries, as they arrive, whatever dialect they are in.

use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;

use super::dialect::Dialect;
use super::interpreter::{Interpreter, Told};
use super::lines::Lines;
use crate::listing::Entry;
use crate::text::Shown;

/// How many lines are looked at before the dialect is decided.
const SAMPLE: usize = 20;

/// How much of a line an error shows.
const SHOWN: usize = 160;

/// What a line of a listing is, or two lines that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An entry.
    Entry(Box<Entry>),
    /// A line that no rule reads: it may be a file.
    Unreadable(Unreadable),
    /// A line that names no file by a rule of its dialect: `total 12`, a heading, an error that the server's `ls` had.
    Skipped(Vec<u8>),
}

/// A line of a listing that is no entry in any form that is known. It is not dropped in silence: it may be a file.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's listing has a line that cannot be read: {}", Head(.raw))]
pub struct Unreadable {
    /// The line, without its end; where it was longer than [`MAX_LISTING_LINE`](super::MAX_LISTING_LINE) its head.
    pub raw: Vec<u8>,
    /// Whether it was longer than that.
    pub overlong: bool,
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unreadable")
            .field("raw", &format_args!("\"{}\"", Head(&self.raw)))
            .field("overlong", &self.overlong)
            .finish()
    }
}

/// Reads a whole listing: its lines, without their ends. See [`ListingReader`] for what is read and how.
///
/// ```
/// # use port21_proto::listing::parse;
/// let lines = ["total 4", "-rw-r--r-- 1 ftp ftp 1715 Apr 30 09:05 readme.txt", "what is this?"];
/// let read = parse(lines, "2005-05-02T21:07:00Z".parse().unwrap());
/// assert_eq!(read[0].as_ref().unwrap().name, b"readme.txt");
/// assert_eq!(read[1].as_ref().unwrap_err().raw, b"what is this?");
/// ```
pub fn parse<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>, now: Timestamp) -> Vec<Result<Entry, Unreadable>> {
    let mut reader = ListingReader::new(now);
    for line in lines {
        reader.handle_line(line.as_ref());
    }
    reader.handle_eof();
    std::iter::from_fn(|| reader.poll_entry()).collect()
}

/// Reads a listing as it arrives.
///
/// The dialect is that in which most of the first 20 lines can be read, and it holds for the whole listing: entries come
/// once it is known, or at the end. Where the first lines mean nothing in any dialect they are given out as
/// [`Unreadable`] and the next ones are looked at. Empty lines are passed over; lines that name no file by a rule of the
/// dialect (`total 12`) are [`Listed::Skipped`]; every other line is an entry or an [`Unreadable`].
///
/// The same holds for the order of day, month and year in dates of three numbers: it is that which fits all dates of the
/// first 20 lines, and dates that come later may rule out another.
///
/// Hand in a chunk, then take all entries before the next: the memory in use is then bounded by the size of a chunk,
/// [`MAX_LISTING_LINE`](super::MAX_LISTING_LINE) and the 20 lines. How many entries there may be in all is for the caller
/// to bound.
///
/// A last line without an end is read like any other. Whether the listing was whole the server's final reply tells, not
/// its end.
///
/// ```
/// # use port21_proto::listing::ListingReader;
/// let mut reader = ListingReader::new("2005-05-02T21:07:00Z".parse().unwrap());
/// reader.handle_data(b"total 4\r\n-rw-r--r-- 1 ftp ftp 1715 Apr 30 09:0");
/// reader.handle_data(b"5 readme.txt\r\n");
/// reader.handle_eof();
/// let entry = reader.poll_entry().unwrap().unwrap();
/// assert_eq!((entry.name.as_slice(), entry.size), (&b"readme.txt"[..], Some(1715)));
/// assert_eq!(reader.poll_entry(), None);
/// ```
#[derive(Debug)]
pub struct ListingReader {
    now: Timestamp,
    lines: Lines,
    /// Reads lines once the dialect is known.
    interpreter: Option<Interpreter>,
    /// So many of `lines` were looked at and mean nothing in any dialect.
    foreign: usize,
    ended: bool,
    ready: VecDeque<Listed>,
}

impl ListingReader {
    /// A reader that finds out the dialect. `now` is the time of day by the calendar: a date without a year is the
    /// last of its kind that is not more than a day after it (a server's zone may be ahead).
    pub fn new(now: Timestamp) -> ListingReader {
        let (lines, ready) = (Lines::new(), VecDeque::new());
        ListingReader { now, lines, interpreter: None, foreign: 0, ended: false, ready }
    }

    /// A reader of a dialect that is known: [`Dialect::Facts`] for what MLSD sends.
    pub fn with_dialect(dialect: Dialect, now: Timestamp) -> ListingReader {
        ListingReader { interpreter: Some(Interpreter::new(dialect, now)), ..ListingReader::new(now) }
    }

    /// The dialect, once it is known.
    pub fn dialect(&self) -> Option<Dialect> {
        self.interpreter.as_ref().map(|interpreter| interpreter.dialect)
    }

    /// Takes bytes of the data connection, cut anywhere.
    pub fn handle_data(&mut self, bytes: &[u8]) {
        self.lines.push_bytes(bytes);
    }

    /// Takes a line without its end.
    pub fn handle_line(&mut self, line: &[u8]) {
        self.lines.push_line(line);
    }

    /// The data connection has ended: the dialect is decided by what has come.
    pub fn handle_eof(&mut self) {
        self.lines.end_line();
        self.ended = true;
    }

    /// The next entry or unreadable line; nothing until more is handed in.
    pub fn poll_entry(&mut self) -> Option<Result<Entry, Unreadable>> {
        loop {
            match self.poll_listed()? {
                Listed::Entry(entry) => return Some(Ok(*entry)),
                Listed::Unreadable(line) => return Some(Err(line)),
                Listed::Skipped(_) => {}
            }
        }
    }

    /// What the next line is, with those that name no file; nothing until more is handed in.
    pub fn poll_listed(&mut self) -> Option<Listed> {
        loop {
            if let Some(listed) = self.ready.pop_front() {
                return Some(listed);
            }
            if self.interpreter.is_none() && self.foreign == 0 {
                let waiting = self.lines.whole();
                if waiting.is_empty() || (waiting.len() < SAMPLE && !self.ended) {
                    return None;
                }
                self.interpreter = Dialect::find(waiting, SAMPLE, self.now);
                if self.interpreter.is_none() {
                    self.foreign = waiting.len().min(SAMPLE);
                }
            }
            let ready = &mut self.ready;
            match (self.lines.whole().pop_front(), &mut self.interpreter) {
                (Some(line), Some(interpreter)) => interpreter.read(line, |told| ready.push_back(told.listed)),
                (Some(line), None) => {
                    self.foreign = self.foreign.saturating_sub(1);
                    ready.push_back(Told::unreadable(line).listed);
                }
                (None, Some(interpreter)) if self.ended => return Some(interpreter.end()?.listed),
                (None, _) => return None,
            }
        }
    }
}

/// Shows the first bytes of a line.
struct Head<'a>(&'a [u8]);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..SHOWN) {
            Some(head) if head.len() < self.0.len() => write!(f, "{}...", Shown(head)),
            _ => Shown(self.0).fmt(f),
        }
    }
}
