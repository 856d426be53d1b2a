//! Recordings: what is written is read back, and what cannot be read is named.

use std::borrow::Cow;
use std::io::{self, Write};

use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::{SessionEvent, Time};
use port21_trace::drawing::{self, DrawError, Drawing, Which};
use port21_trace::ladder;
use port21_trace::recording::{Header, ReadError, Reader, Recorder, Recording, Writer};
use proptest::prelude::*;

use crate::events::{REFERENCE, event, reference};

const HEADER: &str =
    r#"{"format":"port21-recording","version":1,"by":"server","product":"x","start":"2005-05-02T21:07:00Z"}"#;

fn header() -> Header {
    Header {
        by: Recorder::Server,
        product: "x \"y\"".to_owned(),
        start: Time::from_unix_nanos(1_115_068_020_123_456_789),
        title: Some("größe".to_owned()),
        session: None,
    }
}

fn read(text: &str) -> Result<Recording, ReadError> {
    Recording::read(text.as_bytes())
}

fn error(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn user(ms: u64, text: &str) -> SessionEvent {
    SessionEvent { at: Time::from_unix_nanos(ms * 1_000_000), kind: EventKind::User { text: text.to_owned() } }
}

#[test]
fn the_format_stays_as_it_is() {
    let mut reader = Reader::new(REFERENCE).unwrap();
    let header = reader.header().clone();
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    while let Some(record) = reader.read().unwrap() {
        writer.write(&record.event).unwrap();
    }
    assert_eq!(String::from_utf8(writer.into_inner()).unwrap(), std::str::from_utf8(REFERENCE).unwrap());
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let kind = EventKind::Reply {
        connection: ConnectionId(0),
        code: port21_proto::Code::new(550).unwrap(),
        lines: vec![Cow::Borrowed(b"\xff\x00\x1b"), Cow::Borrowed(b"text")],
    };
    let event = SessionEvent { at: Time::from_unix_secs(1), kind };
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    writer.write(&event).unwrap();
    let written = String::from_utf8(writer.into_inner()).unwrap();
    assert!(written.contains(r#"[{"hex":"ff001b"},"text"]"#), "{written}");
    assert_eq!(read(&written).unwrap().sessions[0].events, [event]);
}

#[test]
fn a_recording_steers_no_terminal() {
    let hostile = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\u{feff}ö日";
    let event = user(1, hostile);
    let mut writer = Writer::new(Vec::new(), &Header { title: Some(hostile.to_owned()), ..header() }).unwrap();
    writer.write_of(hostile, &event).unwrap();
    let written = String::from_utf8(writer.into_inner()).unwrap();
    let steers = |c: char| c != '\n' && (c.is_control() || port21_proto::text::is_deceptive(c));
    assert!(!written.contains(steers), "{written:?}");
    assert!(written.contains("ö日"));
    let recording = read(&written).unwrap();
    assert_eq!(recording.sessions[0].events, [event]);
}

#[test]
fn a_writer_masks_what_should_have_been_masked() {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    for verb in ["PASS", "pass", "ACCT", " PASS"] {
        let kind =
            EventKind::Command { connection: ConnectionId(0), verb: verb.to_owned(), argument: b"hunter2".to_vec() };
        writer.write(&SessionEvent { at: Time::ZERO, kind }).unwrap();
    }
    let head = b"\xff\xf4PASS hunter2\0".to_vec();
    let kind = EventKind::Malformed { connection: ConnectionId(0), from: End::Client, head, why: "a NUL".to_owned() };
    writer.write(&SessionEvent { at: Time::ZERO, kind }).unwrap();
    let written = String::from_utf8(writer.into_inner()).unwrap();
    assert!(!written.contains("hunter2") && !written.contains("68756e746572"), "{written}");
}

#[test]
fn errors_name_the_line_and_what_is_wrong() {
    assert!(error("").contains("empty"));
    assert!(error("hello\n").contains("line 1 is no header"));
    assert!(error("{\"format\":\"other\",\"version\":1}\n").contains("its format is \"other\""));
    let newer = HEADER.replace("\"version\":1", "\"version\":7");
    assert!(error(&newer).contains("format version 7, this port21 reads up to 1"));
    let later = format!("{HEADER}\n\n{{\"t\":\"yesterday\",\"kind\":\"user\",\"text\":\"x\"}}\n{HEADER}\n");
    let told = error(&later);
    assert!(told.starts_with("line 3 is not an event: ") && told.contains("yesterday"), "{told}");
    let code = r#"{"t":"2005-05-02T21:07:00Z","kind":"reply","connection":0,"code":99,"lines":[]}"#;
    assert!(error(&format!("{HEADER}\n{code}\n")).contains("99 is no reply code"));
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let endless = format!("{HEADER}\n{}", "x".repeat(port21_trace::recording::MAX_LINE + 10));
    assert!(matches!(read(&endless), Err(ReadError::TooLong { line: 2 })));
}

#[test]
fn what_was_cut_off_is_read_as_far_as_it_goes() {
    let cut = &REFERENCE[..REFERENCE.len() - 20];
    let recording = Recording::read(cut).unwrap();
    let whole = reference();
    assert_eq!(recording.sessions[0].events, whole[..whole.len() - 1]);
    assert_eq!(recording.notes.len(), 1);
    assert!(recording.notes[0].contains("cut off"), "{:?}", recording.notes);
}

#[test]
fn kinds_of_a_later_version_are_passed_over_with_a_note() {
    let unknown = r#"{"t":"2005-05-02T21:07:00Z","kind":"telepathy","connection":0,"thought":[1,{"a":2}]}"#;
    let known = r#"{"t":"2005-05-02T21:07:00Z","kind":"user","text":"bye","mood":"glad"}"#;
    let recording = read(&format!("{HEADER}\n{unknown}\n{known}\n")).unwrap();
    assert_eq!(recording.sessions[0].events.len(), 1);
    assert!(recording.notes[0].contains("line 2") && recording.notes[0].contains("telepathy"));
}

#[test]
fn the_limit_holds_and_is_told() {
    let mut writer = Writer::with_limit(Vec::new(), &header(), 2000).unwrap();
    for i in 0..100 {
        writer.write(&user(i, "get something")).unwrap();
    }
    assert!(writer.is_full());
    let written = writer.into_inner();
    assert!(written.len() <= 2000);
    let events = Recording::read(&written[..]).unwrap().sessions.remove(0).events;
    let EventKind::Note { text, .. } = &events.last().unwrap().kind else { panic!() };
    assert!(text.contains("2000 bytes"), "{text}");
}

#[test]
fn nothing_is_written_behind_a_line_that_failed() {
    struct Full(Vec<u8>, usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len()).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&bytes[..room]);
            Ok(room)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new(Full(Vec::new(), 300), &header()).unwrap();
    let failed = (0..10).filter(|&i| writer.write(&user(i, "a line that has a length")).is_err()).count();
    assert!(failed > 1);
    let recording = Recording::read(&writer.into_inner().0[..]).unwrap();
    assert_eq!(recording.sessions[0].events.len(), 10 - failed);
}

#[test]
fn sessions_are_told_apart_by_name_and_by_header() {
    let mut one = Writer::new(Vec::new(), &header()).unwrap();
    one.write_of("7", &user(1, "a")).unwrap();
    one.write_of("8", &user(2, "b")).unwrap();
    one.write_of("7", &user(3, "c")).unwrap();
    let mut two = Writer::new(one.into_inner(), &Header { title: None, ..header() }).unwrap();
    two.write(&user(4, "d")).unwrap();
    let recording = Recording::read(&two.into_inner()[..]).unwrap();
    let seen: Vec<(Option<&str>, usize)> =
        recording.sessions.iter().map(|s| (s.name.as_deref(), s.events.len())).collect();
    assert_eq!(seen, [(Some("7"), 2), (Some("8"), 1), (None, 1)]);

    let draw = |which| Drawing { which, ..Drawing::default() }.draw(&recording);
    assert_eq!(draw(Which::All), draw(Which::default()));
    assert_eq!(draw(Which::One("9".to_owned())), Err(DrawError::NoSuchSession("9".to_owned())));
    assert!(draw(Which::One("8".to_owned())).unwrap().contains(" b "));
    assert!(draw(Which::One("3".to_owned())).unwrap().contains(" d "));
    let all = draw(Which::All).unwrap();
    assert_eq!(all.matches("größe").count(), 2);
    assert_eq!(drawing::list(&recording).lines().count(), 3);
    assert_eq!(Drawing::default().draw(&Recording::default()), Err(DrawError::Empty));
}

proptest! {
    #[test]
    fn events_read_back(events in proptest::collection::vec(event(), 0..20)) {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        for event in &events {
            writer.write(event).unwrap();
        }
        let written = writer.into_inner();
        let mut reader = Reader::new(&written[..]).unwrap();
        prop_assert_eq!(reader.header(), &header());
        let read: Vec<SessionEvent> = reader.by_ref().map(|r| r.unwrap().event).collect();
        let masked = |e: &SessionEvent| matches!(&e.kind, EventKind::Malformed { head, .. } if head.to_ascii_uppercase().starts_with(b"PASS"));
        for (a, b) in read.iter().zip(&events) {
            prop_assert!(masked(b) || a == b, "{:?} {:?}", a, b);
        }
        prop_assert_eq!(read.len(), events.len());
        prop_assert!(reader.notes().is_empty());
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, lines in proptest::collection::vec("[{}a-z0-9\":,]{0,40}", 0..5)) {
        let _ = Recording::read(&bytes[..]);
        let text = format!("{HEADER}\n{}", lines.join("\n"));
        let _ = read(&text);
    }
}

#[test]
fn a_lane_that_is_not_there_is_an_error_that_names_those_that_are() {
    let recording = Recording::read(REFERENCE).unwrap();
    let only = |lane: &str| {
        let ladder = ladder::Options { only: Some(lane.parse().unwrap()), ..Default::default() };
        Drawing { ladder, ..Drawing::default() }.draw(&recording)
    };
    assert!(only("server:21").unwrap().contains("Port_21 Interfaces"));
    let error = only("server:2121").unwrap_err().to_string();
    assert!(error.contains("server:2121") && error.contains("server:20, server:21"), "{error}");
}
