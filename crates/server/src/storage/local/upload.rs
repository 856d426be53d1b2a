//! Uploads: written, made to last, given their name; or interrupted. How one begins is in `begin`.
//!
//! A file that is replaced by a rename is another file afterwards: it takes over what people have set of the old one (see
//! `attributes`), but other hard links keep the old bytes. Who needs those kept has [`CommitMode::Direct`].
//!
//! An upload that is interrupted has changed no file. Where there is none of its name, what came is kept as a part (see
//! `aside`), for the account to go on with; where there is one, nothing is kept, for a name cannot be both a file and a
//! part of another.

use std::fs::File;
use std::sync::Arc;

use port21_proto::FtpPath;
use port21_proto::server::StorageError;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, StatVfs};
use rustix::fs::{fallocate, fstat, fstatvfs, ftruncate, openat, statat, tell};
use rustix::io::{Errno, dup};

use super::super::quota::Charge;
use super::super::{Answer, BoxFuture, CommitMode, Sink, Upload};
use super::aside::Aside;
use super::attributes::take_over;
use super::facts::Facts;
use super::failure::Failure;
use super::tree::{Place, Tree};
use super::writers::Claim;
use super::{blocking, brief, directory, disk, settle};

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
    /// Whether its client has been let begin, and so may have sent something, even if none of it has come here.
    began: bool,
    /// Whether what came is worth nothing, if it is interrupted.
    spoilt: bool,
    /// How many bytes have yet to come, where it is known how many there will be.
    left: Option<u64>,
    /// Whether its file system is on this machine.
    is_quick: bool,
    charge: Charge,
    claim: Claim,
}

/// A file that was opened for an upload.
pub(super) struct Opened {
    pub(super) file: OwnedFd,
    pub(super) end: End,
    pub(super) charge: Charge,
}

/// How an upload ends.
pub(super) enum End {
    /// It gets its name.
    Rename {
        aside: Aside,
        name: Vec<u8>,
        /// The file that it will replace. Where there was none, it replaces none.
        old: Option<Facts>,
    },
    /// It was written from somewhere in the middle of a file on, and the file ends where the upload ends.
    ///
    /// RFC 3659 section 5 does not say what becomes of bytes behind the upload. vsftpd and proftpd leave them, Pure-FTPd
    /// cuts the file at the restart point before the first byte has come. Here it is cut where the upload ended, well
    /// or not, but never when it broke off before a byte came: the file then is what the client sent, SIZE tells
    /// where to go on, and a transfer that failed before it began has done no harm.
    Cut { from: u64 },
    /// It has its name, and nothing is cut from it.
    Stay,
}

impl Upload for LocalUpload {
    fn path(&self) -> &FtpPath {
        &self.path
    }

    fn sink(&mut self) -> Sink<'_> {
        Sink::File(Arc::clone(&self.file))
    }

    fn take(&mut self, bytes: u64) -> Result<(), StorageError> {
        self.claim.moves();
        let left = self.left.map(|left| left.checked_sub(bytes).ok_or(StorageError::WrongLength)).transpose()?;
        self.charge.take(bytes)?;
        self.left = left;
        Ok(())
    }

    fn spoil(&mut self) {
        self.spoilt = true;
    }

    fn is_quick(&self) -> bool {
        self.is_quick
    }

    fn displaced(&self) -> BoxFuture<'static, ()> {
        let writer = Arc::clone(self.claim.writer());
        Box::pin(async move { writer.displaced().await })
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        Box::pin(async {
            self.claim.is_final();
            self.is_complete()?;
            if self.commit != CommitMode::Durable {
                return Ok(());
            }
            if self.synced.is_none() {
                let (file, trims, cuts) = (Arc::clone(&self.file), self.trims, self.cuts());
                let answer = blocking(move || {
                    if trims {
                        settle(trim(&file, cuts))?;
                    }
                    settle(disk::sync_file(&file))
                });
                let answer = answer.await;
                self.trims &= answer.is_err();
                self.spoilt |= answer.is_err();
                self.synced = Some(answer);
            }
            self.synced.clone().unwrap_or(Ok(()))
        })
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            match self.is_quick && self.commit != CommitMode::Durable {
                true => brief(move || settle(self.finish())).await,
                false => blocking(move || settle(self.finish())).await,
            }
        })
    }

    fn let_go(self: Box<Self>) -> BoxFuture<'static, ()> {
        // Whoever wants the file waits for its end from now on, instead of being refused.
        self.claim.passes();
        Box::pin(async {
            let let_go = move || {
                drop(self);
                Ok(())
            };
            if let Err(error) = blocking(let_go).await {
                tracing::warn!(%error, "an upload that broke off was not cleared away");
            }
        })
    }
}

impl LocalUpload {
    /// An upload to what was opened. What comes of one that is `spoilt` is worth nothing, if it is interrupted.
    pub(super) fn new(path: FtpPath, commit: CommitMode, opened: Opened, spoilt: bool, claim: Claim) -> LocalUpload {
        let Opened { file, end, charge } = opened;
        let trims = matches!(end, End::Cut { .. });
        let file = Arc::new(file.into());
        LocalUpload {
            end,
            file,
            trims,
            path,
            commit,
            synced: None,
            began: false,
            spoilt,
            left: None,
            is_quick: false,
            charge,
            claim,
        }
    }

    /// Its file system is on this machine, or is not.
    pub(super) fn is_on(&mut self, tree: &Tree) {
        self.is_quick = tree.is_quick();
    }

    /// It is to have just so many bytes.
    pub(super) fn has_just(&mut self, bytes: u64) {
        self.left = Some(bytes);
    }

    /// Whether all has come that was to come. Of what has too few nobody knows what they are.
    fn is_complete(&mut self) -> Result<(), StorageError> {
        if self.left.is_none_or(|left| left == 0) {
            return Ok(());
        }
        self.spoilt = true;
        Err(StorageError::WrongLength)
    }

    /// Makes room for bytes that were announced: on the disk only for a file aside, which goes if the upload breaks off, or
    /// is collected. Behind the end of a file that has its name, room would stay that no count sees, and the cut that
    /// gives it back could take away what programs outside have added to the file.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), Failure> {
        let at = tell(&self.file)?;
        has_space(&self.file, at, bytes)?;
        self.charge.reserve(bytes)?;
        if matches!(self.end, End::Rename { .. }) {
            self.trims |= reserve(&self.file, at, bytes)?;
        }
        Ok(())
    }

    /// Looks whether there is room for bytes that were announced, and takes none.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), Failure> {
        has_space(&self.file, tell(&self.file)?, bytes)?;
        Ok(self.charge.has_room(bytes)?)
    }

    /// From now on its client may send.
    pub(super) fn begins(&mut self) {
        self.began = true;
    }

    fn cuts(&self) -> bool {
        matches!(self.end, End::Cut { .. })
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.claim.is_final();
        self.is_complete()?;
        let durable = self.commit == CommitMode::Durable;
        match self.synced.take() {
            // Asked a second time the disk would say that all is well: what it lost it has forgotten.
            Some(answer) => answer?,
            None => {
                if std::mem::take(&mut self.trims) {
                    trim(&self.file, self.cuts())?;
                }
                if durable {
                    // What the disk may have lost is nothing to go on with.
                    disk::sync_file(&self.file).inspect_err(|_| self.spoilt = true)?;
                }
            }
        }
        if let End::Rename { aside, name, old } = &mut self.end {
            let dir = aside.dir();
            match old {
                None => disk::name(dir, aside.name(), name)?,
                Some(old) => {
                    let place = Place { dir: dup(dir)?, name: name.clone() };
                    let now = place.look()?.filter(Facts::is_file);
                    if let Some(now) = now.filter(|now| now.touched != old.touched || !now.is_same_file(old)) {
                        // Somebody has set its permissions anew meanwhile, perhaps to keep others out.
                        take_over(&self.file, &place, &now)?;
                    }
                    disk::rename(dir, aside.name(), name)?;
                    self.charge.replaced(now.map(|now| now.size));
                }
            }
            aside.keep();
            // The next one may have the name, or what was the old file's number, as soon as this has lasted.
            self.claim.passes();
            if durable {
                sync_directory(aside.dir(), &self.file)?;
            }
        }
        Ok(())
    }

    /// Whether what came is kept for the account to go on with: not where there is a file of its name by now.
    fn keeps_part(&self, aside: &Aside, name: &[u8]) -> bool {
        aside.is_part()
            && !self.spoilt
            && tell(&self.file).is_ok_and(|written| written > 0)
            && matches!(statat(aside.dir(), name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
    }
}

impl Drop for LocalUpload {
    /// Undoes what was not committed, or keeps it as a part.
    fn drop(&mut self) {
        self.claim.passes();
        let keeps = matches!(&self.end, End::Rename { aside, name, .. } if self.keeps_part(aside, name));
        match &mut self.end {
            End::Rename { aside, .. } if keeps => {
                aside.keep();
                if self.trims
                    && let Err(errno) = trim(&self.file, false)
                {
                    tracing::warn!("the room that was made for an upload could not be given back: {errno}");
                }
            }
            End::Rename { aside, old, .. } if aside.is_here() => {
                // Where there is an old file, the client may think that what it has sent is in it.
                if old.is_some() && (self.began || aside.was_marked()) {
                    aside.leave_mark(&self.file);
                } else {
                    aside.remove();
                }
                self.charge.undo();
            }
            End::Rename { .. } => {}
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
        // What was taken and not written, or cut off.
        if let Ok(stat) = fstat(&self.file) {
            self.charge.settle(Facts::from(stat).size);
        }
    }
}

/// Whether bytes that were announced can have room at all: a file system without says so at once, and is not filled up to
/// find out.
fn has_space(file: &File, at: u64, bytes: u64) -> Result<(), Failure> {
    let ends = at.checked_add(bytes).is_some_and(|end| i64::try_from(end).is_ok());
    let is_full = |fs: StatVfs| fs.f_bavail.saturating_mul(fs.f_frsize) < bytes;
    if !ends || fstatvfs(file).is_ok_and(is_full) { Err(StorageError::NoSpace.into()) } else { Ok(()) }
}

/// Makes room for bytes that were announced. Tells whether there is now room that may be too much.
fn reserve(file: &File, at: u64, bytes: u64) -> Result<bool, Errno> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, at, bytes) {
        Ok(()) => Ok(true),
        Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(errno),
        // The file system does not do that; the upload will find out.
        Err(_) => Ok(false),
    }
}

/// Takes away what is behind the upload: where it `cuts`, what the file had there, and room that was made and not used.
fn trim(file: &File, cuts: bool) -> Result<(), Errno> {
    let end = if cuts { tell(file)? } else { Facts::from(fstat(file)?).size };
    ftruncate(file, end)
}

/// Makes a file's new name last.
pub(super) fn sync_directory(dir: &OwnedFd, file: impl AsFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(dir, ".", flags, Mode::empty()) {
        Ok(dir) => directory::sync(&dir, || disk::sync_directory(&dir)),
        // A directory that may be filled but not read cannot be opened for that. The journals of ext4, XFS and Btrfs
        // carry the new name along with the file.
        Err(Errno::ACCESS) => disk::sync_file(file),
        Err(errno) => Err(errno),
    }
}
