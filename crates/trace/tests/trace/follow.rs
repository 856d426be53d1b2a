//! Sessions drawn while they go on.

use port21_proto::event::{Closing, End, EventKind, Purpose};
use port21_proto::{SessionEvent, Time};
use port21_trace::Session;
use port21_trace::findings::Severity;
use port21_trace::follow::{Ended, Follower, MAX_SESSIONS, WINDOW};
use port21_trace::ladder::{self, Ladder, Shape};
use port21_trace::recording::{Header, Recorder};
use port21_trace::render::TextOptions;

use crate::events::{CONTROL, Script, reference};

fn header() -> Header {
    Header::new(Recorder::Client, Time::ZERO)
}

fn follower(width: usize) -> Follower {
    Follower::new(ladder::Options::default(), TextOptions { width, ..TextOptions::default() })
}

/// The labels of all arrows, in order.
fn arrows(events: Vec<SessionEvent>) -> Vec<String> {
    let ladder = Ladder::new(&Session::from_events(events), &ladder::Options::default());
    let arrows = ladder.rows.iter().filter(|row| matches!(row.shape, Shape::Arrow { .. }));
    arrows.map(|row| row.label.clone()).collect()
}

#[test]
fn each_row_is_drawn_once_and_in_order() {
    for together in [1, 3, 1000] {
        let mut follower = follower(140);
        let mut drawn = String::new();
        for events in reference().chunks(together) {
            events.iter().for_each(|event| follower.push("", &header(), event.clone()));
            drawn.push_str(&follower.draw());
            assert_eq!(follower.draw(), "", "nothing is new");
        }
        let mut rest = drawn.as_str();
        for label in arrows(reference()) {
            let word = label.split(' ').next().unwrap();
            rest = match rest.split_once(&format!(" {word}")) {
                Some((_, rest)) => rest,
                None => panic!("{together}: {label} is not there, or not in its place:\n{drawn}"),
            };
        }
        assert_eq!(drawn.matches(" PASS ").count() + drawn.matches(" QUIT ").count(), 2, "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 140), "{drawn}");
        assert!(drawn.contains("Download of readme.txt"), "{drawn}");
        assert_eq!(follower.endings().next().unwrap().1, Some(Ended::Closed(End::Server)));
        let verdict = follower.verdict("");
        assert!(verdict.text.contains("the server closed the control connection first"), "{}", verdict.text);
        assert!(verdict.text.contains("clear-password") || verdict.worst <= Some(Severity::Note), "{}", verdict.text);
    }
}

#[test]
fn what_is_missing_is_no_fault_before_the_end() {
    let mut script = Script::logged_in();
    script.command("RETR a");
    let mut follower = follower(100);
    script.events.drain(..).for_each(|event| follower.push("", &header(), event));
    let drawn = follower.draw();
    assert!(drawn.contains("RETR a") && !drawn.contains("FAULT") && !drawn.contains("waiting"), "{drawn}");
    assert_eq!(follower.endings().next().unwrap().1, None);
    let verdict = follower.verdict("");
    assert!(verdict.text.contains("had not ended"), "{}", verdict.text);
}

#[test]
fn data_that_grows_is_told_again() {
    let mut script = Script::logged_in();
    let (client, server) = (Some("10.0.0.2:40001"), Some("10.0.0.1:20"));
    script.command("RETR a").reply(150, &["Opening."]);
    script.opened(1, Purpose::Data, End::Server, client, server);
    let mut follower = follower(100);
    let base = script.events.clone();
    let data = |bytes, ms: u64| {
        let since = base.last().unwrap().at;
        let kind = EventKind::Data {
            connection: port21_proto::event::ConnectionId(1),
            from: End::Server,
            since,
            bytes,
            segments: None,
        };
        SessionEvent { at: since + std::time::Duration::from_millis(ms), kind }
    };
    let with = |event: SessionEvent| base.iter().cloned().chain([event]).collect::<Vec<_>>();
    follower.replace("", &header(), with(data(10, 1)));
    assert!(follower.draw().contains("10 bytes"));
    follower.replace("", &header(), with(data(10, 1)));
    assert_eq!(follower.draw(), "");
    follower.replace("", &header(), with(data(1_000, 2)));
    let again = follower.draw();
    assert!(again.contains("1,000 bytes") && !again.contains("RETR") && again.lines().count() <= 2, "{again}");
}

#[test]
fn memory_is_bounded_however_long_a_session_is() {
    let mut script = Script::logged_in();
    script.command("TYPE I").reply(200, &["Binary."]);
    let mut follower = follower(80);
    let mut last = String::new();
    for n in 0..3 * WINDOW {
        script.command(&format!("CWD d{n}")).reply(250, &["Done."]);
        script.events.drain(..).for_each(|event| follower.push("", &header(), event));
        if n % 250 == 0 {
            last = follower.draw();
        }
    }
    assert!(last.contains(&format!("d{}", 3 * WINDOW - 250)), "{last}");
    assert!(!last.contains("USER") && !last.contains("SYN"), "what was drawn is not drawn again: {last}");
    // Sections are numbered on: login, settings, and one a change of directory.
    let banner = last.lines().rev().find(|line| line.contains("Change of directory")).unwrap();
    let number: usize = banner.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0);
    assert!(number > 2 * WINDOW, "{banner}");
    script.push(EventKind::Closed { connection: CONTROL, by: End::Client, how: Closing::Fin });
    script.events.drain(..).for_each(|event| follower.push("", &header(), event));
    follower.draw();
    assert!(follower.verdict("").text.contains("no longer in memory"));
    for n in 0..2 * MAX_SESSIONS {
        let event = Script::logged_in().events.remove(0);
        follower.push(&n.to_string(), &header(), event);
    }
    assert_eq!(follower.endings().count(), MAX_SESSIONS);
}

#[test]
fn sessions_that_go_on_at_a_time_are_told_apart() {
    let mut follower = follower(100);
    for key in ["a", "b", "a"] {
        let mut script = Script::logged_in();
        script.command("NOOP").reply(200, &["Fine."]);
        script.events.into_iter().for_each(|event| follower.push(key, &header(), event));
        let drawn = follower.draw();
        assert_eq!(drawn.contains("Session 2"), key == "b", "{drawn}");
    }
    follower.forget("a");
    assert_eq!(follower.endings().map(|(key, _)| key).collect::<Vec<_>>(), ["b"]);
}
