//! The reference session: every row of it, and how it looks.

use port21_trace::ladder::{LaneName, Options, PlainRow};
use port21_trace::{Ladder, Session, render};

use crate::events::reference;

/// Section, from, to, label, parameters; `~` before a label that is inferred.
const ROWS: &str = "\
dns|user|client:1030|Invoke FTP client with ftp.any-domain.com|
dns|client:1030|dns:53|DNS Query|name=ftp.any-domain.com type=A class=IN recdesired=1 queries=1
dns|dns:53|client:1030|DNS Response|rcode=NOERROR recdesired=1 answers=1 192.0.2.21
login|client:1175|server:21|~TCP SYN|syn=1
login|server:21|client:1175|~TCP SYN+ACK|syn=1 ack=1
login|client:1175|server:21|~TCP ACK|ack=1
login|server:21|client:1175|FTP 220|ANY-DOMAIN.COM FTP Service
login|client:1175|server:21|USER ftp|
login|server:21|client:1175|FTP 331|Anonymous access allowed, send identity (e-mail name) as password.
login|client:1175|server:21|PASS|***
login|server:21|client:1175|FTP 230-|Welcome to ftp.any-domain.com
login|server:21|client:1175|FTP 230|Anonymous user logged in.
list|client:1175|server:21|PORT|192.168.0.2:5001
list|server:21|client:1175|FTP 200|PORT command successful.
list|client:1175|server:21|LIST|
list|server:21|client:1175|FTP 150|Opening ASCII mode data connection for /bin/ls.
list|server:20|client:5001|~TCP SYN|syn=1
list|client:5001|server:20|~TCP SYN+ACK|syn=1 ack=1
list|server:20|client:5001|~TCP ACK|ack=1
list|server:20|client:5001|DATA|214 bytes in 0.2 ms · ASCII
list|server:20|client:5001|~TCP FIN+ACK|fin=1 ack=1
list|client:5001|server:20|~TCP ACK|ack=1
list|client:5001|server:20|~TCP FIN+ACK|fin=1 ack=1
list|server:20|client:5001|~TCP ACK|ack=1
list|server:21|client:1175|FTP 226|Transfer complete.
cwd|client:1175|server:21|CWD pub|
cwd|server:21|client:1175|FTP 250|CWD command successful.
get|client:1175|server:21|PORT|192.168.0.2:5002
get|server:21|client:1175|FTP 200|PORT command successful.
get|client:1175|server:21|RETR readme.txt|
get|server:21|client:1175|FTP 150|Opening ASCII mode data connection for readme.txt(1715 bytes).
get|server:20|client:5002|~TCP SYN|syn=1
get|client:5002|server:20|~TCP SYN+ACK|syn=1 ack=1
get|server:20|client:5002|~TCP ACK|ack=1
get|server:20|client:5002|DATA|1,715 bytes in 0.3 ms · ASCII
get|server:20|client:5002|~TCP FIN+ACK|fin=1 ack=1
get|client:5002|server:20|~TCP ACK|ack=1
get|client:5002|server:20|~TCP FIN+ACK|fin=1 ack=1
get|server:20|client:5002|~TCP ACK|ack=1
get|server:21|client:1175|FTP 226|Transfer complete.
quit|client:1175|server:21|QUIT|
quit|server:21|client:1175|FTP 221|Thank you for visiting ftp.any-domain.com.
quit|server:21|client:1175|~TCP FIN|fin=1 ack=1
quit|client:1175|server:21|~TCP FIN|fin=1 ack=1
";

fn ladder(change: impl FnOnce(&mut Options)) -> Ladder {
    let mut options = Options { product: "port21 test".to_owned(), ..Options::default() };
    change(&mut options);
    Ladder::new(&Session::from_events(reference()), &options)
}

fn written(rows: &[PlainRow]) -> String {
    let line = |r: &PlainRow| {
        let seen = if r.inferred { "~" } else { "" };
        format!("{}|{}|{}|{seen}{}|{}\n", r.section, r.from, r.to, r.label, r.parameters)
    };
    rows.iter().map(line).collect()
}

fn text(ladder: &Ladder, width: usize, ascii: bool) -> String {
    render::text(ladder, &render::TextOptions { width, ascii, colour: false })
}

#[test]
fn every_row_is_there_and_in_its_place() {
    assert_eq!(written(&ladder(|_| {}).plain_rows()), ROWS);
}

#[test]
fn lanes_stand_as_in_the_reference() {
    let ladder = ladder(|_| {});
    let lanes: Vec<String> = ladder.lanes.iter().map(|lane| lane.name().to_string()).collect();
    let want = ["dns:53", "server:20", "server:21", "client:1030", "client:1175", "client:5001", "client:5002", "user"];
    assert_eq!(lanes, want);
    let sections: Vec<String> = ladder.sections.iter().map(|s| format!("{} {}", s.title, s.detail)).collect();
    let want = [
        "Address of the server ",
        "Control connection and login ",
        "Directory listing PORT + LIST",
        "Change of directory CWD pub",
        "Download of readme.txt PORT + RETR",
        "End of the session ",
    ];
    assert_eq!(sections, want);
    assert_eq!(ladder.summary, ["anonymous", "active mode", "43 messages in 207 ms", "1,715 bytes down"]);
}

#[test]
fn as_text_at_80_columns() {
    insta::assert_snapshot!(text(&ladder(|_| {}), 80, false));
}

#[test]
fn as_text_at_120_columns() {
    insta::assert_snapshot!(text(&ladder(|_| {}), 120, false));
}

#[test]
fn as_text_in_ascii() {
    let drawn = text(&ladder(|_| {}), 100, true);
    assert!(drawn.is_ascii());
    insta::assert_snapshot!(drawn);
}

#[test]
fn as_text_with_the_names_of_fields() {
    insta::assert_snapshot!(text(&ladder(|o| o.fields = true), 100, false));
}

#[test]
fn as_text_of_one_port() {
    let only: LaneName = "server:21".parse().unwrap();
    let ladder = ladder(|o| (o.only, o.tcp) = (Some(only), false));
    assert_eq!(ladder.title, "Port_21 Interfaces (FTP session with ftp.any-domain.com)");
    assert!(ladder.plain_rows().iter().all(|r| r.from == "server:21" || r.to == "server:21"));
    assert!(!ladder.plain_rows().iter().any(|r| r.inferred));
    insta::assert_snapshot!(text(&ladder, 80, false));
}

#[test]
fn as_svg() {
    let drawn = render::svg(&ladder(|_| {}), &render::SvgOptions::default());
    assert_eq!(drawn, render::svg(&ladder(|_| {}), &render::SvgOptions::default()));
    insta::assert_snapshot!(drawn);
}

#[test]
fn title_and_date_are_what_was_asked_for() {
    let ladder = ladder(|o| (o.title, o.date) = (Some("A <title>".to_owned()), Some("02-May-05 21:07".to_owned())));
    assert_eq!((ladder.title.as_str(), ladder.date.as_str()), ("A <title>", "02-May-05 21:07"));
    let svg = render::svg(&ladder, &render::SvgOptions::default());
    assert!(svg.contains(">A &lt;title&gt;</text>") && svg.contains(">02-May-05 21:07</text>"));
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let options = render::TextOptions { colour: true, ..Default::default() };
    let plain = text(&ladder(|_| {}), 100, false);
    let coloured = render::text(&ladder(|_| {}), &options);
    assert!(!plain.contains('\x1b'));
    let mut stripped = String::new();
    for (i, part) in coloured.split('\x1b').enumerate() {
        stripped.push_str(if i == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(stripped, plain);
}
