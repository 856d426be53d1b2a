//! What is said beside the rows: what each step is for, and what a refusal means.

use port21_proto::event::{Connection, Counts, End, EventKind, Purpose};
use port21_proto::parameters::Representation;
use port21_proto::{Code, Verb};

use super::codes::meaning;
use super::{Remark, Weight};
use crate::session::{Ending, Exchange, Session, Transfer};
use crate::words::{self, duration};

pub(super) fn dns_query(name: &str) -> Remark {
    narration(format!("The client asks the name server for the address of {name}"))
}

pub(super) fn dns_answer(code: &str, answers: &[String], name: &str) -> Remark {
    match (code, answers) {
        ("NOERROR", []) => notice(format!("{name} has no address of this kind")),
        ("NOERROR", [_]) => narration("The name server responds with the IP address"),
        ("NOERROR", _) => narration("The name server responds with the IP addresses"),
        ("NXDOMAIN", _) => notice(format!("The name server says that there is no {name}")),
        ("SERVFAIL", _) => notice("The name server could not find out"),
        ("REFUSED", _) => notice("The name server refuses to answer"),
        (code, _) => notice(format!("The name server fails with {code}")),
    }
}

/// Of the three steps of a handshake: 0 is the SYN.
pub(super) fn handshake(session: &Session, c: &Connection, step: u8) -> Option<Remark> {
    let port = |end| match end {
        End::Client => c.client.map(|a| a.port()),
        End::Server => c.server.map(|a| a.port()),
    };
    let (opener, listener) = (name(c.opener), name(c.opener.other()));
    let at = port(c.opener.other()).map(|port| format!(" port {port}")).unwrap_or_default();
    Some(match (c.purpose, step) {
        (Purpose::Control, 0) => narration(format!("The {opener} opens the control connection: a SYN to{at}")),
        (Purpose::Control, 1) => narration(format!("The {listener} responds with SYN+ACK")),
        (Purpose::Control, _) => narration("An ACK completes the three way handshake"),
        (_, 0) => {
            let transfer = session.transfer_of(c.id);
            let told = match transfer.and_then(|t| t.setup) {
                Some(setup) => format!(", as {setup} announced"),
                None => String::new(),
            };
            let foreign = match (c.opener.other(), session.control()) {
                (End::Client, Some(control)) => control.client.zip(c.client),
                (End::Server, Some(control)) => control.server.zip(c.server),
                _ => None,
            };
            if let Some((_, elsewhere)) = foreign.filter(|(a, b)| a.ip().to_canonical() != b.ip().to_canonical()) {
                return Some(notice(format!(
                    "The {opener} opens the data connection to {}: not where the control connection's {listener} is",
                    elsewhere.ip().to_canonical()
                )));
            }
            narration(format!("Three way handshake on the {listener}'s{at}{told}"))
        }
        _ => return None,
    })
}

pub(super) fn open_failed(c: Option<&Connection>, why: &str) -> Remark {
    let who = c.map_or("client", |c| name(c.opener));
    let what = match c.map(|c| c.purpose) {
        Some(Purpose::Control) => "control connection",
        Some(Purpose::Dns) => "connection to the name server",
        _ => "data connection",
    };
    let to = c.and_then(|c| if c.opener == End::Client { c.server } else { c.client });
    let to = to.map(|a| format!(" to {a}")).unwrap_or_default();
    notice(format!("The {who} could not open the {what}{to}: {why}"))
}

/// Of a connection that the recorder found as it stood.
pub(super) fn joined(c: &Connection) -> Remark {
    let what = match c.purpose {
        Purpose::Control => "control connection",
        Purpose::Data => "data connection",
        Purpose::Dns => "connection to the name server",
    };
    notice(format!("This {what} was there before the capture begins"))
}

/// Of a segment that was sent before.
/// What was counted of a side, in sentences of their own.
pub(super) fn counted(from: End, counts: &Counts) -> Vec<String> {
    let who = name(from);
    let mut told = Vec::new();
    if counts.again > 0 {
        told.push(format!("the {who} sent {} again", words::counted(counts.again, "segment", "segments")));
    }
    if counts.closed_windows > 0 {
        let (times, long) = (words::counted(counts.closed_windows, "time", "times"), duration(counts.closed_for));
        told.push(format!("the {who} closed its window {times}, for {long}"));
    }
    told
}

/// The server's question for the client's user.
pub(super) const fn ident(answered: bool) -> &'static str {
    if answered {
        "the server asks the client's host who its user is (ident, port 113)"
    } else {
        "the server asks the client's host who its user is (ident, port 113), and waits for an answer"
    }
}

pub(super) fn again(label: &str, from: End) -> Remark {
    notice(format!("The {} sends its {label} again: it was not answered", name(from)))
}

pub(super) fn tls(what: &str, fatal: bool) -> Option<Remark> {
    if what.starts_with("ClientHello") {
        Some(narration("From here on the control connection is within TLS"))
    } else if fatal {
        Some(notice("TLS fails"))
    } else {
        None
    }
}

pub(super) fn reset(by: End) -> Remark {
    notice(format!("The {} broke the connection off", name(by)))
}

pub(super) fn release(session: &Session, c: &Connection, by: End, first: bool) -> Option<Remark> {
    let who = name(by);
    Some(match (c.purpose, first) {
        (Purpose::Control, true) => narration(format!("The {who} releases the control connection")),
        (Purpose::Control, false) => narration(format!("And so does the {who}: the session is over")),
        (_, true) => match session.transfer_of(c.id) {
            Some(t) if t.is_listing() => narration(format!("The {who} releases the connection: the listing ends")),
            _ => narration(format!("The {who} releases the connection: the file ends")),
        },
        (_, false) => return None,
    })
}

pub(super) fn command(session: &Session, i: usize, verb: Option<Verb>, argument: &str) -> Option<Remark> {
    let said = |text: &str| Some(narration(text));
    let login = session.login();
    match verb? {
        Verb::User if ["ftp", "anonymous"].iter().any(|guest| argument.eq_ignore_ascii_case(guest)) => {
            Some(narration(format!("The login name; \"{argument}\" asks for an anonymous session")))
        }
        Verb::User => said("The login name"),
        Verb::Pass if login.is_some_and(|l| l.anonymous) => said("An e-mail address goes as the password"),
        Verb::Pass => said("The password, which is not shown here"),
        Verb::Port | Verb::Eprt => said("The client tells its port for data"),
        Verb::Pasv | Verb::Epsv => said("The client asks the server for a port for data"),
        Verb::List | Verb::Nlst | Verb::Mlsd => said("The user requests a directory listing"),
        Verb::Retr => Some(narration(format!("The user gets {argument}"))),
        Verb::Stor => Some(narration(format!("The user puts {argument}"))),
        Verb::Appe => Some(narration(format!("The user adds to the end of {argument}"))),
        Verb::Stou => said("The user puts a file under a name that the server chooses"),
        Verb::Cwd => said("The user changes the working directory"),
        Verb::Cdup => said("The user changes to the directory above"),
        Verb::Quit => {
            let events = session.events().get(..i).unwrap_or_default();
            let typed = events.iter().rev().take(4).find_map(|e| match &e.kind {
                EventKind::User { text } if matches!(text.as_str(), "bye" | "quit" | "exit") => Some(text.as_str()),
                _ => None,
            });
            Some(narration(match typed {
                Some(word) => format!("The user's \"{word}\" on the console becomes QUIT"),
                None => "The client ends the session".to_owned(),
            }))
        }
        Verb::Type if argument.to_ascii_uppercase().starts_with('A') => {
            said("Text: line ends are converted on the way")
        }
        Verb::Type => said("Bytes as they are"),
        Verb::Rest => Some(narration(format!("The next transfer starts at byte {argument}"))),
        Verb::Abor => Some(notice("The client aborts the transfer")),
        // What the table of verbs says of it, as a sentence.
        verb => {
            let help = verb.facts().help;
            let mut letters = help.chars();
            let first = letters.next()?;
            Some(narration(first.to_uppercase().chain(letters).collect::<String>()))
        }
    }
}

/// Of one of the rows of a reply: the first (0) to the last.
pub(super) fn reply(
    session: &Session,
    exchange: Option<&Exchange>,
    code: Code,
    row: usize,
    rows: usize,
) -> Option<Remark> {
    let last = row + 1 == rows;
    let transfer = exchange.and_then(|x| session.transfers().get(x.transfer?));
    let verb = exchange.and_then(|x| x.verb);
    if code.is_error() {
        return last.then(|| notice(meaning(code)));
    }
    if !last {
        let first = match (code.number(), row) {
            (230, 0) => "Welcome message after login",
            (220, 0) => "The server's greeting",
            _ => return None,
        };
        return Some(narration(first));
    }
    let listing = transfer.is_some_and(Transfer::is_listing);
    Some(narration(match (code.number(), verb) {
        (220, None) => "The server is ready to accept a login".to_owned(),
        (331, _) if session.login().is_some_and(|l| l.anonymous) => "Anonymous FTP is allowed".to_owned(),
        (230, Some(Verb::User | Verb::Pass)) => "The user is logged in".to_owned(),
        (200, Some(verb @ (Verb::Port | Verb::Eprt))) => format!("The server acknowledges {verb}"),
        (227 | 229, Some(Verb::Pasv | Verb::Epsv)) => "The server tells its port for data".to_owned(),
        (125 | 150, _) if listing => "The server is about to send the listing".to_owned(),
        (125 | 150, Some(Verb::Stor | Verb::Appe | Verb::Stou)) => "The server is about to take the file".to_owned(),
        (125 | 150, Some(Verb::Retr)) => "The server is about to send the file".to_owned(),
        (226 | 250, _) if listing => "The listing is complete".to_owned(),
        (226 | 250, Some(Verb::Retr | Verb::Stor | Verb::Appe | Verb::Stou)) => "The transfer is complete".to_owned(),
        (250, Some(Verb::Cwd | Verb::Cdup)) => "The server acknowledges".to_owned(),
        (221, _) => "The server says goodbye".to_owned(),
        (211, Some(Verb::Feat)) => "The extensions that the server has".to_owned(),
        (213, Some(Verb::Size)) => "The size, in bytes".to_owned(),
        (213, Some(Verb::Mdtm)) => "When it was last changed, in UTC".to_owned(),
        (200, Some(Verb::Type)) => "The server acknowledges".to_owned(),
        (200, Some(Verb::Noop)) => "The server is still there".to_owned(),
        _ => meaning(code).to_owned(),
    }))
}

pub(super) fn data(t: &Transfer) -> Remark {
    let what = if t.is_listing() { "The listing".to_owned() } else { t.name.clone() };
    let text = if t.representation == Representation::Ascii { ", as text" } else { "" };
    match t.ending {
        Ending::Failed(_) => notice(format!("{what}{text}: only a part of it came across")),
        _ => narration(format!("{what}{text}")),
    }
}

fn name(end: End) -> &'static str {
    match end {
        End::Client => "client",
        End::Server => "server",
    }
}

fn narration(text: impl Into<String>) -> Remark {
    Remark { text: text.into(), weight: Weight::Narration, tone: None }
}

fn notice(text: impl Into<String>) -> Remark {
    Remark { text: text.into(), weight: Weight::Notice, tone: None }
}
