//! Which end of a connection this is.

use rustls::CommonState;
use rustls::unbuffered::UnbufferedStatus;

/// One end of a connection: rustls's connection of that end, and what is made of its faults.
///
/// rustls has a type for each end and no trait over the two; [`Side::process`] and [`Side::state`] hand on to either.
pub trait Side {
    /// `ServerConnectionData` or `ClientConnectionData`.
    type Data: 'static;

    /// What the user of this end makes of a [`Fault`].
    type Error;

    /// The connection's `process_tls_records`.
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// What the connection is: every connection of rustls derefs to it.
    fn state(&self) -> &CommonState;

    /// What a fault is for the user of this end.
    fn error(&self, fault: Fault) -> Self::Error;

    /// An alert, as a record in clear (RFC 8446 section 6), for a peer that rustls is not to go on with: asked whenever
    /// something has come during the handshake, with all that was not gone through yet. By default nobody is refused.
    fn refusal(&self, _incoming: &[u8]) -> Option<&'static [u8]> {
        None
    }
}

/// What goes wrong with a connection. Nothing can be sent or received behind any of these but [`Fault::Ended`], behind
/// which the peer may still go on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The peer erred, or has said that this end did: in rustls's words.
    Tls(rustls::Error),
    /// The peer was refused: [`Side::refusal`].
    Refused,
    /// More has come than any message is long, and it is none yet.
    Endless,
    /// The caller erred: nothing can be sent before the handshake is done, nor behind this end's close_notify (RFC 8446
    /// section 6.1).
    Ended,
    /// The caller erred: it has failed before.
    Failed,
}
