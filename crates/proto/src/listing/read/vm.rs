//! LIST of VM/CMS and z/VM: `README   ANONYMOU V   71   26   1 1997-04-02 12:33:20 TCP291`, and of its byte file system:
//! `05/20/2000 13:38:19 F 1 65758 'name'`.
//!
//! The shapes are known from FileZilla's test data, NFTP and Indy. A name is `NAME.TYPE`, as the server takes it. The size is that of
//! a record times the number of records: exact where all records are as long (F); where they are not (V), the most that it can
//! be, which is rough.

use super::clock::Clock;
use super::columns::{Columns, begins, contains, is_number, number};
use super::date::stamp;
use super::line::{Context, Line, directory, is_rule};
use crate::listing::{Entry, EntryKind, Modified};

/// Bytes in a block, at most.
const BLOCK: u64 = 4096;

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    Line::of(minidisk(line, context).or_else(|| bytes(line, context))).or_else(|| {
        let line = line.trim_ascii();
        let is_heading = (begins(line, b"filename") && contains(line, b"lrecl")) || is_rule(line);
        if is_heading { Line::Heading } else { Line::Foreign }
    })
}

/// `NAME TYPE [MODE] F|V|DIR record-length records blocks date time [owner]`.
fn minidisk(line: &[u8], context: &mut Context) -> Option<Entry> {
    let columns = Columns::of(line, 11).texts;
    let at = (1..=3).find(|&at| {
        let is_figure = |column: &&[u8]| is_number(column) || *column == b"-";
        let figures = columns.get(at + 1..at + 4);
        matches!(columns.get(at), Some(&b"F" | &b"V" | &b"DIR")) && figures.is_some_and(|f| f.iter().all(is_figure))
    })?;
    let name = match columns.get(..at)? {
        [name] => name.to_vec(),
        [name, mode] if is_mode(mode) && columns.get(at) == Some(&&b"DIR"[..]) => name.to_vec(),
        [name, kind] | [name, kind, _] => [name, &b"."[..], kind].concat(),
        _ => return None,
    };
    let (&[format, length, records, blocks, date, time], rest) = columns.get(at..)?.split_first_chunk()?;
    let owner = match rest {
        [] | [b"-"] => None,
        [owner] => Some(owner.to_vec()),
        _ => return None,
    };
    let modified = Some(modified(date, time, context)?);
    let most = number(length).zip(number(records)).and_then(|(length, records)| length.checked_mul(records));
    let held = number(blocks).and_then(|blocks| blocks.checked_mul(BLOCK));
    let entry = match format {
        b"DIR" => directory(&name),
        b"F" => Entry { size: most, ..Entry::new(EntryKind::File, name) },
        _ => Entry { rough_size: most.min(held).or(most), ..Entry::new(EntryKind::File, name) },
    };
    Some(Entry { modified, owner, ..entry })
}

/// `date time F|D links|- size|- 'name'`, of the byte file system.
fn bytes(line: &[u8], context: &mut Context) -> Option<Entry> {
    let columns = Columns::of(line, 5);
    let &[date, time, kind, links, size] = columns.texts.as_slice() else { return None };
    let name = columns.behind(4, 1).strip_prefix(b"'")?;
    let name = name.strip_suffix(b"'").unwrap_or(name);
    let entry = match kind {
        _ if name.is_empty() => return None,
        b"F" => Entry { size: Some(number(size)?), ..Entry::new(EntryKind::File, name) },
        b"D" if size == b"-" => directory(name),
        _ => return None,
    };
    Some(Entry { modified: Some(modified(date, time, context)?), links: number(links), ..entry })
}

fn modified(date: &[u8], time: &[u8], context: &mut Context) -> Option<Modified> {
    let clock = Clock::read(time)?;
    stamp(context.orders.read(date)?, Some(clock), None)
}

/// The letter of a minidisk and a number: `A1`.
fn is_mode(column: &[u8]) -> bool {
    matches!(column, [letter, digit] if letter.is_ascii_uppercase() && (b'0'..=b'6').contains(digit))
}
