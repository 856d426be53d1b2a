//! Uploads: begun, written, made to last, given their name; or never happened.
//!
//! A file that is replaced by a rename is another file afterwards: it gets the permission bits of the old one, and where
//! the server is privileged its owner and group, but not its access control list and extended attributes, and other
//! hard links keep the old bytes. Who needs those kept has [`CommitMode::Direct`].

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use port21_proto::FtpPath;
use port21_proto::server::{Placement, StorageError};
use rustix::fd::OwnedFd;
use rustix::fs::{Access, AtFlags, FallocateFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::fs::{
    accessat, fallocate, fchmod, fchown, fstat, fstatvfs, fsync, ftruncate, openat, renameat, statat, tell,
};
use rustix::io::Errno;

use super::super::{Answer, CommitMode, Sink, Upload};
use super::aside::{Aside, random_letters};
use super::facts::Facts;
use super::failure::Failure;
use super::rename::rename_new;
use super::tree::{CAREFUL, Place, Tree};
use super::writers::Claim;
use super::{blocking, settle};

/// The longest name that Linux's file systems have, in bytes.
const NAME_MAX: usize = 255;

/// A file of this size or more is closed on a thread that may wait: freeing the blocks of one that has no name takes
/// time.
const LARGE: u64 = 32 << 20;

/// What an upload is begun with.
pub(super) struct Begin {
    pub(super) path: FtpPath,
    pub(super) placement: Placement,
    pub(super) overwrite: bool,
    pub(super) announced: Option<u64>,
    pub(super) commit: CommitMode,
    /// The permissions of a new file.
    pub(super) mode: Mode,
}

impl Begin {
    /// Opens what is to be written. It waits for the disk.
    pub(super) fn begin(mut self, tree: &Tree) -> Result<LocalUpload, Failure> {
        if self.placement == Placement::Unique {
            self.path = unique_path(&self.path)?;
            self.overwrite = false;
        }
        let (place, there) = target(tree, &self.path)?;
        let mut claim = Claim::of_name(&Facts::from(fstat(&place.dir)?), &place.name)?;
        if let Some(facts) = &there {
            if !self.overwrite {
                return Err(StorageError::Exists.into());
            }
            // Read-only files are not replaced either, though the directory alone would have to allow that.
            accessat(&place.dir, place.name.as_slice(), Access::WRITE_OK, AtFlags::EACCESS)?;
            claim.and_file(facts)?;
        }
        let (file, end) = match (self.placement, &there) {
            (Placement::At(from), Some(facts)) if from > 0 => in_place(&place, facts, from)?,
            (Placement::At(from), None) if from > 0 => return Err(StorageError::BadOffset.into()),
            (Placement::End, Some(facts)) => at_end(&place, facts)?,
            _ if self.commit == CommitMode::Direct => direct(&place, &mut claim, self.mode, self.overwrite)?,
            _ => aside(place, there.as_ref(), self.mode, self.overwrite)?,
        };
        let reserved = match self.announced {
            Some(bytes) => reserve(&file, bytes)?,
            None => false,
        };
        let trims = reserved || matches!(end, End::Cut { .. });
        let file = Arc::new(file.into());
        let Begin { path, commit, .. } = self;
        Ok(LocalUpload { end, file, trims, path, commit, synced: None, _claim: claim })
    }
}

/// An upload to a file of the operating system.
pub(super) struct LocalUpload {
    end: End,
    file: Arc<File>,
    /// Whether the file may still have to be [trimmed](trim).
    trims: bool,
    path: FtpPath,
    commit: CommitMode,
    /// What the disk said, once it was asked.
    synced: Option<Result<(), StorageError>>,
    _claim: Claim,
}

/// How an upload ends.
enum End {
    /// It gets its name.
    Rename { aside: Aside, name: Vec<u8>, overwrite: bool },
    /// It was written from somewhere in the middle of a file on, and the file ends where the upload ends.
    ///
    /// RFC 3659 section 5 does not say what becomes of bytes behind the upload. vsftpd and proftpd leave them, Pure-FTPd
    /// cuts the file at the restart point before the first byte has come. Here it is cut where the upload ended, well
    /// or not, but never when it broke off before a byte came: the file then is what the client sent, SIZE tells
    /// where to go on, and a transfer that failed before it began has done no harm.
    Cut { from: u64 },
    /// It has its name, and is the file's end.
    Stay,
}

impl Upload for LocalUpload {
    fn path(&self) -> &FtpPath {
        &self.path
    }

    fn sink(&mut self) -> Sink<'_> {
        Sink::File(Arc::clone(&self.file))
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        Box::pin(async {
            if self.commit != CommitMode::Durable {
                return Ok(());
            }
            if self.synced.is_none() {
                let (file, trims, cuts) = (Arc::clone(&self.file), self.trims, self.cuts());
                let answer = blocking(move || {
                    if trims {
                        settle(trim(&file, cuts))?;
                    }
                    settle(fsync(&file))
                });
                let answer = answer.await;
                self.trims &= answer.is_err();
                self.synced = Some(answer);
            }
            self.synced.clone().unwrap_or(Ok(()))
        })
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(blocking(move || settle(self.finish())))
    }
}

impl LocalUpload {
    fn cuts(&self) -> bool {
        matches!(self.end, End::Cut { .. })
    }

    fn finish(mut self) -> Result<(), Failure> {
        let durable = self.commit == CommitMode::Durable;
        match self.synced.take() {
            // Asked a second time the disk would say that all is well: what it lost it has forgotten.
            Some(answer) => answer?,
            None => {
                if std::mem::take(&mut self.trims) {
                    trim(&self.file, self.cuts())?;
                }
                if durable {
                    fsync(&self.file)?;
                }
            }
        }
        if let End::Rename { aside, name, overwrite } = &mut self.end {
            let dir = aside.dir();
            if *overwrite {
                renameat(dir, aside.name(), dir, name.as_slice())?;
            } else {
                rename_new(dir, aside.name(), dir, name)?;
            }
            aside.keep();
            if durable {
                sync_directory(aside.dir(), &self.file)?;
            }
        }
        Ok(())
    }
}

impl Drop for LocalUpload {
    /// Undoes what was not committed.
    fn drop(&mut self) {
        match &mut self.end {
            // The name goes at once, so that a client that gave up can remove its directory; the blocks of a large file
            // take time to be freed, so its last handle is sent where waiting is allowed.
            End::Rename { aside, .. } => {
                if aside.remove()
                    && tell(&self.file).is_ok_and(|written| written >= LARGE)
                    && let Ok(runtime) = tokio::runtime::Handle::try_current()
                {
                    let file = Arc::clone(&self.file);
                    runtime.spawn_blocking(move || drop(file));
                }
            }
            End::Cut { from } => {
                if self.trims
                    && tell(&self.file).is_ok_and(|end| end > *from)
                    && let Err(errno) = trim(&self.file, true)
                {
                    tracing::warn!("a file could not be cut where its upload broke off: {errno}");
                }
            }
            End::Stay => {}
        }
    }
}

/// Takes away what is behind the upload: where it `cuts`, what the file had there, and room that was made and not used.
fn trim(file: &File, cuts: bool) -> Result<(), Errno> {
    let end = if cuts { tell(file)? } else { Facts::from(fstat(file)?).size };
    ftruncate(file, end)
}

/// The place that is written to, and what is there. A link is written through: its name stays a link, and the file that
/// it leads to (inside the root) is replaced or changed, as with a server that opens the file by name.
fn target(tree: &Tree, path: &FtpPath) -> Result<(Place, Option<Facts>), Failure> {
    if path.is_root() {
        return Err(StorageError::IsADirectory.into());
    }
    let mut place = tree.parent(path)?;
    let mut there = look(&place)?;
    if there.is_some_and(|facts| facts.kind() == FileType::Symlink) {
        place = tree.behind_links(path)?;
        there = look(&place)?;
    }
    match there {
        Some(facts) if facts.is_directory() => Err(StorageError::IsADirectory.into()),
        Some(facts) if !facts.is_file() => Err(StorageError::NotARegularFile.into()),
        there => Ok((place, there)),
    }
}

fn look(place: &Place) -> Result<Option<Facts>, Errno> {
    match statat(&place.dir, place.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A path of the form `PREFIX.abcdefgh`. Nobody can guess it, and among as many files as a directory can have it is not
/// there yet; where it is after all, the upload is refused.
fn unique_path(path: &FtpPath) -> Result<FtpPath, Failure> {
    let letters = random_letters::<8>()?;
    let prefix = path.file_name().unwrap_or(b"upload");
    let prefix = prefix.get(..NAME_MAX - letters.len() - 1).unwrap_or(prefix);
    let name = [prefix, b".", &letters].concat();
    Ok(path.parent().join(&name).map_err(|_| StorageError::BadName)?)
}

/// Opens a file that is there to be written where it is.
fn open_there(place: &Place, facts: &Facts, more: OFlags) -> Result<File, Failure> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | CAREFUL | more;
    let file = openat(&place.dir, place.name.as_slice(), flags, Mode::empty())?;
    let opened = Facts::from(fstat(&file)?);
    if (opened.device, opened.inode) != (facts.device, facts.inode) {
        // Somebody else has put another file there since it was claimed.
        return Err(StorageError::Busy.into());
    }
    Ok(file.into())
}

fn in_place(place: &Place, facts: &Facts, from: u64) -> Result<(OwnedFd, End), Failure> {
    let mut file = open_there(place, facts, OFlags::empty())?;
    if from > Facts::from(fstat(&file)?).size {
        return Err(StorageError::BadOffset.into());
    }
    file.seek(SeekFrom::Start(from)).map_err(|e| StorageError::Io(e.to_string()))?;
    Ok((file.into(), End::Cut { from }))
}

/// Append mode: programs outside that write to the same end (a log) lose nothing.
fn at_end(place: &Place, facts: &Facts) -> Result<(OwnedFd, End), Failure> {
    Ok((open_there(place, facts, OFlags::APPEND)?.into(), End::Stay))
}

fn direct(place: &Place, claim: &mut Claim, mode: Mode, overwrite: bool) -> Result<(OwnedFd, End), Failure> {
    let mut flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | CAREFUL;
    flags.set(OFlags::EXCL, !overwrite);
    let file = openat(&place.dir, place.name.as_slice(), flags, mode)?;
    let facts = Facts::from(fstat(&file)?);
    if !facts.is_file() {
        return Err(StorageError::NotARegularFile.into());
    }
    // Only now that it is known to have no other writer may its bytes go.
    claim.and_file(&facts)?;
    ftruncate(&file, 0)?;
    Ok((file, End::Stay))
}

fn aside(place: Place, there: Option<&Facts>, mode: Mode, overwrite: bool) -> Result<(OwnedFd, End), Failure> {
    let (aside, file) = Aside::create(place.dir, mode)?;
    if let Some(facts) = there {
        // Only a privileged server can give files away; for others the file becomes the server's own.
        let made = Facts::from(fstat(&file)?);
        if (made.uid, made.gid) != (facts.uid, facts.gid) {
            let _ = fchown(&file, Some(Uid::from_raw(facts.uid)), Some(Gid::from_raw(facts.gid)));
        }
        fchmod(&file, Mode::from_raw_mode(facts.mode & 0o777))?;
    }
    Ok((file, End::Rename { aside, name: place.name, overwrite }))
}

/// Makes room for bytes that were announced. Tells whether there is now room that may be too much.
fn reserve(file: &OwnedFd, bytes: u64) -> Result<bool, Failure> {
    let at = tell(file)?;
    if bytes == 0 || at.checked_add(bytes).is_none_or(|end| i64::try_from(end).is_err()) {
        return if bytes == 0 { Ok(false) } else { Err(StorageError::NoSpace.into()) };
    }
    // A file system without room says so at once, and is not filled up to find out.
    if let Ok(fs) = fstatvfs(file)
        && fs.f_bavail.saturating_mul(fs.f_frsize) < bytes
    {
        return Err(StorageError::NoSpace.into());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, at, bytes) {
        Ok(()) => Ok(true),
        Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(errno.into()),
        // The file system does not do that; the upload will find out.
        Err(_) => Ok(false),
    }
}

/// Makes a file's new name last.
fn sync_directory(dir: &OwnedFd, file: &File) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(dir, ".", flags, Mode::empty()) {
        Ok(dir) => fsync(dir),
        // A directory that may be filled but not read cannot be opened for that. The journals of ext4, XFS and Btrfs
        // carry the new name along with the file.
        Err(Errno::ACCESS) => fsync(file),
        Err(errno) => Err(errno),
    }
}
