//! An entry of a directory, as listings tell of it and as the server tells of its own.

use std::fmt;

use jiff::Timestamp;

use crate::text::Shown;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// The listed directory itself (MLSx `cdir`).
    CurrentDirectory,
    /// A parent of the listed directory (MLSx `pdir`).
    ParentDirectory,
    /// A symbolic link.
    Symlink,
    /// A device, a FIFO, a socket, or what a server calls by a name of its own.
    Other,
}

/// How exactly a listing tells a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// To the day.
    Day,
    /// To the minute.
    Minute,
    /// To the second, or finer.
    Second,
}

/// When an entry was last changed, as far as the listing tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modified {
    /// The time, read as UTC.
    pub at: Timestamp,
    /// How exact it is.
    pub precision: Precision,
    /// Whether it is known to be UTC (MLSx); else it is in the server's own, unknown zone.
    pub utc: bool,
}

/// An entry of a directory. What a listing does not tell is nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its name, as bytes; for MLST the path that was asked for. May be hostile: see [`Entry::safe_name`].
    pub name: Vec<u8>,
    /// Its size in bytes. For other things than files it is what the server says, and means little.
    pub size: Option<u64>,
    /// About how many bytes it has, where a listing rounds (`33.5k`) or leaves in doubt where the size begins: good to
    /// show, not to compare with. Only where there is no `size`.
    pub rough_size: Option<u64>,
    /// When it was last changed.
    pub modified: Option<Modified>,
    /// The twelve permission bits of Unix, as far as the listing tells them.
    pub mode: Option<u32>,
    /// The permissions, rights or attributes as a LIST writes them: `-rw-r--r--+`, `[RWCEAFMS]`, `(RWED,RWED,RE,)`.
    pub permissions: Option<Vec<u8>>,
    /// The number of links.
    pub links: Option<u64>,
    /// Its owner.
    pub owner: Option<Vec<u8>>,
    /// Its group.
    pub group: Option<Vec<u8>>,
    /// Where a symbolic link leads.
    pub target: Option<Vec<u8>>,
    /// A text that is the same for two names of one file and differs otherwise (MLSx `unique`).
    pub unique: Option<Vec<u8>>,
    /// What the user may do with it (MLSx `perm`).
    pub perm: Option<Vec<u8>>,
    /// The directory that it is in, as a heading of the listing names it (`sub/deeper`), where that is not the listed one: a
    /// server may list what is below it as well.
    pub directory: Option<Vec<u8>>,
    /// The line that it was read from, or lines with LF between them; empty for an entry that was not read.
    pub raw: Vec<u8>,
}

impl Entry {
    /// An entry of which no more is known than this.
    pub fn new(kind: EntryKind, name: impl Into<Vec<u8>>) -> Entry {
        Entry {
            kind,
            name: name.into(),
            size: None,
            rough_size: None,
            modified: None,
            mode: None,
            permissions: None,
            links: None,
            owner: None,
            group: None,
            target: None,
            unique: None,
            perm: None,
            directory: None,
            raw: Vec::new(),
        }
    }

    /// The name, where it names something in the listed directory itself: not empty, not `.` or `..`, without `/` and NUL,
    /// and not of another [`directory`](Entry::directory). A client that writes below a directory of its own uses no other.
    pub fn safe_name(&self) -> Option<&[u8]> {
        let bad = matches!(self.name.as_slice(), b"" | b"." | b"..") || self.name.iter().any(|b| matches!(b, b'/' | 0));
        (!bad && self.directory.is_none()).then_some(self.name.as_slice())
    }

    /// Whether it is a directory of any kind.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory | EntryKind::CurrentDirectory | EntryKind::ParentDirectory)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |b: &Option<Vec<u8>>| b.as_ref().map(|b| Shown(b).to_string());
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .field("name", &Shown(&self.name))
            .field("size", &self.size)
            .field("rough_size", &self.rough_size)
            .field("modified", &self.modified.map(|m| (m.at, m.precision, m.utc)))
            .field("mode", &self.mode.map(|m| format!("{m:04o}")))
            .field("owner", &shown(&self.owner))
            .field("group", &shown(&self.group))
            .field("target", &shown(&self.target))
            .finish_non_exhaustive()
    }
}
