//! The handshake of a data connection: it goes on as soon as the client begins it, whether a transfer waits for it or not.
//!
//! Clients differ in when they begin. Some wait for 150 (ftplib, lftp); others begin as soon as they have connected, and
//! look at nothing else before they are through (curl). So it is a task beside the session, which neither holds the other
//! up: what a client has begun is done by the time that its command comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use port21_proto::server::TlsError;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::binding::Binding;
use super::data::DataTls;

/// What is demanded of a data connection that is to be private.
#[derive(Clone)]
pub(crate) struct Guard {
    /// Which TLS sessions are let in.
    pub(crate) binding: Arc<Binding>,
    /// How long a handshake may take.
    pub(crate) patience: Duration,
}

/// A handshake that is waited for, goes on, or has ended. Dropped, it is given up.
pub(crate) struct Handshake {
    task: JoinHandle<Result<DataTls, TlsError>>,
    begun: Arc<AtomicBool>,
    patience: Duration,
}

impl Handshake {
    /// From now on the client may begin, whenever it likes; once it has, it must be through within the guard's patience.
    pub(crate) fn expect(stream: Arc<TcpStream>, Guard { binding, patience }: Guard) -> Handshake {
        let begun = Arc::<AtomicBool>::default();
        let begins = begun.clone();
        let task = tokio::spawn(async move {
            // Left where it is, so that whoever finds it gone can know why. An error is found again by who takes it.
            if let Ok(1..) = stream.peek(&mut [0]).await {
                begins.store(true, Ordering::Release);
            }
            DataTls::accept(&stream, &binding, patience).await
        });
        Handshake { task, begun, patience }
    }

    /// Whether the client has begun. It is so before any byte of it is taken from the connection.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
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
