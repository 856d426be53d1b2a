//! Uploads: begun, written, made to last, given their name; or interrupted.
//!
//! A file that is replaced by a rename is another file afterwards: it takes over what people have set of the old one (see
//! `attributes`), but other hard links keep the old bytes. Who needs those kept has [`CommitMode::Direct`].
//!
//! An upload that is interrupted has changed no file. Where there is none of its name, what came is kept as a part (see
//! `aside`), for the account to go on with; where there is one, nothing is kept, for a name cannot be both a file and a
//! part of another.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use port21_proto::FtpPath;
use port21_proto::server::{Form, Placement, StorageError, Told};
use rustix::fd::OwnedFd;
use rustix::fs::{Access, AtFlags, FallocateFlags, FileType, Mode, OFlags, StatVfs};
use rustix::fs::{accessat, fallocate, fstat, fstatvfs, ftruncate, openat, statat, tell};
use rustix::io::{Errno, dup};

use super::super::quota::Charge;
use super::super::{Answer, BoxFuture, CommitMode, Quota, Sink, Upload};
use super::aside::{Aside, is_marked, over_name, part_name, part_size};
use super::aside::{random_letters, remove_mark, remove_part};
use super::attributes::take_over;
use super::facts::Facts;
use super::failure::Failure;
use super::tree::{CAREFUL, Place, Tree};
use super::writers::Claim;
use super::{blocking, directory, disk, settle};

/// The longest name that Linux's file systems have, in bytes.
const NAME_MAX: usize = 255;

/// What an upload is begun with.
#[derive(Clone)]
pub(super) struct Begin {
    pub(super) path: FtpPath,
    pub(super) placement: Placement,
    pub(super) overwrite: bool,
    pub(super) announced: Option<u64>,
    pub(super) commit: CommitMode,
    pub(super) told: Option<Told>,
    pub(super) form: Form,
    /// The permissions of a new file.
    pub(super) mode: Mode,
    /// Whose upload it is, where one client at a time uses the account.
    pub(super) owner: Option<Arc<str>>,
    /// Whom a part is kept for.
    pub(super) parts_of: Option<Arc<str>>,
    pub(super) quota: Option<Arc<dyn Quota>>,
}

impl Begin {
    /// Opens what is to be written. It waits for the disk.
    pub(super) fn begin(mut self, tree: &Tree) -> Result<LocalUpload, Failure> {
        if self.placement == Placement::Unique {
            self.path = unique_path(&self.path)?;
            self.overwrite = false;
        }
        let (place, _) = target(tree, &self.path)?;
        let mut claim = Claim::new(self.owner.as_ref());
        // Another upload may have been given the name since that was looked at.
        let there = claim.place(&place)?;
        if there.is_some_and(|facts| !facts.is_file()) {
            return Err(StorageError::Busy.into());
        }
        if there.is_some() {
            if !self.overwrite {
                return Err(StorageError::Exists.into());
            }
            // Read-only files are not replaced either, though the directory alone would have to allow that.
            accessat(&place.dir, place.name.as_slice(), Access::WRITE_OK, AtFlags::EACCESS)?;
        }
        let Opened { file, end, charge } = self.open(place, there, &mut claim)?;
        let mut upload = LocalUpload {
            trims: matches!(end, End::Cut { .. }),
            end,
            file: Arc::new(file.into()),
            path: self.path,
            commit: self.commit,
            synced: None,
            began: false,
            spoilt: self.form == Form::Ascii,
            charge,
            claim,
        };
        if let Some(bytes) = self.announced.filter(|bytes| *bytes > 0) {
            let at = tell(&upload.file)?;
            has_space(&upload.file, at, bytes)?;
            // Guests, and who shares an account with others, would take room from them without sending a byte.
            if self.owner.is_some() {
                upload.charge.reserve(bytes)?;
                upload.trims |= reserve(&upload.file, at, bytes)?;
            } else {
                upload.charge.has_room(bytes)?;
            }
        }
        upload.began = true;
        Ok(upload)
    }

    /// What is written to: by what the client asked for, what is there, and what an interrupted upload has left.
    fn open(&self, place: Place, there: Option<Facts>, claim: &mut Claim) -> Result<Opened, Failure> {
        let part = self.parts_of.as_ref().map(|owner| part_name(owner, &place.name));
        match (self.placement, there, self.told) {
            // The client goes on with a part, and there is a file by now: they have nothing to do with each other.
            (Placement::At(1..) | Placement::End, Some(_), Some(Told::Part(_))) => Err(StorageError::NoResume.into()),
            // Or it goes on with, or adds to, what it may take for the beginning of what it had sent.
            (Placement::At(1..) | Placement::End, there, _)
                if self.was_interrupted(&place, there.and(part.as_ref())) =>
            {
                Err(StorageError::NoResume.into())
            }
            (Placement::At(from @ 1..), Some(facts), _) => self.in_place(&place, &facts, from),
            (Placement::End, Some(facts), _) => self.at_end(&place, &facts),
            (Placement::At(from @ 1..), None, Some(Told::Part(told))) if from == told => self.go_on(place, part, told),
            (Placement::At(1..), None, Some(Told::Part(_))) => Err(StorageError::NoResume.into()),
            (Placement::End, None, Some(Told::Part(told))) => self.go_on(place, part, told),
            (Placement::At(1..), None, _) => Err(StorageError::BadOffset.into()),
            (_, there, _) => {
                // What is left of a text nobody could go on with: it is not to be found again.
                let part_to_be = there.is_none() && self.commit != CommitMode::Direct && self.form == Form::Image;
                if let Some(part) = part.as_ref().filter(|_| !part_to_be) {
                    // Of an upload that has nothing to do with the file that is there, or that will be.
                    self.forget_part(&place, part)?;
                }
                let mark = self.over_name(&place);
                match (there, part) {
                    (Some(facts), _) if self.commit != CommitMode::Direct => self.over(place, facts, mark),
                    (there, part) => {
                        // From its first byte on it is this client's own.
                        let direct = self.commit == CommitMode::Direct;
                        let opened = match part.filter(|_| part_to_be && self.placement != Placement::Unique) {
                            _ if direct => self.direct(&place, there, claim)?,
                            Some(part) => self.part(&place, part)?,
                            None => self.aside(&place)?,
                        };
                        remove_mark(&place.dir, &mark);
                        Ok(opened)
                    }
                }
            }
        }
    }

    /// Written where it is, from somewhere in it.
    fn in_place(&self, place: &Place, facts: &Facts, from: u64) -> Result<Opened, Failure> {
        let mut file = open_there(place, facts, OFlags::empty())?;
        let size = Facts::from(fstat(&file)?).size;
        if from > size {
            return Err(StorageError::BadOffset.into());
        }
        file.seek(SeekFrom::Start(from)).map_err(|e| StorageError::Io(e.to_string()))?;
        let charge = Charge::of_file(self.quota.as_ref(), size, from);
        Ok(Opened { file: file.into(), end: End::Cut { from }, charge })
    }

    /// In append mode: programs outside that write to the same end (a log) lose nothing.
    fn at_end(&self, place: &Place, facts: &Facts) -> Result<Opened, Failure> {
        let file = open_there(place, facts, OFlags::APPEND)?;
        let size = Facts::from(fstat(&file)?).size;
        let charge = Charge::of_file(self.quota.as_ref(), size, size);
        Ok(Opened { file: file.into(), end: End::Stay, charge })
    }

    /// Behind what an interrupted upload has left.
    fn go_on(&self, place: Place, part: Option<Vec<u8>>, size: u64) -> Result<Opened, Failure> {
        let Some(part) = part.filter(|_| self.form == Form::Image) else {
            return Err(StorageError::NoResume.into());
        };
        let (aside, file) = Aside::take_up(place.dir, part, size)?;
        let charge = Charge::of_file(self.quota.as_ref(), size, size);
        Ok(Opened { file, end: End::Rename { aside, name: place.name, old: None }, charge })
    }

    /// Aside, where it can be found again if it is interrupted.
    fn part(&self, place: &Place, part: Vec<u8>) -> Result<Opened, Failure> {
        let (aside, file, left) = Aside::create_part(dup(&place.dir)?, part, self.mode)?;
        if let (Some(size), Some(quota)) = (left, &self.quota) {
            quota.give(size, 1);
        }
        let charge = Charge::of_new(self.quota.as_ref(), false)?;
        Ok(Opened { file, end: End::Rename { aside, name: place.name.clone(), old: None }, charge })
    }

    fn aside(&self, place: &Place) -> Result<Opened, Failure> {
        let (aside, file) = Aside::create(dup(&place.dir)?, self.mode)?;
        let charge = Charge::of_new(self.quota.as_ref(), false)?;
        Ok(Opened { file, end: End::Rename { aside, name: place.name.clone(), old: None }, charge })
    }

    /// Aside, and then in the place of a file.
    fn over(&self, place: Place, old: Facts, mark: Vec<u8>) -> Result<Opened, Failure> {
        let (aside, file, left) = Aside::create_over(dup(&place.dir)?, mark)?;
        if let Some(quota) = &self.quota {
            quota.give(left, 0);
        }
        take_over(&file, &place, &old)?;
        let charge = Charge::of_new(self.quota.as_ref(), true)?;
        Ok(Opened { file, end: End::Rename { aside, name: place.name, old: Some(old) }, charge })
    }

    /// Under its own name at once.
    fn direct(&self, place: &Place, there: Option<Facts>, claim: &mut Claim) -> Result<Opened, Failure> {
        let Some(facts) = there else {
            let mut charge = Charge::of_new(self.quota.as_ref(), false)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | CAREFUL;
            let made = openat(&place.dir, place.name.as_slice(), flags, self.mode).map_err(Failure::from);
            let made = made.and_then(|file| claim.file(&fstat(&file)?.into()).map(|()| file));
            return match made {
                Ok(file) => Ok(Opened { file, end: End::Stay, charge }),
                Err(failure) => {
                    charge.undo();
                    Err(failure)
                }
            };
        };
        // Only of the file that is known to have no other writer may the bytes go.
        let file = open_there(place, &facts, OFlags::empty())?;
        ftruncate(&file, 0)?;
        let mut charge = Charge::of_file(self.quota.as_ref(), facts.size, 0);
        charge.settle(0);
        Ok(Opened { file: file.into(), end: End::Stay, charge })
    }

    /// Whether an upload of this account broke off, over a file of this name, or before somebody else gave the name to one:
    /// whatever that is, it is not what the client had begun to send.
    fn was_interrupted(&self, place: &Place, part: Option<&Vec<u8>>) -> bool {
        let has_part = part.is_some_and(|part| !matches!(part_size(&place.dir, part), Err(Failure::Os(Errno::NOENT))));
        has_part || is_marked(&place.dir, &self.over_name(place))
    }

    fn over_name(&self, place: &Place) -> Vec<u8> {
        over_name(self.owner.as_deref(), &place.name)
    }

    fn forget_part(&self, place: &Place, part: &[u8]) -> Result<(), Failure> {
        match remove_part(&place.dir, part) {
            Ok(size) => {
                if let Some(quota) = &self.quota {
                    quota.give(size, 1);
                }
                Ok(())
            }
            Err(Failure::Os(Errno::NOENT)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// A file that was opened for an upload.
struct Opened {
    file: OwnedFd,
    end: End,
    charge: Charge,
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
    /// Whether its client has been let begin, and so may have sent something, even if none of it has come here.
    began: bool,
    /// Whether what came is worth nothing, if it is interrupted.
    spoilt: bool,
    charge: Charge,
    claim: Claim,
}

/// How an upload ends.
enum End {
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

    fn take(&mut self, bytes: u64) -> Result<(), StorageError> {
        self.claim.moves();
        self.charge.take(bytes)
    }

    fn spoil(&mut self) {
        self.spoilt = true;
    }

    fn displaced(&self) -> BoxFuture<'static, ()> {
        let writer = Arc::clone(self.claim.writer());
        Box::pin(async move { writer.displaced().await })
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        Box::pin(async {
            self.claim.is_final();
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
        Box::pin(blocking(move || settle(self.finish())))
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
    fn cuts(&self) -> bool {
        matches!(self.end, End::Cut { .. })
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.claim.is_final();
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

/// Takes away what is behind the upload: where it `cuts`, what the file had there, and room that was made and not used.
fn trim(file: &File, cuts: bool) -> Result<(), Errno> {
    let end = if cuts { tell(file)? } else { Facts::from(fstat(file)?).size };
    ftruncate(file, end)
}

/// The place that is written to, and what is there. A link is written through: its name stays a link, and the file that
/// it leads to (inside the root) is replaced or changed, as with a server that opens the file by name.
pub(super) fn target(tree: &Tree, path: &FtpPath) -> Result<(Place, Option<Facts>), Failure> {
    if path.is_root() {
        return Err(StorageError::IsADirectory.into());
    }
    let mut place = tree.parent(path)?;
    let mut there = place.look()?;
    if there.is_some_and(|facts| facts.kind() == FileType::Symlink) {
        place = tree.behind_links(path)?;
        there = place.look()?;
    }
    match there {
        Some(facts) if facts.is_directory() => Err(StorageError::IsADirectory.into()),
        Some(facts) if !facts.is_file() => Err(StorageError::NotARegularFile.into()),
        there => Ok((place, there)),
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
    if !facts.is_same_file(&fstat(&file)?.into()) {
        // Somebody else has put another file there since it was claimed.
        return Err(StorageError::Busy.into());
    }
    Ok(file.into())
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

/// Makes a file's new name last.
fn sync_directory(dir: &OwnedFd, file: &File) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(dir, ".", flags, Mode::empty()) {
        Ok(dir) => directory::sync(&dir, || disk::sync_directory(&dir)),
        // A directory that may be filled but not read cannot be opened for that. The journals of ext4, XFS and Btrfs
        // carry the new name along with the file.
        Err(Errno::ACCESS) => disk::sync_file(file),
        Err(errno) => Err(errno),
    }
}
