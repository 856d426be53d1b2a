//! A server: its listeners, its sessions, its end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use port21_proto::server::TlsMode;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::account::Authenticator;
use crate::activity::{Activity, ActivitySink};
use crate::admission::let_in;
use crate::events::{EventSink, EventSinks, NewSession};
use crate::handle::{Order, ReloadError, ServerHandle};
use crate::limits::Connections;
use crate::listen::{Listen, ListenError, Listener, accept, drain, is_of_one_connection, relisten};
use crate::settings::Settings;
use crate::shared::{Lasting, Notice, Shared};
use crate::sites::Site;
use crate::tls::{Tls, TlsSettings};

/// The pause after an error of accept that will come again at once: mostly the process has no descriptor left, and only
/// the end of a session changes that.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long sessions have to end once they were cut off: for writes that are under way.
const CUT_OFF: Duration = Duration::from_secs(2);

/// So many orders of handles may wait.
const MAX_ORDERS: usize = 8;

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
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) settings: Settings,
    pub(crate) sites: Vec<Site>,
    pub(crate) sinks: Option<EventSinks>,
    pub(crate) activities: Option<ActivitySink>,
    pub(crate) tls: Option<Tls>,
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
        let shared = Shared::new(self, Lasting::new());
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
        let tls = match listener.wanted.tls {
            TlsMode::Off => "off",
            TlsMode::Offer => "offer",
            TlsMode::Require => "require",
            TlsMode::Implicit => "implicit",
        };
        info!(addr = %bound, tls, "listening");
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
    /// Dropped, all sessions are cut off. In a task of its own (`tokio::spawn`) it lets clients in faster than in the runtime's
    /// `block_on`, which is on another thread than their sessions.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        // The handle stays: while one is there, nobody who waits for an order has to ask whether any can come.
        let Server { mut shared, mut listeners, handle: _handle, mut orders } = self;
        let settings = &shared.settings;
        let mut connections = Connections::new(settings.max_connections, settings.max_connections_per_address);
        let (tell, told) = watch::channel(Notice::Serving);
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
                        let list = |all: &[SocketAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                        info!(opened = list(&reloaded.opened), closed = list(&reloaded.closed), "new settings");
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
        let _ = tell.send(Notice::Ending);
        if !all_end(&mut sessions, shared.settings.shutdown_grace).await {
            warn!(sessions = sessions.len(), "cutting off the sessions that are left");
            let _ = tell.send(Notice::Over);
            if !all_end(&mut sessions, CUT_OFF).await {
                sessions.shutdown().await;
            }
        }
    }
}

/// Waits for all sessions to end: whether they have.
async fn all_end(sessions: &mut JoinSet<()>, patience: Duration) -> bool {
    timeout(patience, async { while sessions.join_next().await.is_some() {} }).await.is_ok()
}
