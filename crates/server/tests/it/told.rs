//! The events of a session, as recordings keep them.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};

use port21_proto::addr::write_eprt;
use port21_proto::event::{ConnectionId, EventKind};

use crate::site::Site;

const CONTROL: ConnectionId = ConnectionId::CONTROL;
const DATA: ConnectionId = ConnectionId(1);

/// One line an event, without what differs from run to run.
fn line(kind: &EventKind) -> String {
    match kind {
        EventKind::Opening(c) => format!("opening {} by {:?}", c.id.0, c.opener),
        EventKind::Opened(c) => format!("opened {} by {:?}", c.id.0, c.opener),
        EventKind::OpenFailed { connection, why } => format!("failed {}: {why}", connection.0),
        EventKind::Closed { connection, by, how } => format!("closed {} by {by:?}: {how:?}", connection.0),
        EventKind::Command { verb, argument, .. } => match verb.as_str() {
            "EPRT" => verb.clone(),
            _ => format!("{verb} {}", String::from_utf8_lossy(argument)).trim_end().to_owned(),
        },
        EventKind::Reply { code, .. } => code.to_string(),
        EventKind::Data { connection, from, bytes, .. } => format!("data {} from {from:?}: {bytes}", connection.0),
        other => format!("{other:?}"),
    }
}

/// All that is told until the client and the server have closed the control connection.
fn story(site: &Site) -> Vec<String> {
    let mut lines = Vec::new();
    let mut closed = 0;
    while closed < 2 {
        let event = site.wait_for(|_| true);
        closed += usize::from(matches!(event.kind, EventKind::Closed { connection: CONTROL, .. }));
        lines.push(line(&event.kind));
    }
    lines
}

#[test]
fn an_active_download() {
    let site = Site::new();
    site.write("file", "hello");
    let mut raw = site.login();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    raw.command(&format!("EPRT {}", write_eprt(listener.local_addr().unwrap())), 200);
    raw.command("RETR file", 150);
    let (mut data, _) = listener.accept().unwrap();
    data.read_to_end(&mut Vec::new()).unwrap();
    drop(data);
    raw.expect(226);
    raw.command("QUIT", 221);
    assert!(raw.into_end().0);
    assert_eq!(
        story(&site),
        [
            "opened 0 by Client",
            "220",
            "USER user",
            "331",
            "PASS ***",
            "230",
            "EPRT",
            "200",
            "RETR file",
            "150",
            "opening 1 by Server",
            "opened 1 by Server",
            "data 1 from Server: 5",
            "closed 1 by Server: Fin",
            "closed 1 by Client: Fin",
            "226",
            "QUIT",
            "221",
            "closed 0 by Server: Fin",
            "closed 0 by Client: Fin",
        ]
    );
}

#[test]
fn a_passive_upload() {
    let site = Site::new();
    let mut raw = site.login();
    site.wait_for(|kind| matches!(kind, EventKind::Reply { code, .. } if *code == 230));
    raw.store("STOR file", b"hello");
    raw.command("QUIT", 221);
    assert!(raw.into_end().0);
    let all = story(&site);
    let of_data: Vec<_> = all.iter().filter(|line| line.contains(" 1 ")).map(String::as_str).collect();
    assert_eq!(
        of_data,
        ["opened 1 by Client", "data 1 from Client: 5", "closed 1 by Client: Fin", "closed 1 by Server: Fin"]
    );
    let last = all.iter().position(|line| line == "closed 1 by Server: Fin").unwrap();
    assert_eq!(all[last + 1], "226", "the final reply comes after the end of the data connection");
}

#[test]
fn a_connection_that_was_refused() {
    let site = Site::new();
    let mut raw = site.login();
    drop(raw.active());
    raw.command("LIST", 150);
    raw.expect(425);
    let event = site.wait_for(|kind| matches!(kind, EventKind::OpenFailed { .. }));
    assert_eq!(line(&event.kind), "failed 1: refused");
    assert_eq!(event.kind.connection(), Some(DATA));
}
