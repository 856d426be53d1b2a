//! From what the system tells of a file to an [`Entry`].

use std::time::SystemTime;

use jiff::Timestamp;
use port21_proto::listing::{Entry, EntryKind, Modified, Precision};
use port21_proto::verb::{Permission, Permissions};
use rustix::fs::{FileType, Stat};
use rustix::process::{getegid, geteuid, getgroups};

/// What the system tells of a file, in types that are the same on every machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The file system.
    pub(super) device: u64,
    /// The file in it.
    pub(super) inode: u64,
    /// Its type and its twelve permission bits.
    pub(super) mode: u32,
    pub(super) links: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// In bytes.
    pub(super) size: u64,
    /// When it was last changed, where a calendar has that day.
    pub(super) modified: Option<Timestamp>,
    /// When that or anything else of it was last changed, as the system counts: seconds and nanoseconds.
    pub(super) touched: (i64, u64),
}

impl Facts {
    /// Whether both are of one file.
    pub(super) fn is_same_file(&self, other: &Facts) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether nothing of it was changed since then.
    pub(super) fn is_older_than(&self, moment: SystemTime) -> bool {
        let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanos) = self.touched;
        (seconds, nanos) < (i64::try_from(moment.as_secs()).unwrap_or(i64::MAX), u64::from(moment.subsec_nanos()))
    }

    /// The type.
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }
}

impl From<Stat> for Facts {
    fn from(stat: Stat) -> Facts {
        Facts {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            // 32 bits on some machines, 64 on others.
            links: u64::try_from(i128::from(stat.st_nlink)).unwrap_or(1),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: i32::try_from(stat.st_mtime_nsec).ok().and_then(|n| Timestamp::new(stat.st_mtime, n).ok()),
            // Of other widths on other machines.
            touched: (stat.st_ctime as _, stat.st_ctime_nsec as _),
        }
    }
}

/// The kind of an entry, as listings have it.
pub(super) fn entry_kind(kind: FileType) -> EntryKind {
    match kind {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Symlink,
        _ => EntryKind::Other,
    }
}

/// An entry with all that is in `facts`, but for those that cost more than copying.
pub(super) fn entry(name: Vec<u8>, facts: &Facts, show_owners: bool) -> Entry {
    let owner = |id: u32| show_owners.then(|| id.to_string().into_bytes());
    Entry {
        size: Some(facts.size),
        modified: facts.modified.map(|at| Modified { at, precision: Precision::Second, utc: true }),
        mode: Some(facts.mode & 0o7777),
        links: Some(facts.links),
        owner: owner(facts.uid),
        group: owner(facts.gid),
        ..Entry::new(entry_kind(facts.kind()), name)
    }
}

/// The value of the fact `unique` (RFC 3659 section 7.5.2): file system and file.
pub(super) fn unique(facts: &Facts) -> Vec<u8> {
    let mut value = Vec::with_capacity(16 + 1 + 16);
    hex(&mut value, facts.device);
    value.push(b'g');
    hex(&mut value, facts.inode);
    value
}

/// Appends a number in hexadecimal digits.
fn hex(out: &mut Vec<u8>, number: u64) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|at| b"0123456789abcdef"[(number >> (4 * at) & 15) as usize]));
}

/// Who this process is to the file system, and what the account may do: for the fact `perm`.
pub(super) struct Rights {
    uid: u32,
    groups: Vec<u32>,
    account: Permissions,
    /// The account's root: the file system, and the file in it.
    root: (u64, u64),
}

impl Rights {
    /// Those of this process, as they are now, for an account that may do `account` below `root`.
    pub(super) fn now(account: Permissions, root: (u64, u64)) -> Rights {
        let mut groups: Vec<u32> = getgroups().unwrap_or_default().iter().map(|g| g.as_raw()).collect();
        groups.push(getegid().as_raw());
        Rights { uid: geteuid().as_raw(), groups, account, root }
    }

    /// The value of the fact `perm` (RFC 3659 section 7.5.5) of a file in the directory `parent`. It tells what the
    /// permission bits say; an access control list, a read-only disk or an immutable file may say no after all.
    pub(super) fn perm(&self, facts: &Facts, parent: &Facts) -> Vec<u8> {
        let may = |p: Permission| self.account.allows(p);
        let (readable, writable) = (self.bit(facts, 4), self.bit(facts, 2));
        let searchable = self.bit(facts, 1);
        let (file, directory) = (facts.is_file(), facts.is_directory());
        // In a directory with the sticky bit only the owners of file and directory may take a name away.
        let sticky = parent.mode & 0o1000 != 0 && ![0, facts.uid, parent.uid].contains(&self.uid);
        // The root has no name to be removed or changed.
        let is_root = (facts.device, facts.inode) == self.root;
        let named = self.bit(parent, 2) && self.bit(parent, 1) && !sticky && !is_root;
        let fills = directory && writable && searchable;
        let overwrite = may(Permission::Write) && may(Permission::Overwrite);
        let letters = [
            (b'a', file && writable && overwrite),
            (b'c', fills && may(Permission::Write)),
            (b'd', named && may(Permission::Delete)),
            (b'e', directory && searchable && may(Permission::List)),
            (b'f', named && may(Permission::Rename)),
            (b'l', directory && readable && searchable && may(Permission::List)),
            (b'm', fills && may(Permission::MakeDirectory)),
            (b'p', fills && may(Permission::Delete)),
            (b'r', file && readable && may(Permission::Read)),
            (b'w', file && writable && overwrite),
        ];
        let mut value = Vec::with_capacity(letters.len());
        value.extend(letters.into_iter().filter_map(|(letter, yes)| yes.then_some(letter)));
        value
    }

    /// Whether one of the bits read (4), write (2) and search (1) holds for this process.
    fn bit(&self, facts: &Facts, bit: u32) -> bool {
        if self.uid == 0 {
            return true;
        }
        let class = if facts.uid == self.uid {
            6
        } else if self.groups.contains(&facts.gid) {
            3
        } else {
            0
        };
        facts.mode >> class & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;

    fn facts(mode: u32, uid: u32, gid: u32) -> Facts {
        Facts { device: 1, inode: 2, mode, links: 1, uid, gid, size: 0, modified: None, touched: (0, 0) }
    }

    fn perm(account: Permissions, of: Facts, parent: Facts) -> String {
        String::from_utf8(Rights { uid: 7, groups: vec![70], account, root: (1, 1) }.perm(&of, &parent)).unwrap()
    }

    #[test]
    fn perm_is_what_both_the_bits_and_the_account_allow() {
        let home = facts(DIRECTORY | 0o755, 7, 70);
        assert_eq!(perm(Permissions::ALL, facts(FILE | 0o644, 7, 70), home), "adfrw");
        assert_eq!(perm(Permissions::READ_ONLY, facts(FILE | 0o644, 7, 70), home), "r");
        assert_eq!(perm(Permissions::ALL, facts(FILE | 0o640, 8, 70), home), "dfr");
        assert_eq!(perm(Permissions::ALL, facts(FILE | 0o640, 8, 80), home), "df");
        assert_eq!(perm(Permissions::ALL, home, home), "cdeflmp");
        assert_eq!(perm(Permissions::READ_ONLY, home, home), "el");
        assert_eq!(perm(Permissions::ALL, Facts { inode: 1, ..home }, home), "celmp", "the root");
    }

    #[test]
    fn perm_knows_the_sticky_bit() {
        let tmp = facts(DIRECTORY | 0o1777, 0, 0);
        assert_eq!(perm(Permissions::ALL, facts(FILE | 0o644, 7, 70), tmp), "adfrw");
        assert_eq!(perm(Permissions::ALL, facts(FILE | 0o666, 8, 80), tmp), "arw");
    }

    #[test]
    fn unique_tells_files_apart() {
        assert_eq!(unique(&Facts { device: 0x801, inode: 0x2a, ..facts(FILE, 0, 0) }), b"801g2a");
        for (device, inode) in [(0, 1), (15, 16), (255, 256), (u64::MAX, 1 << 60), (0x1234_5678_9abc_def0, 0)] {
            let value = unique(&Facts { device, inode, ..facts(FILE, 0, 0) });
            assert_eq!(value, format!("{device:x}g{inode:x}").into_bytes());
        }
    }

    #[test]
    fn a_time_before_1970_is_what_it_is() {
        let file = tempfile::tempfile().unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH - std::time::Duration::from_millis(500)).unwrap();
        let facts = Facts::from(rustix::fs::fstat(&file).unwrap());
        assert_eq!(facts.modified, Some(Timestamp::from_millisecond(-500).unwrap()));
    }
}
