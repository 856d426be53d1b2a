//! LIST of IBM i (OS/400, AS/400): `QSYS   77824 02/23/00 15:09:55 *DIR   name/`.
//!
//! The shapes are known from FileZilla's and Apache Commons Net's test data, NFTP and Indy, which has them from IBM's manual: ten
//! columns for the owner and the size, eight for date and time in the form of the server's job, ten for the type.
//!
//! Directories are `*DIR`, `*DDIR`, `*FLR` and `*LIB`. `*FILE` is a file, though most have members, each of which is listed as a
//! `*MEM` with the file's name before its own. Other objects (`*PGM`, `*USRPRF`) are [`EntryKind::Other`].

use super::clock::Clock;
use super::columns::{Columns, is_blank, is_number, number};
use super::date::stamp;
use super::line::{Context, Line, directory};
use crate::listing::{Entry, EntryKind, Modified};

/// So wide is the column of the type.
const TYPE_WIDTH: usize = 10;

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    Line::of(entry(line, context))
}

fn entry(line: &[u8], context: &mut Context) -> Option<Entry> {
    let columns = Columns::of(line, 6);
    let at = columns.texts.iter().take(5).position(|column| column.starts_with(b"*"))?;
    let kind = columns.texts.get(at)?;
    let letters = kind.get(1..)?;
    if !(2..=9).contains(&letters.len()) || !letters.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let (modified, mut before) = dated(columns.texts.get(..at)?, context)?;
    let is_known =
        matches!(*kind, b"*DIR" | b"*DDIR" | b"*FLR" | b"*LIB" | b"*STMF" | b"*DSTMF" | b"*DOC" | b"*MEM" | b"*FILE");
    if modified.is_none() && !is_known {
        return None;
    }
    // An owner's name may be digits: with nothing before it a number is a size only in its own columns.
    let mut size = None;
    if let Some((last, others)) = before.split_last()
        && is_number(last)
        && (!others.is_empty() || line.first().is_some_and(|&b| is_blank(b)))
    {
        (size, before) = (Some(number(last)?), others);
    }
    let owner = match before {
        [] => None,
        [owner] => Some(owner.to_vec()),
        _ => return None,
    };
    let name = columns.behind(at, 1 + TYPE_WIDTH.saturating_sub(kind.len()));
    let entry = named(kind, name)?;
    Some(Entry { size, modified, owner, ..entry })
}

/// The date and time at the end of the columns, and the columns before it; members have neither.
fn dated<'a, 'b>(columns: &'a [&'b [u8]], context: &mut Context) -> Option<(Option<Modified>, &'a [&'b [u8]])> {
    let Some((before, &[date, time])) = columns.split_last_chunk() else { return Some((None, columns)) };
    // The job may have points between hours, minutes and seconds.
    let time: Vec<u8> = time.iter().map(|&b| if b == b'.' { b':' } else { b }).collect();
    let Some(clock) = Clock::read(&time) else { return Some((None, columns)) };
    Some((Some(stamp(context.orders.read(date)?, Some(clock), None)?), before))
}

fn named(kind: &[u8], name: &[u8]) -> Option<Entry> {
    let kind = match kind {
        b"*DIR" | b"*DDIR" | b"*FLR" | b"*LIB" => {
            let bare = name.strip_suffix(b"/").filter(|bare| !bare.is_empty()).unwrap_or(name);
            return (!bare.is_empty()).then(|| directory(bare));
        }
        b"*STMF" | b"*DSTMF" | b"*DOC" | b"*MEM" | b"*FILE" => EntryKind::File,
        b"*SYMLNK" => EntryKind::Symlink,
        _ => EntryKind::Other,
    };
    (!name.is_empty()).then(|| Entry::new(kind, name))
}
