//! EPLF, the easily parsed LIST format: `+facts,` a tab and the name, as publicfile and anonftpd send it.
//!
//! The format is D. J. Bernstein's, whose page on it and whose ftpparse are its source; FileZilla's test data and lftp show
//! the permissions (`up755`) that some servers add.

use jiff::Timestamp;

use super::columns::{number, radix, split_once};
use super::line::{Line, directory};
use crate::listing::{Entry, EntryKind, Modified, Precision};

pub(super) fn read(line: &[u8]) -> Line {
    Line::of(entry(line))
}

fn entry(line: &[u8]) -> Option<Entry> {
    let (facts, name) = split_once(line.strip_prefix(b"+")?, b'\t')?;
    if name.is_empty() {
        return None;
    }
    let mut entry = Entry::new(EntryKind::Other, name);
    let mut may_be_entered = false;
    for fact in facts.split(|&b| b == b',') {
        match fact.split_first() {
            Some((b'/', [])) => may_be_entered = true,
            Some((b'r', [])) => entry.kind = EntryKind::File,
            Some((b's', size)) => entry.size = number(size),
            Some((b'm', time)) => entry.modified = modified(time),
            Some((b'i', unique)) => entry.unique = Some(unique.to_vec()),
            Some((b'u', [b'p', mode @ ..])) => {
                entry.mode = radix(mode, 8).and_then(|mode| u32::try_from(mode & 0o7777).ok());
                entry.permissions = Some(mode.to_vec());
            }
            // Facts that are not known are passed over.
            _ => {}
        }
    }
    if may_be_entered {
        entry.kind = directory(name).kind;
    }
    Some(entry)
}

/// Seconds since the beginning of 1970, in UTC.
fn modified(text: &[u8]) -> Option<Modified> {
    let at = Timestamp::from_second(i64::try_from(number(text)?).ok()?).ok()?;
    Some(Modified { at, precision: Precision::Second, utc: true })
}
