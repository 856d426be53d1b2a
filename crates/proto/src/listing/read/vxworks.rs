//! LIST of VxWorks, on routers of Nortel and elsewhere: `2048    Feb-28-1998  05:23:30   NAME   <DIR>`.
//!
//! The shape is known from FileZilla's test data and Indy.

use super::clock::Clock;
use super::columns::{Columns, begins, number};
use super::date::{Order, in_order, stamp};
use super::line::{Line, directory, is_rule};
use crate::listing::{Entry, EntryKind};

/// So many blanks stand before a name.
const GAP: usize = 3;

pub(super) fn read(line: &[u8]) -> Line {
    Line::of(entry(line)).or_else(|| if is_heading(line) { Line::Heading } else { Line::Foreign })
}

fn entry(line: &[u8]) -> Option<Entry> {
    let columns = Columns::of(line, 3);
    let &[size, date, time] = columns.texts.as_slice() else { return None };
    let is_named = date.first().is_some_and(u8::is_ascii_alphabetic);
    let date = in_order(date, Order::MonthDayYear).filter(|_| is_named)?;
    let modified = Some(stamp(date, Some(Clock::read(time)?), None)?);
    let size = number(size)?;
    let text = columns.behind(2, GAP);
    let entry = match text.trim_ascii_end().strip_suffix(b"<DIR>") {
        // The mark stands in a column of its own, and no name ends with a blank.
        Some(name) if name.ends_with(b" ") => directory(name.trim_ascii_end()),
        _ => Entry { size: Some(size), ..Entry::new(EntryKind::File, text) },
    };
    (!entry.name.is_empty()).then_some(Entry { modified, ..entry })
}

/// `size          date       time       name`, and what the system's shell says behind a listing: `value = 0 = 0x0`.
fn is_heading(line: &[u8]) -> bool {
    let columns = Columns::of(line, 5).texts;
    columns == [&b"size"[..], b"date", b"time", b"name"] || begins(line, b"value = ") || is_rule(line)
}
