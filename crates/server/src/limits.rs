//! How many connections there may be, in all and from one address, and how many sessions of one account.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::account::Rates;
use crate::data::pace::{Bucket, Pace};

/// How many connections may be on their way out, and so beyond a limit, before newcomers have to wait.
const MAX_LEAVING: usize = 64;

/// Counts the control connections of a server.
///
/// A connection that has not logged in yet makes room for a newcomer where a limit is met, the oldest first: whoever
/// opens a thousand connections and sends nothing locks nobody out. Who has logged in is never turned out.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    counts: Arc<Mutex<Counts>>,
    total: usize,
    per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    /// Asked to go, and still counted.
    leaving: usize,
    /// Those that have not logged in, in the order in which they came.
    strangers: BTreeMap<u64, Stranger>,
    last: u64,
}

#[derive(Debug)]
struct Stranger {
    address: IpAddr,
    make_room: Arc<Notify>,
}

/// A connection's place among those that are counted; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    counts: Arc<Mutex<Counts>>,
    number: u64,
    address: IpAddr,
    make_room: Arc<Notify>,
    keeps: AtomicBool,
}

/// Which limit a connection was refused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Total,
    PerAddress,
}

impl Connections {
    pub(crate) fn new(total: usize, per_address: usize) -> Connections {
        Connections { counts: Arc::default(), total, per_address }
    }

    /// Other limits from now on, for those who come: nobody who is there goes.
    pub(crate) fn with_limits(&self, total: usize, per_address: usize) -> Connections {
        Connections { counts: self.counts.clone(), total, per_address }
    }

    /// Whether so many are on their way out that newcomers should wait for them to have gone: a flood must not outrun
    /// those who make room for it. They need a moment, since nothing is waited for.
    pub(crate) fn is_crowded(&self) -> bool {
        lock(&self.counts).leaving >= MAX_LEAVING
    }

    /// A place for a connection from `ip`; where that takes one, the place of a stranger.
    pub(crate) fn admit(&self, ip: IpAddr) -> Result<Place, Refused> {
        let address = counted_as(ip);
        let mut counts = lock(&self.counts);
        let from_here = counts.by_address.get(&address).copied().unwrap_or(0);
        // One that comes costs one at the most its place: whoever goes for the one limit makes room under the other too.
        if from_here >= self.per_address {
            if !counts.turn_out(|stranger| stranger.address == address) {
                return Err(Refused::PerAddress);
            }
        } else if counts.total >= self.total && !counts.turn_out(|_| true) {
            return Err(Refused::Total);
        }
        counts.total += 1;
        *counts.by_address.entry(address).or_default() += 1;
        counts.last += 1;
        let number = counts.last;
        let make_room = Arc::new(Notify::new());
        counts.strangers.insert(number, Stranger { address, make_room: make_room.clone() });
        Ok(Place { counts: self.counts.clone(), number, address, make_room, keeps: AtomicBool::new(false) })
    }
}

impl Place {
    /// The number of the connection, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What [`Place::wanted`] waits for.
    pub(crate) fn call(&self) -> Arc<Notify> {
        self.make_room.clone()
    }

    /// From now on this connection keeps its place, unless it was asked to go already.
    pub(crate) fn logged_in(&self) {
        if lock(&self.counts).strangers.remove(&self.number).is_some() {
            self.keeps.store(true, Ordering::Relaxed);
        }
    }

    /// Whoever had logged in has not any more: a newcomer may have the place again, as long as nobody logs in.
    pub(crate) fn logged_out(&self) {
        let mut counts = lock(&self.counts);
        if self.keeps.swap(false, Ordering::Relaxed) {
            let stranger = Stranger { address: self.address, make_room: self.make_room.clone() };
            counts.strangers.insert(self.number, stranger);
        }
    }

    /// Waits until another connection needs this place.
    pub(crate) async fn wanted(&self) {
        self.make_room.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        let kept = counts.strangers.remove(&self.number).is_some() || self.keeps.load(Ordering::Relaxed);
        if !kept {
            counts.leaving = counts.leaving.saturating_sub(1);
        }
        counts.total = counts.total.saturating_sub(1);
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

impl Counts {
    /// Asks the oldest stranger of this kind to go; whether there is one. It is counted until it has gone, so that for
    /// a moment there may be a few more than the limit.
    fn turn_out(&mut self, kind: impl Fn(&Stranger) -> bool) -> bool {
        let Some(number) = self.strangers.iter().find(|(_, s)| kind(s)).map(|(&number, _)| number) else {
            return false;
        };
        if let Some(stranger) = self.strangers.remove(&number) {
            stranger.make_room.notify_one();
            self.leaving += 1;
        }
        true
    }
}

/// Counts the sessions of each account, and holds what all sessions of one share.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    counts: Arc<Mutex<SessionsByAccount>>,
    /// The rate limits of accounts, down and up, for as long as a session has them.
    buckets: Mutex<HashMap<String, [Weak<Bucket>; 2]>>,
}

type SessionsByAccount = HashMap<String, usize>;

/// A session's place among those of its account; given back when dropped.
#[derive(Debug)]
pub(crate) struct AccountPlace {
    counts: Arc<Mutex<SessionsByAccount>>,
    name: String,
}

impl Accounts {
    /// A place for a session of the account `name`, of which there may be `most` at a time. Without a limit they are
    /// counted too: one may be set while they are on.
    pub(crate) fn admit(&self, name: &str, most: Option<usize>) -> Option<AccountPlace> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(name.to_owned()).or_default();
        // A count of nothing stays for nobody: a limit of 0 may be asked for names without end.
        if most.is_some_and(|most| *count >= most) {
            if *count == 0 {
                counts.remove(name);
            }
            return None;
        }
        *count += 1;
        Some(AccountPlace { counts: self.counts.clone(), name: name.to_owned() })
    }

    /// How fast a new session of the account `name` may be, down and up: all of its sessions together, and this one. What
    /// is set now is so from now on for the sessions that run, too.
    pub(crate) fn paces(&self, name: &str, all: Rates, own_rates: Rates) -> (Pace, Pace) {
        let mut buckets = lock(&self.buckets);
        let known = buckets.get(name).map(|known| known.each_ref().map(Weak::upgrade)).unwrap_or_default();
        let [down, up] = [(all.down, &known[0]), (all.up, &known[1])].map(|(rate, known)| {
            let rate = rate?;
            let bucket = known.clone().unwrap_or_else(|| Arc::new(Bucket::new(rate)));
            bucket.set(rate);
            Some(bucket)
        });
        if down.is_some() || up.is_some() {
            buckets.retain(|_, known| known.iter().any(|bucket| bucket.strong_count() > 0));
            let weak = |bucket: &Option<Arc<Bucket>>| bucket.as_ref().map(Arc::downgrade).unwrap_or_default();
            buckets.insert(name.to_owned(), [weak(&down), weak(&up)]);
        }
        let own = |rate: Option<NonZeroU64>| rate.map(|rate| Arc::new(Bucket::new(rate)));
        (Pace::new(down.into_iter().chain(own(own_rates.down))), Pace::new(up.into_iter().chain(own(own_rates.up))))
    }
}

impl Drop for AccountPlace {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        match counts.get_mut(&self.name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(&self.name);
            }
        }
    }
}

/// Lets this process have as many descriptors as the system allows it: how many that is. Most systems give a process
/// 1,024 at first, which is fewer than the connections that a server allows. A program calls it once, when it starts.
pub fn raise_descriptor_limit() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where that is refused the old limit stays.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        getrlimit(Resource::Nofile).current
    }
    #[cfg(not(unix))]
    None
}

/// One customer of an IPv6 provider has 2^64 addresses and more: they count as one.
pub(crate) fn counted_as(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & !u128::from(u64::MAX)).into()),
        ip => ip,
    }
}

/// Counters stay true whatever panicked while they were held.
fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_stranger_makes_room_and_the_oldest_goes_first() {
        let connections = Connections::new(10, 2);
        let first = connections.admit(ip("10.0.0.1")).unwrap();
        let second = connections.admit(ip("10.0.0.1")).unwrap();
        let third = connections.admit(ip("::ffff:10.0.0.1")).unwrap();
        first.wanted().await;
        drop(first);
        second.logged_in();
        third.logged_in();
        assert_eq!(connections.admit(ip("10.0.0.1")).unwrap_err(), Refused::PerAddress);
        drop(second);
        assert!(connections.admit(ip("10.0.0.1")).is_ok());
        assert_eq!(lock(&connections.counts).leaving, 0);
    }

    #[tokio::test]
    async fn who_logs_out_is_a_stranger_again() {
        let connections = Connections::new(1, 1);
        let place = connections.admit(ip("10.0.0.1")).unwrap();
        place.logged_out();
        place.logged_in();
        assert!(connections.admit(ip("10.0.0.1")).is_err());
        place.logged_out();
        let second = connections.admit(ip("10.0.0.1")).unwrap();
        place.wanted().await;
        place.logged_in();
        place.logged_out();
        drop((place, second));
        let counts = lock(&connections.counts);
        assert_eq!((counts.total, counts.strangers.len(), counts.leaving), (0, 0, 0));
    }

    #[test]
    fn who_comes_costs_one_at_the_most_its_place() {
        let connections = Connections::new(2, 1);
        let _other = connections.admit(ip("10.0.0.1")).unwrap();
        let _first = connections.admit(ip("10.0.0.2")).unwrap();
        let _second = connections.admit(ip("10.0.0.2")).unwrap();
        let counts = lock(&connections.counts);
        assert_eq!((counts.leaving, counts.strangers.len()), (1, 2));
    }

    #[test]
    fn a_flood_waits_for_those_who_leave() {
        let connections = Connections::new(1000, 2);
        let admit = || (!connections.is_crowded()).then(|| connections.admit(ip("10.0.0.1")).unwrap());
        let places: Vec<_> = std::iter::from_fn(admit).take(1000).collect();
        assert_eq!(places.len(), 2 + MAX_LEAVING);
        drop(places);
        assert!(!connections.is_crowded());
    }

    #[test]
    fn all_addresses_together_have_a_limit() {
        let connections = Connections::new(2, 2);
        let places: Vec<_> = ["10.0.0.1", "10.0.0.2"].map(|a| connections.admit(ip(a)).unwrap()).into();
        places.iter().for_each(Place::logged_in);
        assert_eq!(connections.admit(ip("10.0.0.3")).unwrap_err(), Refused::Total);
        drop(places);
        assert!(connections.admit(ip("10.0.0.3")).is_ok());
        let counts = lock(&connections.counts);
        assert_eq!((counts.total, counts.by_address.len(), counts.strangers.len(), counts.leaving), (0, 0, 0, 0));
    }

    #[test]
    fn an_account_has_a_limit_of_its_own() {
        let accounts = Accounts::default();
        let first = accounts.admit("a", Some(1)).unwrap();
        assert!(accounts.admit("a", Some(1)).is_none());
        assert!(accounts.admit("b", Some(1)).is_some() && accounts.admit("c", None).is_some());
        drop(first);
        assert!(accounts.admit("a", Some(1)).is_some() && accounts.admit("d", Some(0)).is_none());
        assert!(lock(&accounts.counts).is_empty());
    }

    #[test]
    fn a_limit_that_is_set_later_counts_who_is_on() {
        let accounts = Accounts::default();
        let on = [(); 2].map(|()| accounts.admit("a", None).unwrap());
        assert!(accounts.admit("a", Some(2)).is_none());
        drop(on);
        assert!(accounts.admit("a", Some(2)).is_some());
    }

    #[tokio::test]
    async fn the_sessions_of_an_account_share_its_rates() {
        let accounts = Accounts::default();
        let rates = |n: u64| Rates { down: NonZeroU64::new(n), up: None };
        let (first, up) = accounts.paces("a", rates(1_000), Rates::default());
        let (second, _) = accounts.paces("a", rates(2_000), rates(500));
        let (other, _) = accounts.paces("b", rates(1_000), Rates::default());
        first.spend(10_000);
        up.spend(u64::MAX);
        assert!(!first.is_ready() && !second.is_ready() && other.is_ready() && up.is_ready());
        // 2,000 bytes a second for all of them from now on, and 500 for the second.
        assert_eq!((first.slice(1 << 20), second.slice(1 << 20)), (100, 64));
        drop((first, second, up));
        accounts.paces("c", rates(1), Rates::default());
        assert_eq!(lock(&accounts.buckets).len(), 2);
    }

    #[test]
    fn a_site_of_ipv6_counts_as_one_address() {
        let connections = Connections::new(10, 1);
        let place = connections.admit(ip("2001:db8::1")).unwrap();
        place.logged_in();
        assert_eq!(connections.admit(ip("2001:db8::2:1")).unwrap_err(), Refused::PerAddress);
        assert!(connections.admit(ip("2001:db8:0:1::1")).is_ok());
    }
}
