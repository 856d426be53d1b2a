//! Renames, those that replace and those that must not.

use std::sync::Arc;

use port21_proto::FtpPath;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::fs::{linkat, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::super::Quota;
use super::facts::Facts;
use super::failure::Failure;
use super::remove::{freed_by, give};
use super::tree::Tree;

/// Gives a file, a directory or a link another name. What is there under it is replaced only if `overwrite` says so, and
/// a directory never is.
pub(super) fn rename(
    tree: &Tree,
    from: &FtpPath,
    to: &FtpPath,
    overwrite: bool,
    quota: Option<&Arc<dyn Quota>>,
) -> Result<(), Failure> {
    let (from, to) = (tree.parent(from)?, tree.parent(to)?);
    match rename_new(&from.dir, &from.name, &to.dir, &to.name) {
        Err(Errno::EXIST) if overwrite => {
            let there = statat(&to.dir, to.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).map(Facts::from)?;
            if there.is_directory() {
                return Err(Errno::EXIST.into());
            }
            let freed = quota.map_or((0, 0), |_| freed_by(&to));
            renameat(&from.dir, from.name, &to.dir, to.name)?;
            give(quota, freed);
            Ok(())
        }
        answer => Ok(answer?),
    }
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
