//! LIST as Unix servers send it, and all that imitate them: lines like those of `ls -l`.
//!
//! The shapes are known from FileZilla's test data (dates of many kinds, joined and rounded sizes, numbers for everything),
//! Apache Commons Net (blanks in accounts, devices of FreeBSD and Solaris), lftp and NFTP (WebSTAR, NetPresenz and other
//! servers of the Mac), Indy (`ls -s`, `ls -i`), Cyberduck (access lists) and the manuals of GNU ls and of z/OS UNIX, whose HFS
//! is listed so.

use super::columns::{Columns, contains, is_number, joined, number, radix, split_once};
use super::line::{Context, Line, directory, heading};
use super::size::Size;
use super::when;
use crate::listing::{Entry, EntryKind, Modified, Precision};

/// The column at which a date may begin, the usual one first: behind `links owner group size`, without a group, with a blank
/// in an owner or a device's two numbers, and so on.
const DATE_AT: [usize; 12] = [4, 3, 5, 2, 1, 6, 7, 8, 9, 10, 11, 12];

/// So many columns behind the permissions are looked at: those before a date, and the longest date.
const MOST_COLUMNS: usize = 12 + 4;

/// The word with which `ls` begins a listing, in the languages that servers speak.
const TOTAL: [&str; 20] = [
    "total",
    "totale",
    "totaal",
    "totalt",
    "gesamt",
    "insgesamt",
    "celkem",
    "razem",
    "yhteensä",
    "összesen",
    "toplam",
    "spolu",
    "σύνολο",
    "итого",
    "всего",
    "загалом",
    "合計",
    "合计",
    "总用量",
    "합계",
];

/// What `ls` says, behind a colon, of what it cannot read.
const ERRORS: [&[u8]; 9] = [
    b": permission denied",
    b": no such file or directory",
    b": not a directory",
    b": operation not permitted",
    b": input/output error",
    b": too many levels of symbolic links",
    b": value too large for defined data type",
    b": stale file handle",
    b": file not found",
];

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    Line::of(long(line, context).or_else(|| numbers(line))).or_else(|| {
        let columns = Columns::of(line, 3);
        if is_total(&columns.texts) || is_error(line) { Line::Heading } else { heading(line, context) }
    })
}

/// A line of `ls -l`.
fn long(line: &[u8], context: &mut Context) -> Option<Entry> {
    let Begin { kind, mode, permissions, rest } = begin(line)?;
    let columns = Columns::of(rest, MOST_COLUMNS);
    let find = |is_joined: bool, context: &mut Context| {
        DATE_AT.into_iter().find_map(|at| {
            let mut trial = *context;
            let found = entry(&columns, kind, at, is_joined, &mut trial)?;
            *context = trial;
            Some(found)
        })
    };
    // A size that touches the column before it is a guess: only where no column is a size by itself.
    let found = find(false, context).or_else(|| find(true, context)).or_else(|| unknown(&columns, kind))?;
    Some(Entry { mode, permissions: Some(permissions.to_vec()), ..found })
}

/// What a line begins with.
struct Begin<'a> {
    kind: EntryKind,
    mode: Option<u32>,
    /// The permissions as they are written.
    permissions: &'a [u8],
    rest: &'a [u8],
}

/// Reads `-rw-r--r--`, with marks of access lists and the like behind it (`+ . @`), and perhaps the numbers of an inode and of
/// blocks before it (`ls -i`, `ls -s`).
fn begin(line: &[u8]) -> Option<Begin<'_>> {
    let mut line = line.trim_ascii_start();
    for _ in 0..2 {
        let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
        line = line.get(digits..)?.trim_ascii_start();
    }
    let (kind, mode) = bits(line.get(..10)?)?;
    let marks = line.get(10..)?.iter().take_while(|b| matches!(b, b'+' | b'.' | b'@' | b'*')).count();
    let (permissions, rest) = line.split_at_checked(10 + marks)?;
    // Links that have no room touch the marks: `drwxr-x---+1464`.
    let ends = rest.first().is_some_and(|&b| b == b' ' || b == b'\t' || (marks > 0 && b.is_ascii_digit()));
    ends.then_some(Begin { kind, mode, permissions, rest })
}

/// What an entry is, and its permission bits; those are not told by `?????????`.
fn bits(text: &[u8]) -> Option<(EntryKind, Option<u32>)> {
    let (&kind, bits) = text.split_first()?;
    let kind = match kind {
        b'-' | b'f' => EntryKind::File,
        b'd' => EntryKind::Directory,
        b'l' => EntryKind::Symlink,
        // Devices, pipes and sockets; doors and ports of Solaris; network files of HP-UX; external links of z/OS; whiteouts.
        b'b' | b'c' | b'p' | b's' | b'D' | b'P' | b'n' | b'e' | b'w' | b'?' => EntryKind::Other,
        _ => return None,
    };
    if bits == b"?????????" {
        return Some((kind, None));
    }
    let mut mode = 0;
    for (place, &letter) in bits.iter().enumerate() {
        let bit = 0o400 >> place;
        // setuid, setgid and sticky share a place with the execute bit of their three.
        let special = 0o4000 >> (place / 3);
        mode |= match (place % 3, letter) {
            (_, b'-') => 0,
            (0, b'r' | b'R') | (1, b'w' | b'W') | (2, b'x' | b'X') => bit,
            (2, b's' | b't') => bit | special,
            (2, b'S' | b'T' | b'l' | b'L') => special,
            _ => return None,
        };
    }
    Some((kind, Some(mode)))
}

/// The entry, if the date begins at column `at` and a size stands before it.
fn entry(columns: &Columns<'_>, kind: EntryKind, at: usize, is_joined: bool, context: &mut Context) -> Option<Entry> {
    let before = columns.texts.get(..at)?;
    let (size, rough_size, accounts, touched) = if is_joined {
        let (&last, before) = before.split_last()?;
        let (name, size) = Size::joined(last)?;
        (None, size.parts().1, before, Some(name))
    } else if kind == EntryKind::Other
        && let Some(accounts) = before_device(before)
    {
        (None, None, accounts, None)
    } else {
        let (size, accounts) = Size::last_of(before)?;
        let (exact, rough) = size.parts();
        (exact, rough, accounts, None)
    };
    let date = when::read(columns.from(at), context)?;
    let last = (at + date.columns).checked_sub(1)?;
    // A year is as wide as a time of day where a blank stands before it. Servers with one blank before both have two behind
    // a year, so that the names begin in one column.
    let narrow = date.ends_with_year && columns.blanks_behind(last.checked_sub(1)?) == 1;
    let text = columns.behind(last, date.blanks + usize::from(narrow));
    let mut entry = named(kind, text, size)?;
    (entry.size, entry.rough_size, entry.modified) = (size, rough_size, Some(date.modified));
    fill_accounts(&mut entry, accounts, touched);
    Some(entry)
}

/// What the columns behind the permissions say where `ls` could find out nothing: `?  ? ?  ?  ? name`.
fn unknown(columns: &Columns<'_>, kind: EntryKind) -> Option<Entry> {
    let marks = columns.texts.iter().take(5).take_while(|&&column| column == b"?").count();
    if marks < 4 { None } else { named(kind, columns.behind(marks - 1, 1), None) }
}

/// An entry by what stands behind the date.
fn named(kind: EntryKind, text: &[u8], size: Option<u64>) -> Option<Entry> {
    if text.is_empty() {
        return None;
    }
    Some(match kind {
        EntryKind::Symlink => {
            let (name, target) = link(text, size);
            Entry { target: target.map(<[u8]>::to_vec), ..Entry::new(kind, name) }
        }
        // A mark of `ls -F`.
        EntryKind::Directory => directory(text.strip_suffix(b"/").filter(|name| !name.is_empty()).unwrap_or(text)),
        _ => Entry::new(kind, text),
    })
}

/// The number of links, the owner and the group: any of them may be missing, and a group may have blanks in it.
fn fill_accounts(entry: &mut Entry, columns: &[&[u8]], touched: Option<&[u8]>) {
    // Servers of the Mac have three sizes: of the resources, of the data, of both. Or the word `folder`.
    let size = entry.size;
    match (columns, touched) {
        (&[resources, data], None)
            if number(resources).zip(number(data)).is_some_and(|(a, b)| a.checked_add(b) == size) =>
        {
            return;
        }
        (&[b"folder"], None) if entry.is_directory() => return,
        _ => {}
    }
    let (links, rest) = match columns.split_first() {
        Some((first, rest)) if is_number(first) => (number(first), rest),
        _ => (None, columns),
    };
    entry.links = links;
    let all: Vec<&[u8]> = rest.iter().copied().chain(touched).collect();
    if let Some((owner, group)) = all.split_first() {
        entry.owner = Some(owner.to_vec());
        entry.group = joined(group);
    }
}

/// The columns before the numbers of a device, which stand in the place of a size: `8,` and `1`, or `8,1`.
fn before_device<'a, 'b>(before: &'a [&'b [u8]]) -> Option<&'a [&'b [u8]]> {
    let (last, others) = before.split_last()?;
    if let Some((major, minor)) = split_once(last, b',') {
        return (is_number(major) && is_number(minor)).then_some(others);
    }
    let (major, others) = others.split_last()?;
    (is_number(last) && is_number(major.strip_suffix(b",")?)).then_some(others)
}

/// `name -> target`. A name may hold ` -> ` as well: the size of a link is the length of its target, which tells the one
/// that parts them from the others; where it does not, the first parts them.
fn link(text: &[u8], size: Option<u64>) -> (&[u8], Option<&[u8]>) {
    const ARROW: &[u8] = b" -> ";
    let parts = |at: usize| Some((text.get(..at)?, text.get(at + ARROW.len()..)?)).filter(|(name, _)| !name.is_empty());
    let mut found = None;
    for at in text.windows(ARROW.len()).enumerate().filter(|(_, w)| *w == ARROW).map(|(at, _)| at) {
        if let Some((name, target)) = parts(at) {
            if size == Some(target.len() as u64) {
                return (name, Some(target));
            }
            found = found.or(Some((name, target)));
        }
    }
    found.map_or((text, None), |(name, target)| (name, Some(target)))
}

/// A line with numbers for everything: `0100644 500 101 1715 1115068020 name`, the mode in octal, the time in seconds since
/// 1970.
fn numbers(line: &[u8]) -> Option<Entry> {
    let columns = Columns::of(line, 5);
    let &[mode, owner, group, size, time] = columns.texts.as_slice() else { return None };
    if !(5..=7).contains(&mode.len()) || !is_number(owner) || !is_number(group) {
        return None;
    }
    let mode = u32::try_from(radix(mode, 8)?).ok()?;
    let kind = match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        0o010_000 | 0o020_000 | 0o060_000 | 0o140_000 => EntryKind::Other,
        _ => return None,
    };
    let at = jiff::Timestamp::from_second(i64::try_from(number(time)?).ok()?).ok()?;
    let name = columns.behind(4, usize::MAX);
    Some(Entry {
        size: Some(number(size)?),
        modified: Some(Modified { at, precision: Precision::Second, utc: true }),
        mode: Some(mode & 0o7777),
        permissions: columns.texts.first().map(|mode| mode.to_vec()),
        owner: Some(owner.to_vec()),
        group: Some(group.to_vec()),
        ..named(kind, name, number(size))?
    })
}

/// `total 12`, `total 12K`, `insgesamt 12`.
fn is_total(columns: &[&[u8]]) -> bool {
    let [word, size] = columns else { return false };
    let word = String::from_utf8_lossy(word).to_lowercase();
    TOTAL.contains(&word.trim_end_matches(':')) && Size::read(size).is_some()
}

/// `ls: x: Permission denied`, `/bin/ls: cannot open directory 'x'`, `x: No such file or directory`.
fn is_error(line: &[u8]) -> bool {
    let (first, rest) =
        line.split_at_checked(line.iter().position(|&b| b == b' ').unwrap_or(line.len())).unwrap_or_default();
    let from_ls = first == b"ls:" || first.ends_with(b"/ls:");
    (from_ls && !rest.is_empty())
        || ERRORS.iter().any(|error| line.len() > error.len() && contains(tail(line, error.len()), error))
}

/// The last bytes of a line.
fn tail(line: &[u8], len: usize) -> &[u8] {
    line.get(line.len().saturating_sub(len)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::listing::read::date::Orders;
    use crate::listing::{ListOptions, write_long};
    use crate::text::Shown;

    const NOW: &str = "2005-05-02T21:07:00Z";

    fn parse(line: &[u8]) -> Line {
        read(line, &mut Context { now: NOW.parse().unwrap(), orders: Orders::ALL, is_first: false })
    }

    fn parsed(line: &[u8]) -> Entry {
        match parse(line) {
            Line::Entry(entry) => *entry,
            _ => panic!("not read: {}", Shown(line)),
        }
    }

    #[test]
    fn names_are_what_stands_behind_one_blank() {
        let name = |line: &str| String::from_utf8(parsed(line.as_bytes()).name).unwrap();
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05  two before"), " two before");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05 two after  "), "two after  ");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05   "), "  ");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05 2004"), "2004");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30  2004 09:05"), "09:05");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05 7 May 1 2003 x"), "7 May 1 2003 x");
        assert_eq!(name("-rw-r--r-- 1 mar 15 2048 Apr 30 09:05 x"), "x");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05 a -> b"), "a -> b");
        assert_eq!(name("-rw-r--r-- 1 a b 5 Apr 30 09:05 ../../etc/passwd"), "../../etc/passwd");
    }

    #[test]
    fn an_arrow_in_the_name_of_a_link_is_told_by_the_size() {
        let link = |line: &str| {
            let e = parsed(line.as_bytes());
            (String::from_utf8(e.name).unwrap(), e.target.map(|t| String::from_utf8(t).unwrap()))
        };
        let both = |name: &str, target: &str| (name.to_owned(), Some(target.to_owned()));
        assert_eq!(link("lrwxrwxrwx 1 a b 1 Apr 30 09:05 x -> y -> z"), both("x -> y", "z"));
        assert_eq!(link("lrwxrwxrwx 1 a b 6 Apr 30 09:05 x -> y -> z"), both("x", "y -> z"));
        assert_eq!(link("lrwxrwxrwx 1 a b 99 Apr 30 09:05 x -> y -> z"), both("x", "y -> z"));
        assert_eq!(link("lrwxrwxrwx 1 a b 9 Apr 30 09:05 x"), ("x".to_owned(), None));
        assert_eq!(link("lrwxrwxrwx 1 a b 9 Apr 30 09:05  -> y"), (" -> y".to_owned(), None));
    }

    #[test]
    fn headings_and_foreign_lines() {
        for line in [
            "total 12",
            "total 0",
            "Total 12K",
            "insgesamt 12",
            "итого 12",
            "总用量 12",
            "total: 3",
            "/bin/ls: cannot open directory 'x'",
            "x: Permission denied",
        ] {
            assert_eq!(parse(line.as_bytes()), Line::Heading, "{line}");
        }
        for line in [
            "",
            "readme.txt",
            "total",
            "total eclipse",
            "songs 12",
            "04-27-00  12:09PM       <DIR>          dos",
            "type=file;size=5; mlsx",
            "-rw-r--r--",
            "-rw-r--r-- 1 a b 5",
            "-rw-r--r-- 1 a b 5 Apr 30 09:05",
            "-rw-r--r-- 1 a b 5 Apr 30 09:05 ",
            "-rw-r--r-- 1 a b x Apr 30 09:05 no size",
            "-rw-r--r-- 1 a b 5 Foo 30 09:05 no month",
            "-rw-r--r-- 1 a b 5 30 févr. 2004 no such day",
            "-rw-r--r-- 1 a b 512 no date",
            "-rw-r--q-- 1 a b 5 Apr 30 09:05 no bits",
            "xrw-r--r-- 1 a b 5 Apr 30 09:05 no kind",
        ] {
            assert_eq!(parse(line.as_bytes()), Line::Foreign, "{line}");
        }
    }

    fn word() -> impl Strategy<Value = Vec<u8>> {
        "[!-~]{1,12}|[0-9]{1,5}|jan|5".prop_map(String::into_bytes)
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b' '), Just(b'-'), Just(b'>'), any::<u8>()], 1..20)
            .prop_filter("no name on Unix, or a mark of ls", |n| {
                !n.iter().any(|b| matches!(b, b'/' | b'\r' | b'\n' | 0)) && n != b"." && n != b".."
            })
    }

    proptest! {
        #[test]
        fn written_lines_read_back(
            (kind, name, target) in (0u8..4, name(), name()),
            (owner, group) in (word(), word()),
            (size, links, mode) in (any::<u64>(), any::<u64>(), 0u32..0o10000),
            age in -400i64 * 86_400..4000 * 86_400,
        ) {
            let now: Timestamp = NOW.parse().unwrap();
            let at = Timestamp::from_second(now.as_second() - age).unwrap();
            let recent = (-60..=180 * 86_400).contains(&age);
            let (unit, precision) = if recent { (60, Precision::Minute) } else { (86_400, Precision::Day) };
            let told = Timestamp::from_second(at.as_second().div_euclid(unit) * unit).unwrap();
            let kind = [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Other][usize::from(kind)];
            let target = (kind == EntryKind::Symlink).then_some(target);
            let want = Entry {
                size: Some(target.as_ref().map_or(size, |t| t.len() as u64)),
                modified: Some(Modified { at: told, precision, utc: false }),
                mode: Some(mode),
                links: Some(links),
                owner: Some(owner),
                group: Some(group),
                target,
                ..Entry::new(kind, name)
            };
            // An arrow whose rest is as long as the target is no arrow that anybody could tell.
            if let Some(target) = &want.target {
                let text = [want.name.as_slice(), b" -> ", target].concat();
                prop_assume!(link(&text, want.size) == (want.name.as_slice(), Some(target.as_slice())));
            }
            let mut line = Vec::new();
            let written = Entry { modified: Some(Modified { at, ..want.modified.unwrap() }), ..want.clone() };
            write_long(&mut line, &written, &now.to_zoned(jiff::tz::TimeZone::UTC), ListOptions::default());
            let read = parsed(line.strip_suffix(b"\r\n").unwrap());
            prop_assert_eq!(read, Entry { permissions: line.get(..10).map(<[u8]>::to_vec), ..want });
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nothing_like_a_line_panics(
            text in "[-dlbc][rwxsStT-]{9}[+.]? {0,3}([a-z0-9,.]{0,9} ){0,5}(Jan|5|31|feb|2005-02-29|24:00|12:3|2004|8,| )*( -> | |x)*"
        ) {
            let _ = parse(text.as_bytes());
        }
    }
}
