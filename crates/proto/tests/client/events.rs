//! What a session tells of itself, and what not.

use port21_proto::client::{ClientSession, Output, Request, Settings};
use port21_proto::event::{ConnectionId, EventKind};
use port21_proto::secret::MASK;
use port21_proto::{Secret, Time};

use crate::play::{Play, settings};

#[test]
fn secrets_are_masked_in_events() {
    let mut session = ClientSession::new(Time::ZERO, settings());
    session.handle_input(Time::ZERO, b"220 hi\r\n");
    session.start(Time::ZERO, Request::Pass(Secret::new("hunter2")));
    let mut seen = Vec::new();
    loop {
        match session.poll_output() {
            Output::Wait(_) => break,
            Output::Event(event) => seen.push(format!("{event:?}")),
            _ => {}
        }
    }
    assert!(seen.iter().any(|event| event.contains("PASS")));
    assert!(!seen.iter().any(|event| event.contains("hunter2")));
    let EventKind::Command { argument, .. } = EventKind::command(ConnectionId(0), b"PASS x") else { panic!() };
    assert_eq!(argument, MASK.as_bytes());
}

#[test]
fn without_events_none_are_built() {
    let mut play = Play::new(Settings { events: None, ..settings() });
    play.session.handle_input(Time::ZERO, b"220 hi\r\n226 what?\r\n");
    let outputs = std::iter::from_fn(|| match play.session.poll_output() {
        Output::Wait(_) => None,
        out => Some(out),
    });
    assert!(outputs.into_iter().all(|out| !matches!(out, Output::Event(_))));
}

#[test]
fn a_session_that_is_shown_shows_no_password() {
    let mut session = ClientSession::new(Time::ZERO, settings());
    session.handle_input(Time::ZERO, b"220 hi\r\n");
    session.start(Time::ZERO, Request::Pass(Secret::new("hunter2")));
    let bytes = format!("{:?}", b"hunter2");
    let bytes = bytes.trim_matches(['[', ']']);
    assert!(!format!("{session:?}").contains(bytes));
    while let output @ (Output::Send(_) | Output::Done(..) | Output::Event(_)) = session.poll_output() {
        let shown = format!("{output:?}");
        assert!(!shown.contains(bytes) && !shown.contains("hunter2"), "{shown}");
    }
}
