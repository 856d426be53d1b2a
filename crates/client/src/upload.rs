//! A file to the server as a stream of bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use port21_proto::Reply;
use port21_proto::ascii::ToWire;
use port21_proto::client::{Transfer, TransferRequest};
use port21_proto::command::Command;
use port21_proto::parameters::{Direction, Representation};
use tokio::io::AsyncWrite;

use crate::client::Client;
use crate::error::Error;
use crate::stream::Flow;

/// At most so many bytes of text are converted ahead of what the connection takes.
const AHEAD: usize = 64 * 1024;

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

/// The bytes of a file as they go. In the ASCII type they are given with this system's line ends.
///
/// Nothing is uploaded before [`UploadStream::finish`] has succeeded: shutting the writer down ends the bytes and no
/// more. Dropping it early aborts the upload at the session's next call, and the data connection is reset, so that no
/// server takes a part for the whole. An [`Error`] is carried in the [`io::Error`] of a failed write.
///
/// ```no_run
/// # async fn example(client: &mut port21_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use port21_client::Upload;
/// use tokio::io::AsyncWriteExt as _;
///
/// let mut stream = client.upload("incoming/hello.txt", Upload::Whole).await?;
/// stream.write_all(b"hello").await?;
/// stream.finish().await?;
/// # Ok(())
/// # }
/// ```
pub struct UploadStream<'a> {
    flow: Flow<'a>,
    unique: bool,
    text: Option<Text>,
}

/// Line ends on their way to the wire.
#[derive(Default)]
struct Text {
    to_wire: ToWire,
    ready: Vec<u8>,
    gone: usize,
}

impl Client {
    /// Begins an upload (STOR, APPE, STOU).
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn upload(&mut self, path: impl AsRef<[u8]>, how: Upload) -> Result<UploadStream<'_>, Error> {
        let path = path.as_ref();
        let command = match how {
            Upload::Unique if path.is_empty() => Command::Stou(None),
            Upload::Unique => Command::Stou(Some(self.path(path).await?)),
            Upload::Whole | Upload::From(_) => Command::Stor(self.path(path).await?),
            Upload::Append => Command::Appe(self.path(path).await?),
        };
        let from = if let Upload::From(from) = how { from } else { 0 };
        self.ready().await?;
        let (representation, mode) = (self.representation(), self.mode());
        let request = TransferRequest {
            what: Transfer::Command(command),
            mode,
            representation: Some(representation),
            from,
            more: false,
        };
        let flow = Flow::begin(self, request, Direction::Up).await?;
        let text = (representation == Representation::Ascii).then(Text::default);
        Ok(UploadStream { flow, unique: how == Upload::Unique, text })
    }
}

impl UploadStream<'_> {
    /// How many bytes have gone onto the wire.
    pub fn sent(&self) -> u64 {
        self.flow.bytes()
    }

    /// The name that the server has made up, of [`Upload::Unique`], where its 1yz reply tells it (RFC 1123 section
    /// 4.1.2.9: `150 FILE: name`).
    pub fn unique_name(&self) -> Option<Vec<u8>> {
        let text = self.flow.started.as_ref().filter(|_| self.unique)?.mark.as_ref()?.text();
        let at = text.windows(5).position(|part| part.eq_ignore_ascii_case(b"FILE:"))?;
        let name = text.get(at + 5..).map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())?;
        self.flow.client.decoded(name)
    }

    /// Ends the bytes and waits for the server's verdict. Only its success makes the upload done.
    ///
    /// # Errors
    /// In the phases transfer and final reply.
    pub async fn finish(mut self) -> Result<Reply, Error> {
        poll_fn(|cx| self.poll_end(cx)).await?;
        poll_fn(|cx| self.flow.poll_verdict(cx)).await
    }

    /// Stops the upload (ABOR with Telnet IP and Synch) and brings the session in order. What the server keeps of it is
    /// the server's choice.
    ///
    /// # Errors
    /// As [`DownloadStream::abort`](crate::DownloadStream::abort).
    pub async fn abort(self) -> Result<(), Error> {
        self.flow.abort().await
    }

    /// As [`AsyncWrite::poll_write`], with an error that was not wrapped.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        if self.text.is_none() {
            return self.flow.poll_write(cx, bytes);
        }
        ready!(self.poll_text(cx))?;
        let Some(text) = &mut self.text else { return Poll::Ready(Ok(0)) };
        let taken = bytes.get(..AHEAD).unwrap_or(bytes);
        text.to_wire.convert(taken, &mut text.ready);
        Poll::Ready(Ok(taken.len()))
    }

    /// Sends the text that was converted.
    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(text) = &mut self.text else { return Poll::Ready(Ok(())) };
        while let Some(rest) = text.ready.get(text.gone..).filter(|rest| !rest.is_empty()) {
            text.gone += ready!(self.flow.poll_write(cx, rest))?;
        }
        text.ready.clear();
        text.gone = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_text(cx))?;
        self.flow.poll_end(cx)
    }
}

impl AsyncWrite for UploadStream<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_bytes(cx, bytes).map_err(io::Error::from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_text(cx).map_err(io::Error::from)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx).map_err(io::Error::from)
    }
}

impl std::fmt::Debug for UploadStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadStream").field("sent", &self.sent()).finish_non_exhaustive()
    }
}
