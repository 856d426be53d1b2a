//! Files that uploads are written to before they have their name.
//!
//! Such a file stands in the directory of the file that it will become, so that a rename is all that is needed, under a
//! name that no session can see or say. `O_TMPFILE` would need no name, and leave nothing after a crash; but it cannot
//! replace a file without a name in between, NFS and older overlayfs do not have it (so names would be needed all the
//! same), and the directory's watchers would see a file come up by a link: what picks up finished files listens for
//! a rename (`IN_MOVED_TO`), which every other way of uploading safely ends with.
//!
//! What a crash leaves is collected: each file is locked (`flock`) for as long as its upload lives, so that one which is
//! not locked, and not so young that its lock may be just about to be taken, belongs to nobody.
//!
//! **Parts.** Where no file has the name yet, the file aside is one that the account can find again, in this process or
//! the next: its name is made of the account's and the file's. When the upload is interrupted, even by the end of the
//! server, it stays, and is what the client may go on with. Both names go through a hash, for together they may be longer
//! than a name can be, and a directory's other readers need not learn whose file is missing. What was written before the
//! machine was started last is not gone on with: it may lack bytes that a power cut has kept from the disk. And who was told
//! of a part goes on with that very one: where two sessions of the account break off at the same size, the part that is there
//! is the later one's.
//!
//! **Marks.** Where there is a file of the name, nothing is kept of an interrupted upload. But its client may not know
//! that: it asks for the size, or looks at a listing, finds that of the old file, and goes on with the new one from there;
//! the result would be neither. So the file aside is made under a name that can be found again too, and when the upload is
//! interrupted it stays, empty, as a mark. (A server that is killed leaves the same mark, with what had come in it.) Until
//! its account has sent the whole file, under this name or under another that it then gives this one, or removed the old one or
//! given it another name, nothing is added to a file of that name, whoever else has put it there: whatever is there, it is not what
//! the client had begun to send. A part holds it
//! off in the same way, where somebody else has given its name to a file. For `durable` the mark outlasts a power cut as well: its
//! name is forced to the disk before the upload begins.

use std::fs::File;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use port21_proto::FtpPath;
use port21_proto::path::MAX_PATH;
use port21_proto::server::{Part, StorageError};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, SeekFrom, Timespec, Timestamps, UTIME_OMIT};
use rustix::fs::{
    StatxFlags, fchmod, flock, fstat, ftruncate, futimens, openat, renameat, seek, statat, statx, unlinkat,
};
use rustix::io::Errno;

use super::LocalSettings;
use super::facts::Facts;
use super::failure::Failure;
use super::tree::{CAREFUL, LOOK, Lookup, Tree};

/// What the names of files aside begin with.
const PREFIX: &[u8] = b".port21-upload-";

/// What those begin with that an account can find again.
const PART_PREFIX: &[u8] = b".port21-part-";

/// What those begin with that are to replace a file.
const OVER_PREFIX: &[u8] = b".port21-over-";

/// How long marks are kept at least: a client that comes back after a weekend is held off too.
const MARKS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most bytes of names of directories that are still to be looked at: whoever may make directories may make many, each
/// with a long path.
const PENDING: usize = 16 << 20;

/// What a file system may take up more than a file has, a block at its end or some facts: no room that was made for it.
const BLOCK: u64 = 128 << 10;

/// Whether a name is of a file aside: no session sees or says it.
pub(super) fn is_aside(name: &[u8]) -> bool {
    [PREFIX, PART_PREFIX, OVER_PREFIX].into_iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a name leads to one: on a file system that does not tell upper case from lower, one that is written in another way
/// does too.
pub(super) fn leads_aside(name: &[u8]) -> bool {
    is_aside(&name.to_ascii_lowercase())
}

/// Whether a part of the path is such a name.
pub(super) fn has_aside(path: &FtpPath) -> bool {
    path.parts().any(leads_aside)
}

/// The name of what is kept of an account's upload of this name.
pub(super) fn part_name(owner: &str, name: &[u8]) -> Vec<u8> {
    found_again(PART_PREFIX, owner, name)
}

/// The name of the file aside that is to replace a file of this name, and of the [mark](Aside::leave_mark) that it leaves.
///
/// Accounts that several people share have no name here, and so their marks in common.
pub(super) fn over_name(owner: Option<&str>, name: &[u8]) -> Vec<u8> {
    found_again(OVER_PREFIX, owner.unwrap_or_default(), name)
}

/// The name of one that is to replace a file, and that nobody is to find again: no mark comes of it.
pub(super) fn passing_over_name() -> Result<Vec<u8>, Failure> {
    Ok([OVER_PREFIX, &random_letters::<16>()?].concat())
}

fn found_again(prefix: &[u8], owner: &str, name: &[u8]) -> Vec<u8> {
    // The length keeps apart what belongs to the one and to the other.
    let key = [&(owner.len() as u64).to_be_bytes()[..], owner.as_bytes(), name].concat();
    let hash = digest(&SHA256, &key);
    let hex = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
    [prefix, hex.collect::<String>().as_bytes()].concat()
}

/// Whether a file aside is one that is to replace a file, or a mark. As the old file is counted until it is gone, so is
/// this one's size, but not as a file of its own.
pub(super) fn is_over(name: &[u8]) -> bool {
    name.starts_with(OVER_PREFIX)
}

/// Whether there is a [mark](over_name), or a [part](part_name) though a file has its name: then an upload broke off, and
/// what is there is not what its client had begun to send.
pub(super) fn was_interrupted(dir: &OwnedFd, mark: &[u8], part: Option<&[u8]>) -> bool {
    is_marked(dir, mark) || part.is_some_and(|part| is_part(dir, part))
}

/// Whether there is a mark of this [name](over_name). Where that cannot be found out there may be one.
fn is_marked(dir: &OwnedFd, mark: &[u8]) -> bool {
    !matches!(statat(dir, mark, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
}

/// Removes a mark, where there is one: there is nothing any more that could be gone on with by mistake.
pub(super) fn remove_mark(dir: &OwnedFd, mark: &[u8]) {
    if is_marked(dir, mark)
        && let Err(errno) = unlinkat(dir, mark, AtFlags::empty())
    {
        tracing::warn!("the mark of an interrupted upload could not be removed: {errno}");
    }
}

/// A file aside. Dropped, it is removed, unless it was [kept](Aside::keep).
pub(super) struct Aside {
    dir: OwnedFd,
    name: Option<Vec<u8>>,
    is_part: bool,
    /// It has taken the place of a mark, and stays as that.
    was_marked: bool,
}

impl Aside {
    /// Makes a file of permissions `mode` in a directory, and locks it.
    pub(super) fn create(dir: OwnedFd, mode: Mode) -> Result<(Aside, OwnedFd), Failure> {
        let name = [PREFIX, &random_letters::<16>()?].concat();
        Aside::create_as(dir, name, mode, false)
    }

    /// Makes one that can be found again as [`part_name`] tells, in the place of what an earlier upload has left there:
    /// how many bytes that were.
    pub(super) fn create_part(
        dir: OwnedFd,
        name: Vec<u8>,
        mode: Mode,
    ) -> Result<(Aside, OwnedFd, Option<u64>), Failure> {
        let (_left, facts) = match lock_part(&dir, &name) {
            Ok(left) => left,
            Err(Failure::Os(Errno::NOENT)) => {
                let (aside, file) = Aside::create_as(dir, name, mode, true)?;
                return Ok((aside, file, None));
            }
            Err(failure) => return Err(failure),
        };
        // While the earlier one is there, no other has its inode: they can be told apart.
        let (mut aside, file) = Aside::create(dir, mode)?;
        renameat(&aside.dir, aside.name(), &aside.dir, name.as_slice())?;
        (aside.name, aside.is_part) = (Some(name), true);
        Ok((aside, file, Some(facts.size)))
    }

    /// Takes up what an interrupted upload has left, where that is what the client was told of.
    pub(super) fn take_up(
        dir: OwnedFd,
        name: Vec<u8>,
        told: Part,
        since: SystemTime,
    ) -> Result<(Aside, OwnedFd), Failure> {
        let (file, facts) = lock_part(&dir, &name).map_err(|failure| match failure {
            // The client was told of it, and sends only what is behind it.
            Failure::Os(Errno::NOENT) => StorageError::NoResume.into(),
            failure => failure,
        })?;
        let there = Part { size: facts.size, identity: identity(&facts, &file) };
        if there != told || facts.is_older_than(since) {
            return Err(StorageError::NoResume.into());
        }
        seek(&file, SeekFrom::Start(told.size))?;
        Ok((Aside { dir, name: Some(name), is_part: true, was_marked: false }, file))
    }

    fn create_as(dir: OwnedFd, name: Vec<u8>, mode: Mode, is_part: bool) -> Result<(Aside, OwnedFd), Failure> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&dir, name.as_slice(), flags, mode)?;
        let mut aside = Aside { dir, name: Some(name), is_part, was_marked: false };
        // Where there are no locks, stale files are not collected; that is no reason to refuse an upload. Who has the lock
        // of a file that was made just now takes it for a left-over and removes it, with its directory.
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(Errno::AGAIN) || fstat(&file)?.st_nlink == 0 {
            aside.keep();
            return Err(StorageError::Busy.into());
        }
        Ok((aside, file))
    }

    /// Makes one that is to replace a file, as [`over_name`] tells, for nobody else to open. Where there is a mark it takes
    /// its place, and is one from the beginning. How many bytes a server that was killed had left there is told too.
    pub(super) fn create_over(dir: OwnedFd, name: Vec<u8>) -> Result<(Aside, OwnedFd, u64), Failure> {
        let mode = Mode::RUSR | Mode::WUSR;
        let (_mark, facts) = match lock_part(&dir, &name) {
            Ok(mark) => mark,
            Err(Failure::Os(Errno::NOENT)) => {
                let (aside, file) = Aside::create_as(dir, name, mode, false)?;
                return Ok((aside, file, 0));
            }
            Err(failure) => return Err(failure),
        };
        // At every moment there is a file of the mark's name.
        let (mut aside, file) = Aside::create(dir, mode)?;
        renameat(&aside.dir, aside.name(), &aside.dir, name.as_slice())?;
        (aside.name, aside.was_marked) = (Some(name), true);
        Ok((aside, file, facts.size))
    }

    /// Leaves the file, without its bytes, as a mark.
    pub(super) fn leave_mark(&mut self, file: &File) {
        if let Err(errno) = ftruncate(file, 0) {
            tracing::warn!("what an interrupted upload had carried could not be thrown away yet: {errno}");
        }
        // The next upload must be able to take its place, whoever may write the file that is there.
        let _ = fchmod(file, Mode::RUSR | Mode::WUSR);
        self.keep();
    }

    /// Whether it has taken the place of a mark.
    pub(super) fn was_marked(&self) -> bool {
        self.was_marked
    }

    /// Whether it is still here, under the name that it was made with.
    pub(super) fn is_here(&self) -> bool {
        self.name.is_some()
    }

    /// Whether it can be found again.
    pub(super) fn is_part(&self) -> bool {
        self.is_part
    }

    /// The directory.
    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// The name in the directory.
    pub(super) fn name(&self) -> &[u8] {
        self.name.as_deref().unwrap_or_default()
    }

    /// The file has got its name: nothing is to be removed any more.
    pub(super) fn keep(&mut self) {
        self.name = None;
    }

    /// Removes the file, unless that was done or it was kept.
    pub(super) fn remove(&mut self) {
        if let Some(name) = self.name.take()
            && let Err(errno) = unlinkat(&self.dir, name.as_slice(), AtFlags::empty())
        {
            tracing::warn!("an unfinished upload could not be removed and waits for the next start: {errno}");
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.was_marked {
            self.remove();
        }
    }
}

/// Removes what an interrupted upload has left: how many bytes that were.
///
/// # Errors
/// [`StorageError::Busy`] where an upload is at it.
pub(super) fn remove_part(dir: &OwnedFd, name: &[u8]) -> Result<u64, Failure> {
    let (_file, facts) = lock_part(dir, name)?;
    unlinkat(dir, name, AtFlags::empty())?;
    Ok(facts.size)
}

/// Whether there is a part of this name. Where that cannot be found out there may be one.
fn is_part(dir: &OwnedFd, name: &[u8]) -> bool {
    !matches!(statat(dir, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
}

/// What an interrupted upload has left, or one that is under way has received, if it was written to since then.
pub(super) fn part(dir: &OwnedFd, name: &[u8], since: SystemTime) -> Result<Part, Failure> {
    let file = openat(dir, name, LOOK | OFlags::NOFOLLOW, Mode::empty())?;
    let facts = Facts::from(fstat(&file)?);
    if !facts.is_file() || facts.is_older_than(since) {
        return Err(StorageError::NotFound.into());
    }
    Ok(Part { size: facts.size, identity: identity(&facts, &file) })
}

/// What tells a part from those before and after it: its inode, and since an inode that is free is soon another file's,
/// when the file was made. Not when it was written to: what comes last of a part changes that.
fn identity(facts: &Facts, file: &OwnedFd) -> [u64; 2] {
    let made = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).map_or(0, |statx| {
        let known = statx.stx_mask & StatxFlags::BTIME.bits() != 0;
        let nanos = i128::from(statx.stx_btime.tv_sec) * 1_000_000_000 + i128::from(statx.stx_btime.tv_nsec);
        if known { nanos as u64 } else { 0 }
    });
    [facts.inode, made]
}

/// Opens a part to go on with it, alone.
fn lock_part(dir: &OwnedFd, name: &[u8]) -> Result<(OwnedFd, Facts), Failure> {
    let file = openat(dir, name, OFlags::WRONLY | OFlags::NOFOLLOW | CAREFUL, Mode::empty())?;
    // Where there are no locks, the table of writers still keeps this process from itself.
    if let Err(Errno::AGAIN) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        return Err(StorageError::Busy.into());
    }
    let facts = Facts::from(fstat(&file)?);
    if !facts.is_file() {
        return Err(StorageError::NotARegularFile.into());
    }
    // Between open and lock another one may have taken it away.
    let there = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(Facts::from)?;
    if !there.is_same_file(&facts) {
        return Err(StorageError::Busy.into());
    }
    Ok((file, facts))
}

/// Letters and digits that nobody can guess: 5 bits each.
pub(super) fn random_letters<const N: usize>() -> Result<[u8; N], Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| StorageError::Io(e.to_string()))?;
    Ok(bytes.map(|b| LETTERS[usize::from(b % 32)]))
}

/// How long files aside are left alone that no upload holds, from when they were last written to.
#[derive(Clone, Copy)]
pub(super) struct Ages {
    /// Those that nobody can go on with: until their lock was surely taken.
    pub(super) stale: Duration,
    /// Parts.
    pub(super) parts: Duration,
    /// Marks.
    pub(super) marks: Duration,
}

impl Ages {
    /// A mark is worth as much as a part, costs next to nothing, and is there where no parts are kept too.
    pub(super) fn of(settings: &LocalSettings) -> Ages {
        let marks = settings.parts_kept.max(MARKS_KEPT);
        Ages { stale: settings.stale_after, parts: settings.parts_kept, marks }
    }

    /// Where the directory is to go: parts and marks go with it, however young, but nothing that may be in use.
    pub(super) fn of_removal(settings: &LocalSettings) -> Ages {
        Ages { parts: Duration::ZERO, marks: Duration::ZERO, ..Ages::of(settings) }
    }

    fn of_name(&self, name: &[u8]) -> Duration {
        if name.starts_with(PART_PREFIX) {
            self.parts
        } else if is_over(name) {
            self.marks
        } else {
            self.stale
        }
    }
}

/// What was collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Collected {
    /// How many files.
    pub(super) files: usize,
    /// How many of them a quota counts: all but marks.
    pub(super) counted: u64,
    /// How many bytes were in them.
    pub(super) bytes: u64,
}

/// Removes the files aside in all directories of a tree that no upload holds and that are older than `ages` say.
/// Links are not followed. Tells what was removed. Before each directory it asks whether to `go_on`.
pub(super) fn collect(tree: &Tree, ages: Ages, go_on: impl Fn() -> bool) -> Result<Collected, Failure> {
    let root = tree.open(&FtpPath::root(), OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Lookup::Full)?;
    let mut todo: Vec<Vec<u8>> = vec![b".".to_vec()];
    let (mut removed, mut pending, mut cut) = (Collected::default(), 1, false);
    while let Some(relative) = todo.pop().filter(|_| go_on()) {
        pending -= relative.len();
        // A directory that has gone, or that we may not see into, has nothing of ours.
        let Ok(entries) = tree.open_below(&root, &relative).and_then(Dir::new) else { continue };
        collect_from(entries, ages, &mut removed, |name, kind| {
            // A directory of unknown type is found out by opening it.
            if matches!(kind, FileType::Directory | FileType::Unknown) {
                let path = [relative.as_slice(), b"/", name].concat();
                if pending + path.len() > PENDING {
                    cut = true;
                } else if path.len() <= MAX_PATH {
                    // What no session can name has nothing of ours.
                    pending += path.len();
                    todo.push(path);
                }
            }
        })?;
    }
    if cut {
        tracing::warn!("too many directories to look for unfinished uploads in all of them");
    }
    Ok(removed)
}

/// As [`collect`], in one directory alone, and only if there is nothing else in it.
pub(super) fn collect_in(dir: &OwnedFd, ages: Ages) -> Result<Collected, Failure> {
    let mut removed = Collected::default();
    let mut entries = Dir::read_from(dir)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") && !is_aside(name) {
            return Ok(removed);
        }
    }
    collect_from(Dir::read_from(dir)?, ages, &mut removed, |_, _| ())?;
    Ok(removed)
}

/// Collects from a directory's entries, and hands on all others.
fn collect_from(
    mut entries: Dir,
    ages: Ages,
    removed: &mut Collected,
    mut other: impl FnMut(&[u8], FileType),
) -> Result<(), Failure> {
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if !is_aside(name) {
            other(name, entry.file_type());
            continue;
        }
        match collect_one(entries.fd()?, name, ages.of_name(name)) {
            Ok(Left::Nothing { bytes }) => {
                removed.files += 1;
                removed.counted += u64::from(!is_over(name));
                removed.bytes += bytes;
            }
            Ok(Left::Less { bytes }) => removed.bytes += bytes,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Whether [`collect_in`] would remove this file aside.
pub(super) fn could_collect(dir: BorrowedFd<'_>, name: &[u8], ages: Ages) -> bool {
    let looked = open_to_collect(dir, name).and_then(|file| {
        let facts = Facts::from(fstat(&file)?);
        let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(facts.is_file() && is_old(&facts, ages.of_name(name)) && is_free)
    });
    // It may have gone meanwhile.
    looked.unwrap_or_else(|errno| errno == Errno::NOENT)
}

/// What was left of a file aside.
enum Left {
    /// It is gone, and so many bytes with it.
    Nothing { bytes: u64 },
    /// It is still there, with so many bytes less.
    Less { bytes: u64 },
}

/// Whether it was last written to so long ago, or longer.
fn is_old(facts: &Facts, age: Duration) -> bool {
    let limit = Timestamp::now().checked_sub(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX));
    facts.modified.is_some_and(|at| limit.is_err() || limit.is_ok_and(|limit| at <= limit))
}

fn open_to_collect(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::NOFOLLOW | CAREFUL;
    // NFS locks only what was opened to be written; a file that replaces a read-only one may not be.
    openat(dir, name, OFlags::WRONLY | flags, Mode::empty())
        .or_else(|_| openat(dir, name, OFlags::RDONLY | flags, Mode::empty()))
}

/// Removes one file aside, if nobody holds it and it is so old. From one that stays it takes what a server that was killed
/// had no time to: room that was made and not used, and the bytes of a mark.
fn collect_one(dir: BorrowedFd<'_>, name: &[u8], age: Duration) -> Result<Left, Errno> {
    let file = open_to_collect(dir, name)?;
    let stat = fstat(&file)?;
    let facts = Facts::from(stat);
    if !facts.is_file() {
        return Err(Errno::BUSY);
    }
    let is_old = is_old(&facts, age);
    let size = if is_over(name) { 0 } else { facts.size };
    let room = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    // One that was made just now has neither: its upload may be about to lock it.
    if !is_old && size == facts.size && room <= size.saturating_add(BLOCK) {
        return Err(Errno::BUSY);
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    if is_old {
        unlinkat(dir, name, AtFlags::empty())?;
        return Ok(Left::Nothing { bytes: facts.size });
    }
    ftruncate(&file, size)?;
    // It does not become younger by that.
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    };
    futimens(&file, &times)?;
    Ok(Left::Less { bytes: facts.size - size })
}
