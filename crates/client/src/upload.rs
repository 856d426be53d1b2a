//! A file to the server as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use port21_proto::Reply;
use tokio::io::AsyncWrite;

use crate::client::{Client, unfinished};
use crate::error::Error;

/// Where the bytes of an upload go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upload {
    /// They are the file (STOR): one of that name is replaced.
    #[default]
    Whole,
    /// From this byte on, in the file that is there (REST and STOR).
    From(u64),
    /// Behind the last byte of the file that is there, or a new file (APPE).
    Append,
    /// They are a new file, whose name the server makes up (STOU), from the path where it takes one.
    Unique,
}

/// The bytes of a file as they go. In the ASCII form they are given with this system's line ends.
///
/// Nothing is uploaded before [`UploadStream::finish`] has succeeded: shutting the writer down ends the bytes and no
/// more. Dropping it early aborts the upload at the session's next call, and the data connection is reset, so that no
/// server takes a part for the whole. An [`Error`] is carried in the [`io::Error`] of a failed write.
#[derive(Debug)]
pub struct UploadStream<'a> {
    client: &'a mut Client,
}

impl Client {
    /// Begins an upload (STOR, APPE, STOU).
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn upload(&mut self, path: impl AsRef<[u8]>, how: Upload) -> Result<UploadStream<'_>, Error> {
        let _ = (path.as_ref(), how, UploadStream { client: self });
        unfinished()
    }
}

impl UploadStream<'_> {
    /// How many bytes have gone onto the wire.
    pub fn sent(&self) -> u64 {
        0
    }

    /// The name that the server has made up, of [`Upload::Unique`], where its 150 tells it (RFC 1123 section 4.1.2.9).
    pub fn unique_name(&self) -> Option<&[u8]> {
        None
    }

    /// Ends the bytes and waits for the server's verdict. Only its success makes the upload done.
    ///
    /// # Errors
    /// In the phases transfer and final reply.
    pub async fn finish(self) -> Result<Reply, Error> {
        let _ = self.client;
        unfinished()
    }

    /// Stops the upload (ABOR with Telnet IP and Synch) and brings the session in order. What the server keeps of it is
    /// the server's choice.
    ///
    /// # Errors
    /// As [`DownloadStream::abort`](crate::DownloadStream::abort).
    pub async fn abort(self) -> Result<(), Error> {
        let _ = self.client;
        unfinished()
    }
}

impl AsyncWrite for UploadStream<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
