//! A file from the server as a stream of bytes.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use port21_proto::Reply;
use port21_proto::ascii::FromWire;
use port21_proto::client::{Phase, Transfer, TransferRequest};
use port21_proto::command::Command;
use port21_proto::parameters::{Direction, Representation};
use port21_proto::path::PathArg;
use tokio::io::{AsyncRead, ReadBuf};

use crate::client::Client;
use crate::error::Error;
use crate::stream::Flow;
use crate::tls::TlsError;

/// The bytes of a file as they come. In the ASCII type line ends are those of this system already.
///
/// The end of the bytes alone does not say that the file is whole: [`DownloadStream::finish`] does. Dropping it early
/// aborts the download at the session's next call. An [`Error`] is carried in the [`io::Error`] of a failed read.
///
/// ```no_run
/// # async fn example(client: &mut port21_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut stream = client.download("pub/readme.txt", 0).await?;
/// tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
/// stream.finish().await?;
/// # Ok(())
/// # }
/// ```
pub struct DownloadStream<'a> {
    flow: Flow<'a>,
    path: PathArg,
    offset: u64,
    size: Option<u64>,
    text: Option<Text>,
}

/// Line ends on their way from the wire.
struct Text {
    from_wire: FromWire,
    raw: Box<[u8]>,
    ready: Vec<u8>,
    given: usize,
    ended: bool,
}

impl Client {
    /// Begins a download (RETR) at byte `offset` (REST, where it is not 0). In the ASCII type an offset counts bytes on
    /// the wire, and few servers can do it.
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn download(&mut self, path: impl AsRef<[u8]>, offset: u64) -> Result<DownloadStream<'_>, Error> {
        let path = self.path(path.as_ref()).await?;
        self.ready().await?;
        let (representation, mode) = (self.representation(), self.mode());
        let what = Transfer::Command(Command::Retr(path.clone()));
        let request = TransferRequest {
            what,
            mode,
            representation: Some(representation),
            from: offset,
            more: std::mem::take(&mut self.more_follows),
        };
        let flow = Flow::begin(self, request, Direction::Down).await?;
        let size = flow.started.as_ref().and_then(|s| size_in(s.mark.as_ref()?.text()));
        let converts = representation == Representation::Ascii && !flow.client.settings.keeps_returns;
        Ok(DownloadStream { flow, path, offset, size, text: converts.then(Text::new) })
    }
}

impl DownloadStream<'_> {
    /// How many bytes will come on the wire, where the server's 150 says so. A hint: servers err, and after an offset
    /// some tell the size of the whole file.
    pub fn size_hint(&self) -> Option<u64> {
        self.size
    }

    /// Whether the bytes come as they are in the server's file.
    pub(crate) fn is_image(&self) -> bool {
        self.flow.client.representation() == Representation::Image
    }

    /// How many bytes have come on the wire.
    pub fn received(&self) -> u64 {
        self.flow.bytes()
    }

    /// Reads what is left, throws it away, and waits for the server's verdict. Only its success makes the file whole.
    ///
    /// Under TLS the server says, by close_notify, that it has sent all: a connection may as well be ended by someone else.
    /// Where it does not, the file is whole if it has the size that the server tells.
    ///
    /// # Errors
    /// In the phases transfer and final reply; [`TlsError::Truncated`](crate::TlsError::Truncated).
    pub async fn finish(mut self) -> Result<Reply, Error> {
        let mut scratch = vec![0; 64 * 1024];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            poll_fn(|cx| self.flow.poll_read(cx, &mut buf)).await?;
            if buf.filled().is_empty() {
                let reply = poll_fn(|cx| self.flow.poll_verdict(cx)).await?;
                return self.is_whole().await.map(|()| reply);
            }
        }
    }

    async fn is_whole(&mut self) -> Result<(), Error> {
        if !self.flow.is_truncated() {
            return Ok(());
        }
        let came = self.received();
        // After an offset some tell the size of the whole file.
        let is_all = |size: u64| size == came + self.offset || size == came;
        let whole = match self.size {
            Some(size) => is_all(size),
            None => self.flow.client.size_of(self.path.clone()).await.is_ok_and(|size| size == came + self.offset),
        };
        let why = TlsError::Truncated;
        if whole { Ok(()) } else { Err(Error::Tls { phase: Phase::Transfer, why }) }
    }

    /// Stops the download (ABOR with Telnet IP and Synch, RFC 959 section 4.1.3) and brings the session in order.
    ///
    /// # Errors
    /// Where the session did not come in order within [`Timeouts::abort`](crate::Timeouts::abort): the next call
    /// reconnects.
    pub async fn abort(self) -> Result<(), Error> {
        self.flow.abort().await
    }

    /// The socket, where the bytes come by it as they are in the file: for a thread that receives them.
    /// [`DownloadStream::has_received`] tells of what it did, [`DownloadStream::poll_first`] whether there is more.
    pub(crate) fn socket(&mut self) -> Option<OwnedFd> {
        if self.text.is_some() { None } else { self.flow.socket()?.ok() }
    }

    /// Waits for bytes; whether there are any, which stay to be read, or the end.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        self.flow.poll_first(cx)
    }

    /// So many bytes were received by way of the socket, and then nothing more for now, or the connection broke.
    pub(crate) async fn has_received(&mut self, bytes: usize, result: io::Result<()>) -> Result<(), Error> {
        self.flow.has_received(bytes, result).await
    }

    /// As [`AsyncRead::poll_read`], with an error that was not wrapped.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        match &mut self.text {
            None => self.flow.poll_read(cx, buf),
            Some(text) => text.poll(&mut self.flow, cx, buf),
        }
    }
}

impl AsyncRead for DownloadStream<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_bytes(cx, buf).map_err(io::Error::from)
    }
}

impl std::fmt::Debug for DownloadStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DownloadStream").field("received", &self.received()).finish_non_exhaustive()
    }
}

impl Text {
    fn new() -> Text {
        let raw = vec![0; 64 * 1024].into_boxed_slice();
        Text { from_wire: FromWire::default(), raw, ready: Vec::new(), given: 0, ended: false }
    }

    fn poll(&mut self, flow: &mut Flow<'_>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        loop {
            let ready = self.ready.get(self.given..).unwrap_or_default();
            if !ready.is_empty() {
                let take = ready.len().min(buf.remaining());
                buf.put_slice(ready.get(..take).unwrap_or_default());
                self.given += take;
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            self.ready.clear();
            self.given = 0;
            let mut raw = ReadBuf::new(&mut self.raw);
            ready!(flow.poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                self.ended = true;
                self.from_wire.finish(&mut self.ready);
            } else {
                self.from_wire.convert(raw.filled(), &mut self.ready);
            }
        }
    }
}

/// The size in the text of a 150 reply: `... (1715 bytes).` or `... (1 byte)`, before `bytes` or `byte` in parentheses.
fn size_in(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, tail) = text.rsplit_once('(')?;
    let (digits, unit) = tail.split_once([' ', ')'])?;
    unit.trim_start().starts_with("byte").then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_many_servers() {
        for (text, size) in [
            ("Opening BINARY mode data connection for a (1715 bytes).", Some(1715)),
            ("Opening ASCII mode data connection for readme.txt(1715 bytes).", Some(1715)),
            ("Opening BINARY mode data connection for a (b) (1 byte)", Some(1)),
            ("Opening BINARY mode data connection for a (9 bytes) (12 bytes).", Some(12)),
            ("Opening data connection", None),
            ("Opening (x bytes)", None),
            ("Opening for a (99999999999999999999 bytes)", None),
            ("Opening for a(5)", None),
        ] {
            assert_eq!(size_in(text.as_bytes()), size, "{text}");
        }
    }
}
