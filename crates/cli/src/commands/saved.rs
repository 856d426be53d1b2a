//! `port21 ls --parse`: a listing that was saved, as it is read from a server. Connects to nothing.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use port21_proto::listing::{Entry, Listed, ListingReader, Precision, Unreadable};
use port21_proto::text::Shown;
use serde_json::{Map, Value, json};

use super::ls::{self, put_bytes, write_line};
use crate::args::client::LsArgs;
use crate::exit::Exit;

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// Tells each line in the order of the listing. Lines that cannot be read are told, and are no failure: the answer is whole.
pub(super) fn run(args: &LsArgs) -> anyhow::Result<Exit> {
    let Some(path) = &args.parse else { bail!("no listing is named") };
    let mut file = open(path)?;
    let mut reader = ListingReader::new(args.now.unwrap_or_else(Timestamp::now));
    let mut chunk = vec![0; CHUNK];
    let mut unreadable = 0;
    loop {
        let read = match file.read(&mut chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        match chunk.get(..read) {
            None | Some([]) => reader.handle_eof(),
            Some(bytes) => reader.handle_data(bytes),
        }
        while let Some(listed) = reader.poll_listed() {
            unreadable += usize::from(matches!(listed, Listed::Unreadable(_)));
            tell(&listed, args)?;
        }
        if read == 0 {
            break;
        }
    }
    match reader.dialect() {
        Some(dialect) => tracing::info!("the listing is read as that of {dialect}"),
        None if unreadable > 0 => tracing::warn!("the listing is in no dialect that is known"),
        None => {}
    }
    Ok(Exit::Done)
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(stdin().lock()));
    }
    Ok(Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?))
}

fn tell(listed: &Listed, args: &LsArgs) -> anyhow::Result<()> {
    match listed {
        Listed::Entry(entry) if args.json => write_line(json(entry)),
        Listed::Entry(entry) => ls::write_entry(entry, args),
        Listed::Unreadable(line) => {
            tracing::warn!("a line of the listing that cannot be read: {}", Shown(&line.raw));
            if args.json { write_line(unreadable(line)) } else { Ok(()) }
        }
        Listed::Skipped(line) => {
            tracing::info!("a line of the listing that names no file: {}", Shown(line));
            Ok(())
        }
    }
}

/// As `ls --json` has it; also the line itself, how exact the time is, and null for what is not told.
fn json(entry: &Entry) -> Value {
    let mut out = match ls::json(entry) {
        Value::Object(out) => out,
        _ => Map::new(),
    };
    for key in ["size", "modified", "target"] {
        out.entry(key).or_insert(Value::Null);
    }
    let precision = entry.modified.map(|modified| match modified.precision {
        Precision::Day => "day",
        Precision::Minute => "minute",
        Precision::Second => "second",
    });
    if let Some(precision) = precision {
        out.insert("precision".to_owned(), json!(precision));
    }
    put_bytes(&mut out, "raw", &entry.raw);
    Value::Object(out)
}

/// A line that is no entry. Of one that was too long only the head is there.
fn unreadable(line: &Unreadable) -> Value {
    let mut out = Map::new();
    out.insert("kind".to_owned(), json!("unreadable"));
    for key in ["name", "size", "modified", "target"] {
        out.insert(key.to_owned(), Value::Null);
    }
    if line.overlong {
        out.insert("overlong".to_owned(), json!(true));
    }
    put_bytes(&mut out, "raw", &line.raw);
    Value::Object(out)
}
