//! From a session's events to rows.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use port21_proto::event::{Closing, Connection, ConnectionId, End, EventKind, Purpose, Segment};
use port21_proto::parameters::Representation;
use port21_proto::reply::{CodeClass, Text};
use port21_proto::{Code, SessionEvent, Time, Verb, addr};

use super::{
    Field, Ladder, Lane, LaneId, LaneUse, Options, Remark, Role, Row, Seen, Shape, Tone, Weight, assemble, fields,
    remarks,
};
use crate::session::Session;
use crate::words::{self, clip, shown};

/// A reply of more lines than this is folded to its first, the gist of the inner ones, and its last.
const MAX_LINES: usize = 4;

/// The most characters of one text that a peer chose.
const MAX_TEXT: usize = 400;

/// The alert that ends TLS in order (RFC 8446 section 6.1).
const CLOSE_NOTIFY: u8 = 0;

/// A row on its way.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) row: Row,
    pub(super) section: usize,
    pub(super) connection: Option<ConnectionId>,
    /// The event that it draws, as an index into [`Session::events`].
    pub(super) event: Option<usize>,
    /// When what the row stands for began; the row's own time is its end for a run of data, its begin for a fold.
    pub(super) begun: Time,
    /// And when it ended.
    pub(super) ended: Time,
    run: Option<Run>,
}

/// Data bytes of one direction, with nothing between them.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: End,
    since: Time,
    bytes: u64,
    segments: Option<u64>,
    representation: Representation,
}

pub(super) fn ladder(session: &Session, options: &Options) -> Ladder {
    let failed = session.events().iter().filter_map(|event| match event.kind {
        EventKind::OpenFailed { connection, .. } => Some(connection),
        _ => None,
    });
    let mut builder = Builder {
        session,
        lanes: Vec::new(),
        places: HashMap::new(),
        drafts: Vec::new(),
        section: 0,
        begun: HashSet::new(),
        ended: HashSet::new(),
        failed: failed.collect(),
        queries: HashMap::new(),
    };
    for (number, section) in session.sections().iter().enumerate() {
        builder.section = number;
        for i in section.events.clone() {
            if let Some(event) = session.events().get(i) {
                let drawn = builder.drafts.len();
                builder.event(i, event);
                builder.drafts.iter_mut().skip(drawn).for_each(|draft| draft.event = Some(i));
            }
        }
    }
    assemble::assemble(session, options, builder.lanes, builder.drafts)
}

struct Builder<'a> {
    session: &'a Session,
    lanes: Vec<(Lane, u8)>,
    places: HashMap<(Role, LaneUse, Option<u16>), usize>,
    drafts: Vec<Draft>,
    section: usize,
    /// Connections whose SYN has its row.
    begun: HashSet<ConnectionId>,
    /// Connections whose first FIN or RST has its row.
    ended: HashSet<ConnectionId>,
    /// Connections that did not come to stand.
    failed: HashSet<ConnectionId>,
    /// The RD bit of each query.
    queries: HashMap<(ConnectionId, u16), bool>,
}

impl Builder<'_> {
    fn event(&mut self, i: usize, event: &SessionEvent) {
        let at = event.at;
        match &*self.session.told(&event.kind) {
            EventKind::User { text } => self.user(i, at, text),
            EventKind::DnsQuery { connection, id, name, record, recursion_desired } => {
                self.queries.insert((*connection, *id), *recursion_desired);
                let (name, record) = (safe(name.as_bytes()), safe(record.as_bytes()));
                let fields = fields::dns_query(*id, &name, &record, *recursion_desired);
                let remark = remarks::dns_query(&name);
                let arrow = self.arrow(*connection, Purpose::Dns, End::Client);
                let detail = format!("{name} {record}");
                self.push(Some(*connection), row(at, arrow, Tone::Dns, "DNS Query", detail).with(fields, Some(remark)));
            }
            EventKind::DnsAnswer { connection, id, code, answers, name, .. } => {
                let desired = self.queries.get(&(*connection, *id)).copied();
                let answers: Vec<String> = answers.iter().take(8).map(|a| safe(a.as_bytes())).collect();
                let code = safe(code.as_bytes());
                let fields = fields::dns_answer(*id, &code, &answers, desired);
                let remark = remarks::dns_answer(&code, &answers, &safe(name.as_bytes()));
                let detail = if answers.is_empty() { code } else { answers.join(", ") };
                let arrow = self.arrow(*connection, Purpose::Dns, End::Server);
                self.push(
                    Some(*connection),
                    row(at, arrow, Tone::Dns, "DNS Response", detail).with(fields, Some(remark)),
                );
            }
            // What was seen on the wire has rows of its own.
            EventKind::Opening(c) | EventKind::Opened(c) if self.session.is_observed(c.id) => {}
            EventKind::Closed { connection, .. } if self.session.is_observed(*connection) => {}
            EventKind::Opening(c) => self.handshake(at, c.id, false),
            EventKind::Opened(c) => self.handshake(at, c.id, true),
            EventKind::Joined(c) => {
                let place = Shape::At(self.side(c.id, c.purpose, c.opener));
                let row = row(at, place, Tone::Tcp, "already open", String::new());
                self.push(Some(c.id), row.with(vec![], Some(remarks::joined(c))));
            }
            EventKind::Segment { connection, from, segment, again } => {
                self.observed(at, *connection, *from, *segment, *again);
            }
            EventKind::Tls { connection, from, what, alert, bytes } => {
                let arrow = self.arrow(*connection, Purpose::Control, *from);
                let fatal = alert.is_some_and(|code| code != CLOSE_NOTIFY);
                let tone = if fatal { Tone::Permanent } else { Tone::Data };
                let detail = format!("{}, {}", safe(what.as_bytes()), words::bytes(*bytes));
                let row = row(at, arrow, tone, "TLS", detail);
                self.push(Some(*connection), row.with(vec![], remarks::tls(what, fatal)));
            }
            EventKind::OpenFailed { connection, why } => self.open_failed(at, *connection, why),
            EventKind::Closed { connection, by, how } => self.closed(at, *connection, *by, *how),
            EventKind::Command { connection, verb, argument } => self.command(i, at, *connection, verb, argument),
            EventKind::Reply { connection, code, lines } => self.reply(i, at, *connection, *code, lines),
            EventKind::Malformed { connection, from, head, why } => {
                let arrow = self.arrow(*connection, Purpose::Control, *from);
                let head = safe(head);
                let text = format!("This is not FTP: {}", safe(why.as_bytes()));
                let remark = Remark { text, weight: Weight::Notice, tone: None };
                self.push(
                    Some(*connection),
                    row(at, arrow, Tone::Permanent, "malformed", head).with(vec![], Some(remark)),
                );
            }
            EventKind::Data { connection, from, since, bytes, segments } => {
                let representation =
                    self.session.transfer_of(*connection).map_or(Representation::Image, |t| t.representation);
                let run =
                    Run { from: *from, since: (*since).min(at), bytes: *bytes, segments: *segments, representation };
                self.data(at, *connection, run);
            }
            EventKind::TlsFailed { connection, text, .. } => {
                let purpose = self.session.connection(*connection).map_or(Purpose::Control, |c| c.purpose);
                let place = Shape::At(self.side(*connection, purpose, End::Client));
                self.push(Some(*connection), row(at, place, Tone::Permanent, "no TLS", safe(text.as_bytes())));
            }
            EventKind::Counted { from, counts, .. } => {
                for text in remarks::counted(*from, counts) {
                    self.push(None, row(at, Shape::Across, Tone::Quiet, &text, String::new()));
                }
            }
            EventKind::Ident { answered } => {
                let text = remarks::ident(*answered);
                self.push(None, row(at, Shape::Across, Tone::Quiet, text, String::new()));
            }
            EventKind::Note { text, .. } => {
                self.push(None, row(at, Shape::Across, Tone::Quiet, &safe(text.as_bytes()), String::new()));
            }
            _ => {}
        }
    }

    fn user(&mut self, i: usize, at: Time, text: &str) {
        let next = self.session.events().iter().skip(i).take(64).find_map(|e| e.kind.connection());
        let next = next.or(self.session.control().map(|c| c.id));
        let purpose = next.and_then(|id| self.session.connection(id)).map_or(Purpose::Control, |c| c.purpose);
        // A data connection is the doing of the control connection: that is where the user's wish arrives.
        let next = if purpose == Purpose::Data { self.session.control().map(|c| c.id) } else { next };
        let purpose = if purpose == Purpose::Dns { Purpose::Dns } else { Purpose::Control };
        let user = self.lane(Role::User, LaneUse::Console, None, None, 0);
        let client = self.side(next.unwrap_or_default(), purpose, End::Client);
        let text = safe(text.as_bytes());
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let label = match words.as_slice() {
            ["open" | "ftp", host, ..] => format!("Invoke FTP client with {host}"),
            _ => text,
        };
        self.push(next, row(at, Shape::Arrow { from: user, to: client }, Tone::User, &label, String::new()));
    }

    fn handshake(&mut self, at: Time, id: ConnectionId, stands: bool) {
        let Some(c) = self.session.connection(id).filter(|c| c.purpose != Purpose::Dns) else { return };
        let steps: &[(&str, bool, u8)] = match (self.begun.insert(id), stands) {
            (true, false) => &[("SYN", true, 0)],
            (true, true) => &[("SYN", true, 0), ("SYN+ACK", false, 1), ("ACK", true, 2)],
            (false, true) => &[("SYN+ACK", false, 1), ("ACK", true, 2)],
            (false, false) => &[],
        };
        for &(label, forward, step) in steps {
            let from = if forward { c.opener } else { c.opener.other() };
            let remark = remarks::handshake(self.session, c, step);
            self.segment(at, c, from, label, remark);
        }
    }

    fn open_failed(&mut self, at: Time, id: ConnectionId, why: &str) {
        let known = self.session.connection(id);
        let opener = known.map_or(End::Client, |c| c.opener);
        let purpose = known.map_or(Purpose::Data, |c| c.purpose);
        let why = safe(why.as_bytes());
        let remark = Some(remarks::open_failed(known, &why));
        let refused = why.contains("refused");
        let (shape, label) = if refused {
            (self.arrow(id, purpose, opener.other()), "RST+ACK")
        } else {
            (Shape::At(self.side(id, purpose, opener)), "no connection")
        };
        let mut row = row(at, shape, Tone::Permanent, label, if refused { String::new() } else { why });
        row.seen = if refused && !self.session.is_observed(id) { Seen::Inferred } else { Seen::Observed };
        self.push(Some(id), row.with(vec![], remark));
    }

    fn closed(&mut self, at: Time, id: ConnectionId, by: End, how: Closing) {
        let Some(c) = self.session.connection(id).filter(|c| c.purpose != Purpose::Dns) else { return };
        let first =
            !self.drafts.iter().rev().take(64).any(|d| d.connection == Some(id) && d.row.label.starts_with("FIN"));
        match (how, c.purpose) {
            (Closing::Reset, _) => {
                let arrow = self.arrow(id, c.purpose, by);
                let mut row = row(at, arrow, Tone::Permanent, "RST", String::new());
                row.seen = Seen::Inferred;
                let fields = self.ports(c, by, &[("tcp.flags.reset", "1")]);
                self.push(Some(id), row.with(fields, Some(remarks::reset(by))));
            }
            // As in the reference, bare ACKs of the control connection are left out.
            (Closing::Fin, Purpose::Control) => {
                self.segment(at, c, by, "FIN", remarks::release(self.session, c, by, first))
            }
            (Closing::Fin, _) => {
                self.segment(at, c, by, "FIN+ACK", remarks::release(self.session, c, by, first));
                self.segment(at, c, by.other(), "ACK", None);
            }
        }
    }

    /// A segment that was seen.
    fn observed(&mut self, at: Time, id: ConnectionId, from: End, segment: Segment, again: bool) {
        let Some(c) = self.session.connection(id).filter(|c| c.purpose != Purpose::Dns) else { return };
        let ended = self.ended.contains(&id);
        let (label, remark) = match segment {
            Segment::Syn => ("SYN", remarks::handshake(self.session, c, 0)),
            Segment::SynAck => ("SYN+ACK", remarks::handshake(self.session, c, 1)),
            Segment::Ack if !ended => ("ACK", remarks::handshake(self.session, c, 2)),
            // As in the reference, bare ACKs of the control connection are left out.
            Segment::Ack if c.purpose == Purpose::Control => return,
            Segment::Ack => ("ACK", None),
            Segment::Fin if c.purpose == Purpose::Control => ("FIN", remarks::release(self.session, c, from, !ended)),
            Segment::Fin => ("FIN+ACK", remarks::release(self.session, c, from, !ended)),
            // The answer to a SYN: what failed by it says so.
            Segment::Rst if self.failed.contains(&id) => return,
            Segment::Rst => ("RST", Some(remarks::reset(from))),
        };
        if matches!(segment, Segment::Fin | Segment::Rst) {
            self.ended.insert(id);
        }
        let remark = if again { Some(remarks::again(label, from)) } else { remark };
        self.segment(at, c, from, label, remark);
        if let Some(draft) = self.drafts.last_mut() {
            draft.row.seen = Seen::Observed;
            if segment == Segment::Rst {
                draft.row.tone = Tone::Permanent;
            }
        }
    }

    fn segment(&mut self, at: Time, c: &Connection, from: End, label: &str, remark: Option<Remark>) {
        let arrow = self.arrow(c.id, c.purpose, from);
        let mut row = row(at, arrow, Tone::Tcp, label, String::new());
        row.seen = Seen::Inferred;
        let flags: &[(&'static str, &str)] = match label {
            "SYN" => &[("tcp.flags.syn", "1")],
            "SYN+ACK" => &[("tcp.flags.syn", "1"), ("tcp.flags.ack", "1")],
            "ACK" => &[("tcp.flags.ack", "1")],
            "RST" => &[("tcp.flags.reset", "1")],
            _ => &[("tcp.flags.fin", "1"), ("tcp.flags.ack", "1")],
        };
        let fields = self.ports(c, from, flags);
        self.push(Some(c.id), row.with(fields, remark));
    }

    fn ports(&self, c: &Connection, from: End, more: &[(&'static str, &str)]) -> Vec<Field> {
        let port = |end| match end {
            End::Client => c.client.map(|a| a.port().to_string()),
            End::Server => c.server.map(|a| a.port().to_string()),
        };
        let source = port(from).map(|value| Field { name: "tcp.srcport", value });
        let target = port(from.other()).map(|value| Field { name: "tcp.dstport", value });
        let more = more.iter().map(|&(name, value)| Field { name, value: value.to_owned() });
        source.into_iter().chain(target).chain(more).collect()
    }

    fn command(&mut self, i: usize, at: Time, id: ConnectionId, verb: &str, argument: &[u8]) {
        let known = Verb::from_name(verb.as_bytes());
        let verb = clip(&shown(verb.as_bytes()), 24);
        let argument = safe(argument);
        let announced = match known {
            Some(Verb::Port) => addr::parse_port(argument.as_bytes()).ok().map(Into::into),
            Some(Verb::Eprt) => addr::parse_eprt(argument.as_bytes()).ok(),
            _ => None,
        };
        let fields = fields::command(&verb, &argument, announced);
        let remark = remarks::command(self.session, i, known, &argument);
        let detail = announced.map_or(argument, |a| a.to_string());
        let arrow = self.arrow(id, Purpose::Control, End::Client);
        self.push(Some(id), row(at, arrow, Tone::Command, &verb, detail).with(fields, remark));
    }

    fn reply(&mut self, i: usize, at: Time, id: ConnectionId, code: Code, lines: &[Text]) {
        let exchange = self.session.exchange_of(i);
        let latency = exchange.filter(|x| x.replies.first() == Some(&i)).and_then(|x| x.latency);
        let arrow = self.arrow(id, Purpose::Control, End::Server);
        let last = lines.len().saturating_sub(1);
        let text = |line: &Text| safe(line.trim_ascii_start());
        let mut told: Vec<(String, String)> = Vec::new();
        if lines.is_empty() {
            told.push((code.to_string(), String::new()));
        }
        for (n, line) in lines.iter().enumerate() {
            let fold = lines.len() > MAX_LINES && n > 0 && n < last;
            if fold && n == 1 {
                let inner = lines.get(1..last).unwrap_or_default();
                let gist: Vec<String> = inner.iter().take(40).map(text).filter(|t| !t.is_empty()).collect();
                let count = words::counted(inner.len() as u64, "line", "lines");
                told.push((format!("{code}-"), clip(&format!("{count}: {}", gist.join(", ")), MAX_TEXT)));
            } else if !fold {
                told.push((format!("{code}{}", if n == last { "" } else { "-" }), text(line)));
            }
        }
        let count = told.len();
        for (n, (label, detail)) in told.into_iter().enumerate() {
            let mut row = row(at, arrow, tone(code), &label, detail);
            row.latency = latency.filter(|_| n == 0);
            let fields = fields::reply(exchange, code, &row.detail);
            let remark = remarks::reply(self.session, exchange, code, n, count);
            self.push(Some(id), row.with(fields, remark));
        }
    }

    fn data(&mut self, at: Time, id: ConnectionId, run: Run) {
        if let Some(previous) = self.drafts.last_mut()
            && previous.connection == Some(id)
            && let Some(so_far) = &mut previous.run
            && so_far.from == run.from
        {
            so_far.bytes = so_far.bytes.saturating_add(run.bytes);
            so_far.since = so_far.since.min(run.since);
            so_far.segments = so_far.segments.zip(run.segments).map(|(a, b)| a.saturating_add(b));
            (previous.begun, previous.ended, previous.row.at) = (so_far.since, at, at);
            previous.row.detail = so_far.told(at);
            return;
        }
        let arrow = self.arrow(id, Purpose::Data, run.from);
        let transfer = self.session.transfer_of(id);
        let mut fields = self.session.connection(id).map(|c| self.ports(c, run.from, &[])).unwrap_or_default();
        fields.extend(fields::data(transfer));
        let remark = transfer.map(remarks::data);
        let row = row(at, arrow, Tone::Data, "data", run.told(at)).with(fields, remark);
        self.push(Some(id), row);
        if let Some(draft) = self.drafts.last_mut() {
            (draft.begun, draft.run) = (run.since, Some(run));
        }
    }

    fn push(&mut self, connection: Option<ConnectionId>, row: Row) {
        self.drafts.push(Draft { connection, ..Draft::apart(self.section, row) });
    }

    fn arrow(&mut self, id: ConnectionId, purpose: Purpose, from: End) -> Shape {
        Shape::Arrow { from: self.side(id, purpose, from), to: self.side(id, purpose, from.other()) }
    }

    /// The lane of a side of a connection; `purpose` is for connections that no event has told of.
    fn side(&mut self, id: ConnectionId, purpose: Purpose, end: End) -> LaneId {
        let known = self.session.connection(id);
        let purpose = known.map_or(purpose, |c| c.purpose);
        let address = known.and_then(|c| if end == End::Client { c.client } else { c.server });
        let (role, of, rank) = match (end, purpose) {
            (End::Server, Purpose::Dns) => (Role::Dns, LaneUse::Dns, 0),
            (End::Client, Purpose::Dns) => (Role::Client, LaneUse::Dns, 0),
            (End::Server, Purpose::Control) => (Role::Server, LaneUse::Control, 1),
            (End::Client, Purpose::Control) => (Role::Client, LaneUse::Control, 1),
            // In active mode the server's data port is the one before its control port, and so stands its lane.
            (End::Server, Purpose::Data) if known.is_some_and(|c| c.opener == End::Server) => {
                (Role::Server, LaneUse::Data, 0)
            }
            (End::Server, Purpose::Data) => (Role::Server, LaneUse::Data, 2),
            (End::Client, Purpose::Data) => (Role::Client, LaneUse::Data, 2),
        };
        self.lane(role, of, address.map(|a| a.port()), address.map(|a| a.ip().to_canonical()), rank)
    }

    fn lane(
        &mut self,
        role: Role,
        of: LaneUse,
        port: Option<u16>,
        address: Option<std::net::IpAddr>,
        rank: u8,
    ) -> LaneId {
        let lanes = &mut self.lanes;
        LaneId(*self.places.entry((role, of, port)).or_insert_with(|| {
            lanes.push((Lane { role, of, port, address }, rank));
            lanes.len() - 1
        }))
    }
}

impl Run {
    /// `172 segments, 240,112 bytes in 0.3 s, 774 kB/s · ASCII`.
    fn told(&self, until: Time) -> String {
        let took = until.since(self.since);
        let segments = self.segments.map(|n| format!("{}, ", words::counted(n, "segment", "segments")));
        let within = (!took.is_zero()).then(|| format!(" in {}", words::duration(took)));
        let rate = words::rate(self.bytes, took).map(|rate| format!(", {rate}"));
        let text = if self.representation == Representation::Ascii { " · ASCII" } else { "" };
        [segments, Some(words::bytes(self.bytes)), within, rate, Some(text.to_owned())].into_iter().flatten().collect()
    }
}

impl Row {
    fn with(mut self, fields: Vec<Field>, remark: Option<Remark>) -> Row {
        (self.fields, self.remark) = (fields, remark);
        self
    }
}

/// A row that was observed, with nothing said beside it.
pub(super) fn row(at: Time, shape: Shape, tone: Tone, label: &str, detail: String) -> Row {
    Row {
        at,
        since_previous: Duration::ZERO,
        latency: None,
        shape,
        tone,
        label: label.to_owned(),
        detail,
        fields: Vec::new(),
        remark: None,
        seen: Seen::Observed,
        event: None,
    }
}

impl Draft {
    /// A row of a section that belongs to no connection.
    pub(super) fn apart(section: usize, row: Row) -> Draft {
        Draft { section, connection: None, event: None, begun: row.at, ended: row.at, run: None, row }
    }

    /// A row that stands for all that happened until then.
    pub(super) fn until(self, ended: Time) -> Draft {
        Draft { ended, ..self }
    }
}

fn tone(code: Code) -> Tone {
    match code.class() {
        CodeClass::Preliminary => Tone::Preliminary,
        CodeClass::Completion | CodeClass::Protected => Tone::Completion,
        CodeClass::Intermediate => Tone::Intermediate,
        CodeClass::Transient => Tone::Transient,
        CodeClass::Permanent => Tone::Permanent,
    }
}

fn safe(bytes: &[u8]) -> String {
    // What is beyond the first bytes is not even looked at: a megabyte of text is one row, too.
    clip(&shown(bytes.get(..4 * MAX_TEXT).unwrap_or(bytes)), MAX_TEXT)
}
