//! How an upload begins: which file its bytes go to, by what the client asked for, what is there, and what an interrupted
//! upload has left.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::time::SystemTime;

use port21_proto::FtpPath;
use port21_proto::server::{Part, Placement, Representation, StorageError, Told};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags};
use rustix::fs::{accessat, fstat, ftruncate, openat};
use rustix::io::{Errno, dup};

use super::super::quota::Charge;
use super::super::{CommitMode, Quota};
use super::aside::{Aside, over_name, part_name, passing_over_name};
use super::aside::{random_letters, remove_mark, remove_part, was_interrupted};
use super::attributes::take_over;
use super::facts::Facts;
use super::failure::Failure;
use super::tree::{CAREFUL, Place, Tree};
use super::upload::{End, LocalUpload, Opened, sync_directory};
use super::writers::Claim;

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
    pub(super) representation: Representation,
    pub(super) adds: bool,
    /// The permissions of a new file.
    pub(super) mode: Mode,
    /// Whose upload it is, where one client at a time uses the account.
    pub(super) owner: Option<Arc<str>>,
    /// Whom a part is kept for.
    pub(super) parts_of: Option<Arc<str>>,
    /// Those that are older are not gone on with.
    pub(super) parts_since: SystemTime,
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
        let opened = self.open(place, there, &mut claim)?;
        let spoilt = self.representation == Representation::Ascii;
        let mut upload = LocalUpload::new(self.path, self.commit, opened, spoilt, claim);
        upload.is_on(tree);
        if let Placement::Within { from, to } = self.placement {
            upload.has_just(to.saturating_sub(from));
        }
        if let Some(bytes) = self.announced.filter(|bytes| *bytes > 0) {
            // Guests, and who shares an account with others, would take room from them without sending a byte.
            if self.owner.is_some() { upload.reserve(bytes)? } else { upload.check_room(bytes)? }
        }
        if !self.adds {
            upload.begins();
        }
        Ok(upload)
    }

    /// What is written to: by what the client asked for, what is there, and what an interrupted upload has left.
    fn open(&self, place: Place, there: Option<Facts>, claim: &mut Claim) -> Result<Opened, Failure> {
        let part = self.parts_of.as_ref().map(|owner| part_name(owner, &place.name));
        // Where there is no file, nothing is added to any: it is sent whole.
        if self.adds && there.is_some() && self.was_interrupted(&place, part.as_ref()) {
            return Err(StorageError::NoResume.into());
        }
        // Whether the client means to go on from somewhere, and where: nothing is the file's end.
        let from = match (self.placement, there) {
            (Placement::End, _) => Some(None),
            (Placement::At(from @ 1..), _) | (Placement::Within { from: from @ 1.., .. }, _) => Some(Some(from)),
            (Placement::Within { from, .. }, Some(_)) => Some(Some(from)),
            _ => None,
        };
        match (from, there, self.told) {
            // The client goes on with a part, and there is a file by now: they have nothing to do with each other.
            (Some(_), Some(_), Some(Told::Part(_))) => Err(StorageError::NoResume.into()),
            // Or it goes on with, or adds to, what it may take for the beginning of what it had sent.
            (Some(_), there, _) if self.was_interrupted(&place, there.and(part.as_ref())) => {
                Err(StorageError::NoResume.into())
            }
            (Some(Some(from)), Some(facts), _) => self.in_place(&place, &facts, from),
            (Some(None), Some(facts), _) => self.at_end(&place, &facts),
            (Some(from), None, Some(Told::Part(told))) if from.is_none_or(|from| from == told.size) => {
                self.go_on(place, part, told)
            }
            (Some(Some(_)), None, Some(Told::Part(_))) => Err(StorageError::NoResume.into()),
            (Some(Some(_)), None, _) => Err(StorageError::BadOffset.into()),
            (_, there, _) => {
                // What is left of a text nobody could go on with: it is not to be found again.
                let part_to_be = there.is_none()
                    && !self.adds
                    && self.commit != CommitMode::Direct
                    && self.representation == Representation::Image;
                if let Some(part) = part.as_ref().filter(|_| !part_to_be) {
                    // Of an upload that has nothing to do with the file that is there, or that will be.
                    self.forget_part(&place, part)?;
                }
                let mark = if self.adds && there.is_some() { passing_over_name()? } else { self.over_name(&place) };
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

    /// Written where it is, from somewhere in it. It ends where the upload does, but for a range, which leaves all else.
    fn in_place(&self, place: &Place, facts: &Facts, from: u64) -> Result<Opened, Failure> {
        let mut file = open_there(place, facts, OFlags::empty())?;
        let size = Facts::from(fstat(&file)?).size;
        if from > size {
            return Err(StorageError::BadOffset.into());
        }
        file.seek(SeekFrom::Start(from)).map_err(|e| StorageError::Io(e.to_string()))?;
        let charge = Charge::of_file(self.quota.as_ref(), size, from);
        let end = if matches!(self.placement, Placement::Within { .. }) { End::Stay } else { End::Cut { from } };
        Ok(Opened { file: file.into(), end, charge })
    }

    /// In append mode: programs outside that write to the same end (a log) lose nothing.
    fn at_end(&self, place: &Place, facts: &Facts) -> Result<Opened, Failure> {
        let file = open_there(place, facts, OFlags::APPEND)?;
        let size = Facts::from(fstat(&file)?).size;
        let charge = Charge::of_file(self.quota.as_ref(), size, size);
        Ok(Opened { file: file.into(), end: End::Stay, charge })
    }

    /// Behind what an interrupted upload has left.
    fn go_on(&self, place: Place, part: Option<Vec<u8>>, told: Part) -> Result<Opened, Failure> {
        let Some(part) = part.filter(|_| self.representation == Representation::Image) else {
            return Err(StorageError::NoResume.into());
        };
        let (aside, file) = Aside::take_up(place.dir, part, told, self.parts_since)?;
        let charge = Charge::of_file(self.quota.as_ref(), told.size, told.size);
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
        if self.commit == CommitMode::Durable && !self.adds {
            // Before the client may send a byte: after a power cut it asks for the size, finds that of the old file, and would
            // go on with the new one from there, if nothing told that it had begun.
            sync_directory(aside.dir(), &file)?;
        }
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
        was_interrupted(&place.dir, &self.over_name(place), part.map(Vec::as_slice))
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
