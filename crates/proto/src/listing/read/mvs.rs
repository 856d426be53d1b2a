//! LIST of data sets on z/OS (MVS, OS/390): `WYOSPT 3390  2003/05/21  1  200  FB  80  8053  PS  DATA.SET`.
//!
//! The shapes are known from FileZilla's and Apache Commons Net's test data, NFTP and Indy. HFS and zFS of the same system
//! are listed as on Unix.
//!
//! - A partitioned data set (PO, PO-E) is a directory: its members are listed, and fetched, each by itself.
//! - No size: that in tracks says nothing of how full they are.
//! - The date is that of the last reference. A data set is not changed without one, so it is never earlier than the last
//!   change; to the day.
//! - Data sets that cannot be fetched as they are (VSAM, migrated, on tape, with attributes that the server failed to get)
//!   are files as well: a copy of the whole is to fail at them, not to pass them over.

use jiff::civil::Date;

use super::columns::{Columns, begins, contains, is_number};
use super::date::stamp;
use super::line::{Context, Line, directory, is_rule};
use crate::listing::{Entry, EntryKind};

/// So many columns there may be before the name.
const MOST_COLUMNS: usize = 12;

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    let line = line.trim_ascii_end();
    if is_heading(line) {
        return Line::Heading;
    }
    let Some((before, name)) = split(line) else { return Line::Foreign };
    let columns = Columns::of(before, MOST_COLUMNS).texts;
    let (is_quoted, name) = match name.strip_prefix(b"'").and_then(|name| name.strip_suffix(b"'")) {
        Some(bare) => (true, bare),
        None => (false, name),
    };
    let file = || Some(Entry::new(EntryKind::File, name));
    match columns.as_slice() {
        _ if name.is_empty() => Line::Foreign,
        [b"Pseudo", b"Directory"] => Line::of(Some(directory(name))),
        [b"Error", b"determining", b"attributes"] | [_, b"Not", b"Mounted"] => Line::of(file()),
        [volume, unit, b"VSAM"] if is_volume(volume) && is_unit(unit) => Line::of(file()),
        [b"Migrated" | b"MIGRAT" | b"ARCIVE"] if is_quoted || is_data_set(name) => Line::of(file()),
        [b"Migrated" | b"MIGRAT" | b"ARCIVE"] => Line::loose(file()),
        // On tape, or with nothing told of it.
        [volume, b"Tape"] if is_volume(volume) => Line::loose(file()),
        [volume, unit] if is_volume(volume) && is_unit(unit) => Line::loose(file()),
        [volume, unit, referred, middle @ .., organisation] if (3..=5).contains(&middle.len()) => {
            let is_told = is_volume(volume) && is_unit(unit) && is_organisation(organisation);
            Line::of(is_told.then(|| data_set(referred, organisation, name, context)).flatten())
        }
        _ => Line::Foreign,
    }
}

/// What stands before the name, and the name: the last column, or what is between the quotes at the end.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = match line.strip_suffix(b"'") {
        Some(open) => open.iter().position(|&b| b == b'\'')?,
        None => line.iter().rposition(|&b| matches!(b, b' ' | b'\t'))? + 1,
    };
    line.split_at_checked(at)
}

fn data_set(referred: &[u8], organisation: &[u8], name: &[u8], context: &mut Context) -> Option<Entry> {
    let entry = if organisation.starts_with(b"PO") { directory(name) } else { Entry::new(EntryKind::File, name) };
    let modified = match referred {
        // `**NONE**`, `***NONE***`.
        never if never.starts_with(b"*") => None,
        date => Some(stamp(referred_date(date, context)?, None, None)?),
    };
    Some(Entry { modified, ..entry })
}

/// `2003/05/21`, `12/29/95`; the number of extents may touch it: `2010/03/09123`.
fn referred_date(column: &[u8], context: &mut Context) -> Option<Date> {
    let long = column.get(..10).filter(|_| column.get(4) == Some(&b'/'));
    context.orders.read(long.unwrap_or(column))
}

fn is_volume(column: &[u8]) -> bool {
    (1..=6).contains(&column.len())
        && column.iter().all(|&b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"@#$-".contains(&b))
}

/// A type of device: `3390`, or a name that the installation gives.
fn is_unit(column: &[u8]) -> bool {
    (column.len() == 4 && is_number(column)) || column == b"Tape"
}

/// `PS`, `PO`, `PO-E`, `DA`, `VSAM`, ...
fn is_organisation(column: &[u8]) -> bool {
    (2..=5).contains(&column.len()) && column.iter().all(|&b| b.is_ascii_uppercase() || b == b'-')
}

/// Whether it is a name of a data set as the system has them: parts of one to eight letters and digits.
fn is_data_set(name: &[u8]) -> bool {
    let is_letter = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"@#$-".contains(b);
    let part = |part: &[u8]| (1..=8).contains(&part.len()) && part.iter().all(is_letter);
    name.contains(&b'.') && name.split(|&b| b == b'.').all(part)
}

/// `Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname`.
fn is_heading(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    (begins(line, b"volume") && contains(line, b"dsname")) || is_rule(line)
}
