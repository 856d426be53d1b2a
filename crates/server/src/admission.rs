//! Who is let in: from a connection to its session, or to the line that says why there is none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use port21_proto::server::TlsMode;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::limits::{Connections, Refused};
use crate::listen::Accepted;
use crate::proxy::{Ends, ProxyError};
use crate::session::Session;
use crate::shared::{Notice, Shared};
use crate::status::Refusal;

/// While those who were asked to go have not gone, newcomers by way of a proxy look again after this.
const CROWDED_PAUSE: Duration = Duration::from_millis(5);

/// Begins a session for a connection, where the limits allow one. A proxy's is waited on first for its header, beside all
/// else.
pub(crate) fn let_in(
    sessions: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    connections: &Connections,
    (stream, from, place): Accepted,
    told: &watch::Receiver<Notice>,
) {
    if !shared.proxies.contains(from) {
        // The connection may be gone already: then there is nobody to serve.
        if let Ok(ends) = Ends::direct(stream.local_addr(), from)
            && let Some(mut session) = admit(shared, connections, (stream, ends, place.tls), told)
        {
            sessions.spawn(async move { session.run().await });
        }
        return;
    }
    let Ok(arriving) = shared.arriving.clone().try_acquire_owned() else {
        shared.registry.refused(Refusal::Connections);
        return drop_proxy(shared, from, &ProxyError::TooMany);
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
            Err(error) => return drop_proxy(&shared, from, &error),
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
    told: &watch::Receiver<Notice>,
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
            let refusal = match refused {
                Refused::Total => Refusal::Connections,
                Refused::PerAddress => Refusal::Address,
            };
            shared.registry.refused(refusal);
            if let Some(unwritten) = shared.registry.throttles.refused.pass() {
                warn!(%peer, reason = refusal.name(), unwritten, "refused a connection");
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

/// Tells the log of a connection of a proxy that is dropped.
fn drop_proxy(shared: &Shared, proxy: SocketAddr, error: &ProxyError) {
    // Looking whether somebody listens, and hanging up, is what many proxies do every second.
    if matches!(error, ProxyError::Io(_)) {
        debug!(%proxy, %error, "a proxy connected, and no client with it");
    } else if let Some(unwritten) = shared.registry.throttles.proxy.pass() {
        warn!(%proxy, %error, unwritten, "dropped a connection of a proxy");
    }
}
