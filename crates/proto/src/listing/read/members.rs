//! LIST in a partitioned data set of z/OS: its members, with the statistics of the editor
//! (`MEMBER  01.03 2002/09/12 2002/10/11 09:37  11  11  0 USER`), as load modules (`MEMBER  00B308 000411  00 FO  31 ANY`), or by
//! their names alone.
//!
//! The shapes are known from Apache Commons Net's and FileZilla's test data, NFTP and Indy. The size of a text is in lines,
//! which says nothing of its bytes; that of a load module is in bytes as it is loaded, so it is a rough one.

use super::clock::Clock;
use super::columns::{Columns, begins, contains, is_number, radix};
use super::date::stamp;
use super::line::{Context, Line, is_rule};
use crate::listing::{Entry, EntryKind};

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    let columns = Columns::of(line, 10).texts;
    if is_heading(line) {
        return Line::Heading;
    }
    let Some((name, rest)) = columns.split_first() else { return Line::Foreign };
    match rest {
        // A member that nobody has edited has no statistics.
        [] if is_member(name) => Line::loose(Some(Entry::new(EntryKind::File, *name))),
        [version, created, changed, time, numbers @ ..] if is_version(version) => {
            let (counts, id) = numbers.split_at_checked(3).unwrap_or_default();
            let is_told = counts.iter().all(|count| is_number(count)) && counts.len() == 3 && id.len() <= 1;
            Line::of(is_told.then(|| edited(name, [created, changed, time], id, context)).flatten())
        }
        [size, place, attributes @ ..] => {
            let is_told = size.len() == 6 && place.len() == 6 && radix(place, 16).is_some() && attributes.len() >= 2;
            Line::of(is_told.then(|| module(name, size)).flatten())
        }
        _ => Line::Foreign,
    }
}

fn edited(name: &[u8], times: [&[u8]; 3], id: &[&[u8]], context: &mut Context) -> Option<Entry> {
    let [created, changed, time] = times;
    context.orders.read(created)?;
    let modified = stamp(context.orders.read(changed)?, Some(Clock::read(time)?), None)?;
    let owner = id.first().map(|id| id.to_vec());
    Some(Entry { modified: Some(modified), owner, ..Entry::new(EntryKind::File, name) })
}

fn module(name: &[u8], size: &[u8]) -> Option<Entry> {
    Some(Entry { rough_size: Some(radix(size, 16)?), ..Entry::new(EntryKind::File, name) })
}

/// `01.03`: version and level.
fn is_version(column: &[u8]) -> bool {
    matches!(column, [a, b, b'.', c, d] if [a, b, c, d].iter().all(|d| d.is_ascii_digit()))
}

/// Whether it is a name of a member as the system has them: one to eight letters and digits.
fn is_member(name: &[u8]) -> bool {
    let is_letter = |b: &u8| b.is_ascii_uppercase() || b"@#${".contains(b);
    (1..=8).contains(&name.len())
        && name.first().is_some_and(is_letter)
        && name.iter().all(|b| is_letter(b) || b.is_ascii_digit())
}

/// ` Name     VV.MM   Created       Changed      Size  Init   Mod   Id`,
/// ` Name      Size     TTR   Alias-of AC --------- Attributes --------- Amode Rmode`.
fn is_heading(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let named =
        begins(line, b"name ") && (contains(line, b"vv.mm") || contains(line, b"ttr") || contains(line, b"alias-of"));
    named || is_rule(line)
}
