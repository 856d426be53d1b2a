//! Sending a whole file.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use port21_proto::parameters::Representation;

use crate::client::Client;
use crate::disk::Reader;
use crate::error::Error;
use crate::file::{PART, Progress, Transferred, local};
use crate::upload::Upload;

/// Beyond it offsets are not trusted to get anywhere.
const LARGE_OFFSET: u64 = i32::MAX as u64;

/// How a file is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Go on behind what the server has of it already (SIZE, then REST and STOR, or APPE where it has no REST). That
    /// those bytes are the file's own is not checked. Image type only.
    pub resume: bool,
    /// Give the server's file the local modification time (MFMT). One command more.
    pub keep_time: bool,
    /// Where the bytes go, without `resume`. With [`Upload::From`] the local file is read from that byte on as well.
    pub how: Upload,
    /// Send to `NAME.port21-part` and rename when whole: for servers that show uploads before they are. Two commands
    /// more, and the server must allow renaming.
    pub aside: bool,
}

/// What is sent.
struct Source<'a> {
    path: &'a Path,
    file: File,
    /// The first byte to be sent.
    from: u64,
    total: Option<u64>,
}

impl Client {
    /// Sends the file `from`. `progress` is called now and then, and at the end.
    ///
    /// Cancel safety: as for every call; what the server keeps of the upload is its choice.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Local`] for the local file; [`Error::Partial`] where the server may have a part.
    pub async fn put_file(
        &mut self,
        from: &Path,
        remote: impl AsRef<[u8]>,
        options: &PutOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let remote = remote.as_ref();
        if options.resume && self.representation() == Representation::Ascii {
            return Err(Error::Usage("a transfer in the ASCII type cannot be resumed: use the image type"));
        }
        if options.aside && options.how != Upload::Whole {
            return Err(Error::Usage("only a whole file can be sent aside and renamed"));
        }
        let file = open(from).await.map_err(local(from))?;
        let facts = file.metadata().map_err(local(from))?;
        if facts.is_dir() {
            return Err(local(from)(io::ErrorKind::IsADirectory.into()));
        }
        let aside = [remote, PART.as_bytes()].concat();
        let name = if options.aside { aside.as_slice() } else { remote };
        let there = if options.resume { self.size_if_told(name).await?.unwrap_or(0) } else { 0 };
        if there > facts.len() {
            return Err(Error::Usage("the server's file is longer than the local one: it cannot be gone on with"));
        }
        let how = match options.how {
            // A server whose offsets have 31 or 32 bits would write over what is there; its end it knows.
            Upload::Whole if there > LARGE_OFFSET => Upload::Append,
            Upload::Whole if there > 0 => Upload::From(there),
            how => how,
        };
        let first = if let Upload::From(first) = how { first } else { 0 };
        let first = if how == Upload::Append && options.how == Upload::Whole { there } else { first };
        let source = Source { path: from, file, from: first, total: facts.is_file().then_some(facts.len()) };
        let mut done = match self.send(&source, name, how, progress).await {
            // A server without REST: what is behind its end can be appended all the same.
            Err(Error::Refused { verb: "REST", .. }) if options.resume => {
                self.send(&source, name, Upload::Append, progress).await?
            }
            result => result?,
        };
        if options.aside {
            done.reply = self.rename(name, remote).await?;
        }
        if options.keep_time
            && let Ok(modified) = facts.modified()
            && let Ok(modified) = Timestamp::try_from(modified)
        {
            let name = done.unique_name.as_deref().unwrap_or(remote);
            done.time_kept = self.set_mtime(name, modified).await.is_ok();
        }
        Ok(done)
    }

    async fn send(
        &mut self,
        source: &Source<'_>,
        name: &[u8],
        how: Upload,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let failed = local(source.path);
        let mut file = source.file.try_clone().map_err(&failed)?;
        if source.from > 0 {
            file.seek(SeekFrom::Start(source.from)).map_err(&failed)?;
        }
        let mut stream = self.upload(name, how).await?;
        let mut reader = Reader::new(file);
        let mut done = source.from;
        let partial = |bytes: u64, error| match error {
            Error::Refused { .. } => error,
            error if bytes == 0 => error,
            error => Error::Partial { bytes: source.from + bytes, kept: None, source: Box::new(error) },
        };
        loop {
            let chunk = match reader.next().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    // Not all of it can be sent: the server must not take the part for the whole. The local error says
                    // more than what becomes of the session.
                    let _ = stream.abort().await;
                    return Err(failed(error));
                }
            };
            if chunk.bytes().is_empty() {
                break;
            }
            let mut rest = chunk.bytes();
            while !rest.is_empty() {
                let written = match poll_fn(|cx| stream.poll_bytes(cx, rest)).await {
                    Ok(written) => written,
                    Err(error) => return Err(partial(stream.sent(), error)),
                };
                rest = rest.get(written..).unwrap_or_default();
            }
            done += chunk.len as u64;
            reader.give_back(chunk);
            progress(Progress { done, total: source.total });
        }
        let unique_name = stream.unique_name().map(<[u8]>::to_vec);
        let sent = stream.sent();
        let reply = stream.finish().await.map_err(|error| partial(sent, error))?;
        Ok(Transferred { bytes: sent, from: source.from, reply, unique_name, time_kept: false })
    }
}

/// Opens a file on a thread that may wait: a FIFO waits for its other end, and the caller may give up before.
async fn open(path: &Path) -> io::Result<File> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || File::open(path)).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[tokio::test]
    async fn a_fifo_without_its_other_end_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut opening = std::pin::pin!(open(&path));
        let opened = poll_fn(|cx| std::task::Poll::Ready(opening.as_mut().poll(cx).is_ready())).await;
        assert!(!opened);
        // Its thread is let go, whether it has come to the FIFO already or not.
        let both_ends = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        opening.await.unwrap();
        drop(both_ends);
    }
}
