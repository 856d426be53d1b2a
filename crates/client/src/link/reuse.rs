//! Servers that demand that a data connection resumes the TLS session of its control connection, and what is done where that
//! does not work out.
//!
//! A session of TLS 1.3 is good once (RFC 8446 appendix C.4, and rustls keeps to it); each handshake brings one or two more,
//! where the server gives them. proftpd gives none on data connections, and counts on clients that resume one session again and
//! again; some servers cannot resume TLS 1.3 at all, as many could not when it was new. Against both TLS 1.2 helps, in a new
//! session: there a session can be resumed as often as the server likes.

use std::future::poll_fn;
use std::task::Context;
use std::time::Duration;

use port21_proto::client::{DataState, JobId};
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
    /// The server demands what cannot be done any more, as no session is left to be resumed: what to go by in a new one.
    pub(crate) fn out_of_sessions(&self, only: Option<TlsVersion>) -> Option<Known> {
        let none_left = self.tls.as_ref().is_some_and(|tls| !tls.has_session());
        let demanded = none_left && self.known.demand == Demand::Reuse && self.session.is_secure();
        demanded.then(|| self.with_reuse(only))
    }

    /// A transfer has begun. Where its data connection has resumed no session, and it is not known what the server thinks of
    /// that, it is given a moment to say so, as long as nothing of the transfer is given out.
    pub(super) async fn hear_verdict(&mut self, job: JobId) {
        if self.reuse.last != Some(false) || self.known.demand == Demand::Nothing {
            return;
        }
        // In vain: then it is admitted.
        match self.direction {
            // Its first byte is a verdict too.
            Direction::Down => self.await_first(job, VERDICT).await,
            Direction::Up => {
                let heard = poll_fn(|cx| {
                    loop {
                        let over = self.poll(cx, |link| matches!(&link.done, Some((id, _)) if *id == job));
                        if over.is_ready() || !self.poll_cut_off(cx) {
                            return over;
                        }
                    }
                });
                let _ = tokio::time::timeout(VERDICT, heard).await;
            }
        }
    }

    /// Whether the server has ended the data connection of an upload, and waits for this side to do so too before it says why.
    fn poll_cut_off(&mut self, cx: &mut Context<'_>) -> bool {
        let Data::Open(op, connection, usage @ Use::Stream) = &mut self.data else { return false };
        if connection.poll_discard(cx).is_pending() {
            return false;
        }
        // It is told once.
        *usage = Use::Discard;
        let (op, why) = (*op, "the server ended the data connection".to_owned());
        self.session.handle_data(self.recorder.now(), op, DataState::Broken(why));
        true
    }

    /// The transfer was refused. Where that may be because its data connection has resumed no session: what to go by in a
    /// new session, in which it may be tried again.
    pub(crate) fn learn_from(&self, refusal: &Error, only: Option<TlsVersion>) -> Option<Known> {
        let code = refusal.reply()?.code().number();
        // 522 and 425 are what vsftpd, proftpd, FileZilla Server and port21 say; others have others.
        if self.reuse.last != Some(false) || !matches!(code, 425 | 426 | 431 | 522 | 534 | 535) {
            return None;
        }
        let known = self.with_reuse(only);
        // Nothing else to try is left where nothing was ever resumed.
        (self.reuse.ever || known.at_most != self.known.at_most).then_some(known)
    }

    fn with_reuse(&self, only: Option<TlsVersion>) -> Known {
        let known = Known { demand: Demand::Reuse, ..self.known() };
        match self.control.is_tls13() && only.is_none() {
            true => Known { at_most: Some(TlsVersion::Tls12), ..known },
            false => known,
        }
    }

    /// Whether the last data connection has resumed a session; nothing where it was in clear text.
    pub(crate) fn data_resumed(&self) -> Option<bool> {
        self.reuse.last
    }

    /// A transfer went well.
    pub(crate) fn transferred(&mut self) {
        if self.reuse.last == Some(false) {
            self.known.demand = Demand::Nothing;
        }
    }
}
