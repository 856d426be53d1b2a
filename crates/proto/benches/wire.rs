//! What a line, a command, a reply and an entry of a listing cost: `cargo bench -p port21-proto`.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use port21_proto::command::Command;
use port21_proto::line::{Line, LineDecoder, MAX_COMMAND_LINE, MAX_REPLY_LINE};
use port21_proto::listing::{
    self, Entry, EntryKind, FactSet, ListOptions, Modified, Precision, write_facts_line, write_long,
};
use port21_proto::reply::{Code, Reply, ReplyDecoder};

const ENTRIES: usize = 1_000;

fn main() {
    divan::main();
}

const COMMANDS: [&str; 6] =
    ["NOOP", "TYPE I", "EPSV", "CWD /pub/a directory/below", "RETR a file with an ordinary name 00001.txt", "QUIT"];

/// A client's lines, as they come off a control connection in one segment.
#[divan::bench]
fn lines_decoded(bencher: Bencher<'_, '_>) {
    let sent: Vec<u8> = COMMANDS.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
    bencher.counter(ItemsCount::new(COMMANDS.len())).counter(BytesCount::of_slice(&sent)).bench_local(|| {
        let mut decoder = LineDecoder::new(MAX_COMMAND_LINE);
        let mut rest = black_box(&sent[..]);
        let mut found = 0;
        while let (used, Some(Line::Whole(line))) = decoder.feed(rest) {
            found += line.len();
            rest = &rest[used..];
        }
        found
    });
}

#[divan::bench]
fn commands_parsed(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(COMMANDS.len())).bench_local(|| {
        for line in COMMANDS {
            let _ = black_box(Command::parse(black_box(line.as_bytes())));
        }
    });
}

#[divan::bench]
fn reply_written(bencher: Bencher<'_, '_>) {
    let code = Code::new(226).expect("a code");
    let mut out = Vec::with_capacity(256);
    bencher.bench_local(|| {
        out.clear();
        Reply::new(code, black_box(&b"Transfer complete."[..])).encode(&mut out);
        out.len()
    });
}

#[divan::bench]
fn reply_read(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let mut lines = LineDecoder::new(MAX_REPLY_LINE);
        let mut replies = ReplyDecoder::default();
        match lines.feed(black_box(b"226 Transfer complete.\r\n")) {
            (_, Some(Line::Whole(line))) => replies.line(line).ok().flatten(),
            _ => None,
        }
    });
}

#[divan::bench]
fn list_written(bencher: Bencher<'_, '_>) {
    let entries = entries();
    let now = now().to_zoned(TimeZone::UTC);
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| long(black_box(&entries), &now, &mut out));
}

#[divan::bench]
fn mlsd_written(bencher: Bencher<'_, '_>) {
    let entries = entries();
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| facts(black_box(&entries), &mut out));
}

#[divan::bench]
fn list_sorted(bencher: Bencher<'_, '_>) {
    let mut shuffled = entries();
    // As a directory gives them: in no order.
    shuffled.sort_by_key(|entry| entry.name.iter().fold(7u64, |hash, &byte| hash.wrapping_mul(31) ^ u64::from(byte)));
    bencher.counter(ItemsCount::new(ENTRIES)).with_inputs(|| shuffled.clone()).bench_local_values(|mut entries| {
        ListOptions::default().sort(&mut entries);
        entries
    });
}

#[divan::bench]
fn list_read(bencher: Bencher<'_, '_>) {
    let mut out = Vec::new();
    long(&entries(), &now().to_zoned(TimeZone::UTC), &mut out);
    read(bencher, &out);
}

#[divan::bench]
fn mlsd_read(bencher: Bencher<'_, '_>) {
    let mut out = Vec::new();
    facts(&entries(), &mut out);
    read(bencher, &out);
}

fn read(bencher: Bencher<'_, '_>, written: &[u8]) {
    let lines: Vec<&[u8]> =
        written.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|l| !l.is_empty()).collect();
    assert_eq!(listing::parse(&lines, now()).iter().flatten().count(), ENTRIES);
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| listing::parse(black_box(&lines), now()));
}

fn long(entries: &[Entry], now: &Zoned, out: &mut Vec<u8>) -> usize {
    out.clear();
    for entry in entries {
        write_long(out, entry, now, ListOptions::default());
    }
    out.len()
}

fn facts(entries: &[Entry], out: &mut Vec<u8>) -> usize {
    out.clear();
    for entry in entries {
        write_facts_line(out, entry, FactSet::default());
    }
    out.len()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_115_068_021).expect("a time")
}

fn entries() -> Vec<Entry> {
    (0..ENTRIES)
        .map(|n| {
            let at = Timestamp::from_second(1_100_000_000 + n as i64 * 7_000).expect("a time");
            Entry {
                size: Some(n as u64 * 4_711),
                modified: Some(Modified { at, precision: Precision::Second, utc: true }),
                mode: Some(0o644),
                links: Some(1),
                owner: Some(b"ftp".to_vec()),
                group: Some(b"ftp".to_vec()),
                ..Entry::new(EntryKind::File, format!("a file with an ordinary name {n:05}.txt"))
            }
        })
        .collect()
}
