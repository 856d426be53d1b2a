//! LIST as IIS and other servers on Windows send it: lines like those of `dir`.

use super::columns::{Columns, NoEntry};
use super::size::Size;
use super::when::{self, Clock};
use crate::listing::{Entry, EntryKind};

/// `<DIR>` or `<JUNCTION>` and the blanks behind it have as many columns as this.
const KIND_WIDTH: usize = 15;

pub(super) fn read(line: &[u8]) -> Result<Entry, NoEntry> {
    entry(line).ok_or(NoEntry::Foreign)
}

/// `date time [AM|PM] size name`, or `date time [AM|PM] <DIR> name`.
fn entry(line: &[u8]) -> Option<Entry> {
    let columns = Columns::of(line, 4);
    let (&[day, time], rest) = columns.texts.split_first_chunk()?;
    let date = when::numeric_date(day)?;
    let clock = Clock::read(time)?;
    let (clock, at) = match rest.first().and_then(|half| clock.half(half)) {
        Some(clock) => (clock, 3),
        None => (clock, 2),
    };
    let modified = Some(when::stamp(date, Some(clock), None)?);
    let what = *columns.texts.get(at)?;
    if let Some(kind) = what.strip_prefix(b"<").and_then(|kind| kind.strip_suffix(b">")) {
        // Names stand in one column, whatever is before them: what is more blank than that belongs to the name.
        let name = columns.behind(at, KIND_WIDTH.saturating_sub(what.len()));
        return match kind.to_ascii_uppercase().as_slice() {
            b"DIR" => Some(directory(name)?),
            b"JUNCTION" | b"SYMLINK" | b"SYMLINKD" => Some(link(name)?),
            _ => None,
        }
        .map(|entry| Entry { modified, ..entry });
    }
    let name = columns.behind(at, 1);
    let (size, rough_size) = Size::read(what)?.parts();
    (!name.is_empty()).then(|| Entry { size, rough_size, modified, ..Entry::new(EntryKind::File, name) })
}

fn directory(name: &[u8]) -> Option<Entry> {
    let kind = match name {
        b"" => return None,
        b"." => EntryKind::CurrentDirectory,
        b".." => EntryKind::ParentDirectory,
        _ => EntryKind::Directory,
    };
    Some(Entry::new(kind, name))
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

    /// An entry as `kind size name target date`, with `-` for what is not told.
    fn show(line: &str) -> Option<String> {
        let e = read(line.as_bytes()).ok()?;
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
        let name = |line: &str| String::from_utf8(read(line.as_bytes()).unwrap().name).unwrap();
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
            " Volume in drive C has no label.",
        ] {
            assert_eq!(read(line.as_bytes()), Err(NoEntry::Foreign), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn nothing_like_a_line_panics(text in "[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4} +[0-9:]{1,6}[AP]?M? +(<DIR>|[0-9,.]{0,9}|<JUNCTION>) {0,12}.{0,9}\\]?") {
            let _ = read(text.as_bytes());
        }
    }
}
