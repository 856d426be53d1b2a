//! The view driven by keys, its frames checked, without a terminal.

use std::borrow::Cow;

use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::{Code, SessionEvent, Time};
use port21_trace::ladder;
use port21_trace::recording::{Header, RecordedSession, Recorder, Recording};
use port21_trace::render::{PdfOptions, TextOptions};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{Effect, Saved, Settings, View};

mod frames;

/// The reference session, as a client would have recorded it.
const REFERENCE: &[u8] = include_bytes!("../../../../trace/tests/data/reference.jsonl");

fn settings(ascii: bool) -> Settings {
    Settings {
        ladder: ladder::Options {
            date: Some("2005-05-02".to_owned()),
            product: "port21".to_owned(),
            ..Default::default()
        },
        text: TextOptions { ascii, ..TextOptions::default() },
        width: 100,
        pdf: PdfOptions::default(),
        name: "a.jsonl".to_owned(),
    }
}

fn reference() -> Recording {
    Recording::read(REFERENCE).unwrap()
}

/// A view in a window, and somebody at its keys.
struct Window {
    view: View,
    terminal: Terminal<TestBackend>,
}

impl Window {
    fn new(view: View, width: u16, height: u16) -> Window {
        let mut window = Window { view, terminal: Terminal::new(TestBackend::new(width, height)).unwrap() };
        window.draw();
        window
    }

    fn of(recording: Recording) -> Window {
        Window::new(View::of(recording, None, settings(false)), 100, 24)
    }

    fn draw(&mut self) {
        self.terminal
            .draw(|frame| {
                let area = frame.area();
                self.view.draw(frame.buffer_mut(), area);
            })
            .unwrap();
    }

    fn key(&mut self, code: KeyCode) -> Option<Effect> {
        let effect = self.view.key(KeyEvent::new(code, KeyModifiers::NONE));
        self.draw();
        effect
    }

    /// Types characters; `\n` is Enter, `\x1b` Esc, `\t` Tab.
    fn types(&mut self, text: &str) -> Option<Effect> {
        let mut effect = None;
        for c in text.chars() {
            effect = self.key(match c {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            });
        }
        effect
    }

    fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width).map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// The lines that the cursor is at.
    fn cursor(&self) -> String {
        self.screen().lines().filter(|line| line.starts_with('▌')).collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        assert!(self.screen().contains(text), "{text:?} is not on the screen:\n{}", self.screen());
    }

    #[track_caller]
    fn lacks(&self, text: &str) {
        assert!(!self.screen().contains(text), "{text:?} is on the screen:\n{}", self.screen());
    }
}

/// Events one millisecond after the other, of a session that is logged in.
#[derive(Default)]
struct Script {
    events: Vec<SessionEvent>,
}

impl Script {
    fn logged_in(user: &str) -> Script {
        let mut script = Script::default();
        let address = |text: &str| Some(text.parse().unwrap());
        let (client, server) = (address("10.0.0.2:40000"), address("10.0.0.1:21"));
        let id = ConnectionId::CONTROL;
        script.push(EventKind::Opened(Connection {
            id,
            purpose: Purpose::Control,
            opener: End::Client,
            client,
            server,
        }));
        script.reply(220, &["Ready."]).command(&format!("USER {user}")).reply(331, &["Password required."]);
        script.command("PASS geheim").reply(230, &["Logged in."]);
        script
    }

    fn push(&mut self, kind: EventKind) -> &mut Script {
        let at = Time::from_unix_nanos(1_115_068_020_000_000_000 + self.events.len() as u64 * 1_000_000);
        self.events.push(SessionEvent { at, kind });
        self
    }

    fn command(&mut self, line: &str) -> &mut Script {
        self.push(EventKind::command(ConnectionId::CONTROL, line.as_bytes()))
    }

    fn reply(&mut self, code: u16, lines: &[&str]) -> &mut Script {
        let lines = lines.iter().map(|line| Cow::Owned(line.as_bytes().to_vec())).collect();
        self.push(EventKind::Reply { connection: ConnectionId::CONTROL, code: Code::new(code).unwrap(), lines })
    }

    fn recorded(self) -> RecordedSession {
        RecordedSession { name: None, header: header(), events: self.events }
    }
}

fn header() -> Header {
    Header::new(Recorder::Client, Time::ZERO)
}

fn recording(sessions: Vec<RecordedSession>) -> Recording {
    Recording { sessions, ..Recording::default() }
}

/// Two sessions, of which one has a fault.
fn two() -> Recording {
    let mut bob = Script::logged_in("bob");
    bob.command("RETR a").reply(550, &["No such file."]).command("QUIT").reply(221, &["Bye."]);
    let mut anna = Script::logged_in("anna");
    anna.command("NOOP").reply(200, &["Yes."]).command("QUIT").reply(221, &["Bye."]);
    recording(vec![anna.recorded(), bob.recorded()])
}

#[test]
fn the_ladder_of_the_only_session() {
    insta::assert_snapshot!(Window::of(reference()).screen());
}

#[test]
fn a_message_with_its_bytes() {
    let mut window = Window::of(reference());
    window.types("/RETR\n\n");
    insta::assert_snapshot!(window.screen());
    // The next row, and the one before, without going back.
    window.key(KeyCode::Right);
    window.shows("Reply 150");
    window.key(KeyCode::Left);
    window.shows("Command RETR");
    window.types("\x1b");
    assert!(window.cursor().contains("RETR readme.txt"), "{}", window.screen());
}

#[test]
fn the_list_leads_to_a_ladder_and_back() {
    let mut window = Window::new(View::of(two(), None, settings(false)), 110, 20);
    insta::assert_snapshot!(window.screen());
    window.types("j\n");
    window.shows("USER bob");
    window.types("\x1b");
    window.shows("2 sessions in a.jsonl");
    // What is worst stands first.
    window.types("o");
    let screen = window.screen();
    assert!(screen.find("bob") < screen.find("anna"), "{screen}");
    window.types("O/anna\n\n");
    window.shows("USER anna");
    assert_eq!(window.types("q"), Some(Effect::Quit));
}

#[test]
fn findings_lead_to_their_rows() {
    let mut window = Window::new(View::of(two(), Some(1), settings(false)), 100, 40);
    window.types("\t");
    insta::assert_snapshot!(window.screen());
    window.types("\n");
    assert!(window.cursor().contains("550") || window.cursor().contains("RETR"), "{}", window.screen());
    window.types("ge");
    let first = window.cursor();
    window.types("E");
    assert_ne!(window.cursor(), "");
    window.types("e");
    assert_eq!(window.cursor(), first);
}

#[test]
fn search_goes_around_and_ends() {
    let mut window = Window::of(reference());
    window.types("/226\n");
    window.shows("/226: 1 of ");
    assert!(window.cursor().contains("226"), "{}", window.screen());
    window.types("n");
    window.shows("/226: 2 of ");
    window.types("N");
    window.shows("/226: 1 of ");
    window.types("/nothing of this\n");
    window.shows("not found");
    window.types("\x1b");
    window.lacks("/nothing of this");
    window.shows("FTP Server");
}

#[test]
fn filters_leave_rows_out_and_say_so() {
    let mut window = Window::of(reference());
    window.types("&retr\n");
    window.shows("RETR: ");
    window.shows("RETR readme.txt");
    window.lacks("USER ftp");
    window.types("&nonsense\n");
    window.shows("no filter: there are findings");
    window.types("\x1b&\n");
    window.types("g");
    window.shows("DNS Query");
    window.types("&user\n");
    window.shows("Invoke FTP client");
    window.lacks("DNS Query");
    window.types("&data\n");
    window.shows("readme.txt");
    window.lacks("USER");
    window.types("&control\n/SYN+ACK\n");
    window.shows("SYN+ACK");
    window.types("&10.99.0.1\n");
    window.shows("10.99.0.1: 0 rows");
}

#[test]
fn sections_fold() {
    let mut window = Window::of(reference());
    window.types("F");
    window.shows("▸");
    window.lacks("USER ftp");
    let folded = window.screen();
    window.types("g\n");
    window.shows("DNS Query");
    window.types("F");
    assert_eq!(window.screen().matches('▸').count(), folded.matches('▸').count());
    window.types("]]");
    assert!(window.screen().lines().any(|line| line.starts_with("▌") && line.contains(" 3  ")), "{}", window.screen());
    window.types("U");
    window.shows("▾");
    window.lacks("▸");
    // A hit in a folded section opens it.
    window.types("F/USER\n");
    assert!(window.cursor().contains("USER ftp"), "{}", window.screen());
}

#[test]
fn what_is_shown_is_saved_in_the_format_of_the_ending() {
    let mut window = Window::of(reference());
    let Some(Effect::Save { name, bytes, replace: false }) = window.types("sx.svg\n") else { panic!() };
    assert!(name == "x.svg" && bytes.starts_with(b"<svg"));
    window.view.saved(&name, Saved::Exists);
    window.draw();
    window.shows("x.svg is there already. Replace it? (y/n)");
    assert!(matches!(window.types("y"), Some(Effect::Save { replace: true, .. })));
    window.view.saved(&name, Saved::Yes);
    window.draw();
    window.shows("saved to x.svg");
    // A filter holds for the file, too.
    let Some(Effect::Save { bytes, .. }) = window.types("&retr\nsx.txt\n") else { panic!() };
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("readme.txt(1715 bytes)") && !text.contains("USER"), "{text}");
    let Some(Effect::Save { bytes, .. }) = window.types("sx.jsonl\n") else { panic!() };
    assert!(String::from_utf8(bytes).unwrap().contains("\"verb\":\"USER\""));
    window.types("sx.doc\n");
    window.shows("no format has this ending");
    // A list has no picture.
    let mut window = Window::of(two());
    assert!(matches!(window.types("sx.json\n"), Some(Effect::Save { .. })));
    window.types("sx.svg\n");
    window.shows("open it first");
}

#[test]
fn lanes_stand_apart_where_all_are_wanted() {
    let mut window = Window::new(View::of(reference(), None, settings(false)), 60, 20);
    assert!(window.screen().lines().all(|line| line.chars().count() <= 60));
    window.types("w");
    let left = window.screen();
    for _ in 0..20 {
        window.key(KeyCode::Right);
    }
    assert_ne!(window.screen(), left);
    window.shows("accept a login");
    // Times stay where they are.
    assert!(window.screen().lines().any(|line| line.trim_start().starts_with("seconds")));
    window.types("w");
    window.shows("FTP Server");
}

#[test]
fn secrets_and_escapes_stay_away_from_the_screen() {
    let mut script = Script::logged_in("\u{1b}]0;x\u{7}");
    script.command("RETR \u{1b}[2J\u{202e}a").reply(550, &["\u{1b}[31mNo\u{9b}1m"]);
    let mut session = script.recorded();
    // Whoever wrote this has not masked it.
    let (connection, verb) = (ConnectionId::CONTROL, "PASS".to_owned());
    let kind = EventKind::Command { connection, verb, argument: b"geheim".to_vec() };
    session.events.push(SessionEvent { at: session.events.last().unwrap().at, kind });
    let mut window = Window::of(recording(vec![session, Script::logged_in("b").recorded()]));
    let mut screens = vec![window.screen()];
    window.types("\n");
    for _ in 0..30 {
        screens.push(window.screen());
        window.types("\n");
        screens.push(window.screen());
        window.key(KeyCode::PageDown);
        screens.push(window.screen());
        window.types("\x1bj");
    }
    window.types("\t");
    screens.push(window.screen());
    for screen in screens {
        assert!(!screen.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']) && !screen.contains("geheim"), "{screen}");
    }
}

#[test]
fn ascii_alone() {
    let mut window = Window::new(View::of(reference(), None, settings(true)), 100, 24);
    for keys in ["", "F", "U", "\n", "\x1b\t", "\x1b?", "\x1b\x1b", "/x\n"] {
        window.types(keys);
        assert!(window.screen().is_ascii(), "{}", window.screen());
    }
}

#[test]
fn windows_of_any_size() {
    for (width, height) in [(1, 1), (20, 6), (30, 8), (59, 10), (80, 24), (300, 90)] {
        let mut window = Window::new(View::of(two(), None, settings(false)), width, height);
        for keys in ["\n", "G", "w", "\n", "G", "\x1b\tG", "\n", "?", "jjjj\x1b", "\x1b", "/550\n", "sx"] {
            window.types(keys);
        }
        let mut window = Window::new(View::of(recording(Vec::new()), None, settings(false)), width, height);
        for keys in ["\n", "jkGg", "/x\nn", "oO", "sx.json\n"] {
            window.types(keys);
        }
    }
}

#[test]
fn what_goes_on_is_followed_and_paused() {
    let mut view = View::growing(settings(false));
    let mut script = Script::logged_in("anna");
    for n in 0..30 {
        script.command(&format!("NOOP {n}")).reply(200, &["Yes."]);
    }
    let mut events = script.events.into_iter();
    let mut window = Window::new(view_with(&mut view, &mut events, 10), 100, 20);
    // The only session is opened by itself.
    window.shows("USER anna");
    window.shows(" FOLLOWS ");
    let feed = |window: &mut Window, events: &mut std::vec::IntoIter<SessionEvent>, count: usize| {
        for event in events.take(count) {
            window.view.push("", None, &header(), event);
        }
        window.view.grown();
        window.draw();
    };
    feed(&mut window, &mut events, 30);
    window.lacks("USER anna");
    window.shows("NOOP 15");
    // Whoever looks back stays where they are.
    window.types("gjj");
    window.shows(" GOES ON ");
    let (at, screen) = (window.cursor(), window.screen());
    feed(&mut window, &mut events, 10);
    assert_eq!(window.cursor(), at);
    assert_eq!(window.screen().lines().nth(8), screen.lines().nth(8));
    window.types(" ");
    window.shows(" PAUSED ");
    assert!(!window.view.takes());
    window.types(" G");
    assert!(window.view.takes());
    window.shows(" FOLLOWS ");
    // It is not judged before its end.
    window.types("\t");
    window.shows("it is judged at its end");
    window.types("\t");
    // Another one begins: it is in the list, and the ladder stays.
    window.view.push("2", Some("second"), &header(), Script::logged_in("bob").events.remove(0));
    window.view.grown();
    window.draw();
    window.shows("NOOP");
    window.types("\x1b");
    window.shows("2 sessions");
    window.shows("second");
    window.shows("goes on");
    window.view.over("nothing more comes");
    window.draw();
    window.shows(" ENDED ");
}

fn view_with(view: &mut View, events: &mut std::vec::IntoIter<SessionEvent>, count: usize) -> View {
    let mut view = std::mem::replace(view, View::growing(settings(false)));
    for event in events.take(count) {
        view.push("", None, &header(), event);
    }
    view.grown();
    view
}

#[test]
fn memory_is_bounded_while_sessions_go_on() {
    let mut view = View::growing(settings(false));
    for n in 0..200 {
        let mut script = Script::logged_in("anna");
        script.command("QUIT").reply(221, &["Bye."]);
        for by in [End::Client, End::Server] {
            let how = port21_proto::event::Closing::Fin;
            script.push(EventKind::Closed { connection: ConnectionId::CONTROL, by, how });
        }
        for event in script.events {
            view.push(&n.to_string(), None, &header(), event);
        }
    }
    view.grown();
    let mut window = Window::new(view, 100, 20);
    window.shows("64 sessions in a.jsonl, 136 more no longer in memory");
    // And the events of one that goes on and on.
    let mut script = Script::logged_in("anna");
    for _ in 0..12_000 {
        script.command("NOOP").reply(200, &["Yes."]);
    }
    for event in script.events {
        window.view.push("long", None, &header(), event);
    }
    window.view.grown();
    window.types("G\n");
    let screen = window.screen();
    let count = screen.rsplit_once(" of ").unwrap().1.split(' ').next().unwrap();
    assert!((1_000..9_000).contains(&count.parse::<usize>().unwrap()), "{screen}");
    window.types("g");
    window.shows("USER anna");
}

#[test]
fn keys_are_told() {
    let mut window = Window::of(reference());
    window.types("?");
    insta::assert_snapshot!(window.screen());
    window.types("x");
    window.shows("FTP Server");
}

#[test]
fn long_sessions_come_folded_and_unfold() {
    let mut script = Script::logged_in("anna");
    for n in 0..60 {
        script.command(&format!("CWD d{n}")).reply(250, &["Done."]);
    }
    let mut window = Window::new(View::of(recording(vec![script.recorded()]), None, settings(false)), 100, 60);
    window.types("/more changes\n");
    window.lacks("CWD d30");
    // What is in the middle is unfolded where it is asked for, and where something is looked for in it.
    window.types("n\n");
    window.shows("CWD d10");
    window.types("\x1bu");
    window.lacks("CWD d10");
    window.types("/CWD d30\n");
    assert!(window.cursor().contains("CWD d30"), "{}", window.screen());
    window.types("\x1bug/nothing of this\n\x1b");
    window.shows("54 more changes");
    window.types("&CWD\n");
    window.shows("CWD: 120 rows");
}
