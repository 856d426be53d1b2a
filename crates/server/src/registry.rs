//! The table of a server's sessions and transfers, from which [`status`](crate::status) is told.
//!
//! Its one lock is taken when a session or a transfer begins or ends, and by those who look: never for bytes, which each
//! transfer counts in its own [`Meter`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use port21_proto::addr::canonical;
use port21_proto::reply::Text;
use port21_proto::text::Shown;
use port21_proto::{FtpPath, Time};
use tokio::sync::Notify;

use crate::account::standing::{Call, Why};
use crate::activity::Direction;
use crate::data::meter::Meter;
use crate::status::{Counts, Refusal, SessionStatus, TransferCounts, TransferStatus, Whom};
use crate::throttle::Throttles;

/// The most sessions that one SITE WHO tells.
const MOST_TOLD: usize = 1000;

/// All sessions of a server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    connections: AtomicU64,
    logins: AtomicU64,
    failed_logins: AtomicU64,
    refusals: [AtomicU64; Refusal::ALL.len()],
    not_resumed: AtomicU64,
    /// Of the log's lines on refusals.
    pub(crate) throttles: Throttles,
}

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<u64, Entry>,
    /// Of the transfers that have ended.
    totals: [TransferCounts; Direction::ALL.len()],
}

#[derive(Debug)]
struct Entry {
    peer: SocketAddr,
    local: SocketAddr,
    since: Time,
    login: Option<(Arc<str>, bool)>,
    /// Where it logged in; nothing: at the site to begin with.
    site: Option<Arc<str>>,
    transfer: Option<Running>,
    pulse: Arc<Pulse>,
    call: Arc<Call>,
}

#[derive(Debug)]
struct Running {
    direction: Direction,
    path: FtpPath,
    began: Time,
    meter: Arc<Meter>,
}

/// What a session and its entry share.
#[derive(Debug)]
struct Pulse {
    /// When the client was last heard of, in nanoseconds.
    heard: AtomicU64,
}

/// A session's entry; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Arc<Registry>,
    number: u64,
    pulse: Arc<Pulse>,
    call: Arc<Call>,
}

/// A transfer's entry; given back when dropped.
#[derive(Debug)]
pub(crate) struct Moving {
    registry: Arc<Registry>,
    number: u64,
    whole: bool,
}

impl Registry {
    /// An entry for a session that was let in. `wanted` is what makes it look up.
    pub(crate) fn enter(
        self: &Arc<Registry>,
        number: u64,
        (peer, local): (SocketAddr, SocketAddr),
        since: Time,
        wanted: Arc<Notify>,
    ) -> Seat {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let heard = AtomicU64::new(since.unix_nanos());
        let (pulse, call) = (Arc::new(Pulse { heard }), Arc::new(Call::new(wanted)));
        let entry = Entry {
            peer,
            local,
            since,
            login: None,
            site: None,
            transfer: None,
            pulse: pulse.clone(),
            call: call.clone(),
        };
        self.lock().sessions.insert(number, entry);
        Seat { registry: self.clone(), number, pulse, call }
    }

    /// How this session is called to its end.
    pub(crate) fn call(&self, number: u64) -> Option<Arc<Call>> {
        self.lock().sessions.get(&number).map(|entry| entry.call.clone())
    }

    /// This session logs in at this site.
    pub(crate) fn at(&self, number: u64, site: Option<&str>) {
        if let Some(entry) = self.lock().sessions.get_mut(&number) {
            entry.site = site.map(Arc::from);
        }
    }

    /// Somebody has logged in in this session.
    pub(crate) fn login(&self, number: u64, account: Arc<str>, anonymous: bool) {
        self.logins.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = self.lock().sessions.get_mut(&number) {
            entry.login = Some((account, anonymous));
        }
    }

    /// Whoever had is not logged in any more.
    pub(crate) fn logged_out(&self, number: u64) {
        if let Some(entry) = self.lock().sessions.get_mut(&number) {
            (entry.login, entry.site) = (None, None);
        }
    }

    /// Somebody could not.
    pub(crate) fn login_failed(&self, number: u64) {
        self.failed_logins.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = self.lock().sessions.get_mut(&number) {
            entry.login = None;
        }
    }

    /// Somebody was turned away.
    pub(crate) fn refused(&self, why: Refusal) {
        if let Some(count) = self.refusals.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A data connection was let in that does not resume the TLS session of its control connection.
    pub(crate) fn not_resumed(&self) {
        self.not_resumed.fetch_add(1, Ordering::Relaxed);
    }

    /// A transfer of this session begins.
    pub(crate) fn moves(
        self: &Arc<Registry>,
        number: u64,
        direction: Direction,
        path: FtpPath,
        began: Time,
        meter: Arc<Meter>,
    ) -> Moving {
        if let Some(entry) = self.lock().sessions.get_mut(&number) {
            entry.transfer = Some(Running { direction, path, began, meter });
        }
        Moving { registry: self.clone(), number, whole: false }
    }

    /// All sessions, by their numbers.
    pub(crate) fn sessions(&self) -> Vec<SessionStatus> {
        let state = self.lock();
        state.sessions.iter().map(|(&number, entry)| entry.status(number)).collect()
    }

    /// A line for each session that is logged in at the site of session `number`, for SITE WHO: of its account, or of
    /// everybody; no more than [`MOST_TOLD`].
    pub(crate) fn who(&self, number: u64, everybody: bool) -> Vec<Text> {
        let state = self.lock();
        let Some((own, site)) =
            state.sessions.get(&number).and_then(|asking| Some((&asking.login.as_ref()?.0, &asking.site)))
        else {
            return Vec::new();
        };
        let here = state.sessions.values().filter(|entry| entry.site == *site);
        let wanted = here.filter_map(|entry| {
            let (name, _) = entry.login.as_ref().filter(|(name, _)| everybody || name == own)?;
            let since = entry.since.timestamp().strftime("%Y-%m-%d %H:%M:%S UTC");
            // A name is shown with its controls escaped: it adds no line.
            let line = format!("{} from {} since {since}", Shown(name.as_bytes()), entry.peer.ip());
            Some(Text::Owned(line.into_bytes()))
        });
        let mut lines: Vec<Text> = wanted.take(MOST_TOLD + 1).collect();
        if lines.len() > MOST_TOLD {
            lines.pop();
            lines.push(Text::Borrowed(b"... and more"));
        }
        lines
    }

    /// Ends these sessions: how many.
    pub(crate) fn kick(&self, whom: &Whom) -> usize {
        let state = self.lock();
        let meant = |number: u64, entry: &Entry| match whom {
            Whom::Session(wanted) => number == *wanted,
            Whom::Account { name, at } => {
                entry.login.as_ref().is_some_and(|(account, _)| **account == **name) && at.is(entry.site.as_deref())
            }
            Whom::Address(ip) => canonical(entry.peer).ip() == ip.to_canonical(),
            Whom::Site(at) => at.is(entry.site.as_deref()),
        };
        let kicked = state.sessions.iter().filter(|(number, entry)| meant(**number, entry));
        kicked.filter(|(_, entry)| entry.call.call(Why::Kicked)).count()
    }

    /// What was counted, but for the ports.
    pub(crate) fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let state = self.lock();
        let mut by_direction = state.totals;
        let running = || state.sessions.values().filter_map(|entry| entry.transfer.as_ref());
        for transfer in running() {
            add(&mut by_direction, transfer.direction, |counts| counts.bytes += transfer.meter.bytes());
        }
        let refusals: [u64; Refusal::ALL.len()] = std::array::from_fn(|at| self.refusals.get(at).map_or(0, of));
        Counts {
            sessions: state.sessions.len(),
            transfers: running().count(),
            connections: of(&self.connections),
            logins: of(&self.logins),
            failed_logins: of(&self.failed_logins),
            refusals,
            not_resumed: of(&self.not_resumed),
            by_direction,
            ..Counts::default()
        }
    }

    /// Counts stay true whatever panicked while they were held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn status(&self, number: u64) -> SessionStatus {
        let transfer = self.transfer.as_ref().map(|running| TransferStatus {
            direction: running.direction,
            path: running.path.clone(),
            began: running.began,
            bytes: running.meter.progress(),
        });
        SessionStatus {
            number,
            peer: self.peer,
            local: self.local,
            since: self.since,
            heard: Time::from_unix_nanos(self.pulse.heard.load(Ordering::Relaxed)),
            account: self.login.as_ref().map(|(account, _)| account.clone()),
            anonymous: self.login.as_ref().is_some_and(|(_, anonymous)| *anonymous),
            site: self.site.clone(),
            transfer,
        }
    }
}

impl Seat {
    /// The client was heard of.
    pub(crate) fn heard(&self, now: Time) {
        self.pulse.heard.store(now.unix_nanos(), Ordering::Relaxed);
    }

    /// How the session is called to its end.
    pub(crate) fn call(&self) -> Arc<Call> {
        self.call.clone()
    }

    /// Why the session ought to end; nothing where another connection needs its place.
    pub(crate) fn called(&self) -> Option<Why> {
        self.call.why()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        if let Some(transfer) = state.sessions.remove(&self.number).and_then(|entry| entry.transfer) {
            end(&mut state.totals, &transfer, false);
        }
    }
}

impl Moving {
    /// All bytes were carried.
    pub(crate) fn is_whole(&mut self) {
        self.whole = true;
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        if let Some(transfer) = state.sessions.get_mut(&self.number).and_then(|entry| entry.transfer.take()) {
            end(&mut state.totals, &transfer, self.whole);
        }
    }
}

fn end(totals: &mut [TransferCounts; Direction::ALL.len()], transfer: &Running, whole: bool) {
    add(totals, transfer.direction, |counts| {
        counts.bytes += transfer.meter.bytes();
        *(if whole { &mut counts.whole } else { &mut counts.broken }) += 1;
    });
}

fn add(
    totals: &mut [TransferCounts; Direction::ALL.len()],
    direction: Direction,
    add: impl FnOnce(&mut TransferCounts),
) {
    if let Some(counts) = totals.get_mut(direction as usize) {
        add(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::At;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn enter(registry: &Arc<Registry>, number: u64, peer: &str) -> (Seat, Arc<Notify>) {
        let wanted = Arc::new(Notify::new());
        let seat = registry.enter(number, (addr(peer), addr("127.0.0.1:21")), Time::ZERO, wanted.clone());
        (seat, wanted)
    }

    #[test]
    fn users_are_told_who_is_there() {
        let registry = Arc::new(Registry::default());
        let (first, _) = enter(&registry, 1, "192.0.2.1:5000");
        let (_second, _) = enter(&registry, 2, "192.0.2.2:5000");
        let (_silent, _) = enter(&registry, 3, "192.0.2.3:5000");
        let (_elsewhere, _) = enter(&registry, 4, "192.0.2.4:5000");
        registry.at(4, Some("there.example"));
        registry.login(4, "ann".into(), false);
        registry.login(1, "ann".into(), false);
        registry.login(2, "bob\r\n200 x".into(), false);
        let own = Text::from(&b"ann from 192.0.2.1 since 1970-01-01 00:00:00 UTC"[..]);
        assert_eq!(registry.who(1, false), [own]);
        assert_eq!(registry.who(2, true).len(), 2);
        assert!(registry.who(2, true).iter().all(|line| !line.contains(&b'\n')));
        drop(first);
        assert!(registry.who(1, false).is_empty());
        let crowd: Vec<_> =
            (10..1500).map(|n| (enter(&registry, n, "192.0.2.9:5000"), registry.login(n, "c".into(), false))).collect();
        assert_eq!(registry.who(2, true).len(), MOST_TOLD + 1);
        assert_eq!(registry.who(2, true)[MOST_TOLD], &b"... and more"[..]);
        drop(crowd);
    }

    #[test]
    fn who_is_on_and_what_moves() {
        let registry = Arc::new(Registry::default());
        let (seat, _) = enter(&registry, 7, "10.0.0.1:5000");
        registry.login(7, "alice".into(), false);
        let meter = Arc::new(Meter::default());
        let path = FtpPath::root();
        let mut moving = registry.moves(7, Direction::Down, path, Time::ZERO, meter.clone());
        meter.add(10);
        let [status] = registry.sessions().try_into().unwrap();
        assert_eq!((status.number, status.account.as_deref()), (7, Some("alice")));
        assert_eq!(status.transfer.map(|t| (t.direction, t.bytes)), Some((Direction::Down, 10)));
        assert_eq!(registry.counts().by_direction[0], TransferCounts { whole: 0, broken: 0, bytes: 10 });
        moving.is_whole();
        drop(moving);
        let counts = registry.counts();
        assert_eq!(counts.by_direction[0], TransferCounts { whole: 1, broken: 0, bytes: 10 });
        assert_eq!((counts.sessions, counts.transfers, counts.logins), (1, 0, 1));
        drop(seat);
        assert!(registry.sessions().is_empty());
    }

    #[test]
    fn a_transfer_whose_session_has_gone_is_counted_once() {
        let registry = Arc::new(Registry::default());
        let (seat, _) = enter(&registry, 1, "10.0.0.1:5000");
        let moving = registry.moves(1, Direction::Up, FtpPath::root(), Time::ZERO, Arc::default());
        drop(seat);
        drop(moving);
        assert_eq!(registry.counts().by_direction[1], TransferCounts { whole: 0, broken: 1, bytes: 0 });
    }

    #[tokio::test]
    async fn those_who_are_meant_are_kicked_once() {
        let registry = Arc::new(Registry::default());
        let (a, woken) = enter(&registry, 1, "10.0.0.1:5000");
        let (b, _) = enter(&registry, 2, "[::ffff:10.0.0.1]:5001");
        let (c, _) = enter(&registry, 3, "10.0.0.2:5000");
        registry.login(3, "alice".into(), false);
        registry.at(3, Some("there.example"));
        let account = |name: &str, at| Whom::Account { name: name.into(), at };
        assert_eq!(registry.kick(&account("bob", At::Every)), 0);
        assert_eq!(registry.kick(&account("alice", At::First)), 0);
        assert_eq!(registry.kick(&account("alice", At::Named("other.example".into()))), 0);
        assert_eq!(registry.kick(&Whom::Session(1)), 1);
        woken.notified().await;
        assert_eq!(registry.kick(&Whom::Address("10.0.0.1".parse().unwrap())), 1);
        assert_eq!(registry.kick(&account("alice", At::Named("there.example".into()))), 1);
        assert!([a, b, c].iter().all(|seat| seat.called() == Some(Why::Kicked)));
    }
}
