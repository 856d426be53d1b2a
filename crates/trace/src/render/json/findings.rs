//! What is wrong with a session, for programs: each finding with the events that show it.

use port21_proto::event::{Closing, End, EventKind, Purpose, Segment};
use serde::Serialize;

use crate::findings::{self, Finding};
use crate::recording::Stamp;
use crate::session::Session;
use crate::words::{bytes, clip, counted, shown};

/// The most characters of a row's text.
const MAX_TEXT: usize = 200;

#[derive(Serialize)]
pub(super) struct OneFinding {
    rule: &'static str,
    severity: &'static str,
    session: String,
    rows: Vec<Row>,
    text: String,
    advice: &'static str,
}

/// An event that belongs to a finding.
#[derive(Serialize)]
struct Row {
    t: Stamp,
    kind: &'static str,
    text: String,
}

/// What is wrong with the session of this name: faults first, then in the order of time.
pub(super) fn of<'a>(id: &'a str, session: &'a Session) -> impl Iterator<Item = OneFinding> + 'a {
    let one = move |finding: Finding| OneFinding {
        rule: finding.rule.name,
        severity: finding.rule.severity.name(),
        session: id.to_owned(),
        rows: finding.rows.iter().filter_map(|&i| row(session, i)).collect(),
        text: finding.text,
        advice: finding.rule.advice,
    };
    findings::findings(session).into_iter().map(one)
}

fn row(session: &Session, i: usize) -> Option<Row> {
    let event = session.events().get(i)?;
    let (kind, text) = told(session, &session.told(&event.kind));
    Some(Row { t: Stamp(event.at), kind, text: clip(&text, MAX_TEXT) })
}

/// The kind of an event, by its name in recordings, and what happened in few words that are safe to show.
fn told(session: &Session, kind: &EventKind) -> (&'static str, String) {
    let of = kind.connection().and_then(|id| session.connection(id)).map_or("connection", |c| match c.purpose {
        Purpose::Control => "control connection",
        Purpose::Data => "data connection",
        Purpose::Dns => "connection to the name server",
    });
    match kind {
        EventKind::User { text } => ("user", shown(text.as_bytes())),
        EventKind::DnsQuery { name, record, .. } => ("dns_query", shown(format!("{record} {name}").as_bytes())),
        EventKind::DnsAnswer { name, record, code, .. } => {
            ("dns_answer", shown(format!("{record} {name}: {code}").as_bytes()))
        }
        EventKind::Opening(c) => ("opening", format!("the {} opens the {of}", name(c.opener))),
        EventKind::Opened(_) => ("opened", format!("the {of} stands")),
        EventKind::Joined(_) => ("joined", format!("the {of} stood already")),
        EventKind::OpenFailed { why, .. } => {
            ("open_failed", format!("the {of} did not come to stand: {}", shown(why.as_bytes())))
        }
        EventKind::Closed { by, how: Closing::Fin, .. } => ("closed", format!("the {} ends the {of}", name(*by))),
        EventKind::Closed { by, how: Closing::Reset, .. } => {
            ("closed", format!("the {} breaks off the {of}", name(*by)))
        }
        EventKind::Command { verb, argument, .. } => {
            let blank = if argument.is_empty() { "" } else { " " };
            ("command", format!("{}{blank}{}", shown(verb.as_bytes()), shown(argument)))
        }
        EventKind::Reply { code, lines, .. } => {
            ("reply", format!("{code} {}", shown(lines.last().map_or(&b""[..], |line| line))))
        }
        EventKind::Malformed { from, why, .. } => {
            ("malformed", format!("from the {}: {}", name(*from), shown(why.as_bytes())))
        }
        EventKind::Data { from, bytes: n, .. } => ("data", format!("{} from the {}", bytes(*n), name(*from))),
        EventKind::Segment { from, segment, again, .. } => {
            let again = if *again { ", again" } else { "" };
            ("segment", format!("{} from the {}{again}", short(*segment), name(*from)))
        }
        EventKind::Tls { from, what, .. } => ("tls", format!("{} from the {}", shown(what.as_bytes()), name(*from))),
        EventKind::TlsFailed { text, .. } => ("tls_failed", shown(text.as_bytes())),
        EventKind::Counted { from, counts, .. } => (
            "counted",
            format!(
                "the {}: {} sent again, {} not acknowledged, its window closed {}",
                name(*from),
                counted(counts.again, "segment", "segments"),
                bytes(counts.unacknowledged),
                counted(counts.closed_windows, "time", "times")
            ),
        ),
        EventKind::Ident { answered: true } => ("ident", "the server asks port 113 of the client's host".to_owned()),
        EventKind::Ident { answered: false } => {
            ("ident", "the server asks port 113 of the client's host, without an answer".to_owned())
        }
        EventKind::Note { text, .. } => ("note", shown(text.as_bytes())),
        _ => ("unknown", String::new()),
    }
}

fn name(end: End) -> &'static str {
    match end {
        End::Client => "client",
        End::Server => "server",
    }
}

fn short(segment: Segment) -> &'static str {
    match segment {
        Segment::Syn => "SYN",
        Segment::SynAck => "SYN, ACK",
        Segment::Ack => "ACK",
        Segment::Fin => "FIN",
        Segment::Rst => "RST",
    }
}
