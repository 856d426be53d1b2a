//! From the bytes of a listing to its entries, whatever dialect they are in.

use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;

use super::columns::NoEntry;
use super::{dos, mlsx, unix};
use crate::listing::Entry;
use crate::text::Shown;

/// The longest line that is read, in bytes: room for a name and a target of [`MAX_PATH`](crate::path::MAX_PATH) each.
pub const MAX_LISTING_LINE: usize = 16 * 1024;

/// How many lines are looked at before the dialect is decided.
const SAMPLE: usize = 20;

/// How much of a line an error shows.
const SHOWN: usize = 160;

/// The form that a server gives its listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// MLSD: facts and a name.
    Facts,
    /// Lines like those of `ls -l`.
    Unix,
    /// Lines like those of `dir`, as IIS sends them.
    Dos,
}

impl Dialect {
    /// All of them, the surest first: it wins where a line can be read in two ways.
    const ALL: [Dialect; 3] = [Dialect::Facts, Dialect::Unix, Dialect::Dos];

    fn read(self, line: &[u8], now: Timestamp) -> Result<Entry, NoEntry> {
        match self {
            Dialect::Facts => mlsx::read(line),
            Dialect::Unix => unix::read(line, now),
            Dialect::Dos => dos::read(line),
        }
    }

    /// The dialect in which the most lines are entries; nothing where no line means anything in any.
    fn of<'a>(lines: impl Iterator<Item = &'a [u8]> + Clone, now: Timestamp) -> Option<Dialect> {
        let mut best = (None, (0, 0));
        for dialect in Dialect::ALL {
            let mut score = (0, 0);
            for line in lines.clone() {
                match dialect.read(line, now) {
                    // A name without facts is only taken for one where MLSD was asked for: indented lines of `ls` look
                    // just like it.
                    Ok(_) if dialect == Dialect::Facts && line.starts_with(b" ") => {}
                    Ok(_) => score.0 += 1,
                    Err(NoEntry::Heading) => score.1 += 1,
                    Err(NoEntry::Foreign) => {}
                }
            }
            if score > best.1 {
                best = (Some(dialect), score);
            }
        }
        best.0
    }
}

/// A line of a listing that is no entry in any form that is known. It is not dropped in silence: it may be a file.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's listing has a line that cannot be read: {}", Head(.raw))]
pub struct Unreadable {
    /// The line, without its end; where it was longer than [`MAX_LISTING_LINE`] its head.
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
pub fn parse<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>, now: Timestamp) -> Vec<Result<Entry, Unreadable>> {
    let mut reader = ListingReader::new(now);
    for line in lines {
        reader.handle_data(line.as_ref());
        reader.handle_data(b"\n");
    }
    reader.handle_eof();
    std::iter::from_fn(|| reader.poll_entry()).collect()
}

/// Reads a listing as it arrives.
///
/// The dialect is that in which most of the first 20 lines can be read, and it holds for the whole listing: entries come
/// once it is known, or at the end. Where the first lines mean nothing in any dialect they are given out as
/// [`Unreadable`] and the next ones are looked at. Empty lines and headings (`total 12`) are passed over; every other line is
/// an entry or an [`Unreadable`].
///
/// Hand in a chunk, then take all entries before the next: the memory in use is then bounded by the size of a chunk,
/// [`MAX_LISTING_LINE`] and the 20 lines. How many entries there may be in all is for the caller to bound.
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
    dialect: Option<Dialect>,
    /// The line whose end has not come yet.
    partial: Line,
    lines: VecDeque<Line>,
    /// So many of `lines` were looked at and mean nothing in any dialect.
    foreign: usize,
    ended: bool,
}

#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    overlong: bool,
}

impl ListingReader {
    /// A reader that finds out the dialect. `now` is the time of day by the calendar: a date without a year is the
    /// last of its kind that is not more than a day after it (a server's zone may be ahead).
    pub fn new(now: Timestamp) -> ListingReader {
        ListingReader { now, dialect: None, partial: Line::default(), lines: VecDeque::new(), foreign: 0, ended: false }
    }

    /// A reader of a dialect that is known: [`Dialect::Facts`] for what MLSD sends.
    pub fn with_dialect(dialect: Dialect, now: Timestamp) -> ListingReader {
        ListingReader { dialect: Some(dialect), ..ListingReader::new(now) }
    }

    /// The dialect, once it is known.
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// Takes bytes of the data connection, cut anywhere.
    pub fn handle_data(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.partial.push(head);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        self.partial.push(rest);
    }

    /// The data connection has ended: the dialect is decided by what has come.
    pub fn handle_eof(&mut self) {
        self.end_line();
        self.ended = true;
    }

    /// The next entry or unreadable line; nothing until more is handed in.
    pub fn poll_entry(&mut self) -> Option<Result<Entry, Unreadable>> {
        loop {
            if self.dialect.is_none() && self.foreign == 0 {
                if self.lines.len() < SAMPLE && !self.ended {
                    return None;
                }
                let sample = self.lines.iter().take(SAMPLE);
                self.dialect = Dialect::of(sample.clone().map(|line| line.bytes.as_slice()), self.now);
                if self.dialect.is_none() {
                    self.foreign = sample.count();
                }
            }
            let line = self.lines.pop_front()?;
            self.foreign = self.foreign.saturating_sub(1);
            let read = match self.dialect {
                // But a line of two blanks is a name of one where no facts are told.
                dialect if dialect != Some(Dialect::Facts) && line.bytes.trim_ascii().is_empty() => {
                    Err(NoEntry::Heading)
                }
                Some(dialect) if !line.overlong => dialect.read(&line.bytes, self.now),
                _ => Err(NoEntry::Foreign),
            };
            match read {
                Ok(entry) => return Some(Ok(Entry { raw: line.bytes, ..entry })),
                Err(NoEntry::Heading) => {}
                Err(NoEntry::Foreign) => return Some(Err(Unreadable { raw: line.bytes, overlong: line.overlong })),
            }
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.partial);
        // Some servers end lines with CR CR LF.
        while line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        if !line.bytes.is_empty() {
            self.lines.push_back(line);
        }
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LISTING_LINE.saturating_sub(self.bytes.len());
        self.overlong |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNIX: &str = "-rw-r--r--   1 ftp      ftp          1715 Apr 30 09:05 ";
    const DOS: &str = "04-14-00  03:47PM                  589 ";

    fn now() -> Timestamp {
        "2005-05-02T21:07:00Z".parse().unwrap()
    }

    /// Names of entries; lines that cannot be read in brackets.
    fn names(read: &[Result<Entry, Unreadable>]) -> Vec<String> {
        let text = |b: &[u8]| Shown(b).to_string();
        read.iter()
            .map(|r| match r {
                Ok(entry) => text(&entry.name),
                Err(line) => format!("<{}>", text(&line.raw)),
            })
            .collect()
    }

    fn drain(reader: &mut ListingReader) -> Vec<Result<Entry, Unreadable>> {
        std::iter::from_fn(|| reader.poll_entry()).collect()
    }

    fn read_in(bytes: &[u8], chunk: usize) -> Vec<Result<Entry, Unreadable>> {
        let mut reader = ListingReader::new(now());
        let mut all = Vec::new();
        for chunk in bytes.chunks(chunk) {
            reader.handle_data(chunk);
            all.extend(drain(&mut reader));
        }
        reader.handle_eof();
        all.extend(drain(&mut reader));
        all
    }

    #[test]
    fn each_listing_has_one_dialect() {
        let unix = parse([format!("{UNIX}a"), format!("{UNIX}b"), format!("{DOS}c")], now());
        assert_eq!(names(&unix), ["a", "b", &format!("<{DOS}c>")]);
        let dos = parse([format!("{DOS}a"), format!("{DOS}b"), "type=file; c".into()], now());
        assert_eq!(names(&dos), ["a", "b", "<type=file; c>"]);
        let facts = parse(["type=file; a", "type=dir; b", UNIX], now());
        assert_eq!(names(&facts), ["a", "b", &format!("<{UNIX}>")]);
    }

    #[test]
    fn headings_are_passed_over_and_other_lines_kept() {
        let lines = ["", "total 12", "  ", "/bin/ls: x: Permission denied", &format!("{UNIX}a"), "sub:"];
        let got = parse(lines, now());
        assert_eq!(names(&got), ["</bin/ls: x: Permission denied>", "a", "<sub:>"]);
        assert_eq!(got[1].as_ref().unwrap().raw, format!("{UNIX}a").into_bytes());
        assert_eq!(parse(["total 0"], now()), []);
        assert_eq!(parse::<&str>([], now()), []);
        assert_eq!(names(&parse(["just", "names"], now())), ["<just>", "<names>"]);
    }

    #[test]
    fn an_indented_listing_is_not_taken_for_names_without_facts() {
        assert_eq!(names(&parse([format!(" {UNIX}a"), format!(" {UNIX}b")], now())), ["a", "b"]);
        let mut reader = ListingReader::with_dialect(Dialect::Facts, now());
        reader.handle_data(b" a\r\n  \r\n b\r\n");
        assert_eq!(names(&drain(&mut reader)), ["a", " ", "b"]);
    }

    #[test]
    fn entries_come_once_the_dialect_is_known() {
        let mut reader = ListingReader::new(now());
        for i in 1..SAMPLE {
            reader.handle_data(format!("{UNIX}{i}\r\n").as_bytes());
            assert_eq!(reader.poll_entry(), None);
        }
        reader.handle_data(format!("{UNIX}last\r").as_bytes());
        assert_eq!((reader.poll_entry(), reader.dialect()), (None, None));
        reader.handle_data(b"\n");
        assert_eq!(drain(&mut reader).len(), SAMPLE);
        assert_eq!(reader.dialect(), Some(Dialect::Unix));
        reader.handle_data(format!("{UNIX}more\n{UNIX}cut").as_bytes());
        assert_eq!(names(&drain(&mut reader)), ["more"]);
        reader.handle_eof();
        assert_eq!(names(&drain(&mut reader)), ["cut"]);
    }

    #[test]
    fn a_long_banner_does_not_hide_the_dialect() {
        let mut lines = vec!["Welcome!".to_owned(); 3 * SAMPLE + 1];
        lines.push(format!("{UNIX}a"));
        let got = parse(lines, now());
        assert_eq!(got.len(), 3 * SAMPLE + 2);
        assert_eq!(names(&got).last().unwrap(), "a");
    }

    #[test]
    fn an_endless_line_is_cut_and_told() {
        let mut bytes = format!("{UNIX}a\n{UNIX}").into_bytes();
        bytes.resize(1_000_000, b'x');
        bytes.extend_from_slice(format!("\n{UNIX}b\n").as_bytes());
        let got = read_in(&bytes, 4096);
        assert_eq!(got.len(), 3);
        let cut = got[1].as_ref().unwrap_err();
        assert!(cut.overlong && cut.raw.len() == MAX_LISTING_LINE);
        assert!(cut.to_string().len() < 300 && cut.to_string().ends_with("..."));
        let whole = vec![b'x'; MAX_LISTING_LINE];
        assert!(!read_in(&whole, 999)[0].as_ref().unwrap_err().overlong);
    }

    #[test]
    fn ends_of_lines() {
        let bytes = format!("{UNIX}a\r\n{UNIX}b\n\r\n\r\r\n{UNIX}c\r\r\n{UNIX}d\re");
        assert_eq!(names(&read_in(bytes.as_bytes(), 7)), ["a", "b", "c", "d\\x0de"]);
    }

    #[test]
    fn errors_show_no_control_bytes() {
        let got = parse(["\x1b[2J"], now());
        let error = got[0].as_ref().unwrap_err();
        assert_eq!(error.to_string(), "the server's listing has a line that cannot be read: \\x1b[2J");
        assert_eq!(format!("{error:?}"), r#"Unreadable { raw: "\x1b[2J", overlong: false }"#);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing_and_no_line_is_lost(
            lines in proptest::collection::vec(
                prop_oneof![
                    Just(format!("{UNIX}a")),
                    Just(format!("{DOS}b")),
                    Just("type=file;size=5; c".to_owned()),
                    // Lines of blanks alone are names in one dialect and nothing in the others.
                    "[!-~]\\PC{0,8}",
                ],
                0..60,
            ),
            chunk in 1usize..200,
        ) {
            let bytes: Vec<u8> = lines.iter().flat_map(|l| [l.as_bytes(), b"\r\n"].concat()).collect();
            let whole = read_in(&bytes, usize::MAX);
            prop_assert_eq!(&read_in(&bytes, chunk), &whole);
            let raw: Vec<&[u8]> = whole.iter().map(|r| r.as_ref().map_or_else(|e| e.raw.as_slice(), |e| &e.raw)).collect();
            let want: Vec<&[u8]> = lines.iter().map(|l| l.as_bytes()).collect();
            prop_assert_eq!(raw, want);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, chunk in 1usize..99) {
            prop_assert_eq!(read_in(&bytes, chunk), read_in(&bytes, usize::MAX));
        }
    }
}
