//! Sending a whole file.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use port21_proto::client::Phase;
use port21_proto::parameters::{Algorithm, Representation};

use crate::client::Client;
use crate::digest::{Hasher, Verified, Verify, Way, of_beginning, of_file, told_sha256};
use crate::error::Error;
use crate::file::{PART, Progress, Transferred, local};
use crate::get::compare;
use crate::rate::Rate;
use crate::sending::{Failure, Sending};
use crate::upload::Upload;

/// Beyond it offsets are not trusted to get anywhere: those of some servers have 31 or 32 bits, and would write over what
/// is there. Its end such a server knows.
const LARGE_OFFSET: u64 = i32::MAX as u64;

/// Of a file that is no longer than this a digest is computed while it is sent, in case that the server tells one at its
/// end: it costs some milliseconds. Of longer ones it is where the server has told one before.
const LITTLE: u64 = 8 * 1024 * 1024;

/// What the name of a file ends with that makes room for a new one, until that is in its place.
const OLD: &str = ".port21-old";

/// How a file is sent.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// Go on behind what the server has of it already, of `NAME.port21-part` with `aside`, else of the file itself (SIZE,
    /// then REST and STOR, or APPE where it has no REST). What is older than the local file is not gone on with, nor is a
    /// file whose digest, where the server can tell one, is not that of as many bytes here: then all is sent. That a part
    /// left aside is the file's own is checked by [`Verify::Digest`] alone. Image type only. One to four commands more.
    pub resume: bool,
    /// With `resume` and `aside`: go on from what was left aside alone.
    pub parts_only: bool,
    /// With `resume`: what was left aside is known to be of this very file, for it was left a moment ago. Its age is not
    /// looked at then: the two clocks may differ.
    pub own_part: bool,
    /// Give the server's file the local modification time (MFMT, or MDTM with a time). One command more.
    pub keep_time: bool,
    /// Where the bytes go, without `resume`. With [`Upload::From`] the local file is read from that byte on as well.
    pub how: Upload,
    /// Send to `NAME.port21-part` and rename when whole: for servers that show uploads before they are. Two commands
    /// more. To a server that takes no such name, or does not rename, the file is sent under its own; so it is to one that
    /// says (CSID) that it is port21, which keeps uploads aside itself.
    pub aside: bool,
    /// How it is made sure that the file has arrived whole. Default [`Verify::Cheaply`]: one command more (SIZE).
    pub verify: Verify,
    /// How fast it may be. Default: as fast as it goes.
    pub rate: Option<Rate>,
}

/// What is sent.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) file: File,
    total: Option<u64>,
    modified: Option<Timestamp>,
}

/// Where a file goes, as far as that has come.
struct Plan {
    name: Vec<u8>,
    how: Upload,
    /// The first byte to be sent.
    from: u64,
    /// It is renamed when it is whole.
    aside: bool,
    /// What is behind an end that the server has may be appended.
    resumes: bool,
}

impl Client {
    /// Sends the file `from`. `progress` is called now and then, and at the end.
    ///
    /// Cancel safety: as for every call; what the server keeps of the upload is its choice.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Local`] for the local file; [`Error::Partial`] where the server may have a part;
    /// [`Error::Mismatch`] where what has arrived is not what was sent.
    pub async fn put_file(
        &mut self,
        from: &Path,
        remote: impl AsRef<[u8]>,
        options: &PutOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let file = open(from).await.map_err(local(from))?;
        let source = Source::new(from, file)?;
        self.put_source(&source, remote.as_ref(), options, progress).await
    }

    /// As [`Client::put_file`], of a file that is open.
    pub(crate) async fn put_source(
        &mut self,
        source: &Source<'_>,
        remote: &[u8],
        options: &PutOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        if options.resume && self.representation() == Representation::Ascii {
            return Err(Error::Usage("a transfer in the ASCII type cannot be resumed: use the image type"));
        }
        if options.aside && options.how != Upload::Whole {
            return Err(Error::Usage("only a whole file can be sent aside and renamed"));
        }
        let aside = options.aside && !self.habits.no_renaming && !self.keeps_uploads_aside().await?;
        let mut plan = self.plan(source, remote, options, aside).await?;
        let mut result = self.send_verified(source, &plan, options, progress).await;
        if plan.resumes && matches!(&result, Err(Error::Refused { reply, .. }) if reply.code().number() == 554) {
            // The server does not go on with what it has: a replacement that broke off, say, whose old file still stands.
            let whole = PutOptions { resume: false, ..options.clone() };
            plan = self.plan(source, remote, &whole, aside).await?;
            result = self.send_verified(source, &plan, options, progress).await;
        }
        let mut done = match result {
            // It may take none but certain names.
            Err(Error::Refused { phase, reply, .. })
                if plan.aside && phase != Phase::FinalReply && matches!(reply.code().number(), 550 | 553) =>
            {
                plan = self.plan(source, remote, options, false).await?;
                self.send_verified(source, &plan, options, progress).await?
            }
            result => result?,
        };
        if plan.aside {
            match self.rename_over(&plan.name, remote).await {
                Ok(reply) => done.reply = reply,
                Err(Error::Refused { .. }) => {
                    self.habits.no_renaming = true;
                    let _ = self.remove(&plan.name).await;
                    plan = self.plan(source, remote, &PutOptions::default(), false).await?;
                    done = self.send_verified(source, &plan, options, progress).await?;
                }
                Err(error) => return Err(partial(done.from + done.bytes, error)),
            }
        }
        if let Some(modified) = source.modified.filter(|_| options.keep_time) {
            let name = done.unique_name.clone().unwrap_or_else(|| remote.to_vec());
            done.time_kept = self.keep_mtime(&name, modified).await?;
        }
        Ok(done)
    }

    /// Where the bytes are to go, and from which one on.
    async fn plan(
        &mut self,
        source: &Source<'_>,
        remote: &[u8],
        options: &PutOptions,
        aside: bool,
    ) -> Result<Plan, Error> {
        let part = [remote, PART.as_bytes()].concat();
        if options.resume && aside {
            let there = self.size_if_told(&part).await?.unwrap_or(0);
            let fits = there > 0 && source.total.is_some_and(|total| there <= total);
            if fits && (options.own_part || !self.is_older(&part, source).await?) {
                return Ok(Plan::behind(there, part, aside));
            }
        }
        if options.resume && !(aside && options.parts_only) {
            let there = self.size_if_told(remote).await?.unwrap_or(0);
            if source.total.is_some_and(|total| there > total) {
                return Err(Error::Usage("the server's file is longer than the local one: it cannot be gone on with"));
            }
            let is_older = there > 0 && !options.own_part && self.is_older(remote, source).await?;
            if there > 0 && !is_older && self.begins_with(source, remote, there).await? != Some(false) {
                return Ok(Plan::behind(there, remote.to_vec(), false));
            }
        }
        let how = options.how;
        let from = if let Upload::From(from) = how { from } else { 0 };
        let name = if aside { part } else { remote.to_vec() };
        Ok(Plan { name, how, from, aside, resumes: false })
    }

    /// Whether what the server has was written before the local file was: it is of another file.
    async fn is_older(&mut self, name: &[u8], source: &Source<'_>) -> Result<bool, Error> {
        let Some(here) = source.modified else { return Ok(false) };
        Ok(self.mtime_if_told(name).await?.is_some_and(|there| there.as_second() < here.as_second()))
    }

    /// Whether the server's file, of so many bytes, is what the local one begins with; nothing where it tells no digest, or
    /// not in time.
    async fn begins_with(&mut self, source: &Source<'_>, remote: &[u8], there: u64) -> Result<Option<bool>, Error> {
        let Some(way) = self.digest_way().await? else { return Ok(None) };
        match self.digest(remote, way).await {
            Ok(digest) => {
                let here = of_beginning(source.path, &source.file, way.algorithm, there).await?;
                Ok(Some(here == digest))
            }
            Err(Error::Refused { .. } | Error::Protocol { .. } | Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a file another name, in place of what has it. Not all servers replace a file so: the old one is renamed then,
    /// and removed when the new one has its name. Where the new one does not get it the old one gets it back.
    async fn rename_over(&mut self, from: &[u8], to: &[u8]) -> Result<port21_proto::Reply, Error> {
        let refused = match self.rename(from, to).await {
            Err(Error::Refused { verb: "RNTO", reply, phase }) if matches!(reply.code().number(), 550 | 553) => {
                Error::Refused { verb: "RNTO", reply, phase }
            }
            result => return result,
        };
        let old = [to, OLD.as_bytes()].concat();
        match self.rename(to, &old).await {
            Ok(_) => {}
            // There is none, or it cannot be moved: that is not why, or nothing can be done about it.
            Err(Error::Refused { .. }) => return Err(refused),
            Err(error) => return Err(error),
        }
        match self.rename(from, to).await {
            Ok(reply) => {
                // The new file is in its place: an old one that stays is no failure.
                let _ = self.remove(&old).await;
                Ok(reply)
            }
            Err(error) => {
                // Where the reply alone was lost the new one has the name: this server does not replace it.
                let _ = self.rename(&old, to).await;
                Err(error)
            }
        }
    }

    /// Sends, and compares what has arrived with what was sent.
    async fn send_verified(
        &mut self,
        source: &Source<'_>,
        plan: &Plan,
        options: &PutOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let is_whole = plan.how == Upload::Whole || plan.resumes;
        let can_verify =
            options.verify != Verify::Nothing && is_whole && self.representation() == Representation::Image;
        let way = match options.verify {
            Verify::Digest if can_verify => self.digest_way().await?,
            _ => None,
        };
        let little = self.habits.tells_sha256 || source.total.is_some_and(|total| total <= LITTLE);
        let hash = match way {
            Some(way) => Some(way.algorithm),
            None => (can_verify && little).then_some(Algorithm::Sha256),
        };
        let rate = options.rate.as_ref();
        let (mut done, digest) = match self.send(source, plan, hash, rate, progress).await {
            // A server without REST: what is behind its end can be appended all the same.
            Err(Error::Refused { verb: "REST", .. }) if plan.resumes => {
                let append = Plan { name: plan.name.clone(), how: Upload::Append, ..*plan };
                self.send(source, &append, hash, rate, progress).await?
            }
            result => result?,
        };
        if can_verify {
            let sent = Sent { bytes: done.from + done.bytes, digest };
            done.verified = self.check(source, &plan.name, way, sent, done.reply.text()).await?;
        }
        Ok(done)
    }

    /// Compares what the server has with what was sent.
    async fn check(
        &mut self,
        source: &Source<'_>,
        name: &[u8],
        way: Option<Way>,
        sent: Sent,
        farewell: &[u8],
    ) -> Result<Option<Verified>, Error> {
        if let Some(told) = told_sha256(farewell) {
            self.habits.tells_sha256 = true;
            if let Some(digest) = sent.digest.as_ref().filter(|digest| digest.len() == told.len()) {
                compare(Algorithm::Sha256, digest, &told)?;
                return Ok(Some(Verified::Digest(Algorithm::Sha256)));
            }
        }
        if let Some(way) = way {
            let here = match sent.digest {
                Some(digest) => digest,
                None => of_file(source.path, &source.file, way.algorithm).await?,
            };
            compare(way.algorithm, &here, &self.digest(name, way).await?)?;
            return Ok(Some(Verified::Digest(way.algorithm)));
        }
        match self.size_if_told(name).await? {
            Some(there) if there != sent.bytes => {
                let why = format!("{} bytes were sent, and the server has {there}", sent.bytes);
                Err(partial(there, Error::Protocol { phase: Phase::FinalReply, why }))
            }
            there => Ok(there.map(|_| Verified::Size)),
        }
    }

    /// Sends what is to go. The digest is that of a file that was sent from its first byte on.
    async fn send(
        &mut self,
        source: &Source<'_>,
        plan: &Plan,
        hash: Option<Algorithm>,
        rate: Option<&Rate>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(Transferred, Option<Vec<u8>>), Error> {
        let (failed, from) = (local(source.path), plan.from);
        let mut file = source.file.try_clone().map_err(&failed)?;
        if source.total.is_some() {
            file.seek(SeekFrom::Start(from)).map_err(&failed)?;
        }
        let mut stream = self.upload(&plan.name, plan.how).await?;
        let mut sending = Sending { at: from, total: source.total, rate, progress };
        let hasher = match sending.send(&mut stream, file, hash.filter(|_| from == 0).map(Hasher::new)).await {
            Ok(hasher) => hasher,
            Err(Failure::Local(error)) => {
                // Not all of it can be sent: the server must not take the part for the whole. The local error says more than
                // what becomes of the session.
                let _ = stream.abort().await;
                return Err(failed(error));
            }
            Err(Failure::Session(error)) if stream.sent() == 0 => return Err(error),
            Err(Failure::Session(error)) => return Err(partial(from + stream.sent(), error)),
        };
        let unique_name = stream.unique_name();
        let sent = stream.sent();
        let failed = |error| if sent == 0 { error } else { partial(from + sent, error) };
        let reply = stream.finish().await.map_err(failed)?;
        let done = Transferred { bytes: sent, from, reply, unique_name, time_kept: false, verified: None };
        Ok((done, hasher.map(Hasher::finish)))
    }
}

impl Plan {
    /// What is behind so many bytes that the server has.
    fn behind(there: u64, name: Vec<u8>, aside: bool) -> Plan {
        let how = if there > LARGE_OFFSET { Upload::Append } else { Upload::From(there) };
        Plan { name, how, from: there, aside, resumes: true }
    }
}

/// What has gone.
struct Sent {
    bytes: u64,
    digest: Option<Vec<u8>>,
}

/// The server may have so many bytes of it.
fn partial(bytes: u64, error: Error) -> Error {
    match error {
        error @ (Error::Refused { .. } | Error::Partial { .. }) => error,
        error => Error::Partial { bytes, kept: None, source: Box::new(error) },
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a Path, file: File) -> Result<Source<'a>, Error> {
        let facts = file.metadata().map_err(local(path))?;
        if facts.is_dir() {
            return Err(local(path)(io::ErrorKind::IsADirectory.into()));
        }
        let modified = facts.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        Ok(Source { path, file, total: facts.is_file().then_some(facts.len()), modified })
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
    use std::future::poll_fn;

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
