//! What a connector gives.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection as a [`Connector`](super::Connector) gives it.
pub enum Stream {
    /// A TCP connection on which nothing but the session's own bytes flow: also one through a proxy, once that has done its
    /// part. Only this one can be spliced to a file by the kernel, and can carry urgent data.
    Tcp(TcpStream),
    /// Anything else.
    Other(Box<dyn Transport>),
}

/// A connection of another kind than TCP.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// This side's address.
    ///
    /// # Errors
    /// Where there is none to tell.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The address of the other side; of the proxy, where there is one.
    ///
    /// # Errors
    /// Where there is none to tell.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}

impl Stream {
    /// This side's address.
    ///
    /// # Errors
    /// Where the system or the transport cannot tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr(),
            Stream::Other(transport) => transport.local_addr(),
        }
    }

    /// The address of the other side; of the proxy, where there is one.
    ///
    /// # Errors
    /// Where the system or the transport cannot tell.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr(),
            Stream::Other(transport) => transport.peer_addr(),
        }
    }

    /// The TCP connection, where it is one.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) => Some(stream),
            Stream::Other(_) => None,
        }
    }

    /// Reads as [`AsyncRead`] does, but also what stands behind the mark of urgent data: a read that ends at the mark is
    /// short, though there is more, and tokio takes a short read for the last one until something else comes.
    pub(crate) fn poll_read_past_marks(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Stream::Tcp(stream) = self else { return Pin::new(self).poll_read(cx, buf) };
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result.map(|read| buf.advance(read))),
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Other(transport) => Pin::new(transport).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Other(transport) => Pin::new(transport).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Other(transport) => Pin::new(transport).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Other(transport) => Pin::new(transport).poll_shutdown(cx),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Stream {
        Stream::Tcp(stream)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("local", &self.local_addr().ok()).field("peer", &self.peer_addr().ok()).finish()
    }
}
