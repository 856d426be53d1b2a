//! The frames of a message.

use std::path::{Path, PathBuf};

use port21_proto::Time;
use port21_trace::capture::{Link, PcapngWriter};
use port21_trace::input::{self, Input};
use ratatui::crossterm::event::KeyCode;

use super::super::frames::{Answer, Finder};
use super::{Effect, Recording, View, Window, settings};

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 2], 40_000);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 21);

/// An IP packet with a TCP segment.
fn packet((from, port): ([u8; 4], u16), (to, at): ([u8; 4], u16), seq: u32, flags: u8, data: &str) -> Vec<u8> {
    let length = u16::try_from(40 + data.len()).unwrap().to_be_bytes();
    let ip = [&[0x45, 0][..], &length, &[0, 7, 0, 0, 64, 6, 0, 0], &from, &to].concat();
    let (ports, ack) = ([port.to_be_bytes(), at.to_be_bytes()].concat(), [0, 0, 0, 0]);
    let tcp = [&ports[..], &seq.to_be_bytes(), &ack, &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat();
    [ip, tcp, data.as_bytes().to_vec()].concat()
}

/// A capture of a session that says little.
fn capture() -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), "eth0", Link::Ip).unwrap();
    let said = [
        packet(CLIENT, SERVER, 99, 0x02, ""),
        packet(SERVER, CLIENT, 499, 0x12, ""),
        packet(CLIENT, SERVER, 100, 0x10, ""),
        packet(SERVER, CLIENT, 500, 0x10, "220 Ready.\r\n"),
        packet(CLIENT, SERVER, 100, 0x10, "PASS ge"),
        packet(CLIENT, SERVER, 107, 0x10, "heim\r\n"),
        packet(SERVER, CLIENT, 512, 0x10, "230 In.\r\n"),
    ];
    for (n, packet) in (1..).zip(said) {
        writer.packet(Time::from_unix_nanos(1_115_068_020_000_000_000 + n * 1_000_000), &packet).unwrap();
    }
    writer.into_inner()
}

fn window(path: &Path) -> Window {
    let bytes = Box::new(std::fs::File::open(path).unwrap());
    let recording: Recording = input::read([Input { name: "a.pcapng".to_owned(), bytes }]).unwrap();
    Window::new(View::of(recording, None, settings(false)), 100, 40)
}

/// What the terminal does for [`Effect::Frames`].
fn find(window: &mut Window, paths: Vec<PathBuf>, effect: Option<Effect>) {
    let Some(Effect::Frames { key, event }) = effect else { panic!("{effect:?}") };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer: Answer = runtime.block_on(async {
        let mut finder = Finder::of(paths);
        assert!(finder.ask(key.clone(), event, window.view.session(&key).unwrap()).is_none() && finder.is_busy());
        finder.done().await.unwrap();
        assert_eq!(finder.wanted(), Some((key.clone(), event)));
        finder.go_on(window.view.session(&key).unwrap()).unwrap()
    });
    window.view.framed(&key, event, answer);
    window.draw();
}

#[test]
fn a_message_of_a_capture_shows_its_frames() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcapng");
    std::fs::write(&path, capture()).unwrap();
    let mut window = window(&path);
    let effect = window.types("/220\n\n");
    window.shows("The capture is read for the frames of this row.");
    find(&mut window, vec![path.clone()], effect);
    window.shows("Frame 4, ");
    window.shows("port 21 to port 40000, ACK, seq 1 (500)");
    window.lacks("The capture is read");
    // The next row: a password, in two frames.
    let effect = window.key(KeyCode::Right);
    let Some(Effect::Frames { key, event }) = effect.clone() else { panic!("{effect:?}") };
    // What is found of another row by then is not shown here.
    window.view.framed(&key, event + 1, Err("of another row".to_owned()));
    window.draw();
    window.lacks("of another row");
    find(&mut window, vec![path.clone()], effect);
    window.shows("It came in 2 frames.");
    window.key(KeyCode::End);
    window.shows("Frame 6, ");
    window.shows("  00000028  2a 2a 2a 2a 0d 0a");
    // The file is gone meanwhile: what the session keeps is shown, and why it is no more than that.
    let effect = window.key(KeyCode::Right);
    std::fs::remove_file(&path).unwrap();
    find(&mut window, vec![path, PathBuf::from("-")], effect);
    window.shows("The frames of ");
    window.shows("cannot be shown: No such file or directory");
    window.shows("cannot be shown: standard input can be read once");
    window.shows("230 In...");
}

#[test]
fn what_was_not_captured_has_no_frames() {
    let mut window = Window::of(super::reference());
    assert_eq!(window.types("/RETR\n\n"), None);
    window.lacks("frames");
}
