//! `port21 ls`: directories, for people and for programs.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use port21_client::{Client, Error, Listed};
use port21_proto::listing::{Entry, EntryKind, Modified, Precision};
use port21_proto::text::Shown;
use serde_json::{Map, Value, json};

use super::{Outcome, places, remote};
use crate::alike::Alike;
use crate::args::client::LsArgs;
use crate::exit::{Exit, Fault};
use crate::place::Place;

pub(super) async fn run(args: &LsArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for place in &places {
        if places.len() > 1 && !args.json {
            write_line(format_args!("{place}:"))?;
        }
        let client = match remote.session(place, &format!("ls {place}")).await {
            Ok(client) => client,
            Err(error) => {
                outcome.add(Err(error));
                continue;
            }
        };
        outcome.add(list(client, place, args).await.with_context(|| place.to_string()));
    }
    remote.end().await;
    Ok(outcome.0)
}

/// At most so many entries are kept to be sorted; those behind them are written as they come, for a listing may be longer
/// than memory.
const SORTED: usize = 16 * 1024;

/// At most so many bytes of their lines and names.
const SORTED_BYTES: usize = 16 * 1024 * 1024;

const UNREADABLE: &str = "a line of the listing that cannot be read";

/// Writes the entries by name: MLSD has them in the order of the server's disk.
async fn list(client: &mut Client, place: &Place, args: &LsArgs) -> anyhow::Result<()> {
    let mut entries = match client.list(place.path()).await {
        Ok(entries) => entries,
        Err(refused) => return file(client, place, args, refused).await,
    };
    let mut unreadable = 0;
    let mut sorted = Vec::new();
    let (mut bytes, mut is_full) = (0, false);
    let mut alike = Alike::default();
    while let Some(listed) = entries.next().await {
        match listed? {
            Listed::Entry(entry) if is_full => write_entry(&entry, args)?,
            Listed::Entry(entry) => {
                bytes += entry.name.len() + entry.raw.len();
                sorted.push(*entry);
                if sorted.len() == SORTED || bytes > SORTED_BYTES {
                    is_full = true;
                    write_sorted(std::mem::take(&mut sorted), args)?;
                }
            }
            Listed::Unreadable(line) => {
                unreadable += 1;
                if alike.is_told(UNREADABLE) {
                    tracing::warn!("{UNREADABLE}: {}", Shown(&line));
                }
            }
        }
    }
    alike.rest().iter().for_each(|line| tracing::warn!("{line}"));
    write_sorted(sorted, args)?;
    all_read(unreadable)
}

/// Fails where lines of a listing could not be read: what they are may be missing.
pub(super) fn all_read(unreadable: u64) -> anyhow::Result<()> {
    let lines = if unreadable == 1 { "line" } else { "lines" };
    match unreadable {
        0 => Ok(()),
        _ => {
            bail!(Fault::new(Exit::Refused, format!("{unreadable} {lines} of the server's listing could not be read")))
        }
    }
}

/// A file is listed as itself: some servers do that, others refuse to list what is no directory.
async fn file(client: &mut Client, place: &Place, args: &LsArgs, refused: Error) -> anyhow::Result<()> {
    if !matches!(refused, Error::Refused { .. }) {
        return Err(refused.into());
    }
    match client.stat(place.path()).await {
        Ok(entry) if !entry.is_directory() => {
            let name = place.file_name().unwrap_or_default().to_vec();
            write_entry(&Entry { name, ..entry }, args)
        }
        _ => Err(refused.into()),
    }
}

fn write_sorted(mut entries: Vec<Entry>, args: &LsArgs) -> anyhow::Result<()> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.iter().try_for_each(|entry| write_entry(entry, args))
}

pub(super) fn write_entry(entry: &Entry, args: &LsArgs) -> anyhow::Result<()> {
    match (args.json, args.names) {
        (true, _) => write_line(json(entry)),
        (_, true) => write_line(Shown(&entry.name)),
        _ => write_line(long(entry)),
    }
}

pub(super) fn write_line(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to standard output")
}

/// A line as `ls -l` writes it, with what the server told.
fn long(entry: &Entry) -> String {
    let mut line = permissions(entry);
    let who = |name: &Option<Vec<u8>>| name.as_ref().map(|name| format!(" {:<8}", Shown(name).to_string()));
    line.extend(who(&entry.owner));
    line.extend(who(&entry.group));
    let rough = || entry.rough_size.map_or_else(|| "-".to_owned(), |size| format!("~{size}"));
    line += &format!(" {:>12}", entry.size.map_or_else(rough, |size| size.to_string()));
    line += &format!(" {:>16} ", entry.modified.map(|m| time(&m)).unwrap_or_default());
    line += &Shown(&entry.name).to_string();
    if let Some(target) = &entry.target {
        line += &format!(" -> {}", Shown(target));
    }
    line
}

fn permissions(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Symlink => 'l',
        EntryKind::Other => '?',
        _ if entry.is_directory() => 'd',
        _ => '?',
    };
    let Some(mode) = entry.mode else { return format!("{kind}{:9}", "") };
    let bits = "rwxrwxrwx".char_indices();
    let bits: String = bits.map(|(at, c)| if mode & (0o400 >> at) != 0 { c } else { '-' }).collect();
    format!("{kind}{bits}")
}

/// As exact as it is known. In UTC where the server says so, else in the server's own zone.
fn time(modified: &Modified) -> String {
    let form = if modified.precision == Precision::Day { "%Y-%m-%d      " } else { "%Y-%m-%d %H:%M" };
    jiff::tz::Offset::UTC.to_datetime(modified.at).strftime(form).to_string()
}

/// An entry as a JSON object; what the server did not tell is left out. A name that is not UTF-8 is shown escaped, and
/// its bytes are in `name_hex`. `type` and `kind` say the same. Where `rough` is true the size is about that of the file:
/// good to show, not to compare with.
pub(super) fn json(entry: &Entry) -> Value {
    let mut out = Map::new();
    put_bytes(&mut out, "name", &entry.name);
    let kind = match entry.kind {
        EntryKind::File => "file",
        EntryKind::Symlink => "link",
        EntryKind::Other => "other",
        _ if entry.is_directory() => "directory",
        _ => "other",
    };
    out.insert("type".to_owned(), json!(kind));
    out.insert("kind".to_owned(), json!(kind));
    if let Some(size) = entry.size.or(entry.rough_size) {
        out.insert("size".to_owned(), json!(size));
    }
    if entry.size.is_none() && entry.rough_size.is_some() {
        out.insert("rough".to_owned(), json!(true));
    }
    if let Some(modified) = &entry.modified {
        let stamp = modified.at.to_string();
        // Without its `Z` a time claims no zone.
        let stamp = if modified.utc { stamp.as_str() } else { stamp.trim_end_matches('Z') };
        out.insert("modified".to_owned(), json!(stamp));
    }
    if let Some(mode) = entry.mode {
        out.insert("mode".to_owned(), json!(format!("{mode:04o}")));
    }
    for (key, value) in [
        ("owner", &entry.owner),
        ("group", &entry.group),
        ("target", &entry.target),
        ("permissions", &entry.permissions),
        ("directory", &entry.directory),
    ] {
        if let Some(value) = value {
            put_bytes(&mut out, key, value);
        }
    }
    Value::Object(out)
}

pub(super) fn put_bytes(out: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.insert(key.to_owned(), json!(text));
        }
        Err(_) => {
            out.insert(key.to_owned(), json!(Shown(bytes).to_string()));
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            out.insert(format!("{key}_hex"), json!(hex));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let at = "2005-05-02T21:07:00Z".parse().unwrap();
        let modified = Some(Modified { at, precision: Precision::Second, utc: true });
        Entry { size: Some(1715), mode: Some(0o644), modified, ..Entry::new(EntryKind::File, "readme.txt") }
    }

    #[test]
    fn long_lines() {
        assert_eq!(long(&entry()), "-rw-r--r--         1715 2005-05-02 21:07 readme.txt");
        let link = Entry { target: Some(b"x".to_vec()), ..Entry::new(EntryKind::Symlink, "\x1b[2J") };
        assert_eq!(long(&link), format!("l{:9} {:>12} {:>16} \\x1b[2J -> x", "", "-", ""));
        let rough = Entry { rough_size: Some(512), ..Entry::new(EntryKind::File, "A.TXT;1") };
        assert_eq!(long(&rough), format!("-{:9} {:>12} {:>16} A.TXT;1", "", "~512", ""));
    }

    #[test]
    fn json_loses_nothing() {
        let want = concat!(
            r#"{"kind":"file","mode":"0644","modified":"2005-05-02T21:07:00Z","name":"readme.txt","#,
            r#""size":1715,"type":"file"}"#
        );
        assert_eq!(json(&entry()).to_string(), want);
        let odd = json(&Entry::new(EntryKind::Directory, &b"\xff"[..]));
        assert_eq!(odd.to_string(), r#"{"kind":"directory","name":"\\xff","name_hex":"ff","type":"directory"}"#);
    }
}
