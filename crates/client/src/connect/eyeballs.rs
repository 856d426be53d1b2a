//! Happy Eyeballs (RFC 8305): all addresses of a name, raced. Both families are looked up at once, attempts begin a quarter
//! of a second apart with the families in turn, and the first connection that stands is the one.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::event::{Closing, Connection, ConnectionId, End, EventKind, Purpose};
use tokio::time::{Sleep, sleep, timeout};

use super::dns::Family;
use super::{BoxFuture, Connector, Destination, Dial, Direct, Resolve, Stream, plain};
use crate::sink::Recorder;

/// How long IPv4 addresses wait for IPv6 addresses that are still being looked up (RFC 8305 section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long one attempt is ahead of the next (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// So many addresses of a family are tried: a name server could tell thousands.
const MAX_ADDRESSES: usize = 16;

/// One attempt to connect, and how it failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Where it was to lead.
    pub to: Destination,
    /// How it failed.
    pub error: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.to, plain(&self.error))
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Lost {
    /// There is no address; why.
    Unknown(String),
    /// None of the addresses took it.
    Unreachable(Vec<Attempt>),
}

/// The connection that was first to stand.
pub(crate) struct Won {
    pub(crate) id: ConnectionId,
    pub(crate) to: Destination,
    pub(crate) stream: Stream,
}

impl Won {
    /// Closes it: that it stands was all that was to be known.
    pub(crate) fn close(self, recorder: &Recorder) {
        drop(self.stream);
        recorder.emit(|| EventKind::Closed { connection: self.id, by: End::Client, how: Closing::Fin });
    }
}

/// What is to be raced.
pub(crate) struct Race<'a> {
    pub(crate) resolver: &'a dyn Resolve,
    pub(crate) connector: &'a dyn Connector,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) purpose: Purpose,
    /// The families that are wanted, the one to be tried first in front.
    pub(crate) families: &'a [Family],
    /// The second family is looked up only where the first one has no address.
    pub(crate) one_at_a_time: bool,
    /// For each look-up, and for each attempt.
    pub(crate) resolve_limit: Duration,
    pub(crate) connect_limit: Duration,
    /// The local address, for IPv4 or not.
    pub(crate) local: &'a (dyn Fn(bool) -> Option<SocketAddr> + Send + Sync),
    pub(crate) recorder: &'a Recorder,
    /// The name of the first attempt. All others get a new one.
    pub(crate) id: ConnectionId,
}

/// The race of a proxy's own name: in silence, and as long as its caller has patience.
pub(super) async fn simple(
    resolver: &dyn Resolve,
    host: &str,
    port: u16,
    purpose: Purpose,
    local: &(dyn Fn(bool) -> Option<SocketAddr> + Send + Sync),
) -> io::Result<(IpAddr, Stream)> {
    let race = Race {
        resolver,
        connector: &Direct,
        host,
        port,
        purpose,
        families: &[Family::V6, Family::V4],
        one_at_a_time: false,
        resolve_limit: Duration::from_secs(3600),
        connect_limit: Duration::from_secs(3600),
        local,
        recorder: &Recorder::off(),
        id: ConnectionId::CONTROL,
    };
    match race.run().await {
        Ok(Won { to: Destination::Address(addr), stream, .. }) => Ok((addr.ip(), stream)),
        Ok(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        Err(Lost::Unknown(why)) => Err(io::Error::new(io::ErrorKind::NotFound, why)),
        Err(Lost::Unreachable(attempts)) => Err(io::Error::other(list(&attempts))),
    }
}

/// All attempts in one sentence.
pub(crate) fn list(attempts: &[Attempt]) -> String {
    attempts.iter().map(Attempt::to_string).collect::<Vec<_>>().join("; ")
}

impl<'a> Race<'a> {
    /// Looks up the name, and connects. Dropping the future ends all of it.
    pub(crate) async fn run(self) -> Result<Won, Lost> {
        let mut course = Course::new(&self);
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            let family = Family::of(ip);
            if !self.families.contains(&family) {
                return Err(Lost::Unknown("the address is of the other IP version".to_owned()));
            }
            course.found(family, vec![ip]);
        } else if self.connector.takes_names() {
            let to = Destination::Name(self.host.to_owned(), self.port);
            course.begin(to, (self.local)(true).filter(|local| !local.ip().is_unspecified()));
        } else {
            course.families = self.families.iter().copied().collect();
            course.look_up();
            if !self.one_at_a_time {
                course.look_up();
            }
        }
        course.run().await
    }
}

/// How a race stands.
struct Course<'a> {
    race: &'a Race<'a>,
    /// The families that are still to be looked up.
    families: VecDeque<Family>,
    looking: Vec<(Family, BoxFuture<'a, io::Result<Vec<IpAddr>>>)>,
    /// Look-ups that are done, and were not looked at yet.
    looked_up: VecDeque<(Family, io::Result<Vec<IpAddr>>)>,
    /// Why a family has no address.
    unknown: Vec<(Family, String)>,
    /// The addresses that were not tried yet, and the family of the last one that was.
    waiting: Vec<(Family, IpAddr)>,
    last: Option<Family>,
    running: Vec<Running<'a>>,
    failed: Vec<Attempt>,
    hold: Hold,
}

struct Running<'a> {
    id: ConnectionId,
    to: Destination,
    attempt: BoxFuture<'a, io::Result<Stream>>,
}

/// What the next attempt waits for.
enum Hold {
    Nothing,
    /// The other family's addresses may come yet.
    Resolution(Pin<Box<Sleep>>),
    /// The last attempt has a start.
    Attempt(Pin<Box<Sleep>>),
}

enum Happened {
    LookedUp(Family, io::Result<Vec<IpAddr>>),
    Ended(usize, io::Result<Stream>),
    TimeIsUp,
}

impl<'a> Course<'a> {
    fn new(race: &'a Race<'a>) -> Course<'a> {
        Course {
            race,
            families: VecDeque::new(),
            looking: Vec::new(),
            looked_up: VecDeque::new(),
            unknown: Vec::new(),
            waiting: Vec::new(),
            last: None,
            running: Vec::new(),
            failed: Vec::new(),
            hold: Hold::Nothing,
        }
    }

    async fn run(mut self) -> Result<Won, Lost> {
        loop {
            if matches!(self.hold, Hold::Nothing)
                && let Some(ip) = self.next()
            {
                let addr = SocketAddr::new(ip, self.race.port);
                self.begin(Destination::Address(addr), (self.race.local)(ip.is_ipv4()));
                self.hold = Hold::Attempt(Box::pin(sleep(ATTEMPT_DELAY)));
            }
            let looking = !self.looking.is_empty() || !self.looked_up.is_empty();
            if !looking && self.running.is_empty() && self.waiting.is_empty() {
                return Err(self.lost());
            }
            match poll_fn(|cx| self.poll(cx)).await {
                Happened::LookedUp(family, Ok(addresses)) => self.found(family, addresses),
                Happened::LookedUp(family, Err(error)) => self.not_found(family, error.to_string()),
                Happened::Ended(at, Ok(stream)) => return Ok(self.won(at, stream)),
                Happened::Ended(at, Err(error)) => self.ended(at, error),
                Happened::TimeIsUp => self.hold = Hold::Nothing,
            }
        }
    }

    /// Looks up the next family.
    fn look_up(&mut self) {
        let Some(family) = self.families.pop_front() else { return };
        let (resolver, host, limit) = (self.race.resolver, self.race.host, self.race.resolve_limit);
        let lookup = async move {
            let late = || Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")));
            timeout(limit, resolver.resolve(host, family)).await.unwrap_or_else(|_| late())
        };
        self.looking.push((family, Box::pin(lookup)));
    }

    fn found(&mut self, family: Family, addresses: Vec<IpAddr>) {
        let before = self.waiting.len();
        for ip in addresses.into_iter().filter(|ip| Family::of(*ip) == family).take(MAX_ADDRESSES) {
            if !self.waiting.contains(&(family, ip)) {
                self.waiting.push((family, ip));
            }
        }
        if self.waiting.len() == before {
            return self.not_found(family, "it has no address that can be used here".to_owned());
        }
        self.families.clear();
        match self.hold {
            // RFC 8305 section 3: only the first addresses wait, and only for those that go before them.
            Hold::Nothing
                if self.last.is_none() && self.looking.iter().any(|(other, _)| self.goes_before(*other, family)) =>
            {
                self.hold = Hold::Resolution(Box::pin(sleep(RESOLUTION_DELAY)));
            }
            Hold::Resolution(_) => self.hold = Hold::Nothing,
            _ => {}
        }
    }

    fn not_found(&mut self, family: Family, why: String) {
        self.unknown.push((family, why));
        if let Hold::Resolution(_) = self.hold {
            self.hold = Hold::Nothing;
        }
        if self.looking.is_empty() {
            self.look_up();
        }
    }

    fn goes_before(&self, one: Family, other: Family) -> bool {
        let place = |family| self.race.families.iter().position(|wanted| *wanted == family);
        place(one) < place(other)
    }

    /// The address to be tried next: the families take turns (RFC 8305 section 4).
    fn next(&mut self) -> Option<IpAddr> {
        let turn = |wanted: Family| self.waiting.iter().position(|(family, _)| *family == wanted);
        let at = match self.last {
            Some(last) => self.waiting.iter().position(|(family, _)| *family != last),
            None => self.race.families.first().and_then(|first| turn(*first)),
        };
        let (family, ip) = if self.waiting.is_empty() { return None } else { self.waiting.remove(at.unwrap_or(0)) };
        self.last = Some(family);
        Some(ip)
    }

    fn begin(&mut self, to: Destination, local: Option<SocketAddr>) {
        let race = self.race;
        let first = self.running.is_empty() && self.failed.is_empty();
        let id = if first { race.id } else { race.recorder.name() };
        let client = local.filter(|local| local.port() != 0 && !local.ip().is_unspecified());
        race.recorder.emit(|| EventKind::Opening(connection(id, race.purpose, client, to.address())));
        if let Some(proxy) = race.connector.proxy() {
            let text = format!("{to} is connected to through the proxy {proxy}");
            race.recorder.emit(|| EventKind::Note { connection: Some(id), text });
        }
        let dial = Dial { to: to.clone(), purpose: race.purpose, local };
        let (connector, limit) = (race.connector, race.connect_limit);
        let attempt = async move {
            let late = || Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")));
            timeout(limit, connector.connect(dial)).await.unwrap_or_else(|_| late())
        };
        self.running.push(Running { id, to, attempt: Box::pin(attempt) });
    }

    fn ended(&mut self, at: usize, error: io::Error) {
        let Running { id, to, .. } = self.running.remove(at);
        self.race.recorder.emit(|| EventKind::OpenFailed { connection: id, why: plain(&error) });
        self.failed.push(Attempt { to, error });
        self.hold = Hold::Nothing;
    }

    fn won(mut self, at: usize, stream: Stream) -> Won {
        let Running { id, to, .. } = self.running.remove(at);
        let server = to.address().or_else(|| stream.peer_addr().ok());
        let client = stream.local_addr().ok();
        self.race.recorder.emit(|| EventKind::Opened(connection(id, self.race.purpose, client, server)));
        for Running { id, .. } in &self.running {
            let why = "another address was quicker".to_owned();
            self.race.recorder.emit(|| EventKind::OpenFailed { connection: *id, why });
        }
        Won { id, to, stream }
    }

    fn lost(mut self) -> Lost {
        if !self.failed.is_empty() {
            return Lost::Unreachable(self.failed);
        }
        let words = |(family, why): &(Family, String)| format!("{family}: {why}");
        self.unknown.dedup_by(|a, b| a.1 == b.1);
        Lost::Unknown(match self.unknown.as_slice() {
            [] => "it has no address that can be used here".to_owned(),
            [(_, why)] => why.clone(),
            several => several.iter().map(words).collect::<Vec<_>>().join("; "),
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        for at in 0..self.running.len() {
            if let Some(running) = self.running.get_mut(at)
                && let Poll::Ready(result) = running.attempt.as_mut().poll(cx)
            {
                return Poll::Ready(Happened::Ended(at, result));
            }
        }
        // All of them each time: both queries are to go out at once.
        let looked_up = &mut self.looked_up;
        self.looking.retain_mut(|(family, lookup)| {
            let Poll::Ready(result) = lookup.as_mut().poll(cx) else { return true };
            looked_up.push_back((*family, result));
            false
        });
        if let Some((family, result)) = self.looked_up.pop_front() {
            return Poll::Ready(Happened::LookedUp(family, result));
        }
        let (Hold::Resolution(timer) | Hold::Attempt(timer)) = &mut self.hold else { return Poll::Pending };
        timer.as_mut().poll(cx).map(|()| Happened::TimeIsUp)
    }
}

fn connection(
    id: ConnectionId,
    purpose: Purpose,
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
) -> Connection {
    Connection { id, purpose, opener: End::Client, client, server }
}
