//! A socket of which the runtime knows only while somebody waits for it.
//!
//! Of a socket that it knows the runtime is told each time that something comes or leaves, and wakes a thread to hear it:
//! that costs a tenth of a large upload, which another thread receives without asking, and as much of a small transfer, which
//! mostly has nothing to wait for.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::getsockname;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;

/// A socket that does not block: one end of a data connection, or where one is waited for.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: Arc<OwnedFd>,
    /// What the runtime knows of it.
    known: Mutex<Option<Arc<Known>>>,
}

type Known = AsyncFd<Arc<OwnedFd>>;

impl Socket {
    /// It must be one that does not block.
    pub(crate) fn new(inner: impl Into<OwnedFd>) -> Socket {
        Socket { inner: Arc::new(inner.into()), known: Mutex::default() }
    }

    /// Does what does not wait ([`io::ErrorKind::WouldBlock`] where it would), as soon as the socket lets it. It is tried first.
    ///
    /// # Errors
    /// Its own, and where no more sockets can be waited for.
    pub(crate) async fn once<T>(&self, interest: Interest, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        // Who never has to wait lets others go first now and then all the same.
        consume_budget().await;
        match act() {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                self.known()?.async_io(interest, |_| act()).await
            }
            done => done,
        }
    }

    /// The runtime need not hear of it until somebody waits for it again.
    pub(crate) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Its own end's address.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        getsockname(&self.inner)?.try_into().map_err(io::Error::from)
    }

    /// Another descriptor of it.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.inner.try_clone()
    }

    fn known(&self) -> io::Result<Arc<Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let new = Arc::new(register(self.inner.clone())?);
        *known = Some(new.clone());
        Ok(new)
    }
}

#[expect(unsafe_code, reason = "there is no safe way to make a socket known to the runtime and unknown again")]
fn register(socket: Arc<OwnedFd>) -> io::Result<Known> {
    // SAFETY: the descriptor must be open, and the same, for as long as what is made of it is there. It is: this owns a share
    // of it, an OwnedFd is open until it is dropped, and one that is shared cannot be made another.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{RecvFlags, recv};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(listener.accept().await.unwrap().0.into_std().unwrap()), other)
    }

    async fn byte(socket: &Socket) -> u8 {
        let mut byte = [0];
        let read = || Ok(recv(socket, &mut byte, RecvFlags::DONTWAIT)?.1);
        assert_eq!(socket.once(Interest::READABLE, read).await.unwrap(), 1);
        byte[0]
    }

    #[tokio::test]
    async fn what_need_not_wait_is_done_at_once() {
        let (socket, _other) = pair().await;
        assert!(socket.once(Interest::READABLE, || Ok(())).await.is_ok());
        let broken = socket.once(Interest::READABLE, || Err::<(), _>(io::ErrorKind::BrokenPipe.into())).await;
        assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(socket.known.lock().unwrap().is_none(), "nobody has waited");
    }

    #[tokio::test]
    async fn it_can_be_forgotten_and_waited_for_again() {
        let (socket, mut other) = pair().await;
        for n in 0..3 {
            let (got, _) = tokio::join!(byte(&socket), async {
                tokio::task::yield_now().await;
                other.write_all(&[n]).await
            });
            assert_eq!(got, n);
            assert!(socket.known.lock().unwrap().is_some());
            socket.forget();
            assert!(socket.known.lock().unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn who_waits_while_it_is_forgotten_goes_on_waiting() {
        let (socket, mut other) = pair().await;
        let (got, ()) = tokio::join!(byte(&socket), async {
            tokio::task::yield_now().await;
            socket.forget();
            other.write_all(b"x").await.unwrap();
        });
        assert_eq!(got, b'x');
    }
}
