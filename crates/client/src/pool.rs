//! Several sessions with one server.

use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use port21_proto::client::Phase;
use port21_proto::event::ConnectionId;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::builder::Builder;
use crate::client::Client;
use crate::error::Error;
use crate::link::Known;
use crate::sink::Recorder;

/// A session that nobody has used for so long is asked whether it still stands, before it is given out again: NAT and
/// firewalls forget connections in silence.
const DOUBTFUL_AFTER: Duration = Duration::from_secs(30);

/// How long the answer may take.
const DOUBT: Duration = Duration::from_secs(5);

/// A session that nobody has used for so long is closed: a server that admits few has others to serve.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// After a refusal for want of room no further session is asked for so long; twice as long after each further refusal, up
/// to an hour.
const FULL_FOR: Duration = Duration::from_secs(60);
const FULL_FOR_AT_MOST: Duration = Duration::from_secs(3600);

/// Several sessions with one server, for as many transfers at once: opened when they are wanted, used again, and no more of
/// them than the server admits.
///
/// All sessions of a pool are begun with the same [`Builder`]: the same server, credentials and TLS. What has become different
/// in the hands of a user (another login or working directory, TLS ended by [`Client::clear_control`], any line sent by
/// [`Client::quote`]) is closed and not given to the next. So nobody ever gets a session that is less protected, or someone
/// else's. Use paths from the root, or from the directory that a login leads to.
///
/// A server that admits fewer sessions than the pool may open says so by 421, or by 530 to a login that it has taken before,
/// or hangs up. That is no error while another session of the pool stands: [`Pool::get`] then waits for one to be given
/// back, and no more are opened than are known to go ([`Pool::limit`]); after a minute, or later if that was in vain, one
/// more is tried. Until a first login has succeeded one is tried at a time, so that a wrong password is not sent many times at
/// once. What one session learns of the server's ways (EPSV that does not work, say) the later ones know.
///
/// Cheap to clone: clones are one pool.
///
/// ```no_run
/// # async fn example() -> Result<(), port21_client::Error> {
/// use port21_client::{Client, GetOptions, Pool, Target};
///
/// let target = Target::parse("ftp://ftp.example.org/pub")?;
/// let pool = Pool::new(Client::builder().target(&target), 4);
/// let fetch = |name: &'static str| {
///     let pool = pool.clone();
///     tokio::spawn(async move {
///         let mut session = pool.get().await?;
///         session.get_file(format!("pub/{name}"), name.as_ref(), &GetOptions::default(), &mut |_| {}).await
///     })
/// };
/// let (readme, changes) = (fetch("README"), fetch("CHANGES"));
/// for fetched in [readme, changes] {
///     fetched.await.expect("the task has not panicked")?;
/// }
/// pool.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// A session of a [`Pool`]: use it as a [`Client`]. Dropped, it is given back: where a call or a stream was given up in the midst,
/// it is brought in order before it is given out again, as by [`Client::ready`].
pub struct Pooled {
    /// There until it is dropped or closed.
    client: Option<Client>,
    slot: Slot,
}

struct Shared {
    settings: Builder,
    recorder: Recorder,
    max: usize,
    /// What a transfer needs is asked for with the login.
    transfers: bool,
    state: Mutex<State>,
    /// A session was given back, or there is room for one more.
    changed: Notify,
}

struct State {
    /// The one that was used last behind.
    idle: Vec<Idle>,
    /// Sessions that stand or are being opened, idle ones too.
    open: usize,
    /// Those that stand.
    standing: usize,
    /// No more are opened for now.
    limit: usize,
    /// When one more may be tried, and how long after a further refusal.
    again: Option<Instant>,
    full_for: Duration,
    /// A login has succeeded: what is refused from now on is not the password.
    proven: bool,
    known: Known,
    /// The events of the first session have the control connection's own name.
    named: bool,
}

/// A session that nobody uses. It counts as open: what a [`Slot`] stands for is the pool's own meanwhile.
struct Idle {
    client: Client,
    since: Instant,
}

/// Room for one session. Dropped, it makes room for another.
struct Slot {
    shared: Arc<Shared>,
    stands: bool,
    /// It is not to be given up when it is dropped.
    kept: bool,
}

/// How a session comes to whoever wants one.
enum Way {
    Used(Box<Idle>, Slot, Known),
    New(Slot, Known, ConnectionId),
    /// There is none, and no room.
    Wait,
}

impl Pool {
    /// A pool of at most `max` sessions (one at least). None is opened yet.
    ///
    /// More sessions than four seldom help and annoy servers' operators; what helps over long ways is more of them for many
    /// small files.
    pub fn new(settings: Builder, max: usize) -> Pool {
        Pool::build(settings, max, false)
    }

    /// As [`Pool::new`], of sessions whose first work is most often a transfer.
    pub(crate) fn for_transfers(settings: Builder, max: usize) -> Pool {
        Pool::build(settings, max, true)
    }

    fn build(settings: Builder, max: usize, transfers: bool) -> Pool {
        let max = max.max(1);
        let state = State {
            idle: Vec::new(),
            open: 0,
            standing: 0,
            limit: max,
            again: None,
            full_for: FULL_FOR,
            proven: false,
            known: Known::default(),
            named: false,
        };
        let recorder = Recorder::new(settings.sink.clone(), settings.clock);
        let shared = Shared { settings, recorder, max, transfers, state: Mutex::new(state), changed: Notify::new() };
        Pool { shared: Arc::new(shared) }
    }

    /// How many sessions the pool opens at most: what it was given, or fewer, as many as the server was seen to admit.
    pub fn limit(&self) -> usize {
        self.shared.state().limit
    }

    /// The settings that sessions are begun with.
    pub fn settings(&self) -> &Builder {
        &self.shared.settings
    }

    /// A session, logged in and in order: one that was given back, else a new one, where there is room for it; else waits for
    /// either. Whoever holds one and waits for a second may wait for ever: no more than [`Pool::limit`] are to be had.
    ///
    /// Cancel safety: the future may be dropped at any time, and nothing is lost.
    ///
    /// # Errors
    /// Those of [`Builder::open`].
    pub async fn get(&self) -> Result<Pooled, Error> {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            // From here on nothing is missed.
            changed.as_mut().enable();
            match self.shared.way() {
                Way::Used(idle, slot, known) => {
                    if let Some(client) = idle.again(&self.shared.settings, known).await {
                        return Ok(Pooled { client: Some(client), slot });
                    }
                }
                Way::New(mut slot, known, id) => {
                    let (settings, recorder) = (self.shared.settings.clone(), self.shared.recorder.clone());
                    match Client::log_in_at_once(settings, recorder, id, known, self.shared.transfers).await {
                        Ok(client) => {
                            slot.stand(client.link.known());
                            return Ok(Pooled { client: Some(client), slot });
                        }
                        Err(error) if self.shared.is_full(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                Way::Wait => self.shared.wait(changed).await,
            }
        }
    }

    /// Ends the sessions that nobody uses (QUIT). Those in use go on, and are kept when they are given back. Where the last of
    /// a pool's clones and sessions is dropped, what is left is closed without a word.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut self.shared.state().idle);
        let mut ending = JoinSet::new();
        for Idle { client, .. } in idle {
            let slot = self.shared.slot(true);
            ending.spawn(async move {
                let _slot = slot;
                client.quit().await
            });
        }
        // They are over either way.
        while ending.join_next().await.is_some() {}
    }
}

impl Pooled {
    /// Ends the session (QUIT), in place of giving it back. See [`Client::quit`].
    ///
    /// # Errors
    /// As [`Client::quit`].
    pub async fn quit(mut self) -> Result<(), Error> {
        match self.client.take() {
            Some(client) => client.quit().await.map(drop),
            None => Ok(()),
        }
    }
}

impl Deref for Pooled {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(client) = self.client.take_if(|client| client.is_as_begun() && client.is_connected()) {
            self.slot.give_back(client);
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Pool")
            .field("settings", &self.shared.settings)
            .field("open", &state.open)
            .field("idle", &state.idle.len())
            .field("limit", &state.limit)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pooled").field(&self.client).finish()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room that is counted already.
    fn slot(self: &Arc<Self>, stands: bool) -> Slot {
        Slot { shared: self.clone(), stands, kept: false }
    }

    fn way(self: &Arc<Self>) -> Way {
        let now = Instant::now();
        let mut state = self.state();
        let old = state.idle.iter().take_while(|idle| now.duration_since(idle.since) >= IDLE_LIMIT).count();
        let old: Vec<Idle> = state.idle.drain(..old).collect();
        state.forget(old.len());
        // One in which nothing is left to be cleared up, if there is one; and the one that was used last.
        let in_order = state.idle.iter().rposition(|idle| idle.client.link.session().is_idle());
        let used = in_order.or(state.idle.len().checked_sub(1)).map(|at| state.idle.remove(at));
        let way = match used {
            Some(idle) => Way::Used(Box::new(idle), self.slot(true), state.known),
            None if state.has_room(now, self.max) => {
                state.open += 1;
                let named = std::mem::replace(&mut state.named, true);
                let id = if named { self.recorder.name() } else { ConnectionId::CONTROL };
                Way::New(self.slot(false), state.known, id)
            }
            None => Way::Wait,
        };
        drop(state);
        // Closing tells the sink: not while others wait for the lock.
        drop(old);
        way
    }

    /// Waits until something has changed, or one more may be tried.
    async fn wait(&self, changed: Pin<&mut Notified<'_>>) {
        let again = self.state().again;
        match again {
            Some(again) => drop(tokio::time::timeout_at(again, changed).await),
            None => changed.await,
        }
    }

    /// Whether a session was refused because the server has no room for it beside the others. Then no more are opened than
    /// stand.
    fn is_full(&self, error: &Error) -> bool {
        let mut state = self.state();
        let number = error.reply().map_or(0, |reply| reply.code().number());
        let says_so = match error {
            Error::ServiceClosing { .. } => true,
            Error::Refused { phase: Phase::Greeting, .. } | Error::Closed { phase: Phase::Greeting } => true,
            // 4yz: not now.
            Error::Refused { phase: Phase::Login, .. } => state.proven && (number == 530 || number / 100 == 4),
            _ => false,
        };
        // Alone it is not the pool that takes the room.
        if !says_so || state.open < 2 {
            return false;
        }
        state.limit = state.standing.max(1);
        state.again = Instant::now().checked_add(state.full_for);
        state.full_for = (state.full_for * 2).min(FULL_FOR_AT_MOST);
        true
    }
}

impl State {
    /// Whether one more may be opened.
    fn has_room(&mut self, now: Instant, max: usize) -> bool {
        if self.open >= self.limit && self.again.is_some_and(|again| again <= now) {
            self.limit = (self.limit + 1).min(max);
            self.again = now.checked_add(self.full_for).filter(|_| self.limit < max);
        }
        self.open < if self.proven { self.limit } else { 1 }
    }

    /// So many that stood are gone.
    fn forget(&mut self, count: usize) {
        self.open -= count;
        self.standing -= count;
    }
}

impl Slot {
    /// The session stands.
    fn stand(&mut self, known: Known) {
        self.stands = true;
        let mut state = self.shared.state();
        state.known.join(known);
        state.standing += 1;
        state.limit = state.limit.max(state.standing);
        if !std::mem::replace(&mut state.proven, true) {
            drop(state);
            self.shared.changed.notify_waiters();
        }
    }

    fn give_back(&mut self, client: Client) {
        self.kept = true;
        let mut state = self.shared.state();
        state.known.join(client.link.known());
        state.idle.push(Idle { client, since: Instant::now() });
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut state = self.shared.state();
        state.open -= 1;
        state.standing -= usize::from(self.stands);
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Idle {
    /// Makes it as new; nothing where that is not to be had.
    async fn again(self, settings: &Builder, known: Known) -> Option<Client> {
        let Idle { mut client, since } = self;
        let doubtful = since.elapsed() >= DOUBTFUL_AFTER;
        if !client.is_usable().await {
            return None;
        }
        client.link.heed(known);
        client.set_mode(settings.mode);
        client.set_protect_data(settings.protect_data);
        client.settings.representation = settings.representation;
        if doubtful {
            let answer = tokio::time::timeout(DOUBT, client.noop()).await;
            // A refusal is an answer.
            return matches!(answer, Ok(Ok(_) | Err(Error::Refused { .. }))).then_some(client);
        }
        Some(client)
    }
}
