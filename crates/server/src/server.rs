//! A server: its listeners, its sessions, its end.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::Time;
use port21_proto::server::TlsMode;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::account::Authenticator;
use crate::account::guard::Guard;
use crate::activity::{Activity, ActivitySink};
use crate::clock::Clock;
use crate::data::active::Active;
use crate::data::passive::PassivePorts;
use crate::events::{EventSink, EventSinks, Events, NewSession};
use crate::handle::{Order, ReloadError, Reloaded, ServerHandle};
use crate::limits::{Accounts, Connections, Refused};
use crate::listen::{Listen, ListenError, Listener};
use crate::proxy::{Ends, Proxies, ProxyError};
use crate::registry::{Refusal, Registry};
use crate::session::Session;
use crate::settings::Settings;
use crate::sites::{Site, Sites};
use crate::tls::{Tls, TlsSettings};

/// The pause after an error of accept that will come again at once: mostly the process has no descriptor left, and only
/// the end of a session changes that.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// So many connections of proxies may be waited on for their header.
const MAX_ARRIVING: usize = 256;

/// While those who were asked to go have not gone, newcomers by way of a proxy look again after this.
const CROWDED_PAUSE: Duration = Duration::from_millis(5);

/// How long sessions have to end once they were cut off: for writes that are under way.
const CUT_OFF: Duration = Duration::from_secs(2);

/// So many orders of handles may wait.
const MAX_ORDERS: usize = 8;

/// So many connections that wait at a listener are served yet when it is closed.
const MAX_DRAINED: usize = 1024;

/// An FTP server.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use port21_server::{Authenticator, Server, Settings};
/// # async fn example(authenticator: Arc<dyn Authenticator>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut server = Server::builder(authenticator).settings(Settings::default()).build();
/// server.listen("[::]:2121".parse::<std::net::SocketAddr>()?)?;
/// server.run(async { /* until a signal comes */ }).await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    handle: ServerHandle,
    orders: mpsc::Receiver<Order>,
}

/// Makes a [`Server`].
pub struct ServerBuilder {
    authenticator: Arc<dyn Authenticator>,
    settings: Settings,
    sites: Vec<Site>,
    sinks: Option<EventSinks>,
    activities: Option<ActivitySink>,
    tls: Option<Tls>,
}

/// Why a server cannot speak TLS with these settings.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub struct TlsSetupError(rustls::Error);

impl ServerBuilder {
    /// What places need where TLS is spoken: see [`Listen::with_tls`].
    ///
    /// # Errors
    /// [`TlsSetupError`] where the settings do not go together.
    pub fn tls(mut self, settings: TlsSettings) -> Result<ServerBuilder, TlsSetupError> {
        self.tls = Some(Tls::new(settings).map_err(TlsSetupError)?);
        Ok(self)
    }

    /// The settings; without this call [`Settings::default`].
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> ServerBuilder {
        self.settings = settings;
        self
    }

    /// One more site, for clients that name it with HOST. Where two have a name, it is the first one's.
    #[must_use]
    pub fn site(mut self, site: Site) -> ServerBuilder {
        self.sites.push(site);
        self
    }

    /// Watches sessions: `sinks` is asked for a sink at each connection that is let in. A session without one costs
    /// nothing; one that has one, an allocation an event.
    #[must_use]
    pub fn events(mut self, sinks: impl Fn(&NewSession) -> Option<EventSink> + Send + Sync + 'static) -> ServerBuilder {
        self.sinks = Some(Arc::new(sinks));
        self
    }

    /// Takes the activities of all sessions: logins, transfers, removals. Default: nobody does.
    #[must_use]
    pub fn activities(mut self, sink: impl Fn(&Activity) + Send + Sync + 'static) -> ServerBuilder {
        self.activities = Some(Arc::new(sink));
        self
    }

    /// The server. It listens nowhere yet.
    pub fn build(self) -> Server {
        let registry = Arc::<Registry>::default();
        let shared = Shared::new(
            self,
            Lasting {
                clock: Clock::start(),
                passive_ports: PassivePorts::new(None, registry.clone()),
                active: Arc::default(),
                accounts: Arc::default(),
                guard: Arc::default(),
                advertised: Arc::default(),
                registry,
                arriving: Arc::new(Semaphore::new(MAX_ARRIVING)),
            },
        );
        let (sender, orders) = mpsc::channel(MAX_ORDERS);
        shared.take_over();
        let handle = ServerHandle {
            registry: shared.registry.clone(),
            advertised: shared.advertised.clone(),
            passive: shared.passive_ports.in_use(),
            guard: shared.guard.clone(),
            clock: shared.clock,
            orders: sender,
        };
        Server { shared: Arc::new(shared), listeners: Vec::new(), handle, orders }
    }
}

impl Server {
    /// A server whose logins are decided by `authenticator`.
    pub fn builder(authenticator: Arc<dyn Authenticator>) -> ServerBuilder {
        ServerBuilder {
            authenticator,
            settings: Settings::default(),
            sites: Vec::new(),
            sinks: None,
            activities: None,
            tls: None,
        }
    }

    /// Listens at this place too. `[::]` takes IPv4 as well, unless this server already listens at an IPv4 address with the
    /// same port. Clients that connect wait until [`Server::run`]. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`] names the address: also where TLS is wanted and [`ServerBuilder::tls`] was not called.
    pub fn listen(&mut self, place: impl Into<Listen>) -> Result<SocketAddr, ListenError> {
        let place = place.into();
        self.shared.serves(place)?;
        let listener = Listener::open(place, self.listeners.iter(), self.shared.settings.backlog)?;
        Ok(self.add(listener))
    }

    /// Takes a socket that listens already, opened by whoever has started this process, for this place. Call it within a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`ListenError::Other`] where it is no such socket; else as [`Server::listen`].
    pub fn adopt(
        &mut self,
        place: impl Into<Listen>,
        socket: std::net::TcpListener,
    ) -> Result<SocketAddr, ListenError> {
        let place = place.into();
        self.shared.serves(place)?;
        let listener = Listener::adopt(place, socket)?;
        Ok(self.add(listener))
    }

    fn add(&mut self, listener: Listener) -> SocketAddr {
        let bound = listener.bound;
        info!(addr = %bound, tls = ?listener.wanted.tls, "listening");
        self.listeners.push(listener);
        bound
    }

    /// Where the server listens, in the order of the calls of [`Server::listen`].
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|listener| listener.bound).collect()
    }

    /// Looks at the server and tells it what to do while it runs.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until `shutdown` ends: then nobody new is let in, running transfers end (for
    /// [`shutdown_grace`](Settings::shutdown_grace) at most), every client is told, and this returns.
    ///
    /// Dropped, all sessions are cut off.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        // The handle stays: while one is there, nobody who waits for an order has to ask whether any can come.
        let Server { mut shared, mut listeners, handle: _handle, mut orders } = self;
        let settings = &shared.settings;
        let mut connections = Connections::new(settings.max_connections, settings.max_connections_per_address);
        let (tell, told) = watch::channel(Phase::Serving);
        let mut sessions = JoinSet::new();
        let mut turn = 0;
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                    if let Err(error) = ended {
                        error!(%error, "a session panicked: this is a fault of the server, please report it");
                    }
                }
                Some(Order::Reload(new, wanted, answer)) = orders.recv() => {
                    let backlog = new.settings.backlog;
                    let new = Shared::new(*new, shared.lasting());
                    let served = wanted.iter().try_for_each(|place| new.serves(*place)).map_err(ReloadError::from);
                    let relistened = served.and_then(|()| relisten(&mut listeners, &wanted, backlog));
                    let result = relistened.map(|(reloaded, closed)| {
                        // Whoever has connected there before it was closed is served yet.
                        for accepted in closed.iter().flat_map(drain) {
                            let_in(&mut sessions, &shared, &connections, accepted, &told);
                        }
                        new.take_over();
                        shared = Arc::new(new);
                        let settings = &shared.settings;
                        connections =
                            connections.with_limits(settings.max_connections, settings.max_connections_per_address);
                        info!(opened = ?reloaded.opened, closed = ?reloaded.closed, "new settings");
                        reloaded
                    });
                    // Whoever has asked may have gone.
                    let _ = answer.send(result);
                }
                // Where it is crowded, the end of a session wakes this loop.
                accepted = accept(&listeners, &mut turn), if !connections.is_crowded() => match accepted {
                    Ok(accepted) => let_in(&mut sessions, &shared, &connections, accepted, &told),
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        match shared.registry.throttles.accept.pass() {
                            Some(unwritten) => warn!(%error, unwritten, "cannot accept connections for the moment"),
                            None => debug!(%error, "cannot accept connections for the moment"),
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listeners);
        info!(sessions = sessions.len(), "shutting down");
        // No session is left to hear it: all have ended.
        let _ = tell.send(Phase::Ending);
        if !all_end(&mut sessions, shared.settings.shutdown_grace).await {
            warn!(sessions = sessions.len(), "cutting off the sessions that are left");
            let _ = tell.send(Phase::Over);
            if !all_end(&mut sessions, CUT_OFF).await {
                sessions.shutdown().await;
            }
        }
    }
}

/// What is told to all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All is well.
    Serving,
    /// Running transfers may end, nothing else is begun.
    Ending,
    /// Everything ends now.
    Over,
}

/// Waits for all sessions to end: whether they have.
async fn all_end(sessions: &mut JoinSet<()>, patience: Duration) -> bool {
    timeout(patience, async { while sessions.join_next().await.is_some() {} }).await.is_ok()
}

/// What all sessions share that have begun under the same settings.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) sites: Sites,
    sinks: Option<EventSinks>,
    pub(crate) activities: Option<ActivitySink>,
    pub(crate) clock: Clock,
    pub(crate) passive_ports: PassivePorts,
    pub(crate) active: Arc<Active>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) advertised: Arc<Advertised>,
    pub(crate) registry: Arc<Registry>,
    /// A permit for each digest that may be computed at a time.
    pub(crate) digests: Semaphore,
    pub(crate) proxies: Proxies,
    arriving: Arc<Semaphore>,
    pub(crate) tls: Option<Tls>,
}

/// What of that is the same whatever the settings are.
struct Lasting {
    clock: Clock,
    passive_ports: PassivePorts,
    active: Arc<Active>,
    accounts: Arc<Accounts>,
    guard: Arc<Guard>,
    advertised: Arc<Advertised>,
    registry: Arc<Registry>,
    arriving: Arc<Semaphore>,
}

impl Shared {
    fn new(builder: ServerBuilder, lasting: Lasting) -> Shared {
        let ServerBuilder { authenticator, settings, sites, sinks, activities, tls } = builder;
        let first = Site { names: settings.names.clone(), session: settings.session.clone(), authenticator };
        let Lasting { clock, passive_ports, active, accounts, guard, advertised, registry, arriving } = lasting;
        Shared {
            sites: Sites::new(first, sites),
            sinks,
            activities,
            clock,
            passive_ports: passive_ports.with_range(settings.passive_ports.clone()),
            active,
            accounts,
            guard,
            advertised,
            registry,
            digests: Semaphore::new(settings.digests.max(1)),
            proxies: Proxies::new(&settings.proxies),
            arriving,
            tls,
            settings,
        }
    }

    /// From now on these settings are those of what lasts, too. Until then nothing has changed, and nothing need be taken
    /// back.
    fn take_over(&self) {
        self.guard.set(self.settings.guard.clone());
        self.advertised.set(self.settings.advertise);
        self.passive_ports.take_over();
    }

    /// Whether there is what this place needs.
    fn serves(&self, place: Listen) -> Result<(), ListenError> {
        if place.tls != TlsMode::Off && self.tls.is_none() {
            Err(ListenError::NoCertificate(place.addr))
        } else {
            Ok(())
        }
    }

    fn lasting(&self) -> Lasting {
        Lasting {
            clock: self.clock,
            passive_ports: self.passive_ports.clone(),
            active: self.active.clone(),
            accounts: self.accounts.clone(),
            guard: self.guard.clone(),
            advertised: self.advertised.clone(),
            registry: self.registry.clone(),
            arriving: self.arriving.clone(),
        }
    }

    fn drops_proxy(&self, proxy: SocketAddr, error: &ProxyError) {
        // Looking whether somebody listens, and hanging up, is what many proxies do every second.
        if matches!(error, ProxyError::Io(_)) {
            debug!(%proxy, %error, "a proxy connected, and no client with it");
        } else if let Some(unwritten) = self.registry.throttles.proxy.pass() {
            warn!(%proxy, %error, unwritten, "dropped a connection of a proxy");
        }
    }

    /// The events of a session that begins, where somebody watches it.
    pub(crate) fn watch(&self, number: u64, peer: SocketAddr, local: SocketAddr, at: Time) -> Option<Arc<Events>> {
        let sink = self.sinks.as_ref()?(&NewSession { number, peer, local, at })?;
        Some(Arc::new(Events::new(sink, self.clock)))
    }
}

/// The address that PASV tells to peers outside of the local networks; 0.0.0.0 stands for none.
#[derive(Debug, Default)]
pub(crate) struct Advertised(AtomicU32);

impl Advertised {
    pub(crate) fn set(&self, address: Option<Ipv4Addr>) {
        self.0.store(address.unwrap_or(Ipv4Addr::UNSPECIFIED).to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from_bits(self.0.load(Ordering::Relaxed))).filter(|address| !address.is_unspecified())
    }
}

/// Opens what is new and takes out what is not wanted any more, or changes nothing.
fn relisten(
    listeners: &mut Vec<Listener>,
    wanted: &[Listen],
    backlog: u32,
) -> Result<(Reloaded, Vec<Listener>), ReloadError> {
    let mut opened = Vec::<Listener>::new();
    for place in wanted {
        // What is set for a place may change; its socket stays.
        if listeners.iter().chain(&opened).any(|listener| listener.wanted.addr == place.addr) {
            continue;
        }
        let goes = |listener: &&Listener| wanted_at(wanted, listener).is_none();
        let leaving = listeners.iter().filter(goes).any(|listener| listener.bound.port() == place.addr.port());
        let stay = listeners.iter().filter(|listener| !goes(listener)).chain(&opened);
        match Listener::open(*place, stay, backlog) {
            Ok(listener) => opened.push(listener),
            Err(ListenError::Taken(addr)) if leaving => return Err(ReloadError::Overlaps(addr)),
            Err(error) => return Err(error.into()),
        }
    }
    let (mut stay, closed): (Vec<_>, Vec<_>) =
        std::mem::take(listeners).into_iter().partition(|listener| wanted_at(wanted, listener).is_some());
    for listener in &mut stay {
        listener.wanted = wanted_at(wanted, listener).unwrap_or(listener.wanted);
    }
    let bound = |listeners: &[Listener]| listeners.iter().map(|listener| listener.bound).collect();
    let reloaded = Reloaded { opened: bound(&opened), closed: bound(&closed) };
    // The socket of a place stays, whatever else is set for it from now on.
    listeners.extend(stay.into_iter().map(|listener| {
        let same = wanted.iter().find(|place| **place == listener.wanted);
        let wanted = same.or_else(|| wanted.iter().find(|place| place.addr == listener.wanted.addr)).copied();
        Listener { wanted: wanted.unwrap_or(listener.wanted), ..listener }
    }));
    listeners.extend(opened);
    Ok((reloaded, closed))
}

/// What is wanted of a listener from now on.
fn wanted_at(wanted: &[Listen], listener: &Listener) -> Option<Listen> {
    let same = wanted.iter().find(|place| **place == listener.wanted);
    same.or_else(|| wanted.iter().find(|place| place.addr == listener.wanted.addr)).copied()
}

/// A connection, and what is set for the place where it came.
type Accepted = (TcpStream, SocketAddr, Listen);

/// The connections that wait at a listener which is about to be closed.
fn drain(listener: &Listener) -> impl Iterator<Item = Accepted> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    std::iter::from_fn(move || match listener.socket.poll_accept(&mut cx) {
        Poll::Ready(accepted) => accepted.ok().map(|(stream, peer)| (stream, peer, listener.wanted)),
        Poll::Pending => None,
    })
    .take(MAX_DRAINED)
}

/// Begins a session for a connection, where the limits allow one. A proxy's is waited on first for its header, beside all
/// else.
fn let_in(
    sessions: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    connections: &Connections,
    (stream, from, place): Accepted,
    told: &watch::Receiver<Phase>,
) {
    if !shared.proxies.contains(from) {
        // The connection may be gone already: then there is nobody to serve.
        if let Ok(ends) = Ends::direct(&stream, from)
            && let Some(mut session) = admit(shared, connections, (stream, ends, place.tls), told)
        {
            sessions.spawn(async move { session.run().await });
        }
        return;
    }
    let Ok(arriving) = shared.arriving.clone().try_acquire_owned() else {
        shared.registry.refused(Refusal::Connections);
        return shared.drops_proxy(from, &ProxyError::TooMany);
    };
    let (shared, connections, mut told) = (shared.clone(), connections.clone(), told.clone());
    sessions.spawn(async move {
        let ends = tokio::select! {
            ends = Ends::behind_proxy(&stream, from) => ends,
            // Nobody new is let in.
            _ = told.changed() => return,
        };
        while connections.is_crowded() {
            sleep(CROWDED_PAUSE).await;
        }
        let session = match ends {
            Ok(ends) => admit(&shared, &connections, (stream, ends, place.tls), &told),
            Err(error) => return shared.drops_proxy(from, &error),
        };
        drop(arriving);
        if let Some(mut session) = session {
            session.run().await;
        }
    });
}

/// A session for a connection, where the limits allow one.
fn admit(
    shared: &Arc<Shared>,
    connections: &Connections,
    (stream, ends, tls): (TcpStream, Ends, TlsMode),
    told: &watch::Receiver<Phase>,
) -> Option<Session> {
    let peer = ends.peer;
    if shared.guard.is_banned(peer.ip()) {
        shared.registry.refused(Refusal::Banned);
        debug!(%peer, "refused a connection: the address is banned");
        send_last(&stream, tls, "421 Too many failed logins from your address, try again later.\r\n");
        return None;
    }
    match connections.admit(peer.ip()) {
        // The connection may be gone already: then there is nobody to tell.
        Ok(place) => Session::new(shared.clone(), stream, ends, tls, place, told.clone()).ok(),
        Err(refused) => {
            let why = match refused {
                Refused::Total => "421 Too many connections, try again later.\r\n",
                Refused::PerAddress => "421 Too many connections from your address, try again later.\r\n",
            };
            shared.registry.refused(match refused {
                Refused::Total => Refusal::Connections,
                Refused::PerAddress => Refusal::Address,
            });
            if let Some(unwritten) = shared.registry.throttles.refused.pass() {
                warn!(%peer, ?refused, unwritten, "refused a connection");
            }
            send_last(&stream, tls, why);
            None
        }
    }
}

/// An empty send buffer takes this at once. A flood must not cost more than that. Where TLS is spoken first a line in
/// clear would be taken for garbage: there is none.
fn send_last(stream: &TcpStream, tls: TlsMode, line: &str) {
    if tls == TlsMode::Implicit {
        return;
    }
    let _ = rustix::net::send(stream, line.as_bytes(), rustix::net::SendFlags::DONTWAIT);
}

/// The next connection of any listener, each in its turn first.
async fn accept(listeners: &[Listener], turn: &mut usize) -> io::Result<Accepted> {
    std::future::poll_fn(|cx| poll_accept(listeners, turn, cx)).await
}

fn poll_accept(listeners: &[Listener], turn: &mut usize, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
    *turn = turn.wrapping_add(1);
    let (behind, ahead) = listeners.split_at(turn.checked_rem(listeners.len()).unwrap_or(0));
    for listener in ahead.iter().chain(behind) {
        if let Poll::Ready(accepted) = listener.socket.poll_accept(cx) {
            return Poll::Ready(accepted.map(|(stream, peer)| (stream, peer, listener.wanted)));
        }
    }
    Poll::Pending
}

/// An error of the one connection that was to be accepted: the next may be well (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}
