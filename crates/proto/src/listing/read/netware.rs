//! LIST as Novell NetWare sends it: `d [RWCEAFMS] owner  512 Jan 16 18:53    name`.
//!
//! The shapes are known from D. J. Bernstein's ftpparse, FileZilla's and Apache Commons Net's test data, and NFTP; those of
//! version 3 (`-[R----F-]  1 owner ...`) from Indy.

use super::columns::{Columns, is_number, joined, number};
use super::line::{Context, Line, directory, heading};
use super::size::Size;
use super::when;
use crate::listing::{Entry, EntryKind};

/// How many columns may stand before a date, the usual number first.
const DATE_AT: [usize; 5] = [2, 3, 1, 4, 5];

pub(super) fn read(line: &[u8], context: &mut Context) -> Line {
    Line::of(entry(line, context)).or_else(|| match Columns::of(line, 3).texts.as_slice() {
        [word, size] if word.eq_ignore_ascii_case(b"total") && Size::read(size).is_some() => Line::Heading,
        _ => heading(line, context),
    })
}

fn entry(line: &[u8], context: &mut Context) -> Option<Entry> {
    let (kind, rest) = line.split_first()?;
    let is_directory = match kind {
        b'd' | b'D' => true,
        b'-' => false,
        _ => return None,
    };
    let rest = rest.trim_ascii_start();
    let (rights, rest) = rest.split_at_checked(rest.iter().position(|&b| b == b']')? + 1)?;
    let letters = rights.strip_prefix(b"[")?.strip_suffix(b"]")?;
    if !(7..=9).contains(&letters.len()) || !letters.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b' '))
    {
        return None;
    }
    let columns = Columns::of(rest, 5 + 4);
    let (at, date) = DATE_AT.into_iter().find_map(|at| {
        Size::read(columns.texts.get(at.checked_sub(1)?)?)?;
        let mut trial = *context;
        let date = when::read(columns.from(at), &mut trial)?;
        *context = trial;
        Some((at, date))
    })?;
    let (last, mut owner) = columns.texts.get(..at)?.split_last()?;
    let (size, rough_size) = Size::read(last)?.parts();
    let mut links = None;
    if let [first, rest @ ..] = owner
        && !rest.is_empty()
        && is_number(first)
    {
        (links, owner) = (number(first), rest);
    }
    // No name on NetWare begins with a blank; old servers write several before it.
    let name = columns.behind((at + date.columns).checked_sub(1)?, usize::MAX);
    let named = if is_directory { directory(name) } else { Entry::new(EntryKind::File, name) };
    (!name.is_empty()).then(|| Entry {
        size,
        rough_size,
        modified: Some(date.modified),
        permissions: Some(rights.to_vec()),
        links,
        owner: joined(owner),
        ..named
    })
}
