//! Files and directories that go.

use std::sync::Arc;

use port21_proto::FtpPath;
use port21_proto::server::StorageError;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::fs::{fstat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::super::Quota;
use super::LocalSettings;
use super::aside::{Ages, Collected, collect_in, could_collect, is_aside};
use super::aside::{over_name, part_name, remove_mark, remove_part};
use super::facts::Facts;
use super::failure::Failure;
use super::tree::{CAREFUL, Lookup, Place, Tree};
use super::writers::{Claim, writer_in, written};

/// Removes a file, or a link itself, and what an interrupted upload to this name has left; either alone is enough. Not
/// while it is being written: its writer would be told that all is stored.
pub(super) fn file(tree: &Tree, path: &FtpPath, settings: &LocalSettings) -> Result<(), Failure> {
    let place = tree.parent(path)?;
    let mut claim = Claim::for_a_moment();
    let there = claim.place(&place)?;
    unlink(&place, there.as_ref(), settings)
}

/// The same, of a name that is held by the caller.
pub(super) fn held(place: &Place, there: &Facts, settings: &LocalSettings) -> Result<(), Failure> {
    unlink(place, Some(there), settings)
}

fn unlink(place: &Place, there: Option<&Facts>, settings: &LocalSettings) -> Result<(), Failure> {
    let removed = match unlinkat(&place.dir, place.name.as_slice(), AtFlags::empty()) {
        Ok(()) => {
            give(settings.quota.as_ref(), there.map_or((0, 0), freed_with));
            true
        }
        Err(Errno::NOENT) => false,
        Err(errno) => return Err(errno.into()),
    };
    match forget(place, settings) {
        Ok(()) => Ok(()),
        Err(Failure::Is(StorageError::Busy)) if !removed => Err(StorageError::Busy.into()),
        // Whatever it is, the file was there and is gone.
        Err(_) if removed => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Removes what an interrupted upload of the account to this name has left, its mark and its part.
///
/// # Errors
/// Where there is no part, too.
pub(super) fn forget(place: &Place, settings: &LocalSettings) -> Result<(), Failure> {
    remove_mark(&place.dir, &over_name(settings.owner.as_deref(), &place.name));
    let owner = settings.parts_of().ok_or(Errno::NOENT)?;
    let size = remove_part(&place.dir, &part_name(&owner, &place.name))?;
    give(settings.quota.as_ref(), (size, 1));
    Ok(())
}

/// Removes a directory that is empty, as far as its account can see: what uploads have left in it, however young, must
/// not keep it there.
pub(super) fn directory(tree: &Tree, path: &FtpPath, settings: &LocalSettings) -> Result<(), Failure> {
    let place = tree.parent(path)?;
    let remove = || unlinkat(&place.dir, place.name.as_slice(), AtFlags::REMOVEDIR);
    let removed = match remove() {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | CAREFUL;
            let dir = openat(&place.dir, place.name.as_slice(), flags, Mode::empty())?;
            give_back(settings.quota.as_ref(), collect_in(&dir, Ages::of_removal(settings))?);
            remove()
        }
        answer => answer,
    };
    match removed {
        Ok(()) => {
            give(settings.quota.as_ref(), (0, 1));
            Ok(())
        }
        Err(Errno::EXIST) => Err(StorageError::NotEmpty.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether nobody writes anything that this directory has itself, in this process or, aside, in another.
pub(super) fn at_rest(tree: &Tree, path: &FtpPath, settings: &LocalSettings) -> Result<(), Failure> {
    let dir = tree.open(path, OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Lookup::Full)?;
    if let Some(writer) = writer_in(&fstat(&dir)?.into()) {
        return Err(writer.into());
    }
    let (written, ages) = (written(), Ages::of_removal(settings));
    let mut entries = Dir::new(dir)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let (name, dir) = (entry.file_name().to_bytes(), entries.fd()?);
        if is_aside(name) {
            if !could_collect(dir, name, ages) {
                return Err(StorageError::Busy.into());
            }
        } else if !written.is_empty()
            && matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown)
            && let Ok(facts) = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(Facts::from)
            && let Some(writer) = written.get(&(facts.device, facts.inode))
        {
            // Under another of its names.
            return Err(Arc::clone(writer).into());
        }
    }
    Ok(())
}

/// Gives back what was collected.
pub(super) fn give_back(quota: Option<&Arc<dyn Quota>>, collected: Collected) {
    give(quota, (collected.bytes, collected.counted));
}

/// How many bytes and files are free once a name of this is gone, as a quota counts them: by names, for what another
/// name outside of the tree keeps on the disk (a backup that is made of hard links) is not the account's.
pub(super) fn freed_with(facts: &Facts) -> (u64, u64) {
    match facts.kind() {
        FileType::RegularFile => (facts.size, 1),
        FileType::Symlink => (0, 1),
        _ => (0, 0),
    }
}

/// Gives back what was taken up.
pub(super) fn give(quota: Option<&Arc<dyn Quota>>, (bytes, files): (u64, u64)) {
    if let Some(quota) = quota
        && (bytes, files) != (0, 0)
    {
        quota.give(bytes, files);
    }
}
