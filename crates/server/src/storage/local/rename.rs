//! Renames, those that replace and those that must not.

use std::sync::Arc;

use port21_proto::FtpPath;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::fs::{fstat, linkat, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::super::Quota;
use super::LocalSettings;
use super::aside::{over_name, remove_mark};
use super::facts::Facts;
use super::failure::Failure;
use super::remove::{forget, freed_with, give};
use super::tree::{Place, Tree};
use super::writers::Claim;

/// Gives a file, a directory or a link another name. What is there under it is replaced only if `overwrite` says so, and
/// a directory never is; nor is anything moved or replaced that is being written, or a name taken that an upload will get.
pub(super) fn rename(
    tree: &Tree,
    from: &FtpPath,
    to: &FtpPath,
    overwrite: bool,
    settings: &LocalSettings,
) -> Result<(), Failure> {
    let (from, to) = (tree.parent(from)?, tree.parent(to)?);
    let mut claim = Claim::for_a_moment();
    let moved = claim.place(&from)?.ok_or(Errno::NOENT)?;
    let there = claim.place(&to)?;
    match rename_new(&from.dir, &from.name, &to.dir, &to.name) {
        Err(Errno::EXIST) if overwrite => replace(&from, &to, &moved, there, settings.quota.as_ref())?,
        answer => answer?,
    }
    // What was interrupted was an upload over a file of that name: there is none now.
    remove_mark(&from.dir, &over_name(settings.owner.as_deref(), &from.name));
    if !moved.is_directory() {
        // What the account has begun to send under the new name it has sent in another way.
        let _ = forget(&to, settings);
    }
    Ok(())
}

fn replace(
    from: &Place,
    to: &Place,
    moved: &Facts,
    there: Option<Facts>,
    quota: Option<&Arc<dyn Quota>>,
) -> Result<(), Failure> {
    let freed = match there {
        Some(facts) if facts.is_directory() => return Err(Errno::EXIST.into()),
        // Two names of one file: the system would leave both, and say that all is well.
        Some(facts) if facts.is_same_file(moved) => {
            let one_directory = Facts::from(fstat(&from.dir)?).is_same_file(&fstat(&to.dir)?.into());
            if facts.links > 1 && !(one_directory && from.name == to.name) {
                unlinkat(&from.dir, from.name.as_slice(), AtFlags::empty())?;
                give(quota, freed_with(&facts));
                return Ok(());
            }
            (0, 0)
        }
        Some(facts) => freed_with(&facts),
        None => (0, 0),
    };
    renameat(&from.dir, from.name.as_slice(), &to.dir, to.name.as_slice())?;
    give(quota, freed);
    Ok(())
}

/// A rename that replaces nothing.
pub(super) fn rename_new(from: &OwnedFd, old: &[u8], to: &OwnedFd, new: &[u8]) -> Result<(), Errno> {
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // Not every file system can (NFS cannot), and a directory that is moved into itself is answered alike.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        answer => return answer,
    }
    // A link never replaces anything either.
    match linkat(from, old, to, new, AtFlags::empty()) {
        Ok(()) => unlinkat(from, old, AtFlags::empty()),
        // Directories have no links, nor have all file systems: there a look before the rename is all that can be done.
        Err(Errno::PERM | Errno::OPNOTSUPP) => match statat(to, new, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => renameat(from, old, to, new),
            Err(errno) => Err(errno),
        },
        Err(errno) => Err(errno),
    }
}
