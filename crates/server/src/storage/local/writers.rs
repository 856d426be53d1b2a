//! One writer a file: who writes what in this process.
//!
//! Two uploads to one file would end in the bytes of either, or of both; the second one is refused instead. The table is
//! the process's, not an account's: roots of accounts may overlap. Programs outside are not held off (FTP servers never
//! have done so, and locks that others do not ask for hold nobody).

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use port21_proto::server::StorageError;

use super::facts::Facts;

/// What may have only one writer.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// A name in a directory (file system, directory, name): what a rename at the end will replace.
    Name(u64, u64, Vec<u8>),
    /// A file (file system, file), by whichever of its names it is written: what is written in place.
    File(u64, u64),
}

static WRITERS: LazyLock<Mutex<HashSet<Key>>> = LazyLock::new(Mutex::default);

/// The right to write a file. Dropped, it is free for others.
pub(super) struct Claim(Vec<Key>);

impl Claim {
    /// The name in its directory.
    pub(super) fn of_name(directory: &Facts, name: &[u8]) -> Result<Claim, StorageError> {
        let mut claim = Claim(Vec::with_capacity(2));
        claim.add(Key::Name(directory.device, directory.inode, name.to_vec()))?;
        Ok(claim)
    }

    /// And the file that is there.
    pub(super) fn and_file(&mut self, file: &Facts) -> Result<(), StorageError> {
        self.add(Key::File(file.device, file.inode))
    }

    fn add(&mut self, key: Key) -> Result<(), StorageError> {
        if self.0.contains(&key) {
            return Ok(());
        }
        // A poisoned lock means a panic elsewhere while it was held; the set itself is never half changed.
        if !WRITERS.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Err(StorageError::Busy);
        }
        self.0.push(key);
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.0 {
            writers.remove(key);
        }
    }
}
