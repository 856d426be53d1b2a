//! MLST and MLSD as they are written: facts and a name (RFC 3659 section 7).

use jiff::Timestamp;
use jiff::tz::Offset;

use super::put;
use crate::listing::{Entry, EntryKind, Fact, FactSet};

/// Appends an entry's line of MLSD, with CR LF.
pub fn write_facts_line(out: &mut Vec<u8>, entry: &Entry, facts: FactSet) {
    write_facts(out, entry, facts);
    out.extend_from_slice(b"\r\n");
}

/// Appends the facts of an entry, each with a `;` behind it, one space and the name: a line of MLSD without its end, and
/// that of MLST without the blank that a reply's inner line begins with.
///
/// A fact that the entry does not tell, or that does not apply to it, is left out: `size` is for files alone (that of a
/// link would pass for its target's), `modify` for times that are known to be UTC.
pub fn write_facts(out: &mut Vec<u8>, entry: &Entry, facts: FactSet) {
    // All facts with usual values take some 130 bytes.
    out.reserve(entry.name.len() + 160);
    for fact in facts.iter() {
        match fact {
            Fact::Type => kind(out, entry),
            Fact::Size => {
                if let (EntryKind::File, Some(size)) = (entry.kind, entry.size) {
                    begin(out, fact);
                    put::right(out, size, 0);
                    out.push(b';');
                }
            }
            Fact::Modify => {
                if let Some(modified) = entry.modified.filter(|m| m.utc) {
                    stamp(out, modified.at);
                }
            }
            Fact::Perm => text(out, fact, entry.perm.as_deref()),
            Fact::Unique => text(out, fact, entry.unique.as_deref()),
            Fact::UnixMode => {
                if let Some(mode) = entry.mode {
                    begin(out, fact);
                    out.extend([9, 6, 3, 0].map(|shift| b'0' + (mode >> shift & 7) as u8));
                    out.push(b';');
                }
            }
            Fact::UnixOwner => text(out, fact, entry.owner.as_deref()),
            Fact::UnixGroup => text(out, fact, entry.group.as_deref()),
        }
    }
    out.push(b' ');
    put::name(out, &entry.name);
}

fn begin(out: &mut Vec<u8>, fact: Fact) {
    out.extend_from_slice(fact.name().as_bytes());
    out.push(b'=');
}

fn kind(out: &mut Vec<u8>, entry: &Entry) {
    begin(out, Fact::Type);
    out.extend_from_slice(match entry.kind {
        EntryKind::File => b"file".as_slice(),
        EntryKind::Directory => b"dir",
        EntryKind::CurrentDirectory => b"cdir",
        EntryKind::ParentDirectory => b"pdir",
        EntryKind::Symlink => b"OS.unix=slink",
        EntryKind::Other => b"OS.unix=special",
    });
    // A target that cannot be a fact's value is left out: the client then knows it for a link that leads somewhere.
    if let (EntryKind::Symlink, Some(target)) = (entry.kind, entry.target.as_deref().filter(|t| is_value(t))) {
        out.push(b':');
        out.extend_from_slice(target);
    }
    out.push(b';');
}

/// `modify`, in whole seconds. A year that has not four digits cannot be told.
fn stamp(out: &mut Vec<u8>, at: Timestamp) {
    let civil = Offset::UTC.to_datetime(at);
    let Ok(year) = u64::try_from(civil.year()) else { return };
    begin(out, Fact::Modify);
    put::zeros(out, year, 4);
    for part in [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()] {
        put::zeros(out, u64::from(part.unsigned_abs()), 2);
    }
    out.push(b';');
}

fn text(out: &mut Vec<u8>, fact: Fact, value: Option<&[u8]>) {
    if let Some(value) = value.filter(|v| is_value(v)) {
        begin(out, fact);
        out.extend_from_slice(value);
        out.push(b';');
    }
}

/// Whether the bytes can be a fact's value: one with a blank, a `;` or a control in it would end the fact or the facts
/// (RFC 3659 section 7.2). Bytes beyond ASCII are let through: owners and targets have them.
fn is_value(value: &[u8]) -> bool {
    !value.iter().any(|&b| b <= b' ' || b == b';' || b == 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::{Modified, Precision};

    fn line(entry: &Entry, facts: FactSet) -> String {
        let mut out = Vec::new();
        write_facts_line(&mut out, entry, facts);
        String::from_utf8(out).unwrap()
    }

    fn full(kind: EntryKind, name: &str) -> Entry {
        Entry {
            size: Some(1715),
            modified: Some(Modified {
                at: "2005-05-02T21:07:03.9Z".parse().unwrap(),
                precision: Precision::Second,
                utc: true,
            }),
            mode: Some(0o644),
            owner: Some(b"ftp".to_vec()),
            group: Some(b"staff".to_vec()),
            unique: Some(b"801g2a".to_vec()),
            perm: Some(b"r".to_vec()),
            ..Entry::new(kind, name)
        }
    }

    #[test]
    fn all_facts_in_order() {
        assert_eq!(
            line(&full(EntryKind::File, "read me.txt"), FactSet::ALL),
            "type=file;size=1715;modify=20050502210703;perm=r;unique=801g2a;UNIX.mode=0644;UNIX.owner=ftp;\
             UNIX.group=staff; read me.txt\r\n"
        );
    }

    #[test]
    fn kinds_have_the_names_of_the_rfc_and_only_files_a_size() {
        let two = FactSet::NONE.with(Fact::Type).with(Fact::Size);
        for (kind, want) in [
            (EntryKind::File, "type=file;size=1715; x\r\n"),
            (EntryKind::Directory, "type=dir; x\r\n"),
            (EntryKind::CurrentDirectory, "type=cdir; x\r\n"),
            (EntryKind::ParentDirectory, "type=pdir; x\r\n"),
            (EntryKind::Symlink, "type=OS.unix=slink; x\r\n"),
            (EntryKind::Other, "type=OS.unix=special; x\r\n"),
        ] {
            assert_eq!(line(&full(kind, "x"), two), want);
        }
    }

    #[test]
    fn a_target_is_told_where_it_can_be() {
        let kind = FactSet::NONE.with(Fact::Type);
        let target = |t: &str| Entry { target: Some(t.into()), ..Entry::new(EntryKind::Symlink, "l") };
        assert_eq!(line(&target("/pub/größe"), kind), "type=OS.unix=slink:/pub/größe; l\r\n");
        for hostile in ["a; b", "a b", "a;type=dir", "a\r\nb"] {
            assert_eq!(line(&target(hostile), kind), "type=OS.unix=slink; l\r\n");
        }
    }

    #[test]
    fn only_what_is_chosen_and_known_is_told() {
        let entry = full(EntryKind::File, "f");
        assert_eq!(line(&entry, FactSet::NONE), " f\r\n");
        assert_eq!(line(&entry, FactSet::choose(b"UNIX.mode;perm;")), "perm=r;UNIX.mode=0644; f\r\n");
        assert_eq!(line(&Entry::new(EntryKind::File, "f"), FactSet::ALL), "type=file; f\r\n");
        let mut local = entry;
        local.modified = local.modified.map(|m| Modified { utc: false, ..m });
        assert_eq!(line(&local, FactSet::choose(b"modify;")), " f\r\n");
        local.modified = Some(Modified { at: Timestamp::MIN, precision: Precision::Second, utc: true });
        assert_eq!(line(&local, FactSet::choose(b"modify;")), " f\r\n");
    }

    #[test]
    fn hostile_names_and_values_add_no_line_and_no_fact() {
        let mut entry = full(EntryKind::File, "a\r\ntype=dir; b\0");
        (entry.owner, entry.group) = (Some(b"Domain Users".to_vec()), Some(b"x;y".to_vec()));
        entry.unique = Some(b"\n".to_vec());
        assert_eq!(
            line(&entry, FactSet::ALL.without(Fact::Modify)),
            "type=file;size=1715;perm=r;UNIX.mode=0644; a??type=dir; b?\r\n"
        );
    }
}
