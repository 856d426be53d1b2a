//! The doors by which bytes of strangers come in, each as a function that takes any bytes and panics where a promise is
//! broken. `fuzz/` feeds them with what it finds, `main.rs` beside this with chance and with what was found before.

// Another package has them as its own.
#![allow(unreachable_pub)]

use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::line::{Line, LineDecoder, MAX_COMMAND_LINE, MAX_REPLY_LINE};
use port21_proto::listing::{Dialect, ListingReader};
use port21_proto::observe::Observer;
use port21_proto::reply::{MAX_REPLY_BYTES, MAX_REPLY_LINES, ReplyDecoder};
use port21_proto::{Command, Reply, Time, addr};

/// A door: its name, and what takes the bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: &[Entry] = &[("commands", commands), ("replies", replies), ("listings", listings)];

/// What a client sends: lines, and what they ask for. Of a command that is understood, what is written reads back as the same.
pub fn commands(bytes: &[u8]) {
    let whole = lines(bytes, usize::MAX, MAX_COMMAND_LINE);
    assert_eq!(whole, lines(bytes, 1 + bytes.len() % 7, MAX_COMMAND_LINE), "lines do not depend on segments");
    for line in whole.into_iter().flatten() {
        let Ok(command) = Command::parse(&line) else { continue };
        // What would end a line is never written, and no path has it.
        if line.iter().any(|b| matches!(b, b'\r' | 0)) {
            continue;
        }
        let mut wire = Vec::new();
        command.encode(&mut wire);
        let mut decoder = LineDecoder::new(MAX_COMMAND_LINE + 1024);
        let (read, Some(Line::Whole(again))) = decoder.feed(&wire) else { panic!("no line in {wire:?}") };
        assert_eq!(read, wire.len(), "one command, one line: {wire:?}");
        assert_eq!(Command::parse(again).as_ref(), Ok(&command));
    }
}

/// What a server sends, alone and between the lines of a client.
pub fn replies(bytes: &[u8]) {
    let mut decoder = ReplyDecoder::default();
    for line in lines(bytes, usize::MAX, MAX_REPLY_LINE).into_iter().flatten() {
        let Ok(Some(reply)) = decoder.line(&line) else { continue };
        assert!(reply.lines().len() <= MAX_REPLY_LINES);
        assert!(reply.lines().iter().map(|line| line.len()).sum::<usize>() <= MAX_REPLY_BYTES + MAX_REPLY_LINE);
        written(&reply);
        let text = reply.text();
        let _ = (addr::parse_pasv(text), addr::parse_epsv(text), addr::parse_port(text), addr::parse_eprt(text));
    }
    decoder.take_other_end().iter().for_each(written);
    let mut observer = Observer::new(ConnectionId::CONTROL);
    for (n, part) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let from = if n % 2 == 0 { End::Server } else { End::Client };
        if part.len() % 17 == 16 {
            observer.handle_gap(from);
        }
        assert!(observer.handle_input(Time::ZERO, from, part) <= part.len());
    }
    observer.handle_end(Time::ZERO, End::Client);
    observer.handle_end(Time::ZERO, End::Server);
    while let Some(event) = observer.poll_event() {
        if let EventKind::Command { verb, argument, .. } = event.kind {
            assert!(!verb.chars().any(char::is_control), "{verb:?}");
            assert!(!verb.starts_with("PASS") || argument.is_empty() || argument == b"***", "{verb} {argument:?}");
        }
    }
    assert!(observer.size() <= bytes.len() * 32 + 64);
}

/// A reply that is written is read as itself.
fn written(reply: &Reply) {
    let mut wire = Vec::new();
    reply.encode(&mut wire);
    let mut decoder = ReplyDecoder::default();
    let read = lines(&wire, usize::MAX, usize::MAX).into_iter().flatten().map(|line| decoder.line(&line));
    let last = read.last().unwrap().unwrap().unwrap();
    assert_eq!((last.code(), last.lines().len()), (reply.code(), reply.lines().len()), "{wire:?}");
}

/// A listing, with its dialect to be found or given. Whatever the segments, no byte of it is lost.
pub fn listings(bytes: &[u8]) {
    let now = Time::from_unix_secs(1_115_068_020).timestamp();
    let read = |mut reader: ListingReader, size: usize| {
        let mut all = Vec::new();
        for part in bytes.chunks(size.max(1)) {
            reader.handle_data(part);
            all.extend(std::iter::from_fn(|| reader.poll_entry()));
        }
        reader.handle_eof();
        all.extend(std::iter::from_fn(|| reader.poll_entry()));
        all
    };
    let whole = read(ListingReader::new(now), usize::MAX);
    let lines = bytes.split(|&b| b == b'\n').count();
    assert!(whole.len() <= lines);
    for entry in whole.iter().flatten() {
        let safe = entry.safe_name().unwrap_or(b"x");
        assert!(!safe.is_empty() && !safe.contains(&b'/') && safe != b"..");
    }
    assert_eq!(whole, read(ListingReader::new(now), 1 + bytes.len() % 11), "entries do not depend on segments");
    for dialect in Dialect::ALL {
        assert!(read(ListingReader::with_dialect(dialect, now), usize::MAX).len() <= lines);
    }
}

/// The lines of a stream in segments of this size; nothing stands for one that is too long.
fn lines(bytes: &[u8], size: usize, limit: usize) -> Vec<Option<Vec<u8>>> {
    let mut decoder = LineDecoder::new(limit);
    let mut all = Vec::new();
    for mut part in bytes.chunks(size) {
        while !part.is_empty() {
            let (read, line) = decoder.feed(part);
            match line {
                Some(Line::Whole(line)) => all.push(Some(line.to_vec())),
                Some(Line::Overlong(_)) => all.push(None),
                None => {}
            }
            part = &part[read..];
        }
    }
    all
}
