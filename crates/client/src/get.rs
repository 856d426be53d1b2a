//! Fetching a whole file.

use std::future::poll_fn;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use port21_proto::client::Phase;
use port21_proto::parameters::{Algorithm, Representation};
use tokio::io::ReadBuf;

use crate::client::Client;
use crate::digest::{Hasher, Verified, Verify, Way, of_file};
use crate::download::DownloadStream;
use crate::error::Error;
use crate::file::{Progress, Transferred, local};
use crate::folder::Spot;
use crate::part::{Keep, Part};
use crate::rate::Rate;
use crate::receiving::Receiving;
use crate::sending::Failure;

/// So many bytes of a part are fetched again and compared before it is gone on with: the server's file may be another
/// one by now.
const OVERLAP: u64 = 16 * 1024;

/// A file may grow while it is fetched. What gets to twice the size that the server has told, and so much more, has no end.
const GROWTH: u64 = 64 * 1024 * 1024;

/// How a file is fetched.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Go on from what an earlier attempt has left aside (`NAME.port21-part`), or, where nothing was left aside and
    /// the file itself is there and no longer than the server's, from the file's end. The last 16 KiB are fetched again
    /// and compared; where they differ the server's file is another one, and is fetched from its beginning, as it is where
    /// the server's file was changed after the part was written. Image type only. Two commands more (SIZE, MDTM).
    pub resume: bool,
    /// With `resume`: go on from what was left aside alone. For files that change in their midst, not only at their end.
    pub parts_only: bool,
    /// With `resume`: what was left aside is known to be of this very file, for it was left a moment ago. Its age is not
    /// looked at then: the two clocks may differ.
    pub own_part: bool,
    /// Give the file the server's modification time (MDTM). One command more.
    pub keep_time: bool,
    /// How it is made sure that the file is whole. Default [`Verify::Cheaply`].
    pub verify: Verify,
    /// How fast it may be. Default: as fast as it goes.
    pub rate: Option<Rate>,
    /// The most bytes that it may have: a larger one is not fetched ([`Error::TooLarge`]). Where no size is known it is asked
    /// for, one command more; where the server tells none, or less than there is, the transfer ends at so many bytes, and
    /// nothing is kept. Default: no limit.
    pub max_size: Option<u64>,
    /// The size that a listing has told: it is not asked for again.
    pub known_size: Option<u64>,
    /// The time that a listing has told, as exact as the file's is to be: it is not asked for again.
    pub known_time: Option<Timestamp>,
    /// A time that is less exact than the file's is to be: for where the server tells no better one.
    pub rough_time: Option<Timestamp>,
}

impl GetOptions {
    /// Whether a file of this size may be fetched.
    pub(crate) fn check_size(&self, size: Option<u64>) -> Result<(), Error> {
        match self.max_size {
            Some(limit) if size.is_some_and(|size| size > limit) => Err(Error::TooLarge { limit }),
            _ => Ok(()),
        }
    }

    /// Whether the size is asked for before anything else.
    fn asks_for_size(&self) -> bool {
        self.known_size.is_none() && (self.resume || self.max_size.is_some())
    }

    /// Whether the time is asked for with the size.
    fn asks_for_both(&self) -> bool {
        self.asks_for_size() && self.keep_time && self.known_time.is_none()
    }
}

/// What is known of the server's file.
#[derive(Clone, Copy)]
pub(crate) struct Known<T = Option<SystemTime>> {
    pub(crate) size: Option<u64>,
    pub(crate) modified: T,
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
    /// See [`Client`]; [`Error::Local`] for the local file; [`Error::Partial`] where a part was left aside;
    /// [`Error::Mismatch`] where what has come is not what the server has.
    pub async fn get_file(
        &mut self,
        remote: impl AsRef<[u8]>,
        to: &Path,
        options: &GetOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let remote = remote.as_ref();
        let (size, modified) = self.facts_to_resume(remote, options).await?;
        let part = Part::open(to, keep(options, size))?;
        self.get_part(remote, part, Known { size, modified }, options, progress).await
    }

    /// As [`Client::get_file`], into a place that is not to be left: a link there is replaced, and not followed.
    pub(crate) async fn get_spot(
        &mut self,
        remote: &[u8],
        to: &Spot,
        options: &GetOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let (size, modified) = self.facts_to_resume(remote, options).await?;
        let part = Part::open_at(to, keep(options, size))?;
        self.get_part(remote, part, Known { size, modified }, options, progress).await
    }

    /// The size, where it is known or needed, and the time, where it is known or can be asked for at once with the size.
    async fn facts_to_resume(
        &mut self,
        remote: &[u8],
        options: &GetOptions,
    ) -> Result<(Option<u64>, Option<Timestamp>), Error> {
        if options.resume && self.representation() == Representation::Ascii {
            return Err(Error::Usage("a transfer in the ASCII type cannot be resumed: use the image type"));
        }
        let facts = match (options.known_size, options.known_time) {
            (None, None) if options.asks_for_both() => self.facts_if_told(remote).await?,
            (None, time) if options.asks_for_size() => (self.size_if_told(remote).await?, time),
            known => known,
        };
        options.check_size(facts.0)?;
        Ok(facts)
    }

    async fn get_part(
        &mut self,
        remote: &[u8],
        mut part: Part,
        told: Known<Option<Timestamp>>,
        options: &GetOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let asked = options.asks_for_both();
        self.more_follows &= !part.is_direct();
        let resumes = part.len > OVERLAP && !part.moved && !options.own_part;
        let modified = match told.modified {
            None if asked => None,
            // Before the bytes: whoever changes the file meanwhile makes it newer than what is here.
            None if options.keep_time || resumes => self.mtime_if_told(remote).await?,
            known => known,
        };
        let modified = modified.or(options.rough_time);
        let known = Known { size: told.size, modified: modified.map(SystemTime::from) };
        if resumes && known.modified.is_some_and(|modified| modified > part.modified) {
            part.start_anew()?;
        }
        let mut result = self.fetch_verified(remote, &mut part, known, options, progress).await;
        if matches!(result, Err(Error::OutOfStep { .. })) && !part.is_direct() {
            // Which bytes were this file's is not certain.
            part.start_anew()?;
            result = self.fetch_verified(remote, &mut part, known, options, progress).await;
        }
        let mut done = match result {
            Ok(done) => done,
            Err(error) => return Err(part.keep(error)),
        };
        if let Some(modified) = known.modified.filter(|_| options.keep_time) {
            done.time_kept = part.set_modified(modified);
        }
        part.commit()?;
        Ok(done)
    }

    /// Fetches, and compares what has come with what the server has.
    async fn fetch_verified(
        &mut self,
        remote: &[u8],
        part: &mut Part,
        known: Known,
        options: &GetOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let way = match options.verify {
            Verify::Digest if !part.is_direct() && self.representation() == Representation::Image => {
                self.digest_way().await?
            }
            _ => None,
        };
        loop {
            let hash = way.map(|way| way.algorithm);
            let fetch = Fetch { known, rate: options.rate.as_ref(), hash, max_size: options.max_size };
            let (mut done, digest) = self.fetch(remote, part, &fetch, progress).await?;
            if options.verify == Verify::Nothing || self.representation() == Representation::Ascii {
                return Ok(done);
            }
            if done.verified.is_none() {
                done.verified = self.check_size(remote, known.size, done.from + done.bytes).await?;
            }
            let Some(way) = way else { return Ok(done) };
            match self.check_digest(remote, part, way, digest).await {
                Ok(()) => {
                    done.verified = Some(Verified::Digest(way.algorithm));
                    return Ok(done);
                }
                Err(error) => {
                    part.start_anew()?;
                    part.began = false;
                    // A part may have been one of another file.
                    if !matches!(error, Error::Mismatch { .. }) || done.from == 0 {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Whether so many bytes are what the server has, where it tells; it is asked again where it has said something else
    /// before.
    pub(crate) async fn check_size(
        &mut self,
        remote: &[u8],
        known: Option<u64>,
        bytes: u64,
    ) -> Result<Option<Verified>, Error> {
        if known == Some(bytes) {
            return Ok(Some(Verified::Size));
        }
        // There are servers that tell 0 of every file.
        if known.is_none_or(|known| known == 0) {
            return Ok(None);
        }
        match self.size_if_told(remote).await? {
            Some(now) if now != bytes => {
                let why = format!("{bytes} bytes have come of a file that has {now} at the server");
                Err(Error::Protocol { phase: Phase::FinalReply, why })
            }
            now => Ok(now.map(|_| Verified::Size)),
        }
    }

    async fn check_digest(
        &mut self,
        remote: &[u8],
        part: &Part,
        way: Way,
        digest: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let here = match digest {
            Some(digest) => digest,
            None => of_file(part.path(), &part.file, way.algorithm).await?,
        };
        let there = self.digest(remote, way).await?;
        compare(way.algorithm, &here, &there)
    }

    async fn fetch(
        &mut self,
        remote: &[u8],
        part: &mut Part,
        fetch: &Fetch<'_>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(Transferred, Option<Vec<u8>>), Error> {
        if part.len <= OVERLAP {
            part.start_anew()?;
        } else {
            let tail = part.tail(OVERLAP)?;
            let from = part.len - OVERLAP;
            let mut stream = self.download(remote, from).await?;
            if same(&mut stream, &tail).await? {
                part.began = true;
                return save(stream, part, from, fetch, progress).await;
            }
            // Where that fails the download that follows begins the session anew.
            let _ = stream.abort().await;
            part.start_anew()?;
        }
        let stream = self.download(remote, 0).await?;
        part.began = true;
        save(stream, part, 0, fetch, progress).await
    }
}

/// How the bytes are fetched.
struct Fetch<'a> {
    known: Known,
    rate: Option<&'a Rate>,
    hash: Option<Algorithm>,
    max_size: Option<u64>,
}

fn keep(options: &GetOptions, size: Option<u64>) -> Keep {
    match (options.resume, options.parts_only) {
        (false, _) => Keep::Nothing,
        (true, true) => Keep::Part,
        (true, false) => Keep::PartOrShorter(size),
    }
}

/// Fails where the digests differ.
pub(crate) fn compare(algorithm: Algorithm, here: &[u8], there: &[u8]) -> Result<(), Error> {
    if here == there {
        return Ok(());
    }
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Err(Error::Mismatch { what: format!("{algorithm} is {} here and {} at the server", hex(here), hex(there)) })
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

/// Writes what comes behind what is there, and waits for the server's verdict. The digest is that of what has come from
/// the file's first byte on.
async fn save(
    mut stream: DownloadStream<'_>,
    part: &mut Part,
    from: u64,
    fetch: &Fetch<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(Transferred, Option<Vec<u8>>), Error> {
    let path = part.path().to_owned();
    let failed = local(&path);
    let hasher = fetch.hash.filter(|_| from == 0).map(Hasher::new);
    let total = if from == 0 { stream.size_hint().or(fetch.known.size) } else { fetch.known.size };
    let told = stream.size_hint().into_iter().chain(fetch.known.size).max();
    // There are servers that tell 0 of every file; and text has another length on the way.
    let told = told.filter(|told| *told > 0 && stream.is_image());
    let endless = told.map_or(u64::MAX, |told| told.saturating_mul(2).saturating_add(GROWTH));
    let limit = fetch.max_size.map_or(endless, |most| most.min(endless));
    let is_announced = fetch.max_size.is_some_and(|most| told.is_some_and(|told| told > most));
    let hasher = if is_announced {
        None
    } else {
        let file = part.file.try_clone().map_err(&failed)?;
        let mut receiving = Receiving { from, total, limit, rate: fetch.rate, progress };
        receiving.receive(&mut stream, file, hasher).await.map_err(|why| match why {
            Failure::Local(error) => failed(error),
            Failure::Session(error) => error,
        })?
    };
    if from + stream.received() > limit || is_announced {
        let came = from + stream.received();
        let _ = stream.abort().await;
        // It is of no use to any later attempt.
        part.start_anew()?;
        part.began = false;
        if let Some(limit) = fetch.max_size.filter(|most| came > *most || is_announced) {
            return Err(Error::TooLarge { limit });
        }
        let why =
            format!("{came} bytes have come of a file that has {} at the server: it does not end", told.unwrap_or(0));
        return Err(Error::TooMuch { phase: Phase::Transfer, why });
    }
    let (bytes, announced) = (stream.received(), stream.size_hint());
    let reply = stream.finish().await?;
    if let Some(announced) = announced.filter(|announced| from == 0 && bytes < *announced) {
        let why = format!("the server announced {announced} bytes and sent {bytes}, but answered {reply}");
        return Err(Error::Protocol { phase: Phase::FinalReply, why });
    }
    let verified = (from == 0 && announced == Some(bytes)).then_some(Verified::Size);
    let done = Transferred { bytes, from, reply, unique_name: None, time_kept: false, verified };
    Ok((done, hasher.map(Hasher::finish)))
}
