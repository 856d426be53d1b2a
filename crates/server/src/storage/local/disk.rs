//! The steps that make an upload last and give it its name. They stand apart so that a test can see their order: that is
//! what decides after a power cut.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{fsync, renameat};
use rustix::io::Errno;

use super::rename::rename_new;

/// Forces a file's bytes to the disk.
pub(super) fn sync_file(file: impl AsFd) -> Result<(), Errno> {
    #[cfg(test)]
    record::note(record::Step::SyncFile, &file);
    fsync(file)
}

/// Gives a file another name in its directory, over whatever has it.
pub(super) fn rename(dir: &OwnedFd, old: &[u8], new: &[u8]) -> Result<(), Errno> {
    #[cfg(test)]
    record::note(record::Step::Rename, dir);
    renameat(dir, old, dir, new)
}

/// Gives a file another name in its directory, unless something has it.
pub(super) fn name(dir: &OwnedFd, old: &[u8], new: &[u8]) -> Result<(), Errno> {
    #[cfg(test)]
    record::note(record::Step::Rename, dir);
    rename_new(dir, old, dir, new)
}

/// Forces a directory's names to the disk.
pub(super) fn sync_directory(dir: &OwnedFd) -> Result<(), Errno> {
    #[cfg(test)]
    record::note(record::Step::SyncDirectory, dir);
    fsync(dir)
}

/// What was done, for tests.
#[cfg(test)]
pub(super) mod record {
    use std::sync::{Mutex, PoisonError};

    use rustix::fd::AsFd;
    use rustix::fs::fstat;

    /// A step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum Step {
        SyncFile,
        Rename,
        SyncDirectory,
    }

    /// A step, the file or directory that it was done to (file system and file), and how many bytes that had then.
    pub(in super::super) type Note = (Step, (u64, u64), u64);

    static NOTES: Mutex<Vec<Note>> = Mutex::new(Vec::new());

    pub(super) fn note(step: Step, of: impl AsFd) {
        let stat = fstat(of).unwrap();
        let note = (step, (stat.st_dev, stat.st_ino), u64::try_from(stat.st_size).unwrap());
        NOTES.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// What was done to these files and directories.
    pub(in super::super) fn notes_of(these: &[(u64, u64)]) -> Vec<Note> {
        let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().filter(|(_, of, _)| these.contains(of)).copied().collect()
    }
}
