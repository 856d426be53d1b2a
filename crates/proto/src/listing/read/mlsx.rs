//! MLSD and MLST as they are read: facts and a name (RFC 3659 section 7).
//!
//! The bent forms are known from FileZilla's test data (no last `;`, blanks in values, a link without its target), lftp and
//! Apache Commons Net. No line is a heading: a file may be called `total 5`.

use super::Unreadable;
use super::columns::{number, radix, split_once};
use super::line::Line;
use crate::listing::{Entry, EntryKind, Modified, Precision};
use crate::stamp;

/// Reads the line of an MLST reply that holds the facts: with the space that indents it, or without, as some servers
/// send it.
///
/// # Errors
/// [`Unreadable`] where it has no facts and no name.
pub fn parse_facts(line: &[u8]) -> Result<Entry, Unreadable> {
    let bare = line.strip_prefix(b" ").unwrap_or(line);
    match entry(bare).or_else(|| entry(line)) {
        Some(entry) => Ok(Entry { raw: line.to_vec(), ..entry }),
        None => Err(Unreadable { raw: line.to_vec(), overlong: false }),
    }
}

pub(super) fn read(line: &[u8]) -> Line {
    // A name without facts is only taken for one where MLSD was asked for: indented lines of `ls` look just like it.
    if line.starts_with(b" ") { Line::loose(entry(line)) } else { Line::of(entry(line)) }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let (facts, name) = split(line)?;
    let mut entry = Entry::new(EntryKind::Other, name);
    let (mut kind, mut directory_size) = (None, false);
    for fact in facts.split(|&b| b == b';').filter(|fact| !fact.is_empty()) {
        let (name, value) = split_once(fact, b'=')?;
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        match name.to_ascii_lowercase().as_slice() {
            b"type" => kind = Some(value),
            b"size" => entry.size = number(value),
            // What some servers call the size of a directory.
            b"sizd" => directory_size = true,
            b"modify" => {
                entry.modified = stamp::parse(value).map(|at| Modified { at, precision: Precision::Second, utc: true });
            }
            b"perm" => entry.perm = Some(value.to_vec()),
            b"unique" => entry.unique = Some(value.to_vec()),
            b"unix.mode" => entry.mode = radix(value, 8).and_then(|mode| u32::try_from(mode & 0o7777).ok()),
            // The name says more than the number, wherever it stands.
            b"unix.ownername" => entry.owner = Some(value.to_vec()),
            b"unix.groupname" => entry.group = Some(value.to_vec()),
            b"unix.owner" | b"unix.uid" if entry.owner.is_none() => entry.owner = Some(value.to_vec()),
            b"unix.group" | b"unix.gid" if entry.group.is_none() => entry.group = Some(value.to_vec()),
            _ => {}
        }
    }
    match kind {
        Some(kind) => (entry.kind, entry.target) = typed(kind, &entry.name),
        None if entry.size.is_some() => entry.kind = EntryKind::File,
        None if directory_size => entry.kind = EntryKind::Directory,
        None => {}
    }
    Some(entry)
}

/// The facts, and the name behind the one space that ends them (RFC 3659 section 7.2). Values with blanks in them, which
/// the RFC does not allow, exist: so the space is the first that follows a `;`. Servers that leave out the last `;`, or
/// write a tab for the space, exist as well.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(name) = line.strip_prefix(b" ") {
        return (!name.is_empty()).then_some((&[], name));
    }
    let end = line.windows(2).position(|two| matches!(two, b"; " | b";\t")).map(|at| at + 1);
    let end = end.or_else(|| line.iter().position(|&b| b == b' '))?;
    let (facts, name) = line.split_at_checked(end)?;
    let name = name.get(1..).filter(|name| !name.is_empty())?;
    Some((facts, name))
}

/// What the value of `type` says, and where a symbolic link leads.
fn typed(value: &[u8], name: &[u8]) -> (EntryKind, Option<Vec<u8>>) {
    match value.to_ascii_lowercase().as_slice() {
        b"file" => (EntryKind::File, None),
        // Some servers call these two plain directories.
        b"dir" if name == b"." => (EntryKind::CurrentDirectory, None),
        b"dir" if name == b".." => (EntryKind::ParentDirectory, None),
        b"dir" => (EntryKind::Directory, None),
        b"cdir" => (EntryKind::CurrentDirectory, None),
        b"pdir" => (EntryKind::ParentDirectory, None),
        link if link.starts_with(b"os.unix=slink") || link.starts_with(b"os.unix=symlink") => {
            let target = split_once(value, b':').map(|(_, target)| target.to_vec());
            (EntryKind::Symlink, target.filter(|target| !target.is_empty()))
        }
        _ => (EntryKind::Other, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listing::{FactSet, write_facts};

    fn entry(line: &str) -> Entry {
        super::entry(line.as_bytes()).unwrap_or_else(|| panic!("not read: {line}"))
    }

    #[test]
    fn all_facts() {
        let e = entry(
            "Type=file;Size=1715;Modify=20050502210703.5;Perm=adfrw;Unique=801g2a;UNIX.mode=0100644;UNIX.uid=500;\
             UNIX.owner=ftp;UNIX.groupname=staff;UNIX.gid=20;Media-Type=text/plain; read me; now.txt",
        );
        assert_eq!((e.kind, e.name.as_slice(), e.size), (EntryKind::File, &b"read me; now.txt"[..], Some(1715)));
        let modified = e.modified.unwrap();
        assert_eq!(modified.at.to_string(), "2005-05-02T21:07:03.5Z");
        assert_eq!((modified.precision, modified.utc), (Precision::Second, true));
        assert_eq!((e.perm.as_deref(), e.unique.as_deref()), (Some(&b"adfrw"[..]), Some(&b"801g2a"[..])));
        assert_eq!((e.mode, e.group.as_deref()), (Some(0o644), Some(&b"staff"[..])));
        // The first that was told, but for names that are told as such.
        assert_eq!(e.owner.as_deref(), Some(&b"500"[..]));
    }

    #[test]
    fn kinds() {
        for (line, want) in [
            ("type=file; x", EntryKind::File),
            ("type=DIR; x", EntryKind::Directory),
            ("type=cdir; .", EntryKind::CurrentDirectory),
            ("type=cdir; /full/path", EntryKind::CurrentDirectory),
            ("type=pdir; ..", EntryKind::ParentDirectory),
            ("type=dir; .", EntryKind::CurrentDirectory),
            ("type=dir; ..", EntryKind::ParentDirectory),
            ("type=dir;sizd=4096; x", EntryKind::Directory),
            ("sizd=4096; x", EntryKind::Directory),
            ("size=4096; x", EntryKind::File),
            ("perm=r; x", EntryKind::Other),
            ("type=OS.unix=chr-1/3; null", EntryKind::Other),
            ("type=OS.unix=slink; x", EntryKind::Symlink),
        ] {
            assert_eq!(entry(line).kind, want, "{line}");
        }
    }

    #[test]
    fn links_tell_their_target() {
        let target = |line: &str| entry(line).target.map(|t| String::from_utf8(t).unwrap());
        assert_eq!(target("type=OS.unix=slink:/Pub/a:b;size=3; x").as_deref(), Some("/Pub/a:b"));
        assert_eq!(target("type=OS.unix=slink:two words;size=3; x").as_deref(), Some("two words"));
        assert_eq!(target("type=OS.UNIX=symlink; x"), None);
        assert_eq!(target("type=OS.unix=slink:; x"), None);
    }

    #[test]
    fn servers_that_bend_the_rules() {
        assert_eq!(entry("type=file;size=5 name").name, b"name");
        assert_eq!(entry("type=file;size=5;  name ").name, b" name ");
        assert_eq!(entry("type=file;;size=5; name").size, Some(5));
        assert_eq!(entry("type=file;size=-5;modify=soon;unix.mode=9; name").size, None);
        assert_eq!(entry("type=file;size=18446744073709551616; name").size, None);
        assert_eq!(
            entry("type=file;modify=191050502210700; name").modified.unwrap().at.to_string(),
            "2005-05-02T21:07:00Z"
        );
        assert_eq!(entry(" no facts").name, b"no facts");
    }

    #[test]
    fn the_line_of_mlst_may_be_indented_or_not() {
        for line in [" type=file;size=5; /a b", "type=file;size=5; /a b"] {
            let e = parse_facts(line.as_bytes()).unwrap();
            assert_eq!((e.name.as_slice(), e.size, e.raw.as_slice()), (&b"/a b"[..], Some(5), line.as_bytes()));
        }
        assert_eq!(parse_facts(b"  /a b").unwrap().name, b"/a b");
        assert_eq!(parse_facts(b" /a").unwrap().name, b"/a");
        assert_eq!(parse_facts(b" ").unwrap_err().raw, b" ");
    }

    #[test]
    fn foreign_lines() {
        for line in [
            "",
            " ",
            "name",
            "type=file;",
            "type=file; ",
            "type=file;name",
            "-rw-r--r-- 1 a b 5 Apr 30 09:05 a=b; c",
            "04-27-00  12:09PM  <DIR>  a=b; c",
            "+i8388621,m824255902,/,\tdev",
            "=file; name",
        ] {
            assert_eq!(read(line.as_bytes()), Line::Foreign, "{line}");
        }
    }

    fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
        proptest::option::of("[!-:<-~]{1,12}|ö".prop_map(String::into_bytes))
    }

    proptest! {
        #[test]
        fn written_facts_read_back(
            kind in 0usize..6,
            name in proptest::collection::vec(any::<u8>(), 1..30),
            (size, mode) in (any::<Option<u64>>(), proptest::option::of(0u32..0o10000)),
            secs in proptest::option::of(0i64..200_000_000_000),
            (target, perm, unique, owner, group) in (value(), value(), value(), value(), value()),
        ) {
            use EntryKind::{CurrentDirectory, Directory, File, Other, ParentDirectory, Symlink};
            prop_assume!(!name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            let kind = [File, Directory, CurrentDirectory, ParentDirectory, Symlink, Other][kind];
            prop_assume!(kind != Directory || !matches!(name.as_slice(), b"." | b".."));
            let at = secs.map(|s| jiff::Timestamp::from_second(s).unwrap());
            let entry = Entry {
                size: size.filter(|_| kind == File),
                modified: at.map(|at| Modified { at, precision: Precision::Second, utc: true }),
                target: target.filter(|_| kind == Symlink),
                mode, perm, unique, owner, group,
                ..Entry::new(kind, name)
            };
            let mut line = Vec::new();
            write_facts(&mut line, &entry, FactSet::ALL);
            prop_assert_eq!(super::entry(&line), Some(entry.clone()));
            // As a line of MLST.
            line.insert(0, b' ');
            prop_assert_eq!(parse_facts(&line), Ok(Entry { raw: line, ..entry }));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse_facts(&bytes);
        }

        #[test]
        fn nothing_like_a_line_panics(text in "(type|size|sizd|modify|unix.mode|;|=|:|OS.unix=slink|9| ){0,12}.{0,9}") {
            let _ = parse_facts(text.as_bytes());
        }
    }
}
