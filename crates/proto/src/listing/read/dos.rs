//! LIST as IIS and other servers on Windows send it: lines like those of `dir`.
//!
//! The shapes are known from FileZilla's and Apache Commons Net's test data, lftp, curl and Indy: years of two and four digits,
//! clocks of 12 and 24 hours, sizes with marks between thousands, links.

use super::clock::Clock;
use super::columns::{Columns, begins, contains};
use super::date::stamp;
use super::line::{Context, Line, directory, heading};
use super::size::Size;
use crate::listing::{Entry, EntryKind};

/// `<DIR>` or `<JUNCTION>` and the blanks behind it have as many columns as this.
const KIND_WIDTH: usize = 15;

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    let entry = Parts::of(line, context).and_then(|parts| parts.entry(KIND_WIDTH));
    Line::of(entry).or_else(|| if is_heading(line) { Line::Heading } else { heading(line, context) })
}

/// `date time [AM|PM] size name`, or `date time [AM|PM] <DIR> name`.
pub(super) struct Parts<'a> {
    modified: crate::listing::Modified,
    columns: Columns<'a>,
    /// Where the size or the kind is among them.
    at: usize,
    /// Whether the clock has 12 hours.
    pub(super) has_halves: bool,
    /// How many bytes stand before the size or the kind, and up to its end.
    pub(super) span: (usize, usize),
}

impl<'a> Parts<'a> {
    pub(super) fn of(line: &'a [u8], context: &mut Context) -> Option<Parts<'a>> {
        let columns = Columns::of(line, 4);
        let (&[day, time], rest) = columns.texts.split_first_chunk()?;
        let date = context.orders.read(day)?;
        let clock = Clock::read(time)?;
        let (clock, at) = match rest.first().and_then(|half| clock.half(half)) {
            Some(clock) => (clock, 3),
            None => (clock, 2),
        };
        let has_halves = at == 3 || time.last().is_some_and(u8::is_ascii_alphabetic);
        let span = columns.span(at, line)?;
        Some(Parts { modified: stamp(date, Some(clock), None)?, columns, at, has_halves, span })
    }

    /// What the size or the kind says, if it is a kind.
    pub(super) fn kind(&self) -> Option<&'a [u8]> {
        self.columns.texts.get(self.at)?.strip_prefix(b"<")?.strip_suffix(b">")
    }

    /// The entry, where names stand so many columns behind the beginning of a kind.
    pub(super) fn entry(&self, kind_width: usize) -> Option<Entry> {
        let what = *self.columns.texts.get(self.at)?;
        let entry = match self.kind() {
            Some(kind) => {
                // Names stand in one column, whatever is before them: what is more blank than that belongs to the name.
                let name = self.columns.behind(self.at, kind_width.saturating_sub(what.len()));
                match kind.to_ascii_uppercase().as_slice() {
                    b"DIR" => directory(name),
                    b"JUNCTION" | b"SYMLINK" | b"SYMLINKD" | b"MOUNTPOINT" => link(name)?,
                    _ => return None,
                }
            }
            None => {
                let (size, rough_size) = Size::read(what)?.parts();
                Entry { size, rough_size, ..Entry::new(EntryKind::File, self.columns.behind(self.at, 1)) }
            }
        };
        (!entry.name.is_empty()).then_some(Entry { modified: Some(self.modified), ..entry })
    }
}

/// What `dir` says before and behind the files: ` Volume in drive C has no label.`, ` Directory of C:\`,
/// `  3 File(s)  1,234 bytes`.
fn is_heading(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    begins(line, b"volume in drive ")
        || begins(line, b"volume serial number ")
        || begins(line, b"directory of ")
        || (line.first().is_some_and(u8::is_ascii_digit) && (contains(line, b" file(s)") || contains(line, b" dir(s)")))
}

/// `name [target]`.
fn link(text: &[u8]) -> Option<Entry> {
    let at = text.ends_with(b"]").then(|| text.windows(2).position(|two| two == b" [")).flatten();
    let (name, target) = match at.and_then(|at| text.split_at_checked(at)) {
        Some((name, rest)) => (name, rest.strip_prefix(b" [").and_then(|rest| rest.strip_suffix(b"]"))),
        None => (text, None),
    };
    let target = target.map(<[u8]>::to_vec);
    (!name.is_empty()).then(|| Entry { target, ..Entry::new(EntryKind::Symlink, name) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listing::read::date::Orders;

    fn context() -> Context {
        Context { now: jiff::Timestamp::UNIX_EPOCH, orders: Orders::ALL, is_first: false }
    }

    /// An entry as `kind size name target date`, with `-` for what is not told.
    fn show(line: &str) -> Option<String> {
        let Line::Entry(e) = read(line.as_bytes(), &mut context()) else { return None };
        let text = |t: &[u8]| String::from_utf8(t.to_vec()).unwrap();
        let size = e.size.map_or("-".to_owned(), |n| n.to_string());
        let target = e.target.as_deref().map_or("-".to_owned(), text);
        Some(format!("{:?} {size} [{}] {target} {}", e.kind, text(&e.name), e.modified.unwrap().at))
    }

    #[test]
    fn what_servers_on_windows_send() {
        for (line, want) in [
            ("04-27-00  12:09PM       <DIR>          pub dir", "Directory - [pub dir] - 2000-04-27T12:09:00Z"),
            ("04-14-99  03:47PM                  589 readme.txt", "File 589 [readme.txt] - 1999-04-14T15:47:00Z"),
            ("04-14-2003  12:05AM                0 empty", "File 0 [empty] - 2003-04-14T00:05:00Z"),
            ("2002-09-02  18:48       <DIR>          dir", "Directory - [dir] - 2002-09-02T18:48:00Z"),
            ("2002-09-02  19:06                9,730 file", "File 9730 [file] - 2002-09-02T19:06:00Z"),
            ("09/02/2002  06:48 PM    <DIR>          dir", "Directory - [dir] - 2002-09-02T18:48:00Z"),
            ("09/02/2002  06:48 AM            34,034 file", "File 34034 [file] - 2002-09-02T06:48:00Z"),
            ("02.09.2002  18:48             1.234.567 datei", "File 1234567 [datei] - 2002-09-02T18:48:00Z"),
            ("27/04/2000  12:09                  589 british", "File 589 [british] - 2000-04-27T12:09:00Z"),
            ("04-27-00  12:09p         <DIR>         short", "Directory - [short] - 2000-04-27T12:09:00Z"),
            ("04-27-00  12:09PM       <DIR>          .", "CurrentDirectory - [.] - 2000-04-27T12:09:00Z"),
            ("04-27-00  12:09PM       <DIR>          ..", "ParentDirectory - [..] - 2000-04-27T12:09:00Z"),
            (
                r"04-27-00  12:09PM       <JUNCTION>     data [D:\data]",
                r"Symlink - [data] D:\data 2000-04-27T12:09:00Z",
            ),
            ("04-27-00  12:09PM       <SYMLINKD>     link", "Symlink - [link] - 2000-04-27T12:09:00Z"),
        ] {
            assert_eq!(show(line).as_deref(), Some(want), "{line}");
        }
    }

    #[test]
    fn names_may_begin_with_blanks() {
        let name = |line: &str| show(line).unwrap().split_once('[').unwrap().1.split_once(']').unwrap().0.to_owned();
        assert_eq!(name("04-27-00  12:09PM       <DIR>            two"), "  two");
        assert_eq!(name("04-27-00  12:09PM       <DIR> one"), "one");
        assert_eq!(name("04-14-00  03:47PM                  589   two"), "  two");
    }

    #[test]
    fn foreign_lines() {
        for line in [
            "",
            "total 12",
            "-rw-r--r--   1 ftp ftp 1715 Apr 30 09:05 readme.txt",
            "04-27-00  12:09PM",
            "04-27-00  12:09PM       <DIR>",
            "04-27-00  12:09PM       589",
            "04-27-00  12:09PM       <WHAT>         x",
            "04-27-00  12:09XM                  589 x",
            "13-32-00  12:09PM                  589 x",
            "04-27-00  25:09                    589 x",
            "04-27-00  12:09PM                 many x",
        ] {
            assert_eq!(read(line.as_bytes(), &mut context()), Line::Foreign, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &mut context());
        }

        #[test]
        fn nothing_like_a_line_panics(text in "[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4} +[0-9:]{1,6}[AP]?M? +(<DIR>|[0-9,.]{0,9}|<JUNCTION>) {0,12}.{0,9}\\]?") {
            let _ = read(text.as_bytes(), &mut context());
        }
    }
}
