//! Sessions of other shapes than the reference: passive, refused, cut off, pipelined, long.

use std::time::Duration;

use port21_proto::event::{Closing, ConnectionId, End, EventKind, Purpose};
use port21_trace::ladder::{Options, Shape, Tone};
use port21_trace::session::{Direction, Ending, Mode, SectionKind};
use port21_trace::{Ladder, Session, render};

use crate::events::{CONTROL, Script};

fn ladder(script: &Script) -> Ladder {
    Ladder::new(&session(script), &Options { product: "port21 test".to_owned(), ..Options::default() })
}

fn session(script: &Script) -> Session {
    Session::from_events(script.events.iter().cloned())
}

fn text(ladder: &Ladder, width: usize) -> String {
    render::text(ladder, &render::TextOptions { width, ..Default::default() })
}

#[test]
fn a_session_with_all_kinds_of_trouble() {
    let mut s = Script::logged_in();
    s.command("SYST").reply(215, &["UNIX Type: L8"]);
    s.command("FEAT")
        .reply(211, &["Features:", "UTF8", "EPSV", "SIZE", "MDTM", "REST STREAM", "MLST type*;size*;", "End"]);
    s.command("TYPE I").reply(200, &["Type set to I."]);
    s.command("SIZE bilder/großes Foto vom Sommerfest am See 2024.jpeg").reply(213, &["240112"]);
    s.download(1, "bilder/großes Foto vom Sommerfest am See 2024.jpeg", 240_112);
    s.command("EPSV").reply(229, &["Entering Extended Passive Mode (|||50123|)"]);
    s.opening(2, Purpose::Data, End::Client, None, Some("10.0.0.1:50123"));
    s.push(EventKind::OpenFailed { connection: ConnectionId(2), why: "no answer within 30 s".to_owned() });
    s.ms += 30_000;
    s.command("STOR new.bin").reply(425, &["No data connection: nobody connected within 30 s."]);
    s.command("PORT 10,0,0,2,19,137").reply(200, &["PORT command successful."]);
    s.command("RETR half.bin").reply(150, &["Opening BINARY mode data connection for half.bin (9000000 bytes)."]);
    s.opening(3, Purpose::Data, End::Server, Some("10.0.0.2:5001"), None);
    s.opened(3, Purpose::Data, End::Server, Some("10.0.0.2:5001"), Some("10.0.0.1:20"));
    s.data(3, End::Server, 1_234_567);
    s.push(EventKind::Closed { connection: ConnectionId(3), by: End::Client, how: Closing::Reset });
    s.reply(426, &["The data connection broke off."]);
    s.command("DELE \u{1b}[31mred").reply(550, &["Permission denied."]);
    s.push(EventKind::Note { connection: None, text: "the server's PASV address was replaced".to_owned() });
    s.push(EventKind::Malformed {
        connection: CONTROL,
        from: End::Server,
        head: b"\xff\x00garbage".to_vec(),
        why: "a reply without a code".to_owned(),
    });
    let ladder = ladder(&s);
    for width in [60, 80, 140] {
        insta::assert_snapshot!(format!("trouble_{width}"), text(&ladder, width));
    }
    insta::assert_snapshot!("trouble_svg", render::svg(&ladder, &render::SvgOptions::default()));
}

#[test]
fn transfers_know_their_connection_and_how_they_ended() {
    let mut s = Script::logged_in();
    s.command("TYPE I").reply(200, &["Type set to I."]);
    s.download(1, "one", 100).download(2, "two", 200);
    s.command("REST 50").reply(350, &["Restarting at 50."]);
    s.command("EPSV").reply(229, &["Entering Extended Passive Mode (|||50123|)"]);
    s.opened(3, Purpose::Data, End::Client, Some("10.0.0.2:43000"), Some("10.0.0.1:50123"));
    s.command("STOR three").reply(150, &["Ok."]).data(3, End::Client, 300).closed(3, End::Client);
    s.reply(452, &["No space left on device."]);
    let session = session(&s);
    let seen: Vec<_> = session
        .transfers()
        .iter()
        .map(|t| (t.name.as_str(), t.connection, t.bytes, t.direction, t.mode, t.from))
        .collect();
    let passive = Some(Mode::Passive);
    assert_eq!(
        seen,
        [
            ("one", Some(ConnectionId(1)), 100, Direction::Down, passive, 0),
            ("two", Some(ConnectionId(2)), 200, Direction::Down, passive, 0),
            ("three", Some(ConnectionId(3)), 300, Direction::Up, passive, 50),
        ]
    );
    assert_eq!(session.transfers()[1].ending, Ending::Done);
    assert!(matches!(session.transfers()[2].ending, Ending::Failed(code) if code == 452));
    assert_eq!(session.bytes(Direction::Down), 300);
}

#[test]
fn a_pipeline_is_untangled() {
    let mut s = Script::logged_in();
    s.command("EPSV").command("RETR a").command("EPSV").command("RETR b");
    s.reply(229, &["(|||50001|)"]).reply(150, &["a"]);
    s.opened(1, Purpose::Data, End::Client, Some("10.0.0.2:41501"), Some("10.0.0.1:50001"));
    s.data(1, End::Server, 1).closed(1, End::Server).reply(226, &["a done"]);
    s.reply(229, &["(|||50002|)"]).reply(150, &["b"]);
    s.opened(2, Purpose::Data, End::Client, Some("10.0.0.2:43002"), Some("10.0.0.1:50002"));
    s.data(2, End::Server, 2).closed(2, End::Server).reply(226, &["b done"]);
    let session = session(&s);
    let seen: Vec<_> = session.transfers().iter().map(|t| (t.name.as_str(), t.connection, t.bytes)).collect();
    assert_eq!(seen, [("a", Some(ConnectionId(1)), 1), ("b", Some(ConnectionId(2)), 2)]);
    assert!(session.exchanges().iter().all(|x| x.code.is_some()));
}

#[test]
fn noop_is_answered_while_a_transfer_runs() {
    let mut s = Script::logged_in();
    s.command("PASV").reply(227, &["(10,0,0,1,200,1)"]).command("RETR long").reply(150, &["Ok."]);
    s.command("NOOP").reply(200, &["Fine."]).command("ABOR").reply(426, &["Aborted."]).reply(226, &["Closed."]);
    let session = session(&s);
    let seen: Vec<_> =
        session.exchanges().iter().filter_map(|x| Some((x.verb?.name(), x.code?.number()))).skip(3).collect();
    assert_eq!(seen, [("RETR", 426), ("NOOP", 200), ("ABOR", 226)]);
}

#[test]
fn an_address_that_was_announced_twice_leads_to_the_later_connection() {
    let mut s = Script::logged_in();
    for (id, name) in [(1, "one"), (2, "two")] {
        s.command("PORT 10,0,0,2,19,137").reply(200, &["Ok."]).command(&format!("RETR {name}")).reply(150, &["Ok."]);
        s.opened(id, Purpose::Data, End::Server, Some("10.0.0.2:5001"), Some("10.0.0.1:20"));
        s.data(id, End::Server, u64::from(id)).closed(id, End::Server).closed(id, End::Client).reply(226, &["Ok."]);
    }
    let session = session(&s);
    let seen: Vec<_> = session.transfers().iter().map(|t| (t.name.as_str(), t.bytes)).collect();
    assert_eq!(seen, [("one", 1), ("two", 2)]);
}

#[test]
fn commands_that_prepare_a_transfer_stand_in_its_section() {
    let mut s = Script::logged_in();
    s.command("PWD").reply(257, &["\"/\""]);
    s.command("TYPE I").reply(200, &["Ok."]).command("SIZE a").reply(213, &["1"]);
    s.download(1, "a", 1);
    s.command("TYPE A").reply(200, &["Ok."]);
    s.command("QUIT").reply(221, &["Bye."]);
    let session = session(&s);
    let kinds: Vec<SectionKind> = session.sections().iter().map(|s| s.kind).collect();
    use SectionKind::{Download, End, Login, Settings};
    assert_eq!(kinds, [Login, Settings, Download, Settings, End]);
    assert_eq!(session.sections()[2].title, "Download of a");
    assert_eq!(session.sections()[2].detail, "PASV + RETR");
}

#[test]
fn what_the_user_does_begins_the_section_that_it_leads_to() {
    let mut s = Script::logged_in();
    s.push(EventKind::User { text: "get a".to_owned() });
    s.download(1, "a", 1);
    s.push(EventKind::User { text: "bye".to_owned() });
    s.command("QUIT").reply(221, &["Bye."]);
    let rows = ladder(&s).plain_rows();
    let user: Vec<_> =
        rows.iter().filter(|r| r.from == "user").map(|r| (r.section, r.to.as_str(), r.label.as_str())).collect();
    assert_eq!(user, [("get", "client:40000", "get a"), ("quit", "client:40000", "bye")]);
}

#[test]
fn silence_has_a_row() {
    let mut s = Script::logged_in();
    s.ms += 30_000;
    s.command("QUIT").reply(221, &["Bye."]);
    let ladder = ladder(&s);
    let gap = ladder.rows.iter().find(|r| r.shape == Shape::Across).unwrap();
    assert_eq!((gap.label.as_str(), gap.tone), ("30.0 s", Tone::Quiet));
    assert!(text(&ladder, 80).contains(" — 30.0 s — "));
}

#[test]
fn replies_tell_how_long_they_took() {
    let mut s = Script::logged_in();
    s.command("NOOP");
    s.ms += 40;
    s.reply(200, &["Ok."]);
    assert_eq!(ladder(&s).rows.last().unwrap().latency, Some(Duration::from_millis(41)));
}

#[test]
fn a_long_reply_is_folded_to_its_gist() {
    let mut s = Script::logged_in();
    let inner: Vec<String> = (0..5000).map(|i| format!("line {i}")).collect();
    let mut lines: Vec<&str> = inner.iter().map(String::as_str).collect();
    lines.insert(0, "Status:");
    lines.push("End.");
    s.command("STAT").reply(211, &lines);
    let rows = ladder(&s).plain_rows();
    let told: Vec<_> = rows.iter().rev().take(3).map(|r| (r.label.as_str(), r.parameters.as_str())).collect();
    assert_eq!(told[0], ("FTP 211", "End."));
    assert!(told[1].1.starts_with("5,000 lines: line 0, line 1, "), "{}", told[1].1);
    assert_eq!(told[2], ("FTP 211-", "Status:"));
}

#[test]
fn thousands_of_transfers_fold() {
    let mut s = Script::logged_in();
    s.command("CWD in").reply(250, &["Ok."]);
    for i in 1..=1500 {
        s.download(i, &format!("file{i}"), 10);
    }
    s.command("RETR missing").reply(550, &["No such file or directory"]);
    s.command("QUIT").reply(221, &["Bye."]);
    let session = session(&s);
    assert_eq!(session.transfers().len(), 1501);
    assert!(session.transfers().iter().take(1500).all(|t| t.bytes == 10));
    let ladder = ladder(&s);
    assert!(ladder.rows.len() < 150, "{}", ladder.rows.len());
    let fold = ladder.sections.iter().find(|s| s.through > s.number).unwrap();
    assert_eq!((fold.number, fold.through, fold.title.as_str()), (7, 1501, "1,495 more downloads"));
    assert!(text(&ladder, 100).contains("7-1501  1,495 more downloads"));
    assert!(ladder.summary.contains(&"15,000 bytes down".to_owned()));

    let unfolded = Ladder::new(&session, &Options { fold: false, ..Options::default() });
    assert_eq!(unfolded.sections.len(), 1504);
    let drawn = text(&unfolded, 80);
    assert!(drawn.contains("data (1500)"), "ports share a lane");
}

#[test]
fn what_is_asked_of_a_file_right_behind_its_transfer_belongs_to_it() {
    let mut script = Script::logged_in();
    for n in 1..=8 {
        let name = format!("pub/{n}.txt");
        script.download(n, &name, 100);
        script.command(&format!("SIZE {name}")).reply(213, &["100"]);
        script.command(&format!("MFMT 20260102030405 {name}")).reply(213, &["Modify=20260102030405"]);
    }
    // But of another file it is a question of its own; and what sets is no question.
    script.command("MDTM ub/8.txt").reply(213, &["20260102030405"]).command("SYST").reply(215, &["UNIX"]);
    let session = session(&script);
    let kinds: Vec<SectionKind> = session.sections().iter().map(|section| section.kind).collect();
    let mut wanted = vec![SectionKind::Login];
    wanted.extend([SectionKind::Download; 8]);
    wanted.push(SectionKind::Settings);
    assert_eq!(kinds, wanted);
    let ladder = Ladder::new(&session, &Options::default());
    assert!(ladder.opening.contains("downloads 8 files (800 bytes). Every command"), "{}", ladder.opening);
}

#[test]
fn a_long_section_folds_in_its_middle() {
    let mut s = Script::logged_in();
    for i in 0..1000 {
        s.command(&format!("DELE {i}")).reply(250, &["Ok."]);
    }
    let ladder = ladder(&s);
    assert!(ladder.rows.len() < 120);
    assert!(ladder.rows.iter().any(|r| r.label == "1,920 more rows"));
}

#[test]
fn nothing_at_all_can_be_drawn() {
    let ladder = ladder(&Script::default());
    assert_eq!(ladder.opening, "Nothing was recorded.");
    assert!(text(&ladder, 60).contains("FTP session"));
    assert!(render::svg(&ladder, &render::SvgOptions::default()).ends_with("</svg>\n"));
}
