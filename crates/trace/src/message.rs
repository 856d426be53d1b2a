//! One row with all that is known of it: its times, its ends, what it answers, the bytes of it that were kept.
//!
//! All text is safe to show, and no secret is in it: see [`crate::Ladder`].

use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::reply::{Reply, Text};
use port21_proto::{Code, Verb};

use crate::Ladder;
use crate::ladder::{Lane, LaneId, Row, Seen, Shape, meaning};
use crate::mask::masked;
use crate::session::{Direction, Ending, Mode, Session, Transfer};
use crate::words::{bytes, clip, duration, shown};

/// The most characters of one line of a reply, or of one fact.
const MAX_TEXT: usize = 2_000;

/// The most lines of a reply.
const MAX_LINES: usize = 20_000;

/// A row with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// What it is, in a few words: `Reply 220`.
    pub title: String,
    /// What is known, by its name, in the order in which a reader asks.
    pub facts: Vec<(&'static str, String)>,
    /// The lines of a reply, each with its code as it is drawn; empty for all else.
    pub lines: Vec<String>,
    /// The findings that name it, as indices into [`Ladder::findings`].
    pub findings: Vec<usize>,
    /// Its bytes, as far as they are kept; a secret is masked.
    pub bytes: Vec<u8>,
    /// In which way these are, or are not, what was on the wire.
    pub about_bytes: &'static str,
}

impl Message {
    /// Tells of a row of a ladder that was drawn of this session; nothing where there is no such row.
    pub fn of(session: &Session, ladder: &Ladder, row: usize) -> Option<Message> {
        let drawn = ladder.rows.get(row)?;
        let event = drawn.event.and_then(|event| session.events().get(event));
        let kind = event.map(|event| masked(&event.kind));
        let mut message = Message {
            title: title(drawn, kind.as_deref()),
            facts: Vec::new(),
            lines: Vec::new(),
            findings: Vec::new(),
            bytes: Vec::new(),
            about_bytes: "This row stands for what is around it: it has no bytes of its own.",
        };
        message.times(ladder, drawn);
        message.ends(ladder, drawn);
        let connection = kind.as_deref().and_then(EventKind::connection).and_then(|id| session.connection(id));
        connection.into_iter().for_each(|c| message.fact("connection", told(c)));
        if let Some(kind) = kind.as_deref() {
            message.kind(session, drawn, kind);
        }
        let own = [drawn.label.as_str(), drawn.detail.trim()].join(" ");
        if message.lines.is_empty() {
            message.fact("text", own.trim_end().to_owned());
        }
        message.facts.extend(drawn.fields.iter().map(|field| (field.name, clip(&field.value, MAX_TEXT))));
        if let Some(remark) = &drawn.remark {
            message.fact("remark", remark.text.clone());
        }
        if drawn.seen == Seen::Inferred {
            message.fact("seen", "no: it follows from what the sockets did".to_owned());
        }
        let named = |marked: &crate::ladder::Marked| {
            marked.row == Some(row) || drawn.event.is_some_and(|event| marked.finding.rows.contains(&event))
        };
        message.findings = (0..).zip(&ladder.findings).filter(|(_, marked)| named(marked)).map(|(n, _)| n).collect();
        Some(message)
    }

    fn fact(&mut self, name: &'static str, value: String) {
        self.facts.push((name, value));
    }

    fn times(&mut self, ladder: &Ladder, row: &Row) {
        self.fact("time", format!("{:.9}", row.at.timestamp()));
        let since = duration(row.since_previous);
        self.fact("in the session", format!("{} s, {since} after the row before", ladder.seconds(row)));
        if let Some(took) = row.latency {
            self.fact("answered after", duration(took));
        }
    }

    fn ends(&mut self, ladder: &Ladder, row: &Row) {
        let end = |lane: LaneId| ladder.lanes.get(lane.0).map(side).unwrap_or_default();
        match row.shape {
            Shape::Arrow { from, to } => {
                self.fact("from", end(from));
                self.fact("to", end(to));
            }
            Shape::At(lane) => self.fact("at", end(lane)),
            Shape::Across => {}
        }
    }

    fn kind(&mut self, session: &Session, row: &Row, kind: &EventKind) {
        match kind {
            EventKind::Command { verb, argument, .. } => {
                let blank: &[u8] = if argument.is_empty() { b"" } else { b" " };
                self.bytes = [verb.as_bytes(), blank, argument, b"\r\n"].concat();
                self.about_bytes = "As the session keeps a command: its verb in capitals, a password as ***; the line end is \
                                    put back.";
                if let Some(verb) = Verb::from_name(verb.as_bytes()) {
                    let facts = verb.facts();
                    self.fact("what it is", format!("{} ({})", facts.help, facts.source));
                }
                self.exchange(session, row);
            }
            EventKind::Reply { code, lines, .. } => {
                Reply::with_lines(*code, lines.clone()).encode(&mut self.bytes);
                self.about_bytes = "As the session keeps a reply: its code and its lines; codes and line ends are put back as \
                                    RFC 959 section 4.2 has them.";
                self.lines = reply(*code, lines);
                self.fact("what it means", meaning(*code).to_owned());
                self.exchange(session, row);
            }
            EventKind::Malformed { head, why, .. } => {
                self.bytes.clone_from(head);
                self.about_bytes = "The first 200 bytes at the most, as they came.";
                self.fact("what is wrong", clip(&shown(why.as_bytes()), MAX_TEXT));
            }
            EventKind::Data { connection, segments, .. } => {
                self.about_bytes = match segments {
                    Some(_) => "Of data the session keeps how much it is, not what: the capture has the bytes.",
                    None => "Of data a recording keeps how much it is, not what.",
                };
                self.transfer(session, *connection);
            }
            EventKind::Segment { connection, .. } => {
                self.about_bytes = "A segment of TCP without data.";
                self.transfer(session, *connection);
            }
            EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c) => {
                self.about_bytes =
                    "Nothing of this is kept but that it happened: what is recorded at sockets has no packets.";
                self.transfer(session, c.id);
            }
            EventKind::Closed { connection, .. } | EventKind::OpenFailed { connection, .. } => {
                self.about_bytes =
                    "Nothing of this is kept but that it happened: what is recorded at sockets has no packets.";
                self.transfer(session, *connection);
            }
            EventKind::Tls { .. } | EventKind::TlsFailed { .. } => {
                self.about_bytes = "What is within TLS cannot be read, and is not kept.";
            }
            EventKind::DnsQuery { .. } | EventKind::DnsAnswer { .. } => {
                self.about_bytes = "Of queries and answers their contents are kept, as above, and not their packets.";
            }
            EventKind::User { .. } => self.about_bytes = "What the user did: nothing was sent.",
            _ => {}
        }
    }

    /// What a command was answered by, and what a reply answers.
    fn exchange(&mut self, session: &Session, row: &Row) {
        let Some((event, exchange)) = row.event.and_then(|event| Some((event, session.exchange_of(event)?))) else {
            return;
        };
        let said = |n: usize| {
            let event = session.events().get(n)?;
            Some((event.at, line(&masked(&event.kind))?))
        };
        if exchange.command == Some(event) {
            let replies: Vec<String> = exchange.replies.iter().filter_map(|n| said(*n)).map(|(_, text)| text).collect();
            let answered = if replies.is_empty() { "by nothing that was seen".to_owned() } else { replies.join("; ") };
            self.fact("answered by", clip(&answered, MAX_TEXT));
        } else {
            let asked = exchange.command.and_then(said);
            let asked = asked.map(|(at, text)| match row.at.since(at) {
                took if took.is_zero() => text,
                took => format!("{text}, {} before", duration(took)),
            });
            self.fact("answers", asked.unwrap_or_else(|| "no command: the server says it by itself".to_owned()));
        }
        if let Some(transfer) = exchange.transfer.and_then(|n| session.transfers().get(n)) {
            self.fact("transfer", moved(transfer));
        }
    }

    /// What a data connection was for.
    fn transfer(&mut self, session: &Session, id: ConnectionId) {
        if let Some(transfer) = session.transfer_of(id) {
            self.fact("transfer", moved(transfer));
        }
    }
}

fn title(row: &Row, kind: Option<&EventKind>) -> String {
    match kind {
        Some(EventKind::Command { .. }) => format!("Command {}", row.label),
        Some(EventKind::Reply { code, .. }) => format!("Reply {code}"),
        Some(EventKind::Data { .. }) => "Data".to_owned(),
        Some(EventKind::Malformed { .. }) => "No FTP".to_owned(),
        _ => row.label.clone(),
    }
}

/// `FTP Server 10.0.0.1, port 21 (server:21)`.
fn side(lane: &Lane) -> String {
    let address = lane.address.map(|address| format!(" {address}")).unwrap_or_default();
    let port = lane.port.map(|port| format!(", port {port}")).unwrap_or_default();
    format!("{}{address}{port} ({})", lane.role.title(), lane.name())
}

fn told(c: &Connection) -> String {
    let what = match c.purpose {
        Purpose::Control => "control",
        Purpose::Data => "data",
        Purpose::Dns => "name server",
    };
    let opener = if c.opener == End::Client { "client" } else { "server" };
    let address = |end: Option<std::net::SocketAddr>| end.map_or_else(|| "?".to_owned(), |end| end.to_string());
    let (client, server) = (address(c.client), address(c.server));
    format!("{what}, number {}, opened by the {opener}: client {client}, server {server}", c.id.0)
}

/// A command or a reply in one line.
fn line(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Command { verb, argument, .. } => {
            Some(clip(format!("{} {}", shown(verb.as_bytes()), shown(argument)).trim_end(), 200))
        }
        EventKind::Reply { code, lines, .. } => {
            let last = lines.last().map(|line| shown(line)).unwrap_or_default();
            Some(clip(format!("{code} {last}").trim_end(), 200))
        }
        _ => None,
    }
}

fn reply(code: Code, lines: &[Text]) -> Vec<String> {
    let last = lines.len().saturating_sub(1);
    let numbered = lines.iter().enumerate().take(MAX_LINES);
    let told = numbered.map(|(n, line)| {
        let head = if n == last { format!("{code} ") } else { format!("{code}-") };
        clip(&format!("{head}{}", shown(line.get(..4 * MAX_TEXT).unwrap_or(line))), MAX_TEXT)
    });
    told.collect()
}

/// `RETR readme.txt: 1,715 bytes down, active mode by PORT, done`.
fn moved(t: &Transfer) -> String {
    let way = if t.direction == Direction::Down { "down" } else { "up" };
    let mode = match t.mode {
        Some(Mode::Active) => ", active mode",
        Some(Mode::Passive) => ", passive mode",
        None => "",
    };
    let setup = t.setup.map(|verb| format!(" by {verb}")).unwrap_or_default();
    let from = if t.from > 0 { format!(", from byte {}", t.from) } else { String::new() };
    let end = match t.ending {
        Ending::Done => "done".to_owned(),
        Ending::Failed(code) => format!("failed with {code}"),
        Ending::Unanswered => "its end was not answered".to_owned(),
    };
    format!("{} {}: {} {way}{mode}{setup}{from}, {end}", t.verb, t.name, bytes(t.bytes))
}
