//! LIST as OpenVMS sends it: `NAME.TYPE;1  2/8  7-JAN-2000 10:30:13.64  [GROUP,OWNER]  (RWED,RWED,RE,)`.
//!
//! The columns behind the name come in several orders, each may be missing, and a long name stands in a line of its own. The
//! shapes are known from FileZilla's and Apache Commons Net's test data, D. J. Bernstein's ftpparse (MultiNet and UCX),
//! Mozilla, NFTP and Indy.
//!
//! - A size is in blocks of 512 bytes, of which the last may not be full: it is a rough one.
//! - A name keeps its version: `X;2` and `X;1` are two files. That of a directory loses `.DIR;1`, since CWD takes it so.

use jiff::civil::Date;

use super::clock::Clock;
use super::columns::{begins, contains, is_blank, is_number, number, split_once};
use super::date::{Order, in_order, stamp};
use super::line::{Line, directory};
use super::size::Size;
use crate::listing::{Entry, EntryKind};

/// Bytes in a block.
const BLOCK: u64 = 512;

pub(super) fn read(line: &[u8]) -> Line {
    let Some((name, rest)) = name(line) else {
        return if is_heading(line) { Line::Heading } else { heading(line) };
    };
    if rest.is_empty() {
        return Line::Begun;
    }
    Line::of(entry(name, rest))
        .or_else(|| if is_refusal(rest) { Line::loose(Some(named(name))) } else { Line::Foreign })
}

/// The name with its version, and what stands behind it without the blanks around.
fn name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.first().is_none_or(|&b| is_blank(b)) {
        return None;
    }
    let semicolons = line.iter().enumerate().filter(|(_, b)| **b == b';').map(|(at, _)| at);
    semicolons.filter(|&at| at > 0).find_map(|at| {
        let behind = line.get(at + 1..)?;
        let digits = behind.iter().take_while(|b| b.is_ascii_digit()).count();
        let ends = behind.get(digits).is_none_or(|&b| is_blank(b));
        let (name, rest) = line.split_at_checked(at + 1 + digits)?;
        ((1..=5).contains(&digits) && ends).then_some((name, rest.trim_ascii()))
    })
}

/// An entry with this name and no more.
fn named(name: &[u8]) -> Entry {
    let (stem, _) =
        name.split_at_checked(name.iter().rposition(|&b| b == b';').unwrap_or(name.len())).unwrap_or((name, &[]));
    match stem.len().checked_sub(4).and_then(|at| stem.split_at_checked(at)) {
        Some((bare, ending)) if ending.eq_ignore_ascii_case(b".dir") && !bare.is_empty() => directory(bare),
        _ => Entry::new(EntryKind::File, name),
    }
}

/// The entry, if all columns behind its name are known and one of them is a date.
fn entry(name: &[u8], rest: &[u8]) -> Option<Entry> {
    let mut entry = named(name);
    let (mut date, mut clock, mut blocks) = (None::<Date>, None, None);
    let mut rest = rest;
    while !rest.is_empty() {
        let end = match rest.first() {
            // Owners may have blanks in them, and be cut off before their `]`.
            Some(b'[') => {
                rest.iter().position(|&b| b == b']').map(|at| at + 1).or(rest.iter().position(|&b| b == b'('))
            }
            Some(b'(') => rest.iter().position(|&b| b == b')').map(|at| at + 1),
            _ => rest.iter().position(|&b| is_blank(b)),
        };
        let (column, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = behind.trim_ascii_start();
        match column.first()? {
            b'[' if entry.owner.is_none() => fill_owner(&mut entry, column),
            b'(' if entry.permissions.is_none() => {
                entry.mode = mode(column);
                entry.permissions = Some(column.to_vec());
            }
            _ => {
                let as_date = || in_order(column, Order::DayMonthYear).filter(|_| column.contains(&b'-'));
                if let Some(size) = size(column).filter(|_| blocks.is_none()) {
                    blocks = Some(size);
                } else if let Some(day) = as_date().filter(|_| date.is_none()) {
                    date = Some(day);
                } else if let Some(time) = Clock::read(column).filter(|_| clock.is_none() && date.is_some()) {
                    clock = Some(time);
                } else if date.is_some() && entry.owner.is_none() && column.iter().all(|b| b.is_ascii_graphic()) {
                    entry.owner = Some(column.to_vec());
                } else {
                    return None;
                }
            }
        }
    }
    entry.modified = Some(stamp(date?, clock, None)?);
    entry.rough_size = blocks;
    Some(entry)
}

/// `2`, `2/8` (used, allocated), `2KB`: about so many bytes.
fn size(column: &[u8]) -> Option<u64> {
    let used = match split_once(column, b'/') {
        Some((used, allocated)) => Some(used).filter(|_| is_number(allocated))?,
        None => column,
    };
    match number(used) {
        Some(blocks) => blocks.checked_mul(BLOCK),
        None => match Size::read(used)? {
            Size::Exact(_) => None,
            Size::Rough(size) => Some(size),
        },
    }
}

/// `[GROUP,OWNER]`, `[OWNER]`.
fn fill_owner(entry: &mut Entry, column: &[u8]) {
    let bare = column.strip_prefix(b"[").unwrap_or(column);
    let bare = bare.strip_suffix(b"]").unwrap_or(bare);
    let (group, owner) = split_once(bare, b',').map_or((None, bare), |(group, owner)| (Some(group), owner));
    entry.owner = Some(owner.trim_ascii().to_vec());
    entry.group = group.map(|group| group.trim_ascii().to_vec());
}

/// The bits of `(system,owner,group,world)` that Unix has as well.
fn mode(column: &[u8]) -> Option<u32> {
    let bare = column.strip_prefix(b"(")?.strip_suffix(b")")?;
    let mut classes = bare.split(|&b| b == b',');
    let mut bits = 0;
    classes.next()?;
    for _ in 0..3 {
        let class = classes.next()?.to_ascii_uppercase();
        let bit = |letter: u8, bit: u32| if class.contains(&letter) { bit } else { 0 };
        bits = bits << 3 | bit(b'R', 4) | bit(b'W', 2) | bit(b'E', 1);
    }
    Some(bits)
}

/// Why there is nothing behind a name: `%RMS-E-PRV, insufficient privilege`, `No privilege for attempted operation`.
fn is_refusal(rest: &[u8]) -> bool {
    rest.starts_with(b"%") || rest.starts_with(b"<%") || contains(rest, b"privilege")
}

/// `Total of 6 files, 1582 blocks.`, `Grand total of 2 directories`, `*.*;  %RMS-E-FNF, file not found`,
/// `%DIRECT-W-NOFILES, no files found`.
fn is_heading(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let total = begins(line, b"total of ") || begins(line, b"total ") || begins(line, b"grand total of ");
    let message = line.starts_with(b"%") && line.iter().filter(|b| **b == b'-').count() >= 2;
    (total && (contains(line, b"file") || contains(line, b"director"))) || message || line.starts_with(b"*.*;")
}

/// `Directory DISK:[ONE.TWO]`; those behind the first are of a listing of several.
fn heading(line: &[u8]) -> Line {
    let line = line.trim_ascii();
    let path = if begins(line, b"directory ") { line.get(10..).unwrap_or_default().trim_ascii() } else { line };
    if path.ends_with(b"]") && contains(path, b":[") && !path.contains(&b' ') {
        Line::Directory(path.to_vec())
    } else {
        Line::Foreign
    }
}
