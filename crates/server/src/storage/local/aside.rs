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

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use port21_proto::FtpPath;
use port21_proto::server::StorageError;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::fs::{flock, fstat, openat, unlinkat};
use rustix::io::Errno;

use super::facts::Facts;
use super::failure::Failure;
use super::tree::{CAREFUL, Lookup, Tree};

/// What the names of files aside begin with.
const PREFIX: &[u8] = b".port21-upload-";

/// The most directories and files that are looked at when stale files are collected: a tree beyond this is left to the
/// next start.
const MOST: usize = 1_000_000;

/// The most bytes of names of directories that are still to be looked at: whoever may make directories may make many, each
/// with a long path.
const PENDING: usize = 16 << 20;

/// Whether a name is of a file aside: no session sees or says it.
pub(super) fn is_aside(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// Whether a part of the path is such a name.
pub(super) fn has_aside(path: &FtpPath) -> bool {
    path.parts().any(is_aside)
}

/// A file aside. Dropped, it is removed, unless it was [kept](Aside::keep).
pub(super) struct Aside {
    dir: OwnedFd,
    name: Option<Vec<u8>>,
}

impl Aside {
    /// Makes a file of permissions `mode` in a directory, and locks it.
    pub(super) fn create(dir: OwnedFd, mode: Mode) -> Result<(Aside, OwnedFd), Failure> {
        let name = [PREFIX, &random_letters::<16>()?].concat();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&dir, name.as_slice(), flags, mode)?;
        let aside = Aside { dir, name: Some(name) };
        // Where there are no locks, stale files are not collected; that is no reason to refuse an upload.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok((aside, file))
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

    /// Removes the file, unless that was done or it was kept. Tells whether there was something to remove.
    pub(super) fn remove(&mut self) -> bool {
        let Some(name) = self.name.take() else { return false };
        if let Err(errno) = unlinkat(&self.dir, name.as_slice(), AtFlags::empty()) {
            tracing::warn!("an unfinished upload could not be removed and waits for the next start: {errno}");
        }
        true
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Letters and digits that nobody can guess: 5 bits each.
pub(super) fn random_letters<const N: usize>() -> Result<[u8; N], Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| StorageError::Io(e.to_string()))?;
    Ok(bytes.map(|b| LETTERS[usize::from(b % 32)]))
}

/// Removes the files aside in all directories of a tree that no upload holds and that were not written to for `age`.
/// Links are not followed. Tells how many were removed. Before each directory it asks whether to `go_on`.
pub(super) fn collect(tree: &Tree, age: Duration, go_on: impl Fn() -> bool) -> Result<usize, Failure> {
    let root = tree.open(&FtpPath::root(), OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Lookup::Full)?;
    let mut todo: Vec<Vec<u8>> = vec![b".".to_vec()];
    let (mut removed, mut seen, mut pending, mut cut) = (0, 0, 1, false);
    while let Some(relative) = todo.pop().filter(|_| go_on()) {
        pending -= relative.len();
        // A directory that has gone, or that we may not see into, has nothing of ours.
        let Ok(entries) = tree.open_below(&root, &relative).and_then(Dir::new) else { continue };
        removed += collect_from(entries, age, |name, kind| {
            seen += 1;
            // A directory of unknown type is found out by opening it.
            if matches!(kind, FileType::Directory | FileType::Unknown) {
                let path = [relative.as_slice(), b"/", name].concat();
                if pending + path.len() > PENDING {
                    cut = true;
                } else {
                    pending += path.len();
                    todo.push(path);
                }
            }
            seen < MOST
        })?;
        if seen >= MOST {
            cut = true;
            break;
        }
    }
    if cut {
        tracing::warn!("too many files to look for unfinished uploads in all of them");
    }
    Ok(removed)
}

/// As [`collect`], in one directory alone.
pub(super) fn collect_in(dir: &OwnedFd, age: Duration) -> Result<usize, Failure> {
    let mut seen = 0;
    collect_from(Dir::read_from(dir)?, age, |_, _| {
        seen += 1;
        seen < MOST
    })
}

/// Collects from a directory's entries, and hands on all others until `go_on` says no.
fn collect_from(
    mut entries: Dir,
    age: Duration,
    mut go_on: impl FnMut(&[u8], FileType) -> bool,
) -> Result<usize, Failure> {
    let mut removed = 0;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if is_aside(name) {
            removed += usize::from(remove_stale(entries.fd()?, name, age).is_ok());
        } else if !go_on(name, entry.file_type()) {
            break;
        }
    }
    Ok(removed)
}

/// Removes one file aside, if nobody holds it.
fn remove_stale(dir: BorrowedFd<'_>, name: &[u8], age: Duration) -> Result<(), Errno> {
    let flags = OFlags::NOFOLLOW | CAREFUL;
    // NFS locks only what was opened to be written; a file that replaces a read-only one may not be.
    let file = openat(dir, name, OFlags::WRONLY | flags, Mode::empty())
        .or_else(|_| openat(dir, name, OFlags::RDONLY | flags, Mode::empty()))?;
    let facts = Facts::from(fstat(&file)?);
    let limit = Timestamp::now().checked_sub(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX));
    if !facts.is_file() || facts.modified.is_none_or(|at| limit.is_ok_and(|limit| at > limit)) {
        return Err(Errno::BUSY);
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    unlinkat(dir, name, AtFlags::empty())
}
