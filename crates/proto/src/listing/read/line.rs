//! What a line can be in a dialect, and what readers of several dialects say of it.

use jiff::Timestamp;

use super::date::Orders;
use crate::listing::{Entry, EntryKind};

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An entry, in a form that only this dialect has.
    Entry(Box<Entry>),
    /// An entry, if the listing is in this dialect: by itself the line could be anything.
    Loose(Box<Entry>),
    /// The first half of an entry that goes on in the next line.
    Begun,
    /// It belongs to the dialect and names nothing: `total 12`.
    Heading,
    /// It belongs to the dialect, and says in which directory the entries behind it are.
    Directory(Vec<u8>),
    /// It is not of this dialect.
    Foreign,
}

impl Line {
    /// An entry, or nothing of this dialect.
    pub(super) fn of(entry: Option<Entry>) -> Line {
        entry.map_or(Line::Foreign, |entry| Line::Entry(Box::new(entry)))
    }

    /// The same for a line that means something in a listing that is known to be of this dialect.
    pub(super) fn loose(entry: Option<Entry>) -> Line {
        entry.map_or(Line::Foreign, |entry| Line::Loose(Box::new(entry)))
    }

    /// This, or what `other` says where this is nothing of the dialect.
    pub(super) fn or_else(self, other: impl FnOnce() -> Line) -> Line {
        if self == Line::Foreign { other() } else { self }
    }
}

/// What a reader knows beside its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The time of day by the calendar.
    pub(super) now: Timestamp,
    /// In which orders the listing may write its dates, by all those that have been read.
    pub(super) orders: Orders,
    /// Whether an empty line stands before this one, or nothing.
    pub(super) is_first: bool,
}

/// A directory, which may be the listed one or its parent.
pub(super) fn directory(name: &[u8]) -> Entry {
    let kind = match name {
        b"." => EntryKind::CurrentDirectory,
        b".." => EntryKind::ParentDirectory,
        _ => EntryKind::Directory,
    };
    Entry::new(kind, name)
}

/// Whether the line is one that is drawn below a heading: `-----  ----`.
pub(super) fn is_rule(line: &[u8]) -> bool {
    let dashes = line.iter().filter(|&&b| matches!(b, b'-' | b'=')).count();
    dashes >= 3 && line.iter().all(|b| matches!(b, b'-' | b'=' | b' ' | b'\t'))
}

/// The heading of one of several directories, as `ls -R` writes it behind an empty line: `sub:`.
pub(super) fn heading(line: &[u8], context: &Context) -> Line {
    match line.strip_suffix(b":") {
        Some(path) if context.is_first && !path.is_empty() => Line::Directory(path.to_vec()),
        _ => Line::Foreign,
    }
}
