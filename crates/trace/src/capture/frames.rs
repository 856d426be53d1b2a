//! The frames of a session, found in its captures again: what a reader of one row wants to see.
//!
//! Nothing of this is kept while a capture is decoded. Who asks has the files read once more, for one session, by its
//! connections and the times of its events: of a control connection the places of all frames with bytes are kept then, of data
//! connections those of the first, and of frames without bytes those that an event tells of. Their bytes stay in the file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;

use port21_proto::Time;
use port21_proto::event::{ConnectionId, End, EventKind, Purpose, Segment as Kind};
use port21_proto::secret::MASK;

use super::file::{CaptureFile, is_capture};
use super::layers::{Layer, layers};
use super::packet::{Carried, Packets, Segment};
use crate::Session;
use crate::mask::{masked, secret};
use crate::words::shown;

/// So many frames are shown of an event.
const SHOWN: usize = 32;

/// The most frames whose places are kept: some 64 bytes each.
const MAX_FRAMES: usize = 500_000;

/// A frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its file, where there are several.
    pub file: Option<String>,
    /// Its number in that file, from 1, as Wireshark counts.
    pub number: u64,
    /// When it was captured.
    pub at: Time,
    /// How many bytes it had on the wire.
    pub length: u32,
    /// Those that were captured, at most 256 KiB; `*` stands for each of a secret.
    pub bytes: Vec<u8>,
    /// Whether there is a secret in it.
    pub masked: bool,
    /// Its layers: each byte is in one of them.
    pub layers: Vec<Layer>,
}

/// The frames of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The first of them, 32 at most.
    pub frames: Vec<Frame>,
    /// How many there are.
    pub count: u64,
    /// What is to be known where some are missing, in plain sentences.
    pub notes: Vec<String>,
}

/// What frames are looked for: the connections of a session, and when something happened on them.
#[derive(Debug)]
pub struct Wanted {
    /// By the two ends, the lesser one first: all connections that had them, by when they began.
    connections: HashMap<[SocketAddr; 2], Vec<(Time, ConnectionId)>>,
    known: BTreeMap<ConnectionId, Known>,
    /// When there was an event.
    times: HashSet<Time>,
    /// When the client, and when the server said something.
    said: [Vec<Time>; 2],
    /// When the client said what is secret.
    secrets: Vec<Time>,
}

/// A connection.
#[derive(Debug)]
struct Known {
    purpose: Purpose,
    client: SocketAddr,
    /// In the order of time.
    frames: Vec<Place>,
    /// How many data frames were met of each end.
    met: [usize; 2],
    /// The sequence numbers of the SYN of each end.
    first: [Option<u32>; 2],
}

/// Where a frame is, and as much of what is in it as tells whose it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: Time,
    file: usize,
    number: u64,
    offset: u64,
    captured: usize,
    length: u32,
    link: i32,
    from: End,
    seq: u32,
    /// How many bytes are said in it.
    payload: u32,
    kind: Option<Kind>,
}

/// The frames of a session in its captures.
#[derive(Debug)]
pub struct Frames {
    files: Vec<(String, File)>,
    wanted: Wanted,
    notes: Vec<String>,
    /// The sequence numbers of what is secret, and how many bytes from there on.
    secret: Vec<(u32, u32)>,
}

impl Wanted {
    /// What to look for of a session that was decoded from captures.
    pub fn of(session: &Session) -> Wanted {
        let mut wanted = Wanted {
            connections: HashMap::new(),
            known: BTreeMap::new(),
            times: HashSet::new(),
            said: Default::default(),
            secrets: Vec::new(),
        };
        for event in session.events() {
            let Some(id) = event.kind.connection() else { continue };
            wanted.times.insert(event.at);
            if let Some(end) = sayer(&event.kind) {
                of_mut(&mut wanted.said, end).push(event.at);
            }
            if is_secret(&event.kind) {
                wanted.secrets.push(event.at);
            }
            let Some(connection) = session.connection(id).filter(|_| !wanted.known.contains_key(&id)) else { continue };
            let (Some(client), Some(server)) = (connection.client, connection.server) else { continue };
            wanted.connections.entry(ends(client, server)).or_default().push((event.at, id));
            let purpose = connection.purpose;
            let (frames, met, first) = (Vec::new(), [0; 2], [None; 2]);
            wanted.known.insert(id, Known { purpose, client, frames, met, first });
        }
        wanted
    }

    /// Takes the packet that was read last: whether its place is kept.
    fn take(&mut self, file: &CaptureFile, carried: &Carried<'_>) -> bool {
        let packet = &file.packet;
        let (from, to) = match carried {
            Carried::Tcp(segment) => (segment.from, segment.to),
            Carried::Udp(datagram) => (datagram.from, datagram.to),
            Carried::Icmp(answer) => (answer.from, answer.to),
        };
        let Some(all) = self.connections.get(&ends(from, to)) else { return false };
        let begun = all.partition_point(|(began, _)| *began <= packet.at).saturating_sub(1);
        let Some((id, known)) = all.get(begun).and_then(|(_, id)| Some((*id, self.known.get_mut(id)?))) else {
            return false;
        };
        let from = if from == known.client { End::Client } else { End::Server };
        let (seq, payload, kind) = match carried {
            Carried::Tcp(segment) => (segment.seq, segment.length, Some(kind(segment))),
            _ => (0, 0, None),
        };
        if let Some(Kind::Syn | Kind::SynAck) = kind {
            *of_mut(&mut known.first, from) = Some(seq);
        }
        let met = of_mut(&mut known.met, from);
        *met += usize::from(payload > 0);
        let says = payload > 0 && (id == ConnectionId::CONTROL || known.purpose == Purpose::Control || *met <= SHOWN);
        let keep = says || self.times.contains(&packet.at);
        if keep {
            known.frames.push(Place {
                at: packet.at,
                file: packet.file,
                number: packet.number,
                offset: packet.offset,
                captured: packet.bytes.len(),
                length: packet.length,
                link: packet.link,
                from,
                seq,
                payload,
                kind,
            });
        }
        keep
    }

    /// When `end` said something before: what was said at `at` came behind that.
    fn before(&self, end: End, at: Time) -> Time {
        let said = of(&self.said, end);
        let before = said.partition_point(|said| *said < at).checked_sub(1);
        before.and_then(|n| said.get(n)).copied().unwrap_or(Time::ZERO)
    }
}

impl Frames {
    /// Reads captures for the frames of a session. Files that are no captures are passed over; of one that is compressed, or
    /// cannot be read, the notes tell. Memory: some 64 bytes a frame, of 500,000 at most.
    pub fn find(files: Vec<(String, File)>, wanted: Wanted) -> Frames {
        let mut frames = Frames { files, wanted, notes: Vec::new(), secret: Vec::new() };
        let mut kept = 0;
        for n in 0..frames.files.len() {
            frames.read(n, &mut kept);
        }
        let Frames { wanted, secret, .. } = &mut frames;
        wanted.known.values_mut().for_each(|known| known.frames.sort_by_key(|place| place.at));
        let spans: Vec<(Time, Time)> = wanted.secrets.iter().map(|at| (wanted.before(End::Client, *at), *at)).collect();
        for known in wanted.known.values().filter(|known| known.purpose == Purpose::Control) {
            for (after, until) in &spans {
                let said = known.said(End::Client, *after, *until);
                secret.extend(said.iter().filter(|p| p.is_of(End::Client)).map(|place| (place.seq, place.payload)));
            }
        }
        frames
    }

    fn read(&mut self, n: usize, kept: &mut usize) {
        let Frames { files, wanted, notes, .. } = self;
        let Some((name, file)) = files.get_mut(n) else { return };
        let mut open = || -> io::Result<Option<CaptureFile>> {
            let mut magic = [0; 4];
            file.seek(SeekFrom::Start(0))?;
            match file.read_exact(&mut magic) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            if magic.starts_with(&[0x1f, 0x8b]) {
                return Err(io::Error::other("it is compressed; unpacked, it can be read at any place"));
            }
            if !is_capture(magic) {
                return Ok(None);
            }
            file.seek(SeekFrom::Start(0))?;
            CaptureFile::open(magic, file.try_clone()?).map(Some).map_err(io::Error::other)
        };
        let mut capture = match open() {
            Ok(Some(capture)) => capture,
            Ok(None) => return,
            Err(error) => {
                let why = shown(error.to_string().as_bytes());
                return notes.push(format!("The frames of {name} cannot be shown: {why}."));
            }
        };
        capture.packet.file = n;
        let mut packets = Packets::default();
        while capture.advance() {
            if let Some(carried) = packets.read(&capture.packet) {
                *kept += usize::from(wanted.take(&capture, &carried));
            }
            if *kept >= MAX_FRAMES {
                return notes
                    .push(format!("Of {name} the frames behind number {} are not known.", capture.packet.number));
            }
        }
    }

    /// The frames of an event of the session that they were found for. Of what was said: those with bytes of that side, since
    /// it said something before.
    ///
    /// # Errors
    /// A file cannot be read any more.
    pub fn of(&mut self, session: &Session, event: usize) -> io::Result<Found> {
        let none = || Found { notes: self.notes.clone(), ..Found::default() };
        let Some(event) = session.events().get(event) else { return Ok(none()) };
        let Some(known) = event.kind.connection().and_then(|id| self.wanted.known.get(&id)) else { return Ok(none()) };
        let mut count = None;
        let places: Vec<Place> = match (&event.kind, sayer(&event.kind)) {
            (EventKind::Note { .. } | EventKind::Counted { .. }, _) => Vec::new(),
            (EventKind::Data { from, since, segments, .. }, _) => {
                count = *segments;
                let all = known.between(*since, event.at).iter();
                all.filter(|place| place.is_of(*from)).copied().collect()
            }
            (_, Some(end)) => {
                let said = known.said(end, self.wanted.before(end, event.at), event.at);
                said.iter().filter(|place| place.is_of(end)).copied().collect()
            }
            (EventKind::Segment { from, segment, .. }, _) => {
                let all = known.between(event.at, event.at).iter();
                all.filter(|place| place.from == *from && place.kind == Some(*segment)).copied().collect()
            }
            _ => known.between(event.at, event.at).to_vec(),
        };
        let [client, server] = known.first;
        let count = count.unwrap_or(0).max(places.len() as u64);
        let mut found = Found { count, ..none() };
        for place in places.iter().take(SHOWN) {
            let ends = if place.from == End::Client { [client, server] } else { [server, client] };
            let frame = self.frame(place, ends)?;
            found.frames.push(frame);
        }
        Ok(found)
    }

    fn frame(&mut self, place: &Place, first: [Option<u32>; 2]) -> io::Result<Frame> {
        let several = self.files.len() > 1;
        let (name, file) = self.files.get_mut(place.file).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; place.captured];
        file.seek(SeekFrom::Start(place.offset))?;
        file.read_exact(&mut bytes)?;
        let layers = layers(place.link, &bytes, first);
        let mut frame = Frame {
            file: several.then(|| name.clone()),
            number: place.number,
            at: place.at,
            length: place.length,
            bytes,
            masked: false,
            layers,
        };
        if place.is_of(End::Client) {
            let holds = |(seq, length): &(u32, u32)| {
                let (behind, before) = (place.seq.wrapping_sub(*seq), seq.wrapping_sub(place.seq));
                behind < *length || before < place.payload
            };
            frame.mask(self.secret.iter().any(holds));
        }
        Ok(frame)
    }
}

impl Frame {
    /// Covers secrets: from the line on that begins with one to the end; where one is known to be in it and no line begins
    /// so, it began in a frame before, and all is covered.
    fn mask(&mut self, is_secret: bool) {
        let Some(payload) = self.layers.iter().rev().find(|layer| layer.name == "payload") else { return };
        let Some(said) = self.bytes.get_mut(payload.bytes.clone()) else { return };
        let mut at = 0;
        let mut from = None;
        for line in said.split_inclusive(|b| *b == b'\n') {
            let text = line.trim_ascii_end();
            if secret(ConnectionId::CONTROL, text).is_some() {
                let blanks = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
                let verb = text.iter().skip(blanks).take_while(|b| !b.is_ascii_whitespace()).count();
                from = Some(at + blanks + verb + 1);
                break;
            }
            at += line.len();
        }
        let from = from.or(is_secret.then_some(0));
        if let Some(covered) = from.and_then(|from| said.get_mut(from..)) {
            self.masked = true;
            covered.iter_mut().filter(|b| !matches!(b, b'\r' | b'\n')).for_each(|b| *b = b'*');
            // Of a short secret the sum says much (RFC 9293 section 3.1).
            let tcp = self.layers.iter().find(|layer| layer.name == "TCP").map(|layer| layer.bytes.start);
            let sum = tcp.and_then(|tcp| self.bytes.get_mut(tcp + 16..tcp + 18));
            sum.into_iter().flatten().for_each(|b| *b = 0);
        }
    }
}

impl Known {
    /// Frames from `from` to `until`.
    fn between(&self, from: Time, until: Time) -> &[Place] {
        let start = self.frames.partition_point(|place| place.at < from);
        let end = self.frames.partition_point(|place| place.at <= until);
        self.frames.get(start..end).unwrap_or_default()
    }

    /// Those behind `after`, to `until`; where there is none that says something (all came at once), those at `until`.
    fn said(&self, end: End, after: Time, until: Time) -> &[Place] {
        let start = self.frames.partition_point(|place| place.at <= after);
        let stop = self.frames.partition_point(|place| place.at <= until);
        let between = self.frames.get(start..stop).unwrap_or_default();
        if between.iter().any(|place| place.is_of(end)) { between } else { self.between(until, until) }
    }
}

impl Place {
    fn is_of(&self, end: End) -> bool {
        self.from == end && self.payload > 0
    }
}

fn ends(a: SocketAddr, b: SocketAddr) -> [SocketAddr; 2] {
    if a <= b { [a, b] } else { [b, a] }
}

/// What there is of an end, where there is one of each.
fn of<T>([client, server]: &[T; 2], end: End) -> &T {
    if end == End::Client { client } else { server }
}

fn of_mut<T>([client, server]: &mut [T; 2], end: End) -> &mut T {
    if end == End::Client { client } else { server }
}

/// Who says what an event tells of.
fn sayer(kind: &EventKind) -> Option<End> {
    match kind {
        EventKind::Command { .. } => Some(End::Client),
        EventKind::Reply { .. } => Some(End::Server),
        EventKind::Malformed { from, .. } | EventKind::Tls { from, .. } => Some(*from),
        _ => None,
    }
}

fn is_secret(kind: &EventKind) -> bool {
    match masked(kind).as_ref() {
        EventKind::Command { argument: said, .. } | EventKind::Malformed { from: End::Client, head: said, .. } => {
            said.ends_with(MASK.as_bytes())
        }
        _ => false,
    }
}

fn kind(segment: &Segment<'_>) -> Kind {
    match segment {
        Segment { rst: true, .. } => Kind::Rst,
        Segment { syn: true, ack: Some(_), .. } => Kind::SynAck,
        Segment { syn: true, .. } => Kind::Syn,
        Segment { fin: true, .. } => Kind::Fin,
        _ => Kind::Ack,
    }
}
