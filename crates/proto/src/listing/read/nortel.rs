//! LIST of routers of Wellfleet, Bay Networks and Nortel (wfFtp): `startup.cfg   2116  03/06/03  Thur.  07:38:50`.
//!
//! The shape is known from FileZilla's test data and Indy, which has whole listings from Nortel's manual. There are no
//! directories. Nortel's routers with VxWorks are in `vxworks`.

use super::clock::Clock;
use super::columns::{Columns, begins, contains, number};
use super::date::{Order, in_order, stamp};
use super::line::{Line, is_rule};
use crate::listing::{Entry, EntryKind};

const DAYS: [&[u8; 3]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];

pub(super) fn read(line: &[u8]) -> Line {
    Line::of(entry(line)).or_else(|| if is_heading(line) { Line::Heading } else { Line::Foreign })
}

fn entry(line: &[u8]) -> Option<Entry> {
    let columns = Columns::of(line, 6).texts;
    let &[name, size, date, day, time] = columns.as_slice() else { return None };
    if !DAYS.iter().any(|name| begins(day, *name)) {
        return None;
    }
    let date = in_order(date, Order::MonthDayYear)?;
    let modified = Some(stamp(date, Some(Clock::read(time)?), None)?);
    Some(Entry { size: Some(number(size)?), modified, ..Entry::new(EntryKind::File, name) })
}

/// `Volume - drive 1:`, `Directory of 1:`, `File Name  Size  Date  Day  Time`, `33554432 bytes - Total size`.
fn is_heading(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    begins(line, b"volume - drive")
        || begins(line, b"directory of ")
        || (begins(line, b"file name ") && contains(line, b" day "))
        || (contains(line, b" bytes - ") && (contains(line, b"size") || contains(line, b"space")))
        || is_rule(line)
}
