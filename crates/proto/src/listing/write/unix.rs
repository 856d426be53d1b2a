//! LIST and NLST as they are written: lines like those of `ls -l`, and names alone.
//!
//! The C locale, and the time zone that the caller says, whatever the machine is set to. 0xFF is not doubled: that is for the control connection, where
//! bytes are Telnet's; a listing goes over a data connection.

use jiff::{Timestamp, Zoned};

use super::put;
use crate::listing::{Entry, EntryKind, ListOptions};

/// Seconds until a time of day gives way to a year: 180 days.
const RECENT: i64 = 180 * 24 * 60 * 60;

/// Seconds that a file may be ahead of `now` and still not count as one from the future: the clock that stamps files
/// and the one that gives `now` need not be the same.
const SKEW: i64 = 60;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Appends an entry's line of LIST, with CR LF: `perms links owner group size Mon dd HH:MM name`; `Mon dd  YYYY` for
/// what is older than 180 days before `now`, or later than `now`; all in the time zone of `now`. A symbolic link has ` -> target` behind its name.
///
/// What the entry does not tell is written as a plain guess, since each column must be there: the usual permission bits
/// of its kind, 1 link, owner and group `ftp`, size 0, the first second of 1970. Of `options` only `-F` counts.
pub fn write_long(out: &mut Vec<u8>, entry: &Entry, now: &Zoned, options: ListOptions) {
    // The columns before the name take 59 bytes, or a few more for long owners.
    out.reserve(entry.name.len() + 80);
    permissions(out, entry);
    out.push(b' ');
    put::right(out, entry.links.unwrap_or(1), 3);
    out.push(b' ');
    account(out, entry.owner.as_deref());
    out.push(b' ');
    account(out, entry.group.as_deref());
    out.push(b' ');
    put::right(out, entry.size.unwrap_or(0), 12);
    out.push(b' ');
    date(out, entry.modified.map_or(Timestamp::UNIX_EPOCH, |m| m.at), now);
    out.push(b' ');
    put::name(out, &entry.name);
    match &entry.target {
        Some(target) if entry.kind == EntryKind::Symlink => {
            out.extend_from_slice(b" -> ");
            put::name(out, target);
        }
        // `ls -lF` marks what a link leads to, which is not known here.
        _ => mark(out, entry, options),
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends an entry's line of NLST, with CR LF: its name, with `directory` and a `/` before it where `directory` is not
/// empty, as the client wrote it (so that each line is a path that RETR takes). Of `options` only `-F` counts.
pub fn write_name(out: &mut Vec<u8>, directory: &[u8], entry: &Entry, options: ListOptions) {
    out.reserve(directory.len() + entry.name.len() + 4);
    put::name(out, directory);
    if directory.last().is_some_and(|&b| b != b'/') {
        out.push(b'/');
    }
    put::name(out, &entry.name);
    mark(out, entry, options);
    out.extend_from_slice(b"\r\n");
}

/// Appends what parts the directories of a recursive listing (`-R`): an empty line and `path:`.
pub fn write_heading(out: &mut Vec<u8>, path: &[u8]) {
    out.extend_from_slice(b"\r\n");
    put::name(out, path);
    out.extend_from_slice(b":\r\n");
}

fn permissions(out: &mut Vec<u8>, entry: &Entry) {
    let (kind, usual) = match entry.kind {
        EntryKind::File => (b'-', 0o644),
        EntryKind::Directory | EntryKind::CurrentDirectory | EntryKind::ParentDirectory => (b'd', 0o755),
        EntryKind::Symlink => (b'l', 0o777),
        // Which of the special files it is does not matter to a client, but it must be a letter that clients know.
        EntryKind::Other => (b's', 0o600),
    };
    let mode = entry.mode.unwrap_or(usual);
    let flag = |bit: u32, letter: u8| if mode & bit == 0 { b'-' } else { letter };
    let execute = |bit: u32, special: u32, letter: u8| match (mode & bit != 0, mode & special != 0) {
        (true, true) => letter,
        (false, true) => letter.to_ascii_uppercase(),
        (true, false) => b'x',
        (false, false) => b'-',
    };
    out.extend_from_slice(&[
        kind,
        flag(0o400, b'r'),
        flag(0o200, b'w'),
        execute(0o100, 0o4000, b's'),
        flag(0o040, b'r'),
        flag(0o020, b'w'),
        execute(0o010, 0o2000, b's'),
        flag(0o004, b'r'),
        flag(0o002, b'w'),
        execute(0o001, 0o1000, b't'),
    ]);
}

/// An owner or group in eight columns or more. A blank in it (directory services have those) would be one column more
/// for whoever reads the line, so it becomes `_`.
fn account(out: &mut Vec<u8>, name: Option<&[u8]>) {
    let name = name.filter(|name| !name.is_empty()).unwrap_or(b"ftp");
    out.extend(name.iter().map(|&b| if b <= b' ' || b == 0x7f { b'_' } else { b }));
    out.extend(std::iter::repeat_n(b' ', 8usize.saturating_sub(name.len())));
}

fn date(out: &mut Vec<u8>, at: Timestamp, now: &Zoned) {
    let civil = now.time_zone().to_datetime(at);
    let number = |n: i8| u64::from(n.unsigned_abs());
    out.extend_from_slice(*MONTHS.get(usize::from(civil.month().unsigned_abs()).wrapping_sub(1)).unwrap_or(&b"Jan"));
    out.push(b' ');
    put::right(out, number(civil.day()), 2);
    out.push(b' ');
    let age = now.timestamp().as_second() - at.as_second();
    if (-SKEW..=RECENT).contains(&age) {
        put::zeros(out, number(civil.hour()), 2);
        out.push(b':');
        put::zeros(out, number(civil.minute()), 2);
    } else {
        out.push(b' ');
        put::zeros(out, u64::from(civil.year().max(0).unsigned_abs()), 4);
    }
}

fn mark(out: &mut Vec<u8>, entry: &Entry, options: ListOptions) {
    if !options.classify {
        return;
    }
    match entry.kind {
        EntryKind::Directory | EntryKind::CurrentDirectory | EntryKind::ParentDirectory => out.push(b'/'),
        EntryKind::Symlink => out.push(b'@'),
        EntryKind::File if entry.mode.is_some_and(|mode| mode & 0o111 != 0) => out.push(b'*'),
        EntryKind::File | EntryKind::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::listing::{Modified, Precision};

    const PLAIN: ListOptions = ListOptions {
        all: false,
        almost_all: false,
        long: false,
        recursive: false,
        by_time: false,
        by_size: false,
        reverse: false,
        one: false,
        directory: false,
        classify: false,
    };
    const MARKED: ListOptions = ListOptions { classify: true, ..PLAIN };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(kind: EntryKind, name: &str, time: &str) -> Entry {
        let modified = Some(Modified { at: at(time), precision: Precision::Second, utc: true });
        Entry { modified, ..Entry::new(kind, name) }
    }

    fn long(entry: &Entry, options: ListOptions) -> String {
        long_in(TimeZone::UTC, entry, options)
    }

    fn long_in(zone: TimeZone, entry: &Entry, options: ListOptions) -> String {
        let mut out = Vec::new();
        write_long(&mut out, entry, &at("2005-05-02T21:07:00Z").to_zoned(zone), options);
        String::from_utf8(out).unwrap()
    }

    fn name(directory: &str, entry: &Entry, options: ListOptions) -> String {
        let mut out = Vec::new();
        write_name(&mut out, directory.as_bytes(), entry, options);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_those_of_ls() {
        let mut file = entry(EntryKind::File, "readme.txt", "2005-04-30T09:05:59Z");
        file.size = Some(1715);
        assert_eq!(long(&file, PLAIN), "-rw-r--r--   1 ftp      ftp              1715 Apr 30 09:05 readme.txt\r\n");
        let mut dir = entry(EntryKind::Directory, "pub", "2004-01-02T03:04:05Z");
        (dir.links, dir.owner, dir.group) = (Some(12), Some(b"root".to_vec()), Some(b"longgroupname".to_vec()));
        (dir.mode, dir.size) = (Some(0o1777), Some(4096));
        assert_eq!(long(&dir, PLAIN), "drwxrwxrwt  12 root     longgroupname         4096 Jan  2  2004 pub\r\n");
        let mut link = entry(EntryKind::Symlink, "latest", "2005-05-02T21:07:00Z");
        (link.size, link.target) = (Some(7), Some(b"pub/1.0".to_vec()));
        assert_eq!(
            long(&link, PLAIN),
            "lrwxrwxrwx   1 ftp      ftp                 7 May  2 21:07 latest -> pub/1.0\r\n"
        );
        let bare = Entry::new(EntryKind::Other, "fifo");
        assert_eq!(long(&bare, PLAIN), "srw-------   1 ftp      ftp                 0 Jan  1  1970 fifo\r\n");
    }

    #[test]
    fn the_year_is_told_beyond_180_days_and_for_the_future() {
        let date = |time| long(&entry(EntryKind::File, "f", time), PLAIN)[46..58].to_owned();
        assert_eq!(date("2004-11-03T21:07:00Z"), "Nov  3 21:07");
        assert_eq!(date("2004-11-03T21:06:59Z"), "Nov  3  2004");
        assert_eq!(date("2005-05-02T21:07:30Z"), "May  2 21:07");
        assert_eq!(date("2005-05-02T21:08:01Z"), "May  2  2005");
        assert_eq!(date("2038-01-19T03:14:08Z"), "Jan 19  2038");
        assert_eq!(date("-009999-01-02T01:59:59Z"), "Jan  2  0000");
        assert_eq!(date("9999-12-30T22:00:00Z"), "Dec 30  9999");
    }

    /// A rule as TZ has it, so that no file of the machine is needed.
    #[test]
    fn times_are_those_of_the_zone_on_that_day() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let date = |time| long_in(zone.clone(), &entry(EntryKind::File, "f", time), PLAIN)[46..58].to_owned();
        assert_eq!(date("2005-01-31T23:30:00Z"), "Feb  1 00:30", "winter");
        assert_eq!(date("2005-04-30T22:30:00Z"), "May  1 00:30", "summer");
        assert_eq!(date("2003-12-31T23:30:00Z"), "Jan  1  2004");
        assert_eq!(date("2004-11-03T21:06:59Z"), "Nov  3  2004", "what is recent is a matter of moments");
    }

    #[test]
    fn special_bits_show_as_letters() {
        let bits = |mode| {
            let entry = Entry { mode: Some(mode), ..Entry::new(EntryKind::File, "f") };
            long(&entry, PLAIN)[..10].to_owned()
        };
        assert_eq!(bits(0o7777), "-rwsrwsrwt");
        assert_eq!(bits(0o7000), "---S--S--T");
        assert_eq!(bits(0o100_755), "-rwxr-xr-x");
    }

    #[test]
    fn hostile_names_and_accounts_stay_in_their_line_and_column() {
        let mut file = Entry::new(EntryKind::File, "a\r\n226 done\0");
        (file.owner, file.group) = (Some(b"Domain Users".to_vec()), Some(b"a\r\nb".to_vec()));
        assert_eq!(
            long(&file, PLAIN),
            "-rw-r--r--   1 Domain_Users a__b                0 Jan  1  1970 a??226 done?\r\n"
        );
        assert_eq!(name("d\n", &file, PLAIN), "d?/a??226 done?\r\n");
        let mut heading = Vec::new();
        write_heading(&mut heading, b"a\rb");
        assert_eq!(heading, b"\r\na?b:\r\n");
    }

    #[test]
    fn names_carry_the_directory_that_was_asked_for() {
        let file = Entry::new(EntryKind::File, "f");
        assert_eq!(name("", &file, PLAIN), "f\r\n");
        assert_eq!(name("pub", &file, PLAIN), "pub/f\r\n");
        assert_eq!(name("/", &file, PLAIN), "/f\r\n");
    }

    #[test]
    fn marks_tell_kinds() {
        let mut file = Entry::new(EntryKind::File, "f");
        assert_eq!(name("", &file, MARKED), "f\r\n");
        file.mode = Some(0o755);
        assert_eq!(name("", &file, MARKED), "f*\r\n");
        assert_eq!(name("", &Entry::new(EntryKind::Directory, "d"), MARKED), "d/\r\n");
        let mut link = Entry::new(EntryKind::Symlink, "l");
        assert_eq!(name("", &link, MARKED), "l@\r\n");
        link.target = Some(b"t".to_vec());
        assert!(long(&link, MARKED).ends_with(" l -> t\r\n"));
    }
}
