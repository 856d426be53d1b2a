//! The handshake of a data connection: it goes on as soon as the client begins it, whether a transfer waits for it or not.
//!
//! Clients differ in when they begin. Some wait for 150 (ftplib, lftp); others begin as soon as they have connected, and
//! look at nothing else before they are through (curl). So it is a task beside the session, which neither holds the other
//! up: what a client has begun is done by the time that its command comes.

use std::sync::Arc;
use std::time::Duration;

use port21_proto::server::TlsError;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::binding::Binding;
use super::data::DataTls;
use crate::data::socket::Socket;

/// Who has sent its first words before a command is seen to have begun by then: they come by another connection, and that has
/// to be accepted.
const FIRST_WORDS: Duration = Duration::from_millis(50);

/// What a client needs to get through with a handshake is on its way once it has sent its next command: for so long it is
/// waited for.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What is demanded of a data connection that is to be private.
#[derive(Clone)]
pub(crate) struct Guard {
    /// Which TLS sessions are let in.
    pub(crate) binding: Arc<Binding>,
    /// How long a handshake may take.
    pub(crate) patience: Duration,
    /// How far it is.
    pub(crate) progress: Progress,
}

/// How far a handshake is, for who does not have it.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<watch::Sender<Stage>>);

#[derive(Debug, Default)]
struct Stage {
    /// It is so before any byte of the client's is taken from the connection.
    has_begun: bool,
    /// Whatever became of it.
    has_ended: bool,
    /// The client may send from now on, or does: nothing is to reach it unasked.
    may_send: bool,
}

impl Progress {
    /// The client is about to be told that it may send. Tickets that have not left by now go with what is sent next.
    pub(crate) fn may_send(&self) {
        self.0.send_modify(|stage| stage.may_send = true);
    }

    /// Before the client is told that there is no transfer: if it has begun the handshake or is about to, that ends first,
    /// unless the client does not go on with it. May be dropped at any time.
    pub(crate) async fn settled(&self) {
        let mut stages = self.0.subscribe();
        let begun = timeout(FIRST_WORDS, stages.wait_for(|stage| stage.has_begun)).await.is_ok();
        if begun {
            let _ = timeout(ON_ITS_WAY, stages.wait_for(|stage| stage.has_ended)).await;
        }
    }
}

/// A handshake that is waited for, goes on, or has ended. Dropped, it is given up.
pub(crate) struct Handshake {
    task: JoinHandle<Result<DataTls, TlsError>>,
    progress: Progress,
    patience: Duration,
}

impl Handshake {
    /// From now on the client may begin, whenever it likes; once it has, it must be through within the guard's patience.
    ///
    /// Where it [wants its tickets early](Binding::wants_tickets_early) they leave with the end of the handshake, unless
    /// the client may send by then: it may be about to learn that there is nothing to transfer.
    pub(crate) fn expect(stream: Arc<Socket>, Guard { binding, patience, progress }: Guard) -> Handshake {
        let stages = progress.0.clone();
        let task = tokio::spawn(async move {
            // Left where it is, so that whoever finds it gone can know why. An error is found again by who takes it.
            let peek = || Ok(recv(&*stream, &mut [0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK)?.1);
            if let Ok(1..) = stream.once(Interest::READABLE, peek).await {
                stages.send_modify(|stage| stage.has_begun = true);
            }
            let mut done = DataTls::accept(&stream, &binding, patience).await;
            // The tickets never leave behind the word that the client may send.
            stages.send_modify(|stage| {
                if let Ok(tls) = &mut done
                    && !stage.may_send
                    && binding.wants_tickets_early()
                {
                    tls.send_tickets(&stream);
                }
                stage.has_ended = true;
            });
            done
        });
        Handshake { task, progress, patience }
    }

    /// Whether the client has begun. It is so before any byte of it is taken from the connection.
    pub(crate) fn has_begun(&self) -> bool {
        self.progress.0.borrow().has_begun
    }

    /// What becomes of it. A client that has not begun gets the patience from now on. Not to be asked again after that.
    pub(crate) async fn done(&mut self) -> Result<DataTls, TlsError> {
        match timeout(self.patience, &mut self.task).await {
            Ok(Ok(done)) => done,
            Ok(Err(lost)) => Err(TlsError::Handshake(lost.to_string())),
            Err(_) => Err(TlsError::TimedOut(self.patience)),
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.task.abort();
    }
}
