//! What can be asked of a server while it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use port21_proto::Time;
use tokio::sync::{mpsc, oneshot};

use crate::account::guard::Guard;
use crate::clock::Clock;
use crate::listen::{Listen, ListenError};
use crate::registry::Registry;
use crate::server::ServerBuilder;
use crate::shared::Advertised;
use crate::status::{Counts, SessionStatus, Whom};

/// Looks at a server, and tells it what to do. It may outlive the server, and then does nothing.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) registry: Arc<Registry>,
    pub(crate) advertised: Arc<Advertised>,
    pub(crate) passive: crate::data::ports::InUse,
    pub(crate) guard: Arc<Guard>,
    pub(crate) clock: Clock,
    pub(crate) orders: mpsc::Sender<Order>,
}

/// What the task of a server is asked to do.
pub(crate) enum Order {
    Reload(Box<ServerBuilder>, Vec<Listen>, oneshot::Sender<Result<Reloaded, ReloadError>>),
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Where the server now listens too.
    pub opened: Vec<SocketAddr>,
    /// Where it listens no more.
    pub closed: Vec<SocketAddr>,
}

/// Why a reload was refused: everything is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A new place cannot be listened at.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A new place overlaps with one that is to be closed: `[::]:21` and `127.0.0.1:21` cannot both be there for a moment.
    #[error("restart needed: {0} overlaps with an address that the server still listens at")]
    Overlaps(SocketAddr),
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}

impl ServerHandle {
    /// Takes new settings, as a whole or not at all: opens the listeners that are new, closes those that are not named
    /// any more, and serves those who connect from now on by what `new` says. Sessions that run keep what they have.
    /// What was counted, who is on and which passive ports are in use goes on.
    ///
    /// # Errors
    /// [`ReloadError`]: then nothing has changed.
    pub async fn reload(&self, new: ServerBuilder, listen: Vec<Listen>) -> Result<Reloaded, ReloadError> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Reload(Box::new(new), listen, answer);
        self.orders.send(order).await.map_err(|_| ReloadError::Ended)?;
        answered.await.map_err(|_| ReloadError::Ended)?
    }

    /// The time by the server's clock, by which all that it tells is stamped.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Who is on, by the numbers of the sessions.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.registry.sessions()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let (passive_in_use, passive_ports) = self.passive.count();
        Counts { passive_in_use, passive_ports, ..self.registry.counts() }
    }

    /// Ends these sessions, whatever they do: how many. An upload that is not complete never happened.
    pub fn kick(&self, whom: &Whom) -> usize {
        self.registry.kick(whom)
    }

    /// What remembers failed logins: the bans that stand, and how to lift them.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// From now on PASV tells peers outside of the local networks this address, in running sessions too: see
    /// [`Settings::advertise`](crate::Settings::advertise).
    pub fn advertise(&self, address: Option<Ipv4Addr>) {
        self.advertised.set(address);
    }

    /// What [`ServerHandle::advertise`] or the settings have said last.
    pub fn advertised(&self) -> Option<Ipv4Addr> {
        self.advertised.get()
    }
}
