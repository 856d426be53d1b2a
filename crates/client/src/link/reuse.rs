//! Servers that demand that a data connection resumes the TLS session of its control connection, and what is done where that
//! does not work out.
//!
//! A session of TLS 1.3 is good once; each handshake brings one or two more, where the server's tickets are read. What can go
//! wrong: a server gives none on data connections, and those of the control connection are used up; or it cannot resume TLS
//! 1.3 at all, as some of the time when 1.3 was new. Against the first a new control connection helps, against the second TLS
//! 1.2.

use std::future::poll_fn;
use std::time::Duration;

use port21_proto::client::JobId;
use port21_proto::parameters::Direction;

use super::{Data, Known, Link, Use};
use crate::error::Error;
use crate::tls::TlsVersion;

/// How long the server may refuse a data connection that has resumed no session, before it is taken for admitted.
const VERDICT: Duration = Duration::from_secs(1);

/// What a client knows of its server's demands, beyond one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    #[default]
    Unknown,
    /// Sessions must be resumed.
    Reuse,
    /// A data connection was admitted that had resumed none.
    Nothing,
}

/// What has come of it in one session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reuse {
    /// The last data connection has resumed the control connection's session, or not; nothing in clear text.
    last: Option<bool>,
    /// One of them has.
    ever: bool,
}

impl Reuse {
    pub(super) fn secured(&mut self, resumed: Option<bool>) {
        self.last = resumed;
        self.ever |= resumed == Some(true);
    }

    pub(super) fn begin(&mut self) {
        self.last = None;
    }
}

impl Link {
    /// Whether the server demands what cannot be done any more: no session is left to be resumed.
    pub(crate) fn is_out_of_sessions(&self) -> bool {
        let none_left = self.tls.as_ref().is_some_and(|tls| !tls.has_session());
        none_left && self.known.demand == Demand::Reuse && self.session.is_secure()
    }

    /// A transfer has begun. Where its data connection has resumed no session, and it is not known what the server thinks of
    /// that, it is given a moment to say so, as long as nothing of the transfer is given out.
    pub(crate) async fn hear_verdict(&mut self, job: JobId) {
        if self.reuse.last != Some(false) || self.known.demand == Demand::Nothing {
            return;
        }
        let down = self.direction == Direction::Down;
        if let (true, Data::Open(_, _, usage @ Use::Stream)) = (down, &mut self.data) {
            // Its first byte is a verdict too.
            *usage = Use::Awaiting;
        }
        let heard = poll_fn(|cx| {
            self.poll(cx, |link| {
                let over = matches!(&link.done, Some((id, _)) if *id == job);
                over || down && !matches!(link.data, Data::Open(_, _, Use::Awaiting))
            })
        });
        // In vain: then it is admitted.
        let _ = tokio::time::timeout(VERDICT, heard).await;
        if let Data::Open(_, _, usage @ Use::Awaiting) = &mut self.data {
            *usage = Use::Stream;
        }
    }

    /// The transfer was refused. Where that may be because its data connection has resumed no session: what to go by in a
    /// new session, in which it may be tried again.
    pub(crate) fn learn_from(&self, refusal: &Error, only: Option<TlsVersion>) -> Option<Known> {
        let code = refusal.reply()?.code().number();
        // 522 and 425 are what vsftpd, proftpd, FileZilla Server and port21 say; others have others.
        if self.reuse.last != Some(false) || !matches!(code, 425 | 426 | 431 | 522 | 534 | 535) {
            return None;
        }
        let known = Known { demand: Demand::Reuse, ..self.known() };
        if self.reuse.ever {
            return Some(known);
        }
        let newer = self.control.is_tls13() && only.is_none() && known.at_most.is_none();
        newer.then_some(Known { at_most: Some(TlsVersion::Tls12), ..known })
    }

    /// A transfer went well.
    pub(crate) fn transferred(&mut self) {
        if self.reuse.last == Some(false) {
            self.known.demand = Demand::Nothing;
        }
    }
}
