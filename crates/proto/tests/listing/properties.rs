//! What holds for any bytes.

use port21_proto::listing::{Dialect, Listed, ListingReader, MAX_LISTING_LINE, parse};
use proptest::prelude::*;

use super::samples::{NOW, saved};

const UNIX: &str = "-rw-r--r--   1 ftp      ftp          1715 Apr 30 09:05 ";
const DOS: &str = "04-14-00  03:47PM                  589 ";

/// Lines with a name behind them, one of each dialect that lets names be anything.
const NAMED: [(Dialect, &str); 6] = [
    (Dialect::Facts, "type=file;size=5; "),
    (Dialect::Eplf, "+r,s5,\t"),
    (Dialect::Unix, UNIX),
    (Dialect::Dos, DOS),
    (Dialect::Os2, "     5      A          05-19-2000 12:56  "),
    (Dialect::Os400, "QSYS            77824 12/31/99 15:09:55 *STMF      "),
];

fn now() -> jiff::Timestamp {
    NOW.parse().unwrap()
}

fn drain(reader: &mut ListingReader) -> Vec<Listed> {
    std::iter::from_fn(|| reader.poll_listed()).collect()
}

/// What bytes come to that arrive in chunks of this size.
fn read(bytes: &[u8], chunk: usize) -> Vec<Listed> {
    let mut reader = ListingReader::new(now());
    let mut all = Vec::new();
    for chunk in bytes.chunks(chunk) {
        reader.handle_data(chunk);
        all.extend(drain(&mut reader));
    }
    reader.handle_eof();
    all.extend(drain(&mut reader));
    all
}

/// The lines that a result stands for.
fn raw(listed: &Listed) -> Vec<&[u8]> {
    match listed {
        Listed::Entry(entry) => entry.raw.split(|&b| b == b'\n').collect(),
        Listed::Unreadable(line) => vec![&line.raw],
        Listed::Skipped(line) => vec![line],
    }
}

/// The lines of bytes as a reader sees them: without their ends, and without those that are empty.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes
        .split(|&b| b == b'\n')
        .map(|line| {
            let end = line.iter().rposition(|&b| b != b'\r').map_or(0, |at| at + 1);
            &line[..end]
        })
        .filter(|line| !line.is_empty())
        .collect()
}

/// Lines of the saved listings, of every dialect.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let files =
        ["unix", "dos", "mlsd", "eplf", "netware", "os2", "vms", "mvs", "members", "os400", "vm", "nortel", "vxworks"];
    let all: Vec<Vec<u8>> =
        files.iter().flat_map(|file| lines(&saved(file)).into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
    proptest::sample::select(all)
}

/// A line of a listing with some bytes replaced.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (line(), proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
        |(mut line, hits)| {
            for (at, byte) in hits {
                let at = at.index(line.len());
                line[at] = byte;
            }
            line
        },
    )
}

#[test]
fn entries_come_once_the_dialect_is_known() {
    let mut reader = ListingReader::new(now());
    for i in 1..20 {
        reader.handle_data(format!("{UNIX}{i}\r\n").as_bytes());
        assert_eq!(reader.poll_entry(), None);
    }
    reader.handle_data(format!("{UNIX}last\r").as_bytes());
    assert_eq!((reader.poll_entry(), reader.dialect()), (None, None));
    reader.handle_data(b"\n");
    assert_eq!(drain(&mut reader).len(), 20);
    assert_eq!(reader.dialect(), Some(Dialect::Unix));
    reader.handle_data(format!("{UNIX}more\n{UNIX}cut").as_bytes());
    assert_eq!(reader.poll_entry().unwrap().unwrap().name, b"more");
    assert_eq!(reader.poll_entry(), None);
    reader.handle_eof();
    assert_eq!(reader.poll_entry().unwrap().unwrap().name, b"cut");
    assert_eq!(reader.poll_entry(), None);
}

#[test]
fn a_long_banner_does_not_hide_the_dialect() {
    let mut lines = vec!["Welcome!".to_owned(); 61];
    lines.push(format!("{UNIX}a"));
    let got = parse(lines, now());
    assert_eq!(got.len(), 62);
    assert_eq!(got.last().unwrap().as_ref().unwrap().name, b"a");
    assert!(got[..61].iter().all(|line| line.as_ref().is_err_and(|line| line.raw == b"Welcome!")));
}

#[test]
fn an_odd_line_does_not_switch_the_dialect() {
    for (dialect, line) in NAMED {
        // In MLSD a line that begins with a blank is a name without facts.
        let others = NAMED
            .into_iter()
            .filter(|(other, odd)| *other != dialect && !(dialect == Dialect::Facts && odd.starts_with(' ')));
        for (other, odd) in others {
            let mut reader = ListingReader::new(now());
            for line in [&format!("{odd}odd"), &format!("{line}a"), &format!("{line}b")] {
                reader.handle_line(line.as_bytes());
            }
            reader.handle_eof();
            let names: Vec<_> = drain(&mut reader).iter().map(|l| matches!(l, Listed::Entry(_))).collect();
            assert_eq!((reader.dialect(), names), (Some(dialect), vec![false, true, true]), "{other} in {dialect}");
        }
    }
}

#[test]
fn a_listing_of_headings_alone_is_empty() {
    for lines in [
        &["total 0"][..],
        &["Volume Unit Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname"],
        &["ls: x: Permission denied"],
        &["", " "],
        &[],
    ] {
        let read = parse(lines, now());
        assert!(read.iter().all(|line| line.as_ref().is_err_and(|line| line.raw == b" ")), "{lines:?}");
    }
    assert!(parse(["total eclipse"], now())[0].is_err());
}

#[test]
fn an_endless_line_is_cut_and_told() {
    let mut bytes = format!("{UNIX}a\n{UNIX}").into_bytes();
    bytes.resize(1_000_000, b'x');
    bytes.extend_from_slice(format!("\n{UNIX}b\n").as_bytes());
    let got = read(&bytes, 4096);
    assert_eq!(got.len(), 3);
    let Listed::Unreadable(cut) = &got[1] else { panic!("{:?}", got[1]) };
    assert!(cut.overlong && cut.raw.len() == MAX_LISTING_LINE);
    assert!(cut.to_string().len() < 300 && cut.to_string().ends_with("..."));
    let Listed::Unreadable(whole) = &read(&[b'x'; MAX_LISTING_LINE], 999)[0] else { panic!("an entry") };
    assert!(!whole.overlong);
}

#[test]
fn ends_of_lines() {
    let bytes = format!("{UNIX}a\r\n{UNIX}b\n\r\n\r\r\n{UNIX}c\r\r\n{UNIX}d\re");
    let names: Vec<Vec<u8>> = read(bytes.as_bytes(), 7)
        .into_iter()
        .map(|l| if let Listed::Entry(e) = l { e.name } else { panic!() })
        .collect();
    assert_eq!(names, [&b"a"[..], b"b", b"c", b"d\re"]);
}

#[test]
fn errors_show_no_control_bytes() {
    let got = parse(["\x1b[2J"], now());
    let error = got[0].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "the server's listing has a line that cannot be read: \\x1b[2J");
    assert_eq!(format!("{error:?}"), r#"Unreadable { raw: "\x1b[2J", overlong: false }"#);
}

proptest! {
    #[test]
    fn each_line_is_one_thing_whatever_the_cuts(
        lines_in in proptest::collection::vec(prop_oneof![line(), damaged(), "\\PC{0,20}".prop_map(String::into_bytes)], 0..50),
        chunk in 1usize..200,
    ) {
        let bytes: Vec<u8> = lines_in.iter().flat_map(|l| [l.as_slice(), b"\r\n"].concat()).collect();
        let whole = read(&bytes, usize::MAX);
        prop_assert_eq!(&read(&bytes, chunk), &whole);
        let told: Vec<&[u8]> = whole.iter().flat_map(raw).collect();
        prop_assert_eq!(told, lines(&bytes));
    }

    #[test]
    fn any_bytes_are_told_whole(bytes: Vec<u8>, chunk in 1usize..99) {
        let whole = read(&bytes, usize::MAX);
        prop_assert_eq!(&read(&bytes, chunk), &whole);
        let told: Vec<&[u8]> = whole.iter().flat_map(raw).collect();
        prop_assert_eq!(told, lines(&bytes));
    }

    #[test]
    fn names_keep_their_bytes(
        which in 0..NAMED.len(),
        name in proptest::collection::vec(prop_oneof![Just(b' '), any::<u8>()], 1..30),
    ) {
        prop_assume!(!name.iter().any(|b| matches!(b, b'\n' | b'\r')) && !name.trim_ascii().is_empty());
        let (dialect, before) = NAMED[which];
        let mut reader = ListingReader::new(now());
        reader.handle_line(&[before.as_bytes(), b"other"].concat());
        reader.handle_line(&[before.as_bytes(), &name].concat());
        reader.handle_eof();
        reader.poll_entry();
        prop_assert_eq!(reader.poll_entry().unwrap().unwrap().name, name);
        prop_assert_eq!(reader.dialect(), Some(dialect));
    }

    #[test]
    fn a_given_dialect_takes_any_bytes(which in 0..Dialect::ALL.len(), lines_in in proptest::collection::vec(damaged(), 0..8)) {
        let mut reader = ListingReader::with_dialect(Dialect::ALL[which], now());
        for line in &lines_in {
            reader.handle_line(line);
        }
        reader.handle_eof();
        prop_assert!(drain(&mut reader).len() <= lines_in.len());
    }
}
