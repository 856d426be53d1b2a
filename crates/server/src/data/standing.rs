//! A data connection that has come to stand, until a transfer has it.

use std::sync::Arc;
use std::time::Duration;

use port21_proto::event::{Closing, ConnectionId, End};
use port21_proto::server::{TlsError, TransferError};
use rustix::net::RecvFlags;
use rustix::net::sockopt::set_tcp_nodelay;
use tokio::time::timeout;

use crate::data::connection::{DataConnection, Tap, until_peer_ends};
use crate::data::meter::Meter;
use crate::data::socket::Socket;
use crate::tls::data::DataTls;
use crate::tls::handshake::{Guard, Handshake};

/// Who has begun TLS and is to be told to send is waited for so long before it is told.
const EARLY_HANDSHAKE: Duration = Duration::from_secs(5);

/// A connection with the client at its other end, over which nothing was transferred. Dropped, it is closed.
pub(crate) struct Standing {
    stream: Arc<Socket>,
    tap: Option<Tap>,
    tls: Tls,
}

/// How far TLS has come.
enum Tls {
    /// Nobody has thought of it yet.
    None,
    /// The client may begin it, or has.
    Expected(Handshake),
    Done(Result<Box<DataTls>, TlsError>),
}

impl Standing {
    /// A connection that stands now. Where there is a guard, the client may begin TLS on it from now on.
    pub(crate) fn new(stream: Socket, tap: Option<Tap>, guard: Option<Guard>) -> Standing {
        // Without it the last part of a file that does not fill a segment waits for an acknowledgement of the one before,
        // which the peer may delay by 40 ms. A socket that cannot be told so still works.
        let _ = set_tcp_nodelay(&stream, true);
        let stream = Arc::new(stream);
        let tls = guard.map_or(Tls::None, |guard| Tls::Expected(Handshake::expect(stream.clone(), guard)));
        Standing { stream, tap, tls }
    }

    /// Its name in events, where those are told.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.tap.as_ref().map(Tap::connection)
    }

    /// Before the client of an upload is told that it may send: if it has begun TLS by now, it gets through with it, and
    /// has its tickets. What it has read by then, or has at hand, does no harm when it closes. May be dropped at any time.
    pub(crate) async fn give_tickets(&mut self) {
        if let Tls::Expected(handshake) = &mut self.tls
            && (has_brought(&self.stream) || handshake.has_begun())
            && let Ok(done) = timeout(EARLY_HANDSHAKE, handshake.done()).await
        {
            self.tls = Tls::Done(done.map(Box::new));
        }
        if let Tls::Done(Ok(tls)) = &mut self.tls {
            tls.send_tickets(&self.stream);
        }
    }

    /// No transfer will have it: waits until the client has ended it. May be dropped at any time.
    pub(crate) async fn until_client_ends(&mut self) {
        if let Tls::Expected(handshake) = &mut self.tls {
            self.tls = Tls::Done(handshake.done().await.map(Box::new));
        }
        // A client that has used one ticket for nothing may need it for the next transfer, and sends nothing on this one
        // that could be lost.
        if let Tls::Done(Ok(tls)) = &mut self.tls {
            tls.send_tickets(&self.stream);
        }
        if until_peer_ends(&self.stream).await.is_ok()
            && let Some(tap) = &mut self.tap
        {
            tap.closed(End::Client, Closing::Fin);
        }
    }

    /// The connection as a transfer has it: private where there is a guard, which is waited for.
    ///
    /// # Errors
    /// Where it is not as it was to be.
    pub(crate) async fn for_transfer(
        self,
        guard: Option<Guard>,
        meter: Arc<Meter>,
    ) -> Result<DataConnection, TransferError> {
        let Standing { stream, tap, tls } = self;
        let tls = match (guard, tls) {
            (None, Tls::None) => None,
            // The session lets go of a port that was to be private where PROT changes that.
            (None, _) => return Err(TlsError::Handshake("it was not to be private".into()).into()),
            (Some(guard), Tls::None) => {
                guard.progress.may_send();
                Some(Handshake::expect(stream.clone(), guard).done().await.map(Box::new)?)
            }
            (Some(_), Tls::Expected(mut handshake)) => Some(handshake.done().await.map(Box::new)?),
            (Some(_), Tls::Done(done)) => Some(done?),
        };
        Ok(DataConnection::new(stream, tls, meter, tap))
    }

    #[cfg(test)]
    pub(crate) fn stream(&self) -> &Socket {
        &self.stream
    }
}

/// Whether there is something to read.
fn has_brought(stream: &Socket) -> bool {
    let looked = rustix::net::recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    looked.is_ok_and(|(_, bytes)| bytes > 0)
}
