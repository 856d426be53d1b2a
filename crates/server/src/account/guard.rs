//! What failed logins lead to: answers that come later and later, and bans.
//!
//! Nobody but its owner decides whether an account can be used. So a ban is never of an account as such. An address that
//! fails often is banned, whichever names it tried. An account at which many addresses fail is *under attack*: an address
//! that fails on it even once is then refused for this account alone, unless a login to it from there has succeeded
//! before. Its owner, who types the password right, gets in from anywhere, and from where they were before with a few
//! mistakes too.
//!
//! All of it is by what was tried, never by which accounts there are: a name that nobody has leads to the same. A name at
//! one site is another one than at the next.
//! Everything is in memory and bounded. Bans can be taken along to the next server ([`Guard::bans`], [`Guard::restore`]),
//! attacks are forgotten: who has logged in from where is known no more, and the owners with that could not be told from
//! those who attack.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::counted_as;
use crate::network::Network;

/// What is done about failed logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Failed logins from one IPv4 address or IPv6 /64 network within `window` after which it is banned; 0: never.
    /// Default 10. Low values ban offices behind one address for one device with an old password.
    pub address_failures: u32,
    /// Failed logins to one account within `window`, from all addresses without a success, after which it counts as
    /// under attack; 0: never. Default 20.
    pub account_failures: u32,
    /// How long a failure counts. Default 10 minutes.
    pub window: Duration,
    /// How long a ban lasts. Default 1 hour.
    pub ban: Duration,
    /// The answer to the first failure of an address comes later by this, and by twice as much after each further one.
    /// Default 250 ms. It holds a connection of the one who waits, and nothing else.
    pub delay: Duration,
    /// The longest delay. Default 8 s: more would run into the limit for the time of a login.
    pub max_delay: Duration,
    /// Networks that are never banned or delayed. Default none. Whoever is in them may guess without end.
    pub exempt: Vec<Network>,
}

impl Default for GuardSettings {
    fn default() -> GuardSettings {
        GuardSettings {
            address_failures: 10,
            account_failures: 20,
            window: Duration::from_secs(600),
            ban: Duration::from_secs(3600),
            delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(8),
            exempt: Vec::new(),
        }
    }
}

/// The most addresses, accounts and pairs of both that are remembered, each: some 20 MB in all, and twice that with long
/// names. Beyond that the one that did nothing for longest is forgotten first.
const MOST: usize = 50_000;

/// The most bytes of a name that are remembered of a ban. No account has a name of so many.
const MOST_OF_NAME: usize = 256;

/// An account as somebody has tried it, whether there is such a one or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tried<'a> {
    /// The site that was named; nothing: the one to begin with.
    pub site: Option<&'a str>,
    /// The name as the client wrote it.
    pub user: &'a [u8],
}

/// A ban that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The address; of IPv6 the /64 network's first.
    pub address: IpAddr,
    /// What the address is banned from; nothing: from everything.
    pub from: Option<BannedFrom>,
    /// How many failures led to it.
    pub failures: u32,
    /// How long it still lasts.
    pub left: Duration,
}

/// An account that an address is banned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BannedFrom {
    /// As in [`Tried`].
    pub site: Option<String>,
    /// As in [`Tried`]: whatever a stranger wrote, its first 256 bytes.
    pub user: Vec<u8>,
}

/// Remembers failed logins.
#[derive(Debug)]
pub struct Guard {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: GuardSettings,
    addresses: Table<IpAddr, Record>,
    accounts: Table<u64, Record>,
    pairs: Table<(IpAddr, u64), Pair>,
    /// Names as they were tried, each as a number that nobody outside can foretell.
    names: RandomState,
    /// How often a ban has come or was lifted.
    changes: u64,
}

/// Failures of an address, or at an account.
#[derive(Debug, Default)]
struct Record {
    failures: u32,
    /// When the first of them was.
    since: Option<Instant>,
    /// An account: until when it counts as under attack.
    banned: Option<Instant>,
}

/// An address at an account.
#[derive(Debug, Default)]
struct Pair {
    /// A login has succeeded.
    is_known: bool,
    failures: u32,
    banned: Option<Instant>,
    /// Of a ban.
    from: Option<Box<BannedFrom>>,
}

impl Guard {
    /// Remembers nothing yet.
    pub fn new(settings: GuardSettings) -> Guard {
        let state = State {
            settings,
            addresses: Table::default(),
            accounts: Table::default(),
            pairs: Table::default(),
            names: RandomState::new(),
            changes: 0,
        };
        Guard { state: Mutex::new(state) }
    }

    /// Other settings, from now on. Bans that stand go on as they were.
    pub fn set(&self, settings: GuardSettings) {
        self.lock().settings = settings;
    }

    /// Whether an address is banned: nothing is to be asked of it.
    pub fn is_banned(&self, peer: IpAddr) -> bool {
        self.is_banned_at(peer, Instant::now())
    }

    /// Whether a login is to be refused without being looked at. To be answered as a wrong password is, after
    /// [`Guard::failed`].
    pub fn refuses(&self, peer: IpAddr, tried: Tried<'_>) -> bool {
        self.refuses_at(peer, tried, Instant::now())
    }

    /// A login has failed: how long to wait with the answer.
    pub fn failed(&self, peer: IpAddr, tried: Tried<'_>) -> Duration {
        self.failed_at(peer, tried, Instant::now())
    }

    /// A login has succeeded, by a password or what is as good: not a guest's.
    pub fn succeeded(&self, peer: IpAddr, tried: Tried<'_>) {
        let (mut state, address) = (self.lock(), counted_as(peer));
        let name = state.name(tried);
        let pair = state.pairs.entry((address, name));
        let mistakes = std::mem::replace(pair, Pair { is_known: true, ..Pair::default() }).failures;
        // Mistakes with one's own name are forgiven, not what was tried with others' from the same place.
        if mistakes > 0 {
            let of_address = state.addresses.entry(address);
            of_address.failures = of_address.failures.saturating_sub(mistakes);
        }
    }

    /// The bans that stand, those of addresses first.
    pub fn bans(&self) -> Vec<Ban> {
        let (state, now) = (self.lock(), Instant::now());
        let left = |until: Option<Instant>| until.and_then(|until| until.checked_duration_since(now));
        let whole = state.addresses.iter().filter_map(|(&address, record)| {
            let left = left(record.banned)?;
            Some(Ban { address, from: None, failures: record.failures, left })
        });
        let pairs = state.pairs.iter().filter_map(|((address, _), pair)| {
            let left = left(pair.banned)?;
            Some(Ban { address: *address, from: pair.from.as_deref().cloned(), failures: pair.failures, left })
        });
        whole.chain(pairs).collect()
    }

    /// Takes up bans that an earlier server had, each for what is left of it: no longer than a ban lasts now, and none of
    /// networks that are exempt now.
    pub fn restore(&self, bans: impl IntoIterator<Item = Ban>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let now = Instant::now();
        for Ban { address, from, failures, left } in bans {
            let until = now.checked_add(left.min(state.settings.ban));
            if left.is_zero() || state.settings.exempt.iter().any(|network| network.contains(address)) {
                continue;
            }
            let address = counted_as(address);
            match from {
                None => {
                    let of_address = state.addresses.entry(address);
                    (of_address.banned, of_address.failures) = (of_address.banned.max(until), failures);
                }
                // What was cut off is another name.
                Some(from) if from.user.len() >= MOST_OF_NAME => continue,
                Some(from) => {
                    let tried = Tried { site: from.site.as_deref(), user: &from.user };
                    let pair = state.pairs.entry((address, state.names.hash_one(tried)));
                    (pair.banned, pair.failures) = (pair.banned.max(until), failures);
                    pair.from = Some(Box::new(from));
                }
            }
            state.changes += 1;
        }
    }

    /// How often a ban has come, was made longer or was lifted: another number, and [`Guard::bans`] has something new.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Lifts all bans of an address and forgets its failures; whether there was a ban.
    pub fn lift(&self, peer: IpAddr) -> bool {
        let (mut state, address) = (self.lock(), counted_as(peer));
        let whole = state.addresses.remove(&address).is_some_and(|record| record.banned.is_some());
        let mut any = whole;
        state.pairs.retain(|(other, _), pair| {
            let lifts = *other == address && pair.banned.is_some();
            any |= lifts;
            !lifts
        });
        state.changes += u64::from(any);
        any
    }

    /// Lifts all bans from an account, and it is no longer under attack; whether there was any.
    pub fn lift_account(&self, tried: Tried<'_>) -> bool {
        let mut state = self.lock();
        let name = state.name(tried);
        let mut any = state.accounts.remove(&name).is_some_and(|record| record.banned.is_some());
        state.pairs.retain(|(_, other), pair| {
            let lifts = *other == name && pair.banned.is_some();
            any |= lifts;
            !lifts
        });
        state.changes += u64::from(any);
        any
    }

    fn is_banned_at(&self, peer: IpAddr, now: Instant) -> bool {
        let state = self.lock();
        // The table is empty almost always, and this is asked at each connection.
        !state.addresses.is_empty()
            && state.addresses.get(&counted_as(peer)).is_some_and(|record| is_later(record.banned, now))
    }

    fn refuses_at(&self, peer: IpAddr, tried: Tried<'_>, now: Instant) -> bool {
        if self.is_banned_at(peer, now) {
            return true;
        }
        let state = self.lock();
        let pair = state.pairs.get(&(counted_as(peer), state.name(tried)));
        pair.is_some_and(|pair| is_later(pair.banned, now))
    }

    fn failed_at(&self, peer: IpAddr, tried: Tried<'_>, now: Instant) -> Duration {
        let mut guard = self.lock();
        let state = &mut *guard;
        let (settings, address) = (&state.settings, counted_as(peer));
        if settings.exempt.iter().any(|network| network.contains(peer)) {
            return Duration::ZERO;
        }
        let name = state.names.hash_one(tried);
        let until = now.checked_add(settings.ban);

        let of_address = state.addresses.entry(address);
        of_address.count(now, settings.window);
        if settings.address_failures > 0 && of_address.failures >= settings.address_failures {
            of_address.banned = of_address.banned.max(until);
            state.changes += 1;
        }
        let doublings = of_address.failures.saturating_sub(1).min(16);
        let delay = settings.delay.saturating_mul(1 << doublings).min(settings.max_delay);

        let pair = state.pairs.entry((address, name));
        pair.failures = pair.failures.saturating_add(1);
        // Whoever has the password from here cannot be the attacker from elsewhere.
        if pair.is_known || settings.account_failures == 0 {
            return delay;
        }
        let of_account = state.accounts.entry(name);
        of_account.count(now, settings.window);
        if of_account.failures >= settings.account_failures {
            of_account.banned = of_account.banned.max(until);
        }
        if is_later(of_account.banned, now) {
            pair.banned = pair.banned.max(until);
            let user = tried.user.get(..MOST_OF_NAME).unwrap_or(tried.user).to_vec();
            pair.from = Some(Box::new(BannedFrom { site: tried.site.map(str::to_owned), user }));
            state.changes += 1;
        }
        delay
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No step leaves the tables half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Guard {
    fn default() -> Guard {
        Guard::new(GuardSettings::default())
    }
}

impl State {
    fn name(&self, tried: Tried<'_>) -> u64 {
        self.names.hash_one(tried)
    }
}

impl Record {
    /// One more failure. Those of an earlier window are forgotten.
    fn count(&mut self, now: Instant, window: Duration) {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) > window) {
            self.failures = 0;
            self.since = Some(now);
        }
        self.failures = self.failures.saturating_add(1);
    }
}

fn is_later(until: Option<Instant>, now: Instant) -> bool {
    until.is_some_and(|until| until > now)
}

/// A map with at most [`MOST`] entries. Each has the number of the last change to it; where there is no room, the half
/// that was changed longest ago goes.
#[derive(Debug)]
struct Table<K, V> {
    map: HashMap<K, (u64, V)>,
    turn: u64,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table { map: HashMap::new(), turn: 0 }
    }
}

impl<K: Eq + Hash + Clone, V: Default> Table<K, V> {
    /// The value of a key, about to be changed.
    fn entry(&mut self, key: K) -> &mut V {
        if self.map.len() >= MOST && !self.map.contains_key(&key) {
            let mut turns: Vec<u64> = self.map.values().map(|(turn, _)| *turn).collect();
            let middle = turns.len() / 2;
            let (_, limit, _) = turns.select_nth_unstable(middle);
            let limit = *limit;
            self.map.retain(|_, (turn, _)| *turn > limit);
        }
        self.turn += 1;
        let (turn, value) = match self.map.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert((0, V::default())),
        };
        *turn = self.turn;
        value
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(|(_, value)| value)
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key).map(|(_, value)| value)
    }

    fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.map.retain(|key, (_, value)| keep(key, value));
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter().map(|(key, (_, value))| (key, value))
    }

    fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + n).into())
    }

    /// At the site to begin with.
    fn at(user: &[u8]) -> Tried<'_> {
        Tried { site: None, user }
    }

    fn banned_user(ban: &Ban) -> Option<&[u8]> {
        ban.from.as_ref().map(|from| from.user.as_slice())
    }

    fn guard() -> Guard {
        Guard::new(GuardSettings { address_failures: 5, account_failures: 8, ..GuardSettings::default() })
    }

    #[test]
    fn an_address_that_fails_often_is_banned_for_a_time() {
        let (guard, now) = (guard(), Instant::now());
        let mut delays = Vec::new();
        for n in 0..5 {
            assert!(!guard.is_banned_at(ip(1), now));
            delays.push(guard.failed_at(ip(1), at(format!("user{n}").as_bytes()), now).as_millis());
        }
        assert_eq!(delays, [250, 500, 1000, 2000, 4000]);
        assert!(guard.is_banned_at(ip(1), now) && guard.refuses_at(ip(1), at(b"anybody"), now));
        assert!(!guard.is_banned_at(ip(2), now));
        assert_eq!(guard.bans().len(), 1);
        assert!(!guard.is_banned_at(ip(1), now + Duration::from_secs(3601)));
        assert!(guard.lift(ip(1)) && !guard.is_banned_at(ip(1), now) && !guard.lift(ip(1)));
        assert!(guard.bans().is_empty());
    }

    #[test]
    fn failures_are_forgotten_with_time_and_by_a_success() {
        let (guard, now) = (guard(), Instant::now());
        for n in 0..20 {
            guard.failed_at(ip(1), at(b"ann"), now + n * 200 * SECOND);
            assert!(!guard.is_banned_at(ip(1), now + n * 200 * SECOND));
        }
        for _ in 0..4 {
            guard.failed_at(ip(2), at(b"bob"), now);
        }
        guard.succeeded(ip(2), at(b"bob"));
        assert_eq!(guard.failed_at(ip(2), at(b"bob"), now), Duration::from_millis(250));
        // A login of one's own is no way to more tries at another's.
        for _ in 0..3 {
            guard.failed_at(ip(2), at(b"ann"), now);
            guard.succeeded(ip(2), at(b"bob"));
        }
        guard.failed_at(ip(2), at(b"ann"), now);
        guard.failed_at(ip(2), at(b"ann"), now);
        assert!(guard.is_banned_at(ip(2), now));
    }

    /// Many addresses, each with fewer failures than ban it.
    fn attack(guard: &Guard, user: &[u8], now: Instant) {
        for n in 100..120 {
            guard.failed_at(ip(n), at(user), now);
        }
    }

    #[test]
    fn strangers_do_not_lock_out_an_owner() {
        let (guard, now) = (guard(), Instant::now());
        guard.succeeded(ip(1), at(b"ann"));
        attack(&guard, b"ann", now);
        // From where the owner was before: mistakes are forgiven.
        guard.failed_at(ip(1), at(b"ann"), now);
        assert!(!guard.refuses_at(ip(1), at(b"ann"), now));
        // From anywhere else: the password has to be right at once.
        assert!(!guard.refuses_at(ip(2), at(b"ann"), now));
        guard.failed_at(ip(2), at(b"ann"), now);
        assert!(guard.refuses_at(ip(2), at(b"ann"), now) && !guard.refuses_at(ip(2), at(b"bob"), now));
        assert!(guard.refuses_at(ip(119), at(b"ann"), now) && !guard.is_banned_at(ip(119), now));
        assert!(guard.bans().iter().all(|ban| banned_user(ban) == Some(b"ann")));
        assert!(guard.lift_account(at(b"ann")) && guard.bans().is_empty());
        guard.failed_at(ip(3), at(b"ann"), now);
        assert!(!guard.refuses_at(ip(3), at(b"ann"), now) && !guard.lift_account(at(b"ann")));
    }

    #[test]
    fn a_name_that_nobody_has_leads_to_the_same() {
        let (guard, now) = (guard(), Instant::now());
        attack(&guard, b"nobody\r\n", now);
        assert!(guard.refuses_at(ip(119), at(b"nobody\r\n"), now));
        assert!(guard.bans().iter().all(|ban| banned_user(ban) == Some(b"nobody\r\n")));
    }

    #[test]
    fn a_name_at_one_site_is_not_that_at_another() {
        let (guard, now) = (guard(), Instant::now());
        let there = Tried { site: Some("there.example"), user: b"ann" };
        attack(&guard, b"ann", now);
        guard.failed_at(ip(1), at(b"ann"), now);
        guard.failed_at(ip(2), there, now);
        assert!(guard.refuses_at(ip(1), at(b"ann"), now) && !guard.refuses_at(ip(1), there, now));
        assert!(!guard.refuses_at(ip(2), there, now) && !guard.lift_account(there));
        assert!(guard.lift_account(at(b"ann")));
    }

    #[test]
    fn bans_are_taken_along_to_the_next_server() {
        let (first, now) = (guard(), Instant::now());
        let there = Tried { site: Some("there.example"), user: b"ann" };
        for n in 100..120 {
            first.failed_at(ip(n), there, now);
        }
        for _ in 0..5 {
            first.failed_at(ip(1), at(b"bob"), now);
        }
        let long = vec![b'x'; 1000];
        attack(&first, &long, now);
        let bans = first.bans();
        assert!(bans.iter().filter_map(banned_user).all(|user| user.len() <= MOST_OF_NAME));
        let exempt = vec!["10.0.0.119/32".parse().unwrap()];
        let second = Guard::new(GuardSettings { exempt, ban: 60 * SECOND, ..GuardSettings::default() });
        let before = second.changes();
        second.restore(bans);
        assert_ne!(second.changes(), before);
        assert!(second.is_banned_at(ip(1), now) && second.refuses_at(ip(118), there, now));
        assert!(!second.refuses_at(ip(118), at(b"ann"), now) && !second.refuses_at(ip(119), there, now));
        // No longer than now; what was cut off names nobody; and the owner gets in from elsewhere, and may mistype.
        assert!(!second.is_banned_at(ip(1), now + 100 * SECOND));
        assert!(second.bans().iter().filter_map(banned_user).all(|user| user == b"ann"));
        second.failed_at(ip(7), there, now);
        assert!(!second.refuses_at(ip(7), there, now));
        let gone = second.changes();
        assert!(second.lift(ip(1)) && second.changes() > gone);
    }

    #[test]
    fn who_is_exempt_and_what_is_off() {
        let exempt = vec!["10.0.0.0/8".parse().unwrap()];
        let off = GuardSettings { exempt, ..GuardSettings::default() };
        let never = GuardSettings { address_failures: 0, account_failures: 0, ..GuardSettings::default() };
        for (settings, delay) in [(off, Duration::ZERO), (never, 8 * SECOND)] {
            let (guard, now) = (Guard::new(settings), Instant::now());
            for _ in 0..100 {
                guard.failed_at(ip(1), at(b"ann"), now);
            }
            assert!(!guard.refuses_at(ip(1), at(b"ann"), now));
            assert_eq!(guard.failed_at(ip(1), at(b"ann"), now), delay);
        }
    }

    #[test]
    fn a_site_of_ipv6_counts_as_one_address() {
        let (guard, now) = (guard(), Instant::now());
        for n in 0..5_u16 {
            guard.failed_at(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]), at(b"ann"), now);
        }
        assert!(guard.is_banned_at("2001:db8:0:1::ffff".parse().unwrap(), now));
        assert!(!guard.is_banned_at("2001:db8:0:2::".parse().unwrap(), now));
    }

    #[test]
    fn no_flood_of_addresses_or_names_makes_it_grow_without_end() {
        let mut table: Table<u32, u32> = Table::default();
        for n in 0..3 * MOST as u32 {
            *table.entry(n) = n;
            *table.entry(7) = 7;
        }
        assert!(table.map.len() <= MOST);
        assert_eq!((table.get(&7), table.get(&8)), (Some(&7), None));
        assert_eq!(table.get(&(3 * MOST as u32 - 1)), Some(&(3 * MOST as u32 - 1)));
    }
}
