//! A file from the server as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use port21_proto::Reply;
use tokio::io::{AsyncRead, ReadBuf};

use crate::client::{Client, unfinished};
use crate::error::Error;

/// The bytes of a file as they come. In the ASCII form line ends are those of this system already.
///
/// The end of the bytes alone does not say that the file is whole: [`DownloadStream::finish`] does. Dropping it early
/// aborts the download at the session's next call. An [`Error`] is carried in the [`io::Error`] of a failed read.
#[derive(Debug)]
pub struct DownloadStream<'a> {
    client: &'a mut Client,
}

impl Client {
    /// Begins a download (RETR) at byte `offset` (REST, where it is not 0). In the ASCII form an offset counts bytes on
    /// the wire, and few servers can do it.
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn download(&mut self, path: impl AsRef<[u8]>, offset: u64) -> Result<DownloadStream<'_>, Error> {
        let _ = (path.as_ref(), offset, DownloadStream { client: self });
        unfinished()
    }
}

impl DownloadStream<'_> {
    /// How many bytes will come on the wire, where the server's 150 says so. A hint: servers err.
    pub fn size_hint(&self) -> Option<u64> {
        None
    }

    /// How many bytes have come on the wire.
    pub fn received(&self) -> u64 {
        0
    }

    /// Reads what is left, throws it away, and waits for the server's verdict. Only its success makes the file whole.
    ///
    /// # Errors
    /// In the phases transfer and final reply.
    pub async fn finish(self) -> Result<Reply, Error> {
        let _ = self.client;
        unfinished()
    }

    /// Stops the download (ABOR with Telnet IP and Synch, RFC 959 section 4.1.3) and brings the session in order.
    ///
    /// # Errors
    /// Where the session did not come in order within [`Timeouts::abort`](crate::Timeouts::abort): the next call
    /// reconnects.
    pub async fn abort(self) -> Result<(), Error> {
        let _ = self.client;
        unfinished()
    }
}

impl AsyncRead for DownloadStream<'_> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
