//! LIST as servers on OS/2 send it: `36611      A    04-23-103  10:57  name`, with `DIR` for a directory.
//!
//! The shapes are known from FileZilla's and Apache Commons Net's test data, lftp, NFTP and Indy; years of three digits are of
//! servers that were not ready for 2000.

use super::clock::Clock;
use super::columns::Columns;
use super::date::{Order, in_order, stamp};
use super::line::{Line, directory};
use super::size::Size;
use crate::listing::{Entry, EntryKind};

/// The letters of attributes: archive, read-only, system, hidden, and what FAT has besides.
const ATTRIBUTES: &[u8] = b"ARSHDCEV-";

pub(super) fn read(line: &[u8]) -> Line {
    Line::of(entry(line))
}

fn entry(line: &[u8]) -> Option<Entry> {
    let columns = Columns::of(line, 5);
    let (size, rest) = columns.texts.split_first()?;
    let Size::Exact(size) = Size::read(size)? else { return None };
    // Between the size and the date stand attributes and `DIR`, each or neither, in any order.
    let at = 1 + rest.iter().take(2).take_while(|column| is_mark(column)).count();
    let date = in_order(columns.texts.get(at)?, Order::MonthDayYear)?;
    let clock = Clock::read(columns.texts.get(at + 1)?)?;
    let marks = columns.texts.get(1..at)?;
    let is_directory = marks.contains(&&b"DIR"[..]);
    let name = columns.behind(at + 1, 2);
    let named = if is_directory { directory(name) } else { Entry::new(EntryKind::File, name) };
    (!name.is_empty()).then(|| Entry {
        size: Some(size),
        modified: stamp(date, Some(clock), None),
        permissions: marks.iter().find(|mark| **mark != b"DIR").map(|mark| mark.to_vec()),
        ..named
    })
}

fn is_mark(column: &[u8]) -> bool {
    column == b"DIR" || (column.len() <= 5 && column.iter().all(|b| ATTRIBUTES.contains(b)))
}
