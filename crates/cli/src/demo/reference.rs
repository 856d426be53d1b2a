//! The reference session, message by message, and the check of a run against it.
//!
//! Order holds within each connection: a FIN on the data connection and the reply on the control connection that tells
//! of it may be seen either way round.

use std::collections::HashMap;
use std::fmt;

use port21_trace::ladder::PlainRow;

use Says::{All, Anything, Exactly, Port};

/// One message of the reference session.
#[derive(Debug)]
pub(super) struct Message {
    section: &'static str,
    from: &'static str,
    to: &'static str,
    label: &'static str,
    says: Says,
}

/// What the parameters of a message are.
#[derive(Debug)]
enum Says {
    /// Not part of the reference.
    Anything,
    /// These very words.
    Exactly(&'static str),
    /// All of these, among others.
    All(&'static [&'static str]),
    /// An address with this port.
    Port(u16),
}

const fn row(section: &'static str, from: &'static str, to: &'static str, label: &'static str, says: Says) -> Message {
    Message { section, from, to, label, says }
}

/// The ends of the session's connections.
const DNS: (&str, &str) = ("client:1030", "dns:53");
const CONTROL: (&str, &str) = ("client:1175", "server:21");

const fn command(section: &'static str, label: &'static str, says: Says) -> Message {
    row(section, CONTROL.0, CONTROL.1, label, says)
}

const fn reply(section: &'static str, label: &'static str, text: &'static str) -> Message {
    row(section, CONTROL.1, CONTROL.0, label, Exactly(text))
}

/// What an active data connection is made of, from its SYN to its last ACK.
macro_rules! data {
    ($section:literal, $client:literal, $says:expr) => {
        [
            row($section, "server:20", $client, "TCP SYN", SYN),
            row($section, $client, "server:20", "TCP SYN+ACK", SYN_ACK),
            row($section, "server:20", $client, "TCP ACK", ACK),
            row($section, "server:20", $client, "DATA", $says),
            row($section, "server:20", $client, "TCP FIN+ACK", FIN),
            row($section, $client, "server:20", "TCP ACK", ACK),
            row($section, $client, "server:20", "TCP FIN+ACK", FIN),
            row($section, "server:20", $client, "TCP ACK", ACK),
        ]
    };
}

const SYN: Says = All(&["syn=1"]);
const SYN_ACK: Says = All(&["syn=1", "ack=1"]);
const ACK: Says = All(&["ack=1"]);
const FIN: Says = All(&["fin=1", "ack=1"]);

/// All messages, in order.
pub(super) fn messages() -> Vec<Message> {
    let mut all = vec![
        row("dns", "user", "client:1030", "Invoke FTP client with ftp.any-domain.com", Anything),
        row("dns", DNS.0, DNS.1, "DNS Query", All(&["name=ftp.any-domain.com", "type=A", "recdesired=1", "queries=1"])),
        row("dns", DNS.1, DNS.0, "DNS Response", All(&["recdesired=1", "answers=1"])),
        row("login", CONTROL.0, CONTROL.1, "TCP SYN", SYN),
        row("login", CONTROL.1, CONTROL.0, "TCP SYN+ACK", SYN_ACK),
        row("login", CONTROL.0, CONTROL.1, "TCP ACK", ACK),
        reply("login", "FTP 220", "ANY-DOMAIN.COM FTP Service"),
        command("login", "USER ftp", Anything),
        reply("login", "FTP 331", "Anonymous access allowed, send identity (e-mail name) as password."),
        command("login", "PASS", Exactly("***")),
        reply("login", "FTP 230-", "Welcome to ftp.any-domain.com"),
        reply("login", "FTP 230", "Anonymous user logged in."),
        command("list", "PORT", Port(5001)),
        reply("list", "FTP 200", "PORT command successful."),
        command("list", "LIST", Exactly("")),
        reply("list", "FTP 150", "Opening ASCII mode data connection for /bin/ls."),
    ];
    all.extend(data!("list", "client:5001", All(&["ASCII"])));
    all.extend([
        reply("list", "FTP 226", "Transfer complete."),
        command("cwd", "CWD pub", Anything),
        reply("cwd", "FTP 250", "CWD command successful."),
        command("get", "PORT", Port(5002)),
        reply("get", "FTP 200", "PORT command successful."),
        command("get", "RETR readme.txt", Anything),
        reply("get", "FTP 150", "Opening ASCII mode data connection for readme.txt(1715 bytes)."),
    ]);
    all.extend(data!("get", "client:5002", All(&["1,715 bytes", "ASCII"])));
    all.extend([
        reply("get", "FTP 226", "Transfer complete."),
        command("quit", "QUIT", Anything),
        reply("quit", "FTP 221", "Thank you for visiting ftp.any-domain.com."),
        row("quit", CONTROL.1, CONTROL.0, "TCP FIN", FIN),
        row("quit", CONTROL.0, CONTROL.1, "TCP FIN", FIN),
    ]);
    all
}

/// What a run has otherwise than the reference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// A message of the reference, by its number from 1, that did not come where it should.
    Missing(usize, String),
    /// A message that the reference does not have.
    Extra(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(number, message) => write!(f, "message {number} did not happen: {message}"),
            Difference::Extra(message) => write!(f, "not in the reference: {message}"),
        }
    }
}

/// Compares the rows of a run with the reference. `offset` is what its ports are moved by.
///
/// What the user types beyond the first line is the run's own: the reference has no rows for it.
pub(super) fn compare(rows: &[PlainRow], offset: u16) -> Vec<Difference> {
    let messages = messages();
    let mut expected: HashMap<(String, String), Vec<(usize, &Message)>> = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        let ends = connection(&moved(message.from, offset), &moved(message.to, offset));
        expected.entry(ends).or_default().push((at + 1, message));
    }
    let mut differences = Vec::new();
    let mut next: HashMap<(String, String), usize> = HashMap::new();
    for row in rows {
        let ends = connection(&row.from, &row.to);
        let waiting = expected.get(&ends).map(Vec::as_slice).unwrap_or_default();
        let at = next.entry(ends).or_default();
        let found = waiting.iter().skip(*at).position(|(_, message)| message.is(row, offset));
        match found {
            Some(skipped) => {
                let missed = waiting.iter().skip(*at).take(skipped);
                differences.extend(missed.map(|(number, message)| Difference::Missing(*number, message.tell(offset))));
                *at += skipped + 1;
            }
            None if row.from == "user" => {}
            None => differences.push(Difference::Extra(tell(row))),
        }
    }
    for (ends, waiting) in &expected {
        let missed = waiting.iter().skip(next.get(ends).copied().unwrap_or(0));
        differences.extend(missed.map(|(number, message)| Difference::Missing(*number, message.tell(offset))));
    }
    differences.sort_by_key(|difference| match difference {
        Difference::Missing(number, _) => *number,
        Difference::Extra(_) => usize::MAX,
    });
    differences
}

impl Message {
    fn is(&self, row: &PlainRow, offset: u16) -> bool {
        let says = match self.says {
            Anything => true,
            Exactly(text) => row.parameters == text,
            All(parts) => parts.iter().all(|part| has(&row.parameters, part)),
            Port(port) => row.parameters.ends_with(&format!(":{}", port.saturating_add(offset))),
        };
        says && row.section == self.section
            && row.label == self.label
            && row.from == moved(self.from, offset)
            && row.to == moved(self.to, offset)
    }

    fn tell(&self, offset: u16) -> String {
        let says = match &self.says {
            Anything => String::new(),
            Exactly(text) => format!(" {text}"),
            All(parts) => format!(" {}", parts.join(" ")),
            Port(port) => format!(" port {}", port.saturating_add(offset)),
        };
        let (from, to) = (moved(self.from, offset), moved(self.to, offset));
        format!("{from} -> {to}: {}{}", self.label, says.trim_end())
    }
}

fn tell(row: &PlainRow) -> String {
    format!("{} -> {}: {} {}", row.from, row.to, row.label, row.parameters).trim_end().to_owned()
}

/// Whether the words stand in the text as whole words: `ack=1` is not in `ack=10`.
fn has(text: &str, words: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    text.match_indices(words).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let behind = text.get(at + words.len()..).and_then(|text| text.chars().next());
        is_edge(before) && is_edge(behind)
    })
}

/// A lane with its port moved.
fn moved(lane: &str, offset: u16) -> String {
    match lane.split_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(port))) => format!("{host}:{}", port.saturating_add(offset)),
        _ => lane.to_owned(),
    }
}

/// The two ends of a connection, in one order whichever sends.
fn connection(a: &str, b: &str) -> (String, String) {
    if a < b { (a.to_owned(), b.to_owned()) } else { (b.to_owned(), a.to_owned()) }
}

#[cfg(test)]
mod tests {
    use port21_trace::recording::Recording;
    use port21_trace::{Ladder, Session, ladder};

    use super::*;

    fn rows() -> Vec<PlainRow> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../trace/tests/data/reference.jsonl");
        let recording = Recording::read(std::fs::read(file).unwrap().as_slice()).unwrap();
        let session = Session::from_events(recording.sessions[0].events.iter().cloned());
        Ladder::new(&session, &ladder::Options::default()).plain_rows()
    }

    #[test]
    fn the_reference_has_44_messages_and_is_equal_to_itself() {
        assert_eq!(messages().len(), 44);
        assert_eq!(compare(&rows(), 0), []);
    }

    #[test]
    fn a_message_that_is_missing_wrong_or_extra_is_named() {
        let mut missing = rows();
        let at = missing.iter().position(|row| row.label == "FTP 250").unwrap();
        let removed = missing.remove(at);
        assert!(matches!(compare(&missing, 0).as_slice(), [Difference::Missing(27, text)] if text.contains("250")));

        let mut wrong = rows();
        wrong[at].parameters = "Okay.".to_owned();
        let differences = compare(&wrong, 0);
        assert!(
            matches!(differences.as_slice(), [Difference::Missing(27, _), Difference::Extra(_)]),
            "{differences:?}"
        );

        let mut extra = rows();
        extra.insert(at, removed);
        assert_eq!(compare(&extra, 0).len(), 1);
        assert_eq!(compare(&[], 0).len(), 44);
        assert!(compare(&rows(), 10_000).len() >= 44);
    }

    #[test]
    fn whole_words() {
        assert!(has("syn=1 ack=1", "ack=1") && !has("ack=10", "ack=1") && !has("11715 bytes", "1715 bytes"));
    }
}
