//! Fetching a whole file.

use std::future::poll_fn;
use std::path::Path;
use std::task::Poll;
use std::time::SystemTime;

use port21_proto::client::Phase;
use port21_proto::parameters::Representation;
use tokio::io::ReadBuf;

use crate::client::Client;
use crate::disk::Writer;
use crate::download::DownloadStream;
use crate::error::Error;
use crate::file::{Progress, Transferred, local};
use crate::part::Part;

/// So many bytes of a part are fetched again and compared before it is gone on with: the server's file may be another
/// one by now.
const OVERLAP: u64 = 16 * 1024;

/// How a file is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// Go on from what an earlier attempt has left aside (`NAME.port21-part`), or, where nothing was left aside and
    /// the file itself is there and no longer than the server's, from the file's end. The last 16 KiB are fetched again
    /// and compared; where they differ the server's file is another one, and is fetched from its beginning. Image type
    /// only. One command more (SIZE).
    pub resume: bool,
    /// Give the file the server's modification time (MDTM). One command more.
    pub keep_time: bool,
}

impl Client {
    /// Fetches a file into `to`. It is written aside, as `NAME.port21-part`, and takes its name when the server has
    /// said that it is whole: a part never has a whole file's name. What is left aside by a failure stays there, for
    /// `resume`. `progress` is called now and then, and at the end. What is there and no regular file, `/dev/null` say,
    /// is written directly.
    ///
    /// Cancel safety: as for every call; what has come is left aside.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Local`] for the local file; [`Error::Partial`] where a part was left aside.
    pub async fn get_file(
        &mut self,
        remote: impl AsRef<[u8]>,
        to: &Path,
        options: &GetOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let remote = remote.as_ref();
        if options.resume && self.representation() == Representation::Ascii {
            return Err(Error::Usage("a transfer in the ASCII type cannot be resumed: use the image type"));
        }
        let size = if options.resume { self.size_if_told(remote).await? } else { None };
        let mut part = Part::open(to, size, options.resume)?;
        let mut done = match self.fetch(remote, &mut part, size, progress).await {
            Ok(done) => done,
            Err(error) => return Err(part.keep(error)),
        };
        if options.keep_time
            && let Ok(at) = self.mtime(remote).await
        {
            done.time_kept = part.set_modified(SystemTime::from(at));
        }
        part.commit()?;
        Ok(done)
    }

    async fn fetch(
        &mut self,
        remote: &[u8],
        part: &mut Part,
        size: Option<u64>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        if part.len <= OVERLAP {
            part.start_anew()?;
        } else {
            let tail = part.tail(OVERLAP)?;
            let from = part.len - OVERLAP;
            let mut stream = self.download(remote, from).await?;
            if same(&mut stream, &tail).await? {
                part.began = true;
                return save(stream, part, from, size, progress).await;
            }
            // Where that fails the download that follows begins the session anew.
            let _ = stream.abort().await;
            part.start_anew()?;
        }
        let stream = self.download(remote, 0).await?;
        part.began = true;
        let size = stream.size_hint().or(size);
        save(stream, part, 0, size, progress).await
    }
}

/// Whether the next bytes are these.
async fn same(stream: &mut DownloadStream<'_>, tail: &[u8]) -> Result<bool, Error> {
    let mut again = vec![0; tail.len()];
    let mut buf = ReadBuf::new(&mut again);
    while buf.remaining() > 0 {
        let before = buf.filled().len();
        poll_fn(|cx| stream.poll_bytes(cx, &mut buf)).await?;
        if buf.filled().len() == before {
            return Ok(false);
        }
    }
    Ok(again == tail)
}

/// Writes what comes behind what is there, and waits for the server's verdict.
async fn save(
    mut stream: DownloadStream<'_>,
    part: &mut Part,
    from: u64,
    total: Option<u64>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Transferred, Error> {
    let failed = local(part.path());
    let mut writer = Writer::new(part.file.try_clone().map_err(&failed)?);
    let ended = loop {
        let mut chunk = writer.buffer().await;
        let mut buf = ReadBuf::new(&mut chunk.buffer);
        let read = poll_fn(|cx| poll_chunk(&mut stream, cx, &mut buf)).await;
        chunk.len = buf.filled().len();
        let end = chunk.len == 0;
        // What came before a failure is kept as well.
        if !end && !writer.write(chunk).await {
            break Ok(());
        }
        progress(Progress { done: from + stream.received(), total });
        match read {
            Ok(()) if !end => {}
            result => break result,
        }
    };
    writer.finish().await.map_err(&failed)?;
    ended?;
    let (bytes, announced) = (stream.received(), stream.size_hint());
    let reply = stream.finish().await?;
    if let Some(announced) = announced.filter(|announced| from == 0 && bytes < *announced) {
        let why = format!("the server announced {announced} bytes and sent {bytes}, but answered {reply}");
        return Err(Error::Protocol { phase: Phase::FinalReply, why });
    }
    Ok(Transferred { bytes, from, reply, unique_name: None, time_kept: false })
}

/// Fills the buffer with what there is, waiting only for its first byte.
fn poll_chunk(
    stream: &mut DownloadStream<'_>,
    cx: &mut std::task::Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<Result<(), Error>> {
    while buf.remaining() > 0 {
        let before = buf.filled().len();
        match stream.poll_bytes(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {}
            Poll::Pending if before > 0 => break,
            result => return result,
        }
    }
    Poll::Ready(Ok(()))
}
