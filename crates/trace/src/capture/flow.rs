//! One TCP connection of a capture: how it began and ended, what passed, and what it is.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use port21_proto::Time;
use port21_proto::event::{Counts, Segment as Kind};

use super::control::Control;
use super::counter::Counter;
use super::dns::{self, Frames};
use super::packet::{Answer, Segment};
use super::recognise::{self, Verdict};
use super::stream::{Content, Piece, Stream};
use super::tls::{Records, Told};
use crate::input::Secrets;

/// The most segments of its begin and end that are told.
const MAX_MARKS: usize = 32;

/// A segment that is there twice within this time was captured twice: no sender repeats itself so soon.
const TWICE: Duration = Duration::from_millis(1);

/// The most things that ICMP may say of a connection.
const MAX_ANSWERS: usize = 8;

/// So long an answer to a SYN is waited for before it is said that there is none: the time of three attempts.
const YOUNG: Duration = Duration::from_secs(5);

/// So many segments are remembered to know those that were captured twice.
const RECENT: usize = 8;

/// A connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Its two ends; what is said of a side is said by its index here.
    pub(super) ends: [SocketAddr; 2],
    /// Who opened it, where the SYN or its answer was seen.
    pub(super) opener: Option<usize>,
    pub(super) began: Time,
    pub(super) last: Time,
    /// When it stood: the handshake was complete, or something was said.
    pub(super) stood: Option<Time>,
    pub(super) marks: Vec<Mark>,
    /// The data of each side.
    pub(super) runs: [Run; 2],
    pub(super) role: Role,
    secrets: Secrets,
    /// The file that brought something new last. What another repeats was captured at two places, and sent once.
    file: usize,
    streams: [Stream; 2],
    syn: [Option<u32>; 2],
    fin: [Option<u32>; 2],
    fin_acknowledged: [bool; 2],
    /// The last segments of each side that brought something new.
    recent: [VecDeque<(u32, u32, Time)>; 2],
    pub(super) reset: Option<usize>,
    /// What ICMP said of it, each thing once.
    pub(super) answers: Vec<Answer>,
    counters: [Counter; 2],
    /// Whether more may come of it: it is looked at while the capture goes on, and has not ended. What is missing then is
    /// not told yet.
    pub(super) open: bool,
    /// Of one that is open: it began only now, so that a SYN without an answer says nothing.
    pub(super) young: bool,
}

/// A segment of its begin or end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Time,
    pub(super) side: usize,
    pub(super) kind: Kind,
    pub(super) again: bool,
}

/// The data of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) bytes: u64,
    pub(super) segments: u64,
    /// Bytes that no packet has.
    pub(super) lost: u64,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Role {
    /// Not known yet.
    Unknown(Heard),
    Control(Box<Control>),
    /// Questions to a name server.
    Dns(Box<Frames>),
    /// Something else: data, perhaps. What the TLS greeting says, where it began with one.
    Other(Option<String>),
}

/// What was said before it is known what it is.
#[derive(Debug, Default)]
pub(super) struct Heard {
    said: [Vec<u8>; 2],
    parts: Vec<(Time, usize, Said)>,
}

#[derive(Debug)]
enum Said {
    /// So many bytes of what the side has said.
    Bytes(usize),
    Unseen(u64),
    Lost(u64),
}

impl Flow {
    pub(super) fn new(segment: &Segment<'_>, ends: [SocketAddr; 2], secrets: Secrets) -> Flow {
        Flow {
            ends,
            secrets,
            opener: None,
            began: segment.at,
            last: segment.at,
            stood: None,
            marks: Vec::new(),
            runs: Default::default(),
            role: if ends.iter().any(|end| end.port() == dns::PORT) {
                Role::Dns(Box::new(Frames::new(ends)))
            } else {
                Role::Unknown(Heard::default())
            },
            file: segment.file,
            streams: Default::default(),
            syn: [None; 2],
            fin: [None; 2],
            fin_acknowledged: [false; 2],
            recent: Default::default(),
            reset: None,
            answers: Vec::new(),
            counters: Default::default(),
            open: false,
            young: false,
        }
    }

    /// Whether a segment begins another connection between the same ports.
    pub(super) fn is_followed_by(&self, segment: &Segment<'_>) -> bool {
        let side = self.side(segment);
        let over = self.is_over();
        let other = self.syn.get(side).copied().flatten() != Some(segment.seq);
        let began = self.syn.iter().any(Option::is_some);
        segment.syn && segment.ack.is_none() && other && (over || began || self.streams.iter().all(Stream::has_begun))
    }

    /// What is to be told of it while it goes on: a copy, without what only its further reading needs.
    pub(super) fn so_far(&self, now: Time) -> Flow {
        let role = match &self.role {
            Role::Control(control) => Role::Control(Box::new(control.so_far())),
            // A server that says nothing may be what is looked for.
            Role::Unknown(_) => match self.server_by_port() {
                Some(server) => Role::Control(Box::new(Control::new(server, false, self.secrets))),
                None => Role::Other(None),
            },
            Role::Other(greeting) => Role::Other(greeting.clone()),
            Role::Dns(_) => Role::Other(None),
        };
        Flow {
            ends: self.ends,
            secrets: self.secrets,
            opener: self.opener,
            began: self.began,
            last: self.last,
            stood: self.stood,
            marks: self.marks.clone(),
            runs: self.runs,
            role,
            streams: Default::default(),
            syn: self.syn,
            fin: self.fin,
            fin_acknowledged: self.fin_acknowledged,
            recent: Default::default(),
            reset: self.reset,
            answers: self.answers.clone(),
            counters: self.counters.clone(),
            file: self.file,
            open: !self.is_over(),
            young: now.since(self.began) < YOUNG,
        }
    }

    /// Whether both sides have ended it, or one has broken it off.
    pub(super) fn is_over(&self) -> bool {
        self.reset.is_some() || self.fin.iter().all(Option::is_some)
    }

    pub(super) fn control_mut(&mut self) -> Option<&mut Control> {
        match &mut self.role {
            Role::Control(control) => Some(control),
            _ => None,
        }
    }

    pub(super) fn control(&self) -> Option<&Control> {
        match &self.role {
            Role::Control(control) => Some(control),
            _ => None,
        }
    }

    /// About as many bytes as what was said takes.
    pub(super) fn size(&self) -> usize {
        match &self.role {
            Role::Unknown(heard) => heard.size(),
            Role::Control(control) => control.size(),
            Role::Dns(frames) => frames.size(),
            Role::Other(greeting) => greeting.as_ref().map_or(0, String::len),
        }
    }

    /// Keeps nothing more of what is said.
    pub(super) fn stop(&mut self) {
        match &mut self.role {
            Role::Control(control) => control.stop(),
            Role::Unknown(_) => self.role = Role::Other(None),
            Role::Dns(frames) => [0, 1].into_iter().for_each(|side| frames.missing(side)),
            Role::Other(_) => {}
        }
    }

    /// Takes a segment; `in_all` is what waits in all streams.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, in_all: &mut usize) {
        let side = self.side(segment);
        self.last = self.last.max(segment.at);
        self.handshake(segment, side);
        // What another place saw of it has other hops.
        if segment.file == self.file {
            self.counters.get_mut(side).into_iter().for_each(|counter| counter.sent(segment));
        }
        let content = Content { at: segment.at, seq: segment.seq, bytes: segment.data, length: segment.length };
        let mut role = std::mem::replace(&mut self.role, Role::Other(None));
        let keep = !matches!(role, Role::Other(_));
        let deliver = |side: usize, run: &mut Run, role: &mut Role, at: Time, piece: Piece<'_>| {
            run.take(piece);
            role.take(at, side, piece);
        };
        // A SYN may carry bytes (RFC 7413); behind it they have the next number.
        let content = Content { seq: content.seq.wrapping_add(u32::from(segment.syn)), ..content };
        if let (Some(stream), Some(run)) = (self.streams.get_mut(side), self.runs.get_mut(side)) {
            if segment.syn {
                stream.begin(segment.seq);
            }
            if segment.fin {
                stream.end(&content);
            }
            let again = stream.again;
            // A RST may carry words of a middlebox, which are none of the stream's.
            if !segment.rst
                && stream.push(content, keep, in_all, &mut |at, piece| deliver(side, run, &mut role, at, piece))
            {
                if let Some(recent) = self.recent.get_mut(side) {
                    recent.truncate(RECENT - 1);
                    recent.push_front((segment.seq, segment.length, segment.at));
                }
                self.file = segment.file;
                run.segments += 1;
                run.first = if run.segments == 1 { segment.at } else { run.first };
                run.last = run.last.max(segment.at);
            }
            let twice = |recent: &VecDeque<(u32, u32, Time)>| {
                let mut same =
                    recent.iter().filter(|(seq, length, _)| (*seq, *length) == (segment.seq, segment.length));
                same.any(|(.., at)| segment.at.since(*at) < TWICE)
            };
            if stream.again > again && segment.file == self.file && !self.recent.get(side).is_some_and(twice) {
                self.counters.get_mut(side).into_iter().for_each(|counter| counter.again(segment.length));
            }
            stream.settle(segment.at, in_all, &mut |at, piece| deliver(side, run, &mut role, at, piece));
        }
        let other = 1 - side.min(1);
        if let (Some(stream), Some(run)) = (self.streams.get_mut(other), self.runs.get_mut(other)) {
            if let Some(ack) = segment.ack.filter(|_| !segment.rst) {
                stream.acknowledge(ack, segment.at);
                self.counters.get_mut(other).into_iter().for_each(|counter| counter.acknowledged(ack));
            }
            stream.settle(segment.at, in_all, &mut |at, piece| deliver(other, run, &mut role, at, piece));
        }
        if self.stood.is_none() && self.runs.iter().any(|run| run.segments > 0) {
            self.stood = Some(segment.at);
        }
        self.role = role;
        self.judge();
        if (segment.fin || segment.rst)
            && let Role::Control(control) = &mut self.role
        {
            control.end(segment.at, side);
        }
    }

    /// There is nothing more to come: whatever waits is told.
    pub(super) fn finish(&mut self, in_all: &mut usize) {
        let mut role = std::mem::replace(&mut self.role, Role::Other(None));
        for (side, (stream, run)) in self.streams.iter_mut().zip(&mut self.runs).enumerate() {
            stream.finish(in_all, &mut |at, piece| {
                run.take(piece);
                role.take(at, side, piece);
            });
        }
        self.role = role;
        self.judge();
        if let Role::Unknown(_) = self.role {
            // On the port of control connections nothing need be said: that may be the fault.
            match self.server_by_port() {
                Some(server) => self.become_control(server, false),
                None => self.role = Role::Other(None),
            }
        }
        let last = self.last;
        if let Role::Control(control) = &mut self.role {
            control.end(last, 0);
            control.end(last, 1);
        }
    }

    fn server_by_port(&self) -> Option<usize> {
        let [a, b] = self.ends.map(|end| end.port() == recognise::CONTROL);
        match self.opener {
            Some(0) => b.then_some(1),
            Some(_) => a.then_some(0),
            // Without a SYN silence says nothing.
            None => None,
        }
    }

    fn judge(&mut self) {
        let Role::Unknown(heard) = &self.role else { return };
        let [a, b] = &heard.said;
        let ports = self.ends.map(|end| end.port());
        match recognise::judge([a, b], ports, self.opener) {
            Verdict::Control(server) => self.become_control(server, false),
            Verdict::Implicit(server) => self.become_control(server, true),
            Verdict::Other => self.role = Role::Other(heard.greeting()),
            Verdict::NotYet if a.len() + b.len() > recognise::MAX_LOOKED_AT || heard.parts.len() > 1000 => {
                self.role = Role::Other(None);
            }
            Verdict::NotYet => {}
        }
    }

    fn become_control(&mut self, server: usize, implicit_tls: bool) {
        let control = Role::Control(Box::new(Control::new(server, implicit_tls, self.secrets)));
        let Role::Unknown(heard) = std::mem::replace(&mut self.role, control) else { return };
        let mut read = [0usize; 2];
        for (at, side, said) in heard.parts {
            match said {
                Said::Bytes(count) => {
                    let (Some(from), Some(said)) = (read.get_mut(side), heard.said.get(side)) else { continue };
                    let bytes = said.get(*from..*from + count).unwrap_or_default();
                    *from += count;
                    self.role.take(at, side, Piece::Bytes(bytes));
                }
                Said::Unseen(count) => self.role.take(at, side, Piece::Unseen(count)),
                Said::Lost(count) => self.role.take(at, side, Piece::Lost(count)),
            }
        }
    }

    /// Which side a segment comes from.
    fn side(&self, segment: &Segment<'_>) -> usize {
        let [a, b] = self.ends;
        usize::from(segment.from == b && a != b)
    }

    fn handshake(&mut self, segment: &Segment<'_>, side: usize) {
        let at = segment.at;
        let bare = segment.length == 0 && !segment.syn && !segment.fin && !segment.rst;
        if segment.syn {
            let kind = if segment.ack.is_some() { Kind::SynAck } else { Kind::Syn };
            self.opener.get_or_insert(if kind == Kind::Syn { side } else { 1 - side });
            let before = self.syn.get_mut(side).and_then(|syn| syn.replace(segment.seq));
            if before != Some(segment.seq) || segment.file == self.file {
                self.mark(at, side, kind, before == Some(segment.seq));
            }
        } else if self.stood.is_none()
            && self.has(Kind::SynAck)
            && segment.ack.is_some()
            && !segment.rst
            && self.opener == Some(side)
        {
            self.stood = Some(at);
            if bare {
                self.mark(at, side, Kind::Ack, false);
            }
        }
        let other = 1 - side.min(1);
        let ends = segment.ack.is_some() && self.fin.get(other).copied().flatten() == segment.ack;
        if ends && bare && self.fin_acknowledged.get_mut(other).is_some_and(|told| !std::mem::replace(told, true)) {
            self.mark(at, side, Kind::Ack, false);
        }
        if ends && segment.fin {
            self.fin_acknowledged.get_mut(other).into_iter().for_each(|told| *told = true);
        }
        if segment.fin {
            let behind = segment.seq.wrapping_add(segment.length).wrapping_add(1 + u32::from(segment.syn));
            let again = self.fin.get_mut(side).is_some_and(|fin| fin.replace(behind).is_some());
            if !again || segment.file == self.file {
                self.mark(at, side, Kind::Fin, again);
            }
        }
        if segment.rst {
            let again = self.reset.is_some();
            self.reset.get_or_insert(side);
            // Those that follow the first say nothing more.
            if !again {
                self.mark(at, side, Kind::Rst, false);
            }
        }
    }

    /// What was counted of a side, where there is something to tell.
    pub(super) fn counts(&self, side: usize) -> Option<Counts> {
        self.counters.get(side)?.finish(self.last)
    }

    /// ICMP answers one of its segments.
    pub(super) fn answered(&mut self, answer: Answer) {
        self.last = self.last.max(answer.at);
        let known = self.answers.iter().any(|a| (a.by, a.why) == (answer.by, answer.why));
        if !known && self.answers.len() < MAX_ANSWERS {
            self.answers.push(answer);
        }
    }

    /// The segments of its handshake.
    pub(super) fn opening(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().take_while(|mark| !matches!(mark.kind, Kind::Fin | Kind::Rst))
    }

    /// The segments of its end.
    pub(super) fn closing(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().skip_while(|mark| !matches!(mark.kind, Kind::Fin | Kind::Rst))
    }

    /// The first sequence number of a side, where its SYN was seen.
    pub(super) fn isn(&self, side: usize) -> Option<u32> {
        self.syn.get(side).copied().flatten()
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.marks.iter().any(|mark| mark.kind == kind)
    }

    fn mark(&mut self, at: Time, side: usize, kind: Kind, again: bool) {
        let twice = |m: &&Mark| m.side == side && m.kind == kind && at.since(m.at) < TWICE;
        if self.marks.len() < MAX_MARKS && !(again && self.marks.iter().rev().any(|m| twice(&m))) {
            self.marks.push(Mark { at, side, kind, again });
        }
    }
}

impl Run {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Bytes(bytes) => self.bytes = self.bytes.saturating_add(bytes.len() as u64),
            Piece::Unseen(count) => self.bytes = self.bytes.saturating_add(count),
            Piece::Lost(count) => self.lost = self.lost.saturating_add(count),
        }
    }
}

impl Role {
    fn take(&mut self, at: Time, side: usize, piece: Piece<'_>) {
        match (self, piece) {
            (Role::Control(control), Piece::Bytes(bytes)) => control.bytes(at, side, bytes),
            (Role::Control(control), Piece::Unseen(count)) => {
                control.missing(at, side, count, "were cut off by the capture");
            }
            (Role::Control(control), Piece::Lost(count)) => {
                control.missing(at, side, count, "are not in the capture");
            }
            (Role::Dns(frames), Piece::Bytes(bytes)) => frames.bytes(at, side, bytes),
            (Role::Dns(frames), _) => frames.missing(side),
            (Role::Unknown(heard), piece) => heard.take(at, side, piece),
            (Role::Other(_), _) => {}
        }
    }
}

impl Heard {
    fn take(&mut self, at: Time, side: usize, piece: Piece<'_>) {
        let said = match piece {
            Piece::Bytes(bytes) => {
                let Some(said) = self.said.get_mut(side) else { return };
                said.extend_from_slice(bytes);
                Said::Bytes(bytes.len())
            }
            Piece::Unseen(count) => Said::Unseen(count),
            Piece::Lost(count) => Said::Lost(count),
        };
        self.parts.push((at, side, said));
    }

    fn size(&self) -> usize {
        self.said.iter().map(Vec::len).sum::<usize>() + size_of_val(self.parts.as_slice())
    }

    /// What a connection that begins with TLS says of itself.
    fn greeting(&self) -> Option<String> {
        let said = self.said.iter().find(|said| matches!(said.as_slice(), [0x16, 3, ..]))?;
        let mut told: Vec<Told> = Vec::new();
        Records::default().push(said, &mut told);
        Some(told.into_iter().next().map_or_else(|| "TLS".to_owned(), |t| t.what))
    }
}
