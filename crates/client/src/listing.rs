//! Directories as streams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use jiff::Timestamp;
use port21_proto::Verb;
use port21_proto::client::{Answer, JobId, Phase, Started, Transfer, TransferRequest};
use port21_proto::command::{Command, Listing};
use port21_proto::listing::{Dialect, Entry, EntryKind, ListingReader, MAX_LISTING_LINE};
use port21_proto::parameters::Direction;
use port21_proto::path::PathArg;
use tokio::io::ReadBuf;

use crate::client::Client;
use crate::error::Error;
use crate::stream::Flow;
use crate::tls::TlsError;
use crate::{ListOptions, Reply};

/// How much of a listing is read at once.
const CHUNK: usize = 32 * 1024;

/// What a line of a listing says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An entry.
    Entry(Box<Entry>),
    /// A line that could not be read, as it came, or the head of one of more than 16 KiB: never dropped in silence.
    Unreadable(Vec<u8>),
}

/// The entries of a directory as they come: a [`Stream`], or call [`Entries::next`].
///
/// Its end is reached only after the server has said that the listing is complete; a listing that broke off ends with
/// an error. Dropping it early aborts the listing at the next call.
///
/// ```no_run
/// # async fn example(client: &mut port21_client::Client) -> Result<(), port21_client::Error> {
/// use port21_client::Listed;
///
/// let mut entries = client.list("pub").await?;
/// while let Some(listed) = entries.next().await {
///     match listed? {
///         // A name is the server's: it may be `../../.ssh/config`.
///         Listed::Entry(entry) => println!("{:?} {:?}", entry.safe_name(), entry.size),
///         Listed::Unreadable(line) => println!("not understood: {}", port21_proto::text::Shown(&line)),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Entries<'a> {
    chunks: Chunks<'a>,
    reader: ListingReader,
    /// The directory's own name, where it is known.
    name: Vec<u8>,
    own: Option<Box<Entry>>,
}

/// The lines of a listing as they come, without their ends: a [`Stream`], or call [`Lines::next`]. Ends as [`Entries`].
/// A line longer than 16 KiB is cut.
pub struct Lines<'a> {
    chunks: Chunks<'a>,
    splitter: Splitter,
}

impl Client {
    /// Lists a directory, the working directory for an empty path: by MLSD where the server has it, else by LIST, whose
    /// dialect is recognised. `.` and `..` are left out.
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn list(&mut self, path: impl AsRef<[u8]>) -> Result<Entries<'_>, Error> {
        let path = self.directory(path.as_ref()).await?;
        let name = path.as_ref().or_else(|| self.trail.directory()).map(|path| last_name(path.as_bytes()).to_vec());
        self.probe().await?;
        let chunks = self.listing(Transfer::Entries(path)).await?;
        let now = Timestamp::now();
        let reader = match chunks.flow.started.as_ref().map(|s| s.verb) {
            Some(Verb::Mlsd) => ListingReader::with_dialect(Dialect::Facts, now),
            _ => ListingReader::new(now),
        };
        Ok(Entries { chunks, reader, name: name.unwrap_or_default(), own: None })
    }

    /// The lines of LIST as the server writes them, for people. They are bytes of the server's choosing: show them with
    /// [`port21_proto::text::Shown`]. A server that takes the options for a name is asked again without them.
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn list_lines(&mut self, path: impl AsRef<[u8]>, options: ListOptions) -> Result<Lines<'_>, Error> {
        let path = self.directory(path.as_ref()).await?;
        if options != ListOptions::default() {
            let with_options = Transfer::Command(Command::List(Listing { options, path: path.clone() }));
            let (job, begun) = match self.begin_listing(with_options).await {
                // `-a`: no such file, no such parameter.
                Err(Error::Refused { reply, .. }) if matches!(reply.code().number(), 450 | 500 | 501 | 504 | 550) => {
                    return self.lines(Command::List(Listing::of(path))).await;
                }
                result => result?,
            };
            // A directory in which there is not even `.`.
            if options.all && begun.is_ok() {
                let stall = self.settings.timeouts.stall;
                self.link.await_first(job, stall).await;
            }
            if options.all && (begun.is_err() || self.link.came_empty()) {
                if begun.is_ok() {
                    self.link.finish(job).await?;
                }
                return self.lines(Command::List(Listing::of(path))).await;
            }
            return Ok(Lines { chunks: Chunks::new(Flow::begun(self, job, begun)), splitter: Splitter::default() });
        }
        self.lines(Command::List(Listing::of(path))).await
    }

    /// The names in a directory (NLST), as the server writes them.
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn nlst(&mut self, path: impl AsRef<[u8]>) -> Result<Lines<'_>, Error> {
        let path = self.directory(path.as_ref()).await?;
        self.lines(Command::Nlst(Listing::of(path))).await
    }

    /// The lines of MLSD as the server writes them, with those of the directory itself and the one above.
    ///
    /// # Errors
    /// See [`Client`]; also in the phase data open.
    pub async fn mlsd(&mut self, path: impl AsRef<[u8]>) -> Result<Lines<'_>, Error> {
        let path = self.directory(path.as_ref()).await?;
        self.lines(Command::Mlsd(path)).await
    }

    async fn directory(&mut self, path: &[u8]) -> Result<Option<PathArg>, Error> {
        if path.is_empty() { Ok(None) } else { self.path(path).await.map(Some) }
    }

    async fn lines(&mut self, command: Command) -> Result<Lines<'_>, Error> {
        let chunks = self.listing(Transfer::Command(command)).await?;
        Ok(Lines { chunks, splitter: Splitter::default() })
    }

    async fn listing(&mut self, what: Transfer) -> Result<Chunks<'_>, Error> {
        let (job, begun) = self.begin_listing(what).await?;
        Ok(Chunks::new(Flow::begun(self, job, begun)))
    }

    async fn begin_listing(&mut self, what: Transfer) -> Result<(JobId, Result<Started, Answer>), Error> {
        self.ready().await?;
        let request = TransferRequest { what, mode: self.mode(), representation: None, from: 0, more: false };
        self.begin_transfer(request, Direction::Down).await
    }
}

impl Entries<'_> {
    /// The next entry; nothing at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Listed, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The server's final reply, once the listing has ended well. Some say in it that not all is there.
    pub fn farewell(&self) -> Option<&Reply> {
        self.chunks.farewell.as_ref()
    }

    /// The entry of the directory itself, where there was one by now that says so (MLSD's `cdir`).
    pub(crate) fn own(&self) -> Option<&Entry> {
        self.own.as_deref()
    }
}

impl Stream for Entries<'_> {
    type Item = Result<Listed, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Entries { chunks, reader, name, own } = &mut *self;
        loop {
            match reader.poll_entry() {
                Some(Ok(entry)) if is_self_or_parent(&entry, name) => {
                    if entry.kind == EntryKind::CurrentDirectory && own.is_none() {
                        *own = Some(Box::new(entry));
                    }
                    continue;
                }
                Some(Ok(entry)) => {
                    let raw = entry.raw.clone();
                    let Some(mut entry) = chunks.flow.client.decoded_entry(entry) else {
                        return Poll::Ready(Some(Ok(Listed::Unreadable(raw))));
                    };
                    if entry.is_directory() {
                        entry.kind = EntryKind::Directory;
                    }
                    return Poll::Ready(Some(Ok(Listed::Entry(Box::new(entry)))));
                }
                Some(Err(line)) => return Poll::Ready(Some(Ok(Listed::Unreadable(line.raw)))),
                None => {}
            }
            match ready!(chunks.poll_chunk(cx)) {
                Some(Ok(Chunk::Bytes(bytes))) => reader.handle_data(bytes),
                Some(Ok(Chunk::End)) => reader.handle_eof(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Lines<'_> {
    /// The next line; nothing at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Lines<'_> {
    type Item = Result<Vec<u8>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Lines { chunks, splitter } = &mut *self;
        loop {
            if let Some(line) = splitter.lines.pop_front() {
                // What is not in the server's charset comes as it is.
                let decoded = chunks.flow.client.decoded(&line);
                return Poll::Ready(Some(Ok(decoded.unwrap_or(line))));
            }
            match ready!(chunks.poll_chunk(cx)) {
                Some(Ok(Chunk::Bytes(bytes))) => splitter.split(bytes),
                // A last line without an end is a line.
                Some(Ok(Chunk::End)) if !splitter.partial.is_empty() => splitter.split(b"\n"),
                Some(Ok(Chunk::End)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Takes the lines out of a listing's bytes. There is no Telnet on a data connection: 0xFF is a byte like any other.
#[derive(Default)]
struct Splitter {
    partial: Vec<u8>,
    lines: VecDeque<Vec<u8>>,
}

impl Splitter {
    fn split(&mut self, mut bytes: &[u8]) {
        while let Some(lf) = bytes.iter().position(|&b| b == b'\n') {
            let (head, tail) = bytes.split_at_checked(lf).unwrap_or((bytes, b""));
            self.push(head);
            let mut line = std::mem::take(&mut self.partial);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.lines.push_back(line);
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.push(bytes);
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LISTING_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

/// Whether the entry is the listed directory itself or the one above it, which RFC 3659 section 7.5.1 calls `cdir` and `pdir`, under
/// `.` and `..` or a path. Some servers call directories so that are neither: those must not get lost.
fn is_self_or_parent(entry: &Entry, directory: &[u8]) -> bool {
    let name = entry.name.as_slice();
    let is_path = name.contains(&b'/');
    match (entry.kind, name) {
        (_, b"." | b"..") => true,
        (EntryKind::CurrentDirectory, name) => is_path || name == directory,
        (EntryKind::ParentDirectory, _) => is_path,
        _ => false,
    }
}

/// What a path ends with.
fn last_name(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}

/// A listing's bytes, and then the server's verdict.
struct Chunks<'a> {
    flow: Flow<'a>,
    chunk: Box<[u8]>,
    state: State,
    /// So many more bytes are read, and no further.
    left: u64,
    farewell: Option<Reply>,
}

enum State {
    Flowing,
    Ended,
    Over,
}

enum Chunk<'a> {
    Bytes(&'a [u8]),
    End,
}

impl<'a> Chunks<'a> {
    fn new(flow: Flow<'a>) -> Chunks<'a> {
        let left = flow.client.settings.max_listing;
        Chunks { flow, chunk: vec![0; CHUNK].into_boxed_slice(), state: State::Flowing, left, farewell: None }
    }
}

impl Chunks<'_> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk<'_>, Error>>> {
        match self.state {
            State::Flowing => {
                let mut buf = ReadBuf::new(&mut self.chunk);
                match ready!(self.flow.poll_read(cx, &mut buf)) {
                    Err(error) => {
                        self.state = State::Over;
                        Poll::Ready(Some(Err(error)))
                    }
                    Ok(()) => {
                        let read = buf.filled().len();
                        if read == 0 {
                            self.state = State::Ended;
                            return Poll::Ready(Some(Ok(Chunk::End)));
                        }
                        self.left = match self.left.checked_sub(read as u64) {
                            Some(left) => left,
                            None => {
                                self.state = State::Over;
                                let why = "a listing that does not end: see the limit max_listing".to_owned();
                                return Poll::Ready(Some(Err(Error::TooMuch { phase: Phase::Transfer, why })));
                            }
                        };
                        Poll::Ready(Some(Ok(Chunk::Bytes(self.chunk.get(..read).unwrap_or_default()))))
                    }
                }
            }
            State::Ended => {
                let verdict = ready!(self.flow.poll_verdict(cx));
                self.state = State::Over;
                // What a listing should have been is told by nobody: a mirror could take what is absent for removed.
                let (phase, why) = (Phase::Transfer, TlsError::Truncated);
                let truncated = self.flow.is_truncated().then_some(Error::Tls { phase, why });
                let failed = match verdict {
                    Ok(reply) => {
                        self.farewell = Some(reply);
                        truncated
                    }
                    Err(error) => Some(error),
                };
                Poll::Ready(failed.map(Err))
            }
            State::Over => Poll::Ready(None),
        }
    }
}

impl std::fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("received", &self.chunks.flow.bytes()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("received", &self.chunks.flow.bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_any_cut() {
        let bytes = b"a\r\n\xff\xf4b\n\nc\rd\r\nlast";
        for cut in 0..bytes.len() {
            let mut splitter = Splitter::default();
            splitter.split(&bytes[..cut]);
            splitter.split(&bytes[cut..]);
            splitter.split(b"\n");
            assert_eq!(splitter.lines, [&b"a"[..], b"\xff\xf4b", b"", b"c\rd", b"last"]);
        }
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut splitter = Splitter::default();
        for _ in 0..100 {
            splitter.split(&[b'x'; 1000]);
        }
        splitter.split(b"\nnext\n");
        assert_eq!(splitter.lines.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LISTING_LINE, 4]);
    }
}
