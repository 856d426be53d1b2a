//! A server: its listeners, its sessions, its end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::Time;
use port21_proto::addr::canonical;
use port21_proto::server::SessionSettings;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::account::Authenticator;
use crate::clock::Clock;
use crate::data::active::Active;
use crate::data::passive::PassivePorts;
use crate::events::{EventSink, EventSinks, Events, NewSession};
use crate::limits::{Accounts, Connections, Refused};
use crate::listen::{self, ListenError};
use crate::session::Session;
use crate::settings::Settings;

/// The pause after an error of accept that will come again at once: mostly the process has no descriptor left, and only
/// the end of a session changes that.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long sessions have to end once they were cut off: for writes that are under way.
const CUT_OFF: Duration = Duration::from_secs(2);

/// An FTP server.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use port21_server::{Authenticator, Server, Settings};
/// # async fn example(authenticator: Arc<dyn Authenticator>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut server = Server::builder(authenticator).settings(Settings::default()).build();
/// server.listen("[::]:2121".parse()?)?;
/// server.run(async { /* until a signal comes */ }).await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
}

/// Makes a [`Server`].
pub struct ServerBuilder {
    authenticator: Arc<dyn Authenticator>,
    settings: Settings,
    sinks: Option<EventSinks>,
}

impl ServerBuilder {
    /// The settings; without this call [`Settings::default`].
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> ServerBuilder {
        self.settings = settings;
        self
    }

    /// Watches sessions: `sinks` is asked for a sink at each connection that is let in. A session without one costs
    /// nothing; one that has one, an allocation an event.
    #[must_use]
    pub fn events(mut self, sinks: impl Fn(&NewSession) -> Option<EventSink> + Send + Sync + 'static) -> ServerBuilder {
        self.sinks = Some(Arc::new(sinks));
        self
    }

    /// The server. It listens nowhere yet.
    pub fn build(self) -> Server {
        let ServerBuilder { authenticator, settings, sinks } = self;
        let session = SessionSettings { events: false, ..settings.session.clone() };
        let watched_session = SessionSettings { events: true, ..settings.session.clone() };
        let shared = Shared {
            authenticator,
            session: Arc::new(session),
            watched_session: Arc::new(watched_session),
            sinks,
            clock: Clock::start(),
            passive_ports: PassivePorts::new(settings.passive_ports.clone()),
            active: Active::default(),
            accounts: Accounts::default(),
            settings,
        };
        Server { shared: Arc::new(shared), listeners: Vec::new() }
    }
}

impl Server {
    /// A server whose logins are decided by `authenticator`.
    pub fn builder(authenticator: Arc<dyn Authenticator>) -> ServerBuilder {
        ServerBuilder { authenticator, settings: Settings::default(), sinks: None }
    }

    /// Listens at `addr` too; port 0 is any that is free. `[::]` takes IPv4 as well, unless this server already listens
    /// at an IPv4 address with the same port. Clients that connect wait until [`Server::run`]. Call it within a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ListenError`] names the address.
    pub fn listen(&mut self, addr: SocketAddr) -> Result<SocketAddr, ListenError> {
        let only_v6 = addr.port() != 0 && self.local_addrs().iter().any(|l| l.is_ipv4() && l.port() == addr.port());
        let (listener, bound) = listen::listen(addr, only_v6, self.shared.settings.backlog)?;
        info!(addr = %bound, "listening");
        self.listeners.push(listener);
        Ok(bound)
    }

    /// Where the server listens, in the order of the calls of [`Server::listen`].
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `shutdown` ends: then nobody new is let in, running transfers end (for
    /// [`shutdown_grace`](Settings::shutdown_grace) at most), every client is told, and this returns.
    ///
    /// Dropped, all sessions are cut off.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Server { shared, listeners } = self;
        let settings = &shared.settings;
        let connections = Connections::new(settings.max_connections, settings.max_connections_per_address);
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
                // Where it is crowded, the end of a session wakes this loop.
                accepted = accept(&listeners, &mut turn), if !connections.is_crowded() => match accepted {
                    Ok((stream, peer)) => {
                        if let Some(mut session) = admit(&shared, &connections, stream, canonical(peer), &told) {
                            sessions.spawn(async move { session.run().await });
                        }
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        warn!(%error, "cannot accept connections for the moment");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listeners);
        info!(sessions = sessions.len(), "shutting down");
        // No session is left to hear it: all have ended.
        let _ = tell.send(Phase::Ending);
        if !all_end(&mut sessions, settings.shutdown_grace).await {
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

/// What all sessions of a server share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// The settings of sessions that nobody watches, and of those that somebody does.
    pub(crate) session: Arc<SessionSettings>,
    pub(crate) watched_session: Arc<SessionSettings>,
    sinks: Option<EventSinks>,
    pub(crate) clock: Clock,
    pub(crate) passive_ports: PassivePorts,
    pub(crate) active: Active,
    pub(crate) accounts: Accounts,
}

impl Shared {
    /// The events of a session that begins, where somebody watches it.
    pub(crate) fn watch(&self, number: u64, peer: SocketAddr, local: SocketAddr, at: Time) -> Option<Arc<Events>> {
        let sink = self.sinks.as_ref()?(&NewSession { number, peer, local, at })?;
        Some(Arc::new(Events::new(sink, self.clock)))
    }
}

/// A session for a connection, where the limits allow one.
fn admit(
    shared: &Arc<Shared>,
    connections: &Connections,
    stream: TcpStream,
    peer: SocketAddr,
    told: &watch::Receiver<Phase>,
) -> Option<Session> {
    match connections.admit(peer.ip()) {
        // The connection may be gone already: then there is nobody to tell.
        Ok(place) => Session::new(shared.clone(), stream, peer, place, told.clone()).ok(),
        Err(refused) => {
            let why = match refused {
                Refused::Total => "421 Too many connections, try again later.\r\n",
                Refused::PerAddress => "421 Too many connections from your address, try again later.\r\n",
            };
            warn!(%peer, ?refused, "refused a connection");
            // An empty send buffer takes this at once. A flood must not cost more than that.
            let _ = rustix::net::send(&stream, why.as_bytes(), rustix::net::SendFlags::DONTWAIT);
            None
        }
    }
}

/// The next connection of any listener, each in its turn first.
async fn accept(listeners: &[TcpListener], turn: &mut usize) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|cx| poll_accept(listeners, turn, cx)).await
}

fn poll_accept(
    listeners: &[TcpListener],
    turn: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
    *turn = turn.wrapping_add(1);
    let (behind, ahead) = listeners.split_at(turn.checked_rem(listeners.len()).unwrap_or(0));
    for listener in ahead.iter().chain(behind) {
        if let Poll::Ready(accepted) = listener.poll_accept(cx) {
            return Poll::Ready(accepted);
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
