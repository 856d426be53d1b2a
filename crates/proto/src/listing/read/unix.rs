//! LIST as Unix servers send it, and all that imitate them: lines like those of `ls -l`.

use jiff::Timestamp;

use super::columns::{Columns, NoEntry};
use super::size::Size;
use super::when;
use crate::listing::{Entry, EntryKind};

/// The column at which a date may begin, the usual one first: behind `perms links owner group size`, without a group, with a
/// blank in an owner or a device's two numbers, and so on.
const DATE_AT: [usize; 8] = [5, 4, 6, 3, 2, 7, 8, 9];

/// So many columns are looked at: nine before a date, and the longest date.
const MOST_COLUMNS: usize = 9 + 4;

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

pub(super) fn read(line: &[u8], now: Timestamp) -> Result<Entry, NoEntry> {
    let columns = Columns::of(line, MOST_COLUMNS);
    let Some((kind, mode)) = columns.texts.first().and_then(|column| permissions(column)) else {
        return Err(if is_total(&columns.texts) { NoEntry::Heading } else { NoEntry::Foreign });
    };
    // A size that touches the column before it is a guess: only where no column is a size by itself.
    let apart = || DATE_AT.into_iter().find_map(|at| entry(&columns, kind, at, false, now));
    let joined = || DATE_AT.into_iter().find_map(|at| entry(&columns, kind, at, true, now));
    let found = apart().or_else(joined).ok_or(NoEntry::Foreign)?;
    Ok(Entry { mode: Some(mode), ..found })
}

/// The entry, if the date begins at column `at` and a size stands before it.
fn entry(columns: &Columns<'_>, kind: EntryKind, at: usize, joined: bool, now: Timestamp) -> Option<Entry> {
    let (&last, mut before) = columns.texts.get(1..at)?.split_last()?;
    let mut touched = None;
    let (mut size, mut rough_size) = (None, None);
    if joined {
        let (name, touching) = Size::joined(last)?;
        touched = Some(name);
        (size, rough_size) = touching.parts();
    } else if kind == EntryKind::Other && is_device(before, last) {
        // Two numbers in the place of a size, `8, 1` or `8,1`.
        if let Some((major, others)) = before.split_last()
            && major.ends_with(b",")
        {
            before = others;
        }
    } else {
        (size, rough_size) = Size::read(last)?.parts();
    }
    let date = when::read(columns.from(at), now)?;
    let text = columns.behind((at + date.columns).checked_sub(1)?, date.blanks);
    let (name, target) = match kind {
        EntryKind::Symlink => link(text, size),
        // A mark of `ls -F`.
        EntryKind::Directory => (text.strip_suffix(b"/").unwrap_or(text), None),
        _ => (text, None),
    };
    let kind = match (kind, name) {
        (_, b"") => return None,
        (EntryKind::Directory, b".") => EntryKind::CurrentDirectory,
        (EntryKind::Directory, b"..") => EntryKind::ParentDirectory,
        (kind, _) => kind,
    };
    let mut entry = Entry { size, rough_size, modified: Some(date.modified), ..Entry::new(kind, name) };
    entry.target = target.map(<[u8]>::to_vec);
    accounts(&mut entry, before.iter().copied().chain(touched));
    Some(entry)
}

/// The number of links, the owner and the group: any of them may be missing, and a group may have blanks in it.
fn accounts<'a>(entry: &mut Entry, columns: impl Iterator<Item = &'a [u8]>) {
    let mut columns = columns.peekable();
    let links = |column: &&[u8]| std::str::from_utf8(column).ok().and_then(|text| text.parse().ok());
    entry.links = columns.peek().and_then(links);
    if entry.links.is_some() {
        columns.next();
    }
    entry.owner = columns.next().map(<[u8]>::to_vec);
    for column in columns {
        match &mut entry.group {
            None => entry.group = Some(column.to_vec()),
            Some(group) => {
                group.push(b' ');
                group.extend_from_slice(column);
            }
        }
    }
}

/// What an entry is and its permission bits: `-rw-r--r--`, with marks of access lists and the like behind it (`+ . @`).
fn permissions(column: &[u8]) -> Option<(EntryKind, u32)> {
    let (&[kind, ref bits @ ..], marks) = column.split_first_chunk::<10>()?;
    if !marks.iter().all(|b| matches!(b, b'+' | b'.' | b'@' | b'*')) {
        return None;
    }
    let kind = match kind {
        b'-' => EntryKind::File,
        b'd' => EntryKind::Directory,
        b'l' => EntryKind::Symlink,
        b'b' | b'c' | b'p' | b's' | b'D' | b'P' | b'n' | b'?' => EntryKind::Other,
        _ => return None,
    };
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
    Some((kind, mode))
}

/// Whether the numbers of a device stand before the date: `8,` and `1`, or `8,1`.
fn is_device(before: &[&[u8]], last: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match last.iter().position(|&b| b == b',').and_then(|at| last.split_at_checked(at)) {
        Some((major, minor)) => digits(major) && minor.strip_prefix(b",").is_some_and(digits),
        None => digits(last) && before.last().and_then(|column| column.strip_suffix(b",")).is_some_and(digits),
    }
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

/// `total 12`, `total 12K`, `insgesamt 12`.
fn is_total(columns: &[&[u8]]) -> bool {
    let [word, size] = columns else { return false };
    let word = String::from_utf8_lossy(word).to_lowercase();
    TOTAL.contains(&word.trim_end_matches(':')) && Size::read(size).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listing::{ListOptions, Modified, Precision, write_long};
    use crate::text::Shown;

    const NOW: &str = "2005-05-02T21:07:00Z";

    fn parse(line: &[u8]) -> Result<Entry, NoEntry> {
        read(line, NOW.parse().unwrap())
    }

    /// An entry as `kind mode links owner group size name target date`, with `-` for what is not told.
    fn show(line: &str) -> String {
        let e = parse(line.as_bytes()).unwrap_or_else(|_| panic!("not read: {line}"));
        let text = |t: &Option<Vec<u8>>| t.as_ref().map_or("-".into(), |t| Shown(t).to_string());
        let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
        let size = e.rough_size.map_or_else(|| number(e.size), |about| format!("~{about}"));
        let date = e.modified.unwrap().at.to_string();
        format!(
            "{:?} {:o} {} {} {} {size} [{}] {} {}",
            e.kind,
            e.mode.unwrap(),
            number(e.links),
            text(&e.owner),
            text(&e.group),
            Shown(&e.name),
            text(&e.target),
            date.trim_end_matches(":00Z"),
        )
    }

    #[test]
    fn what_ls_writes() {
        for (line, want) in [
            (
                "-rw-r--r--   1 ftp      ftp          1715 Apr 30 09:05 readme.txt",
                "File 644 1 ftp ftp 1715 [readme.txt] - 2005-04-30T09:05",
            ),
            (
                "drwxr-xr-x  12 root     root         4096 Jan  2  2004 pub",
                "Directory 755 12 root root 4096 [pub] - 2004-01-02T00:00",
            ),
            (
                "lrwxrwxrwx   1 0        0               7 Dec 31 23:59 latest -> pub/1.0",
                "Symlink 777 1 0 0 7 [latest] pub/1.0 2004-12-31T23:59",
            ),
            (
                "drwxrwxrwt   9 root     wheel         512 Nov 11 11:11 .",
                "CurrentDirectory 1777 9 root wheel 512 [.] - 2004-11-11T11:11",
            ),
            (
                "drwxr-sr-x   9 root     wheel         512 Nov 11 11:11 ..",
                "ParentDirectory 2755 9 root wheel 512 [..] - 2004-11-11T11:11",
            ),
            ("-rwSr--r-T   1 a b 0 Nov 11 11:11 odd bits", "File 5644 1 a b 0 [odd bits] - 2004-11-11T11:11"),
            ("-rw-r--r--+  1 a b 5 Nov 11 11:11 acl", "File 644 1 a b 5 [acl] - 2004-11-11T11:11"),
            ("-rw-r--r--.  1 a b 5 Nov 11 11:11 selinux", "File 644 1 a b 5 [selinux] - 2004-11-11T11:11"),
            ("drwxr-xr-x@  1 a b 5 Nov 11 11:11 Library/", "Directory 755 1 a b 5 [Library] - 2004-11-11T11:11"),
            (
                "brw-rw----   1 root disk      8,   1 Nov 11 11:11 sda1",
                "Other 660 1 root disk - [sda1] - 2004-11-11T11:11",
            ),
            ("crw-rw-rw-   1 root root 1,3 Nov 11 11:11 null", "Other 666 1 root root - [null] - 2004-11-11T11:11"),
            ("prw-------   1 a b 0 Nov 11 11:11 fifo", "Other 600 1 a b 0 [fifo] - 2004-11-11T11:11"),
            ("-rw-r--r--   1 a b 5 2005-04-30 09:05 long-iso", "File 644 1 a b 5 [long-iso] - 2005-04-30T09:05"),
            (
                "-rw-r--r--   1 a b 5 2005-04-30 09:05:00.000000000 +0200 full-iso",
                "File 644 1 a b 5 [full-iso] - 2005-04-30T07:05",
            ),
            ("-rw-r--r--   1 a b 5 04-30 09:05 iso", "File 644 1 a b 5 [iso] - 2005-04-30T09:05"),
            ("-rw-r--r--   1 a b 5 2003-04-30  iso", "File 644 1 a b 5 [iso] - 2003-04-30T00:00"),
            ("-rw-r--r--   1 a b 5 Apr 30 09:05:00 2005 bsd -T", "File 644 1 a b 5 [bsd -T] - 2005-04-30T09:05"),
        ] {
            assert_eq!(show(line), want, "{line}");
        }
    }

    #[test]
    fn what_others_make_of_it() {
        for (line, want) in [
            (
                "-rw-r--r--   1 alice         1715 Apr 30 09:05 no group",
                "File 644 1 alice - 1715 [no group] - 2005-04-30T09:05",
            ),
            ("-rw-r--r--   1715 Apr 30 09:05 bare", "File 644 - - - 1715 [bare] - 2005-04-30T09:05"),
            (
                "-rw-r--r--   alice users 1715 Apr 30 09:05 no links",
                "File 644 - alice users 1715 [no links] - 2005-04-30T09:05",
            ),
            (
                "drwxrwxr-x               folder        2 May 10  1996 mac",
                "Directory 775 - folder - 2 [mac] - 1996-05-10T00:00",
            ),
            (
                "-rw-r--r--   1 alice domain users 1715 Apr 30 09:05 two words",
                "File 644 1 alice domain users 1715 [two words] - 2005-04-30T09:05",
            ),
            (
                "-rw-r--r--   1 www-data www-data1715 Apr 30 09:05 touching",
                "File 644 1 www-data www-data ~1715 [touching] - 2005-04-30T09:05",
            ),
            (
                "-rw-r--r--   1 averylongname1715 Apr 30 09:05 touching",
                "File 644 1 averylongname - ~1715 [touching] - 2005-04-30T09:05",
            ),
            ("-rw-r--r--   1 a b 33.5k Apr 30 09:05 rounded", "File 644 1 a b ~34304 [rounded] - 2005-04-30T09:05"),
            (
                "-rw-r--r--   1 a b 1,234,567 Apr 30 09:05 grouped",
                "File 644 1 a b 1234567 [grouped] - 2005-04-30T09:05",
            ),
            ("-rw-r--r--   1 a b 5 30 Apr 09:05 day first", "File 644 1 a b 5 [day first] - 2005-04-30T09:05"),
            ("-rw-r--r--   1 a b 5 30. Juli, 20:10 german", "File 644 1 a b 5 [german] - 2004-07-30T20:10"),
            ("-rw-r--r--   1 a b 5 30 févr. 2004 nonsense", "NOT"),
            ("-rw-r--r--   1 a b 5 2003   9/23 17:45 year first", "File 644 1 a b 5 [year first] - 2003-09-23T17:45"),
            ("-rw-r--r--   1 a b 5 Apr 30 24:00 midnight", "File 644 1 a b 5 [midnight] - 2005-05-01T00:00"),
            ("-rw-r--r--   1 a b 5 Dez 24  2004 german", "File 644 1 a b 5 [german] - 2004-12-24T00:00"),
            ("-rw-r--r--   1 a b 5 20 août 09:05 french", "File 644 1 a b 5 [french] - 2004-08-20T09:05"),
            ("-rw-r--r--   1 a b 5 апр 30 09:05 russian", "File 644 1 a b 5 [russian] - 2005-04-30T09:05"),
            ("-rw-r--r--   1 a b 5 4月 30 09:05 japanese", "File 644 1 a b 5 [japanese] - 2005-04-30T09:05"),
            ("-rw-r--r--   1 a b 5 4月 30日 2003年 japanese", "File 644 1 a b 5 [japanese] - 2003-04-30T00:00"),
            ("-rw-r--r--   1 a b 5 12月31日 09:05 chinese", "File 644 1 a b 5 [chinese] - 2004-12-31T09:05"),
            ("-RWXR-X---   1 a b 5 APR 30 09:05 LOUD", "File 750 1 a b 5 [LOUD] - 2005-04-30T09:05"),
        ] {
            match want {
                "NOT" => assert_eq!(parse(line.as_bytes()), Err(NoEntry::Foreign), "{line}"),
                want => assert_eq!(show(line), want, "{line}"),
            }
        }
        let latin1 = parse(b"-rw-r--r-- 1 a b 5 3 M\xe4r 09:05 \xfcber").unwrap();
        assert_eq!((latin1.name.as_slice(), latin1.size), (&b"\xfcber"[..], Some(5)));
    }

    #[test]
    fn names_are_what_stands_behind_one_blank() {
        let name = |line: &str| String::from_utf8(parse(line.as_bytes()).unwrap().name).unwrap();
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
            let e = parse(line.as_bytes()).unwrap();
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
        for line in ["total 12", "total 0", "Total 12K", "insgesamt 12", "итого 12", "总用量 12", "total: 3"] {
            assert_eq!(parse(line.as_bytes()), Err(NoEntry::Heading), "{line}");
        }
        for line in [
            "",
            "readme.txt",
            "total",
            "total eclipse",
            "songs 12",
            "04-27-00  12:09PM       <DIR>          dos",
            "type=file;size=5; mlsx",
            "/bin/ls: cannot open directory: Permission denied",
            "-rw-r--r--",
            "-rw-r--r-- 1 a b 5",
            "-rw-r--r-- 1 a b 5 Apr 30 09:05",
            "-rw-r--r-- 1 a b 5 Apr 30 09:05 ",
            "-rw-r--r-- 1 a b x Apr 30 09:05 no size",
            "-rw-r--r-- 1 a b 5 Foo 30 09:05 no month",
            "-rw-r--q-- 1 a b 5 Apr 30 09:05 no bits",
            "xrw-r--r-- 1 a b 5 Apr 30 09:05 no kind",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(NoEntry::Foreign), "{line}");
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
            write_long(&mut line, &written, now, ListOptions::default());
            let read = read(line.strip_suffix(b"\r\n").unwrap(), now);
            prop_assert_eq!(read, Ok(want));
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
