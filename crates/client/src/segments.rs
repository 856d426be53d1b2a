//! One file over several sessions: each fetches a segment, and who is done takes half of what another has left.
//!
//! The size that the server tells is believed as far as it proves true: no place is taken for it beforehand, and where it does not,
//! the file is fetched in one stream.
//!
//! The part is as long as what has come of the file, and has gaps; `NAME.port21-segments` beside it says which bytes
//! are there. It is written after they were, so that what it says holds whatever happens; an interrupted download goes on
//! from it where the server's file has the size and the time that it names.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use port21_proto::Reply;
use port21_proto::client::Phase;
use port21_proto::parameters::{Algorithm, Representation};
use port21_proto::reply::CodeClass;
use port21_proto::text::Shown;
use rustix::fs::OFlags;
use tokio::io::ReadBuf;

use crate::client::Client;
use crate::crew::{Crew, Next, Work};
use crate::digest::{Verified, Verify, of_file};
use crate::disk::CHUNK;
use crate::error::Error;
use crate::file::{Progress, Transferred, local};
use crate::folder::Spot;
use crate::get::{GetOptions, compare};
use crate::part::{Keep, Part, aside_name, read_note};
use crate::ranges::{Ranges, State};
use crate::rate::{Rate, pay};
use crate::watch::{Event, Item, Watch};
use port21_io::Buffer;

/// A segment with less than twice that left is not split: a new transfer would take as long.
const LEAST: u64 = 1024 * 1024;

/// How often the note of what is there is written.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Fetches a file in so many segments at once; nothing where that cannot be, or is not worth it.
pub(crate) async fn fetch(
    crew: &mut Crew,
    segments: usize,
    item: &Item,
    to: &Path,
    options: &GetOptions,
    watch: &Arc<dyn Watch>,
) -> Result<Option<Transferred>, Error> {
    let before = facts(crew, item, Verify::Nothing, watch).await?;
    let Some(size) = before.size.filter(|size| *size >= 2 * LEAST) else { return Ok(None) };
    options.check_size(Some(size))?;
    if to.metadata().is_ok_and(|facts| !facts.is_file()) {
        return Ok(None);
    }
    let mut part = Part::open(to, Keep::Segments)?;
    let Some(note) = part.note() else { return Ok(None) };
    let modified = before.modified.map(|at| at.as_second());
    let known = State { size, modified, done: Ranges::default() };
    let one_stream = |why: &str| {
        watch.event(&Event::Notice(&format!("{}: {why}: it is fetched in one stream", Shown(&item.remote))));
    };
    if size.saturating_sub(part.len) > room(&part) {
        one_stream(&format!("the server tells {size} bytes, for which there is no room here"));
        return Ok(None);
    }
    let state = begin(&mut part, &note, known, options.resume)?;
    let from = state.done.total();
    let shared = Arc::new(Shared {
        item: item.clone(),
        watch: watch.clone(),
        file: part.file.try_clone().map_err(local(part.path()))?,
        note,
        rate: options.rate.clone(),
        table: Mutex::new(Table::new(state)),
    });
    watch.event(&Event::Began(item));
    part.began = true;
    let seats = (0..segments).map(|_| Seat::new(Ask::Segments(shared.clone()), item, watch)).collect();
    let mut failure = None;
    let run = crew.run(seats, |_, result| {
        failure = failure.take().or(result.err());
        Next::nothing()
    });
    let run = run.await.err();
    let state = shared.table().state.clone();
    if state.done.total() < size || shared.is_doubted() {
        let error = run.or(failure).unwrap_or(Error::Usage("segments are missing, and nobody says why"));
        let disagreement = matches!(error, Error::Protocol { phase: Phase::FinalReply, .. }).then(|| error.to_string());
        if let Some(why) = shared.table().doubt.take().or(disagreement) {
            // Nothing of what has come is believed.
            part.start_anew()?;
            let _ = shared.note.remove();
            one_stream(&why);
            return Ok(None);
        }
        return give_up(part, &shared, &state, error);
    }
    let after = match facts(crew, item, options.verify, watch).await {
        Ok(after) => after,
        Err(error) => return give_up(part, &shared, &state, error),
    };
    let verified = match check(&part, &before, &after).await {
        Ok(verified) => verified,
        Err(error) => {
            // It is of no use to any later attempt.
            part.start_anew()?;
            let _ = shared.note.remove();
            return Err(error);
        }
    };
    let time_kept = options.keep_time && before.modified.is_some_and(|at| part.set_modified(SystemTime::from(at)));
    part.commit()?;
    // The file has its name: a note that stays behind is found to be of no use by the next download.
    let _ = shared.note.remove();
    let farewell = shared.table().farewell.take();
    let reply = farewell.or(after.reply).ok_or(Error::Usage("the server has said nothing"))?;
    Ok(Some(Transferred { bytes: size - from, from, reply, unique_name: None, time_kept, verified: Some(verified) }))
}

/// How many bytes there is room for where the part is.
fn room(part: &Part) -> u64 {
    // What cannot be told is not what it fails by.
    rustix::fs::fstatvfs(&part.file).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What an earlier attempt has left, where it is of the same file.
fn begin(part: &mut Part, note: &Spot, fresh: State, resume: bool) -> Result<State, Error> {
    let known = read_note(note).filter(|state| resume && (state.size, state.modified) == (fresh.size, fresh.modified));
    // A note of more than there is was not this part's.
    let state = known.filter(|state| (state.done.end()..=state.size).contains(&part.len)).unwrap_or(fresh);
    if state.done.total() == 0 {
        part.start_anew()?;
    }
    let failed = local(part.path());
    write_note(note, &state).map_err(&failed)?;
    Ok(state)
}

/// Not all has come: what has is kept, with the note of it. Where the server can begin in no midst, nothing is, and one
/// session has to do it.
fn give_up(mut part: Part, shared: &Shared, state: &State, error: Error) -> Result<Option<Transferred>, Error> {
    let bytes = state.done.total();
    let no_rest = matches!(error, Error::Refused { verb: "REST", .. });
    if bytes == 0 || no_rest {
        part.start_anew()?;
        let _ = shared.note.remove();
        return if no_rest { Ok(None) } else { Err(error) };
    }
    write_note(&shared.note, state).map_err(local(part.path()))?;
    Err(Error::Partial { bytes, kept: Some(part.path().to_owned()), source: Box::new(error) })
}

/// Compares what has come with what the server has now.
async fn check(part: &Part, before: &Facts, after: &Facts) -> Result<Verified, Error> {
    // Whoever has changed the file meanwhile has made of it what never was one.
    if (before.size, before.modified) != (after.size, after.modified) {
        let why = "the server's file was changed while it was fetched in segments".to_owned();
        return Err(Error::Protocol { phase: Phase::FinalReply, why });
    }
    let Some((algorithm, there)) = &after.digest else { return Ok(Verified::Size) };
    let here = of_file(part.path(), &part.file, *algorithm).await?;
    compare(*algorithm, &here, there)?;
    Ok(Verified::Digest(*algorithm))
}

async fn facts(crew: &mut Crew, item: &Item, verify: Verify, watch: &Arc<dyn Watch>) -> Result<Facts, Error> {
    let mut found = Err(Error::Usage("nobody has asked"));
    crew.run(vec![Seat::new(Ask::Facts(verify), item, watch)], |_, result| {
        found = result.map(Option::unwrap_or_default);
        Next::nothing()
    })
    .await?;
    found
}

/// What the server tells of the file.
#[derive(Default)]
struct Facts {
    size: Option<u64>,
    modified: Option<Timestamp>,
    digest: Option<(Algorithm, Vec<u8>)>,
    /// What the server said last.
    reply: Option<Reply>,
}

/// What one session does.
struct Seat {
    ask: Ask,
    item: Item,
    watch: Arc<dyn Watch>,
    reached: u64,
    /// Once the server's words and bytes did not fit each other.
    disagreed: bool,
}

enum Ask {
    Facts(Verify),
    /// Fetches segments for as long as there are any.
    Segments(Arc<Shared>),
}

/// What all sessions share.
struct Shared {
    item: Item,
    watch: Arc<dyn Watch>,
    file: File,
    note: Spot,
    rate: Option<Rate>,
    table: Mutex<Table>,
}

struct Table {
    state: State,
    pieces: Vec<Piece>,
    noted: Instant,
    /// The reply to the transfer that has come to the file's end.
    farewell: Option<Reply>,
    /// By what it was seen that the file has not the size that the server tells. Nothing more is fetched then.
    doubt: Option<String>,
}

/// Bytes that are to be fetched in one go.
struct Piece {
    next: u64,
    end: u64,
    taken: bool,
}

/// A piece that somebody fetches; dropped, it is free again.
struct Claim<'a> {
    shared: &'a Shared,
    at: usize,
}

impl Seat {
    fn new(ask: Ask, item: &Item, watch: &Arc<dyn Watch>) -> Seat {
        Seat { ask, item: item.clone(), watch: watch.clone(), reached: 0, disagreed: false }
    }
}

impl Work for Seat {
    type Output = Option<Facts>;

    async fn attempt(&mut self, client: &mut Client) -> Result<Option<Facts>, Error> {
        match &self.ask {
            Ask::Facts(verify) => ask(client, &self.item.remote, *verify).await.map(Some),
            Ask::Segments(shared) => {
                while let Some(claim) = shared.claim() {
                    let start = claim.range().start;
                    if let Err(error) = claim.fetch(client, &mut self.reached).await {
                        if is_told_otherwise(&error, start, &mut self.disagreed) {
                            shared.doubt(&error.to_string());
                        }
                        return Err(error);
                    }
                }
                Ok(None)
            }
        }
    }

    fn reached(&self) -> u64 {
        self.reached
    }

    fn again(&self, error: &Error, wait: Duration) {
        self.watch.event(&Event::Again { remote: &self.item.remote, error, wait });
    }
}

/// Whether the error says that the file has not the size that was told: what is to be in its midst is refused for good, or has come
/// to its end for the second time.
fn is_told_otherwise(error: &Error, start: u64, disagreed: &mut bool) -> bool {
    match error {
        Error::Refused { verb: "REST", .. } => false,
        Error::Refused { reply, .. } => start > 0 && reply.code().class() == CodeClass::Permanent,
        Error::Protocol { phase: Phase::FinalReply, .. } => std::mem::replace(disagreed, true),
        _ => false,
    }
}

async fn ask(client: &mut Client, remote: &[u8], verify: Verify) -> Result<Facts, Error> {
    if client.representation() != Representation::Image {
        return Ok(Facts::default());
    }
    let digest = match verify {
        Verify::Digest => match client.digest_way().await? {
            Some(way) => Some((way.algorithm, client.digest(remote, way).await?)),
            None => None,
        },
        _ => None,
    };
    let size = client.size_if_told(remote).await?;
    let (modified, reply) = (client.mtime_if_told(remote).await?, client.noop().await.ok());
    Ok(Facts { size, modified, digest, reply })
}

impl Table {
    fn new(state: State) -> Table {
        let piece = |gap: Range<u64>| Piece { next: gap.start, end: gap.end, taken: false };
        let pieces = state.done.gaps(state.size).into_iter().map(piece).collect();
        Table { state, pieces, noted: Instant::now(), farewell: None, doubt: None }
    }

    /// A piece that nobody fetches, or the second half of the one with the most left.
    fn take(&mut self) -> Option<usize> {
        let free = self.pieces.iter().position(|piece| !piece.taken && piece.next < piece.end);
        if let Some(at) = free {
            self.pieces.get_mut(at)?.taken = true;
            return Some(at);
        }
        let left = |piece: &Piece| piece.end.saturating_sub(piece.next);
        let longest = self.pieces.iter_mut().filter(|piece| piece.taken).max_by_key(|piece| left(piece))?;
        if left(longest) < 2 * LEAST {
            return None;
        }
        let middle = longest.next + left(longest) / 2;
        let second = Piece { next: middle, end: longest.end, taken: true };
        longest.end = middle;
        self.pieces.push(second);
        Some(self.pieces.len() - 1)
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the size is a lie.
    fn is_doubted(&self) -> bool {
        self.table().doubt.is_some()
    }

    fn doubt(&self, why: &str) {
        self.table().doubt.get_or_insert_with(|| why.to_owned());
    }

    fn claim(&self) -> Option<Claim<'_>> {
        if self.is_doubted() {
            return None;
        }
        self.table().take().map(|at| Claim { shared: self, at })
    }
}

impl Claim<'_> {
    /// Where it stands, and its end, which may have come nearer.
    fn range(&self) -> Range<u64> {
        self.shared.table().pieces.get(self.at).map_or(0..0, |piece| piece.next..piece.end)
    }

    async fn fetch(&self, client: &mut Client, reached: &mut u64) -> Result<(), Error> {
        let size = self.shared.table().state.size;
        let mut stream = client.download(&self.shared.item.remote, self.range().start).await?;
        let mut buffer = Buffer::new(CHUNK);
        loop {
            let range = self.range();
            if range.is_empty() || self.shared.is_doubted() {
                break;
            }
            let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let room = left.min(CHUNK).min(self.shared.rate.as_ref().map_or(CHUNK, Rate::at_once));
            let mut buf = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
            poll_fn(|cx| stream.poll_bytes(cx, &mut buf)).await?;
            let len = buf.filled().len();
            if len == 0 {
                let reply = stream.finish().await?;
                let why = format!("the server's file ends {left} bytes too early, but it answered {reply}");
                return Err(Error::Protocol { phase: Phase::FinalReply, why });
            }
            buffer = self.write(buffer, len, range.start).await?;
            *reached += len as u64;
            pay(self.shared.rate.as_ref(), len).await;
        }
        if self.range().end == size {
            // The server's own end: whether it is content, and has no more.
            let mut more = [0];
            let mut buf = ReadBuf::new(&mut more);
            poll_fn(|cx| stream.poll_bytes(cx, &mut buf)).await?;
            if !buf.filled().is_empty() {
                // It may have no end: what follows is not waited for.
                let _ = stream.abort().await;
                let why = format!("the server's file is longer than the {size} bytes that it told");
                // Nothing is left to be tried again: who did would find all of it there.
                self.shared.doubt(&why);
                return Err(Error::Protocol { phase: Phase::FinalReply, why });
            }
            let finished = stream.finish().await;
            if let Err(error @ Error::Refused { .. }) = &finished {
                // All bytes are there, and the server says that they are not what they are to be.
                self.shared.doubt(&error.to_string());
            }
            self.shared.table().farewell = Some(finished?);
            return Ok(());
        }
        // What others fetch is not wanted; where that fails the next call begins the session anew.
        let _ = stream.abort().await;
        Ok(())
    }

    /// Writes what has come, and the note of it now and then; gives the buffer back.
    async fn write(&self, buffer: Buffer, len: usize, at: u64) -> Result<Buffer, Error> {
        let shared = self.shared;
        let failed = local(&shared.item.local);
        let file = shared.file.try_clone().map_err(&failed)?;
        let written = tokio::task::spawn_blocking(move || {
            file.write_all_at(buffer.get(..len).unwrap_or_default(), at).map(|()| buffer)
        });
        let buffer = written.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(&failed)?;
        let (progress, note) = {
            let mut table = shared.table();
            let end = at + len as u64;
            table.state.done.add(at..end);
            if let Some(piece) = table.pieces.get_mut(self.at) {
                piece.next = piece.next.max(end);
            }
            let due = table.noted.elapsed() >= NOTE_EVERY;
            if due {
                table.noted = Instant::now();
            }
            let progress = Progress { done: table.state.done.total(), total: Some(table.state.size) };
            (progress, due.then(|| table.state.clone()))
        };
        if let Some(state) = note {
            let (file, note) = (shared.file.try_clone().map_err(&failed)?, shared.note.clone());
            // First the bytes, then what says that they are there.
            let noted = tokio::task::spawn_blocking(move || file.sync_data().and_then(|()| write_note(&note, &state)));
            noted.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(&failed)?;
        }
        shared.watch.event(&Event::Moved(&shared.item, progress));
        Ok(buffer)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(piece) = self.shared.table().pieces.get_mut(self.at) {
            piece.taken = false;
        }
    }
}

/// Writes the note aside, and gives it its name when it is whole.
fn write_note(note: &Spot, state: &State) -> io::Result<()> {
    let aside = note.beside(aside_name(note.name(), ".new"));
    let mut file = aside.open(OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
    file.write_all(state.text().as_bytes())?;
    aside.rename(note.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(table: &Table) -> Vec<(u64, u64)> {
        table.pieces.iter().map(|piece| (piece.next, piece.end)).collect()
    }

    #[test]
    fn who_is_done_takes_half_of_the_longest() {
        let size = 16 * LEAST;
        let mut done = Ranges::default();
        done.add(0..LEAST);
        let mut table = Table::new(State { size, modified: None, done });
        assert_eq!((table.take(), table.take()), (Some(0), Some(1)));
        assert_eq!(ends(&table), [(LEAST, LEAST * 17 / 2), (LEAST * 17 / 2, size)]);
        // The first one is slow, the second is done.
        table.pieces[1].next = size;
        assert_eq!(table.take(), Some(2));
        assert_eq!(table.pieces[0].end, table.pieces[2].next);
        // What somebody had to leave is taken first.
        table.pieces[2].taken = false;
        assert_eq!(table.take(), Some(2));
        table.pieces[0].next = table.pieces[0].end - LEAST;
        table.pieces[2].next = table.pieces[2].end - LEAST;
        assert_eq!(table.take(), None);
    }
}
