//! One writer a file: who writes what in this process.
//!
//! Two uploads to one file would end in the bytes of either, or of both; the second one is refused instead. The table is
//! the process's, not an account's: roots of accounts may overlap. Programs outside are not held off (FTP servers never
//! have done so, and locks that others do not ask for hold nobody).
//!
//! **A client whose network was cut** comes again while the connection that it has lost still stands here, for minutes: it
//! must not find its own file locked. So a newer upload of the same account to the same name displaces one that has
//! carried nothing for some seconds. Nothing can come of it but whole files: the older one ends first, and is then an
//! upload that broke off; what it had received stays where it is until it has ended, and the newer one goes on from there
//! only if that is as much as its client was told, or begins afresh. Should the older client be alive after all, it is told
//! 426, as if its network had been cut a moment later. An upload that moves, or that is being made final, is never
//! displaced; nor is any of an account that several clients share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::facts::Facts;

/// What may have only one writer.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// A name in a directory (file system, directory, name): what a rename at the end will replace.
    Name(u64, u64, Vec<u8>),
    /// A file (file system, file), by whichever of its names it is written: what is written in place.
    File(u64, u64),
}

static WRITERS: LazyLock<Mutex<HashMap<Key, Arc<Writer>>>> = LazyLock::new(Mutex::default);

/// One that writes.
pub(super) struct Writer {
    /// The account, where one client at a time uses it.
    owner: Option<Arc<str>>,
    /// When it last carried something, in milliseconds since [`START`]; [`FINAL`] once it is being made final.
    moved: AtomicU64,
    /// Closed when it is to give way.
    displaced: Semaphore,
    /// Closed when it has ended.
    ended: Semaphore,
}

/// Times are counted from here.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time of a writer that has all its bytes and is not displaced any more.
const FINAL: u64 = u64::MAX;

impl Writer {
    /// Makes it give way to a newer upload of `owner`, where it has carried nothing for so long. Tells whether it does.
    pub(super) fn displace(&self, owner: Option<&Arc<str>>, stalled: Duration) -> bool {
        let moved = self.moved.load(Ordering::Relaxed);
        let gives_way = owner.is_some()
            && self.owner.as_ref() == owner
            && moved != FINAL
            && u128::from(now().saturating_sub(moved)) >= stalled.as_millis();
        if gives_way {
            self.displaced.close();
        }
        gives_way
    }

    /// Ends when it is to give way.
    pub(super) async fn displaced(&self) {
        // It has no permits: this ends only with the semaphore.
        let _ = self.displaced.acquire().await;
    }

    /// Ends when it has ended.
    pub(super) async fn ended(&self) {
        let _ = self.ended.acquire().await;
    }
}

/// The right to write a file. Dropped, it is free for others.
pub(super) struct Claim {
    writer: Arc<Writer>,
    keys: Vec<Key>,
}

impl Claim {
    /// The name in its directory.
    ///
    /// # Errors
    /// Who has it.
    pub(super) fn of_name(directory: &Facts, name: &[u8], owner: Option<&Arc<str>>) -> Result<Claim, Arc<Writer>> {
        let writer = Writer {
            owner: owner.cloned(),
            moved: AtomicU64::new(now()),
            displaced: Semaphore::new(0),
            ended: Semaphore::new(0),
        };
        let mut claim = Claim { writer: Arc::new(writer), keys: Vec::with_capacity(2) };
        claim.add(Key::Name(directory.device, directory.inode, name.to_vec()))?;
        Ok(claim)
    }

    /// And the file that is there.
    ///
    /// # Errors
    /// Who has it.
    pub(super) fn and_file(&mut self, file: &Facts) -> Result<(), Arc<Writer>> {
        self.add(Key::File(file.device, file.inode))
    }

    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// It has just carried something.
    pub(super) fn moves(&self) {
        self.writer.moved.store(now(), Ordering::Relaxed);
    }

    /// It has carried everything.
    pub(super) fn is_final(&self) {
        self.writer.moved.store(FINAL, Ordering::Relaxed);
    }

    fn add(&mut self, key: Key) -> Result<(), Arc<Writer>> {
        if self.keys.contains(&key) {
            return Ok(());
        }
        // A poisoned lock means a panic elsewhere while it was held; the table itself is never half changed.
        let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = writers.get(&key) {
            return Err(Arc::clone(other));
        }
        writers.insert(key.clone(), Arc::clone(&self.writer));
        self.keys.push(key);
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            writers.remove(key);
        }
        drop(writers);
        self.writer.ended.close();
    }
}

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(FINAL - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::local::facts::Facts;

    #[test]
    fn only_a_stalled_upload_of_the_same_account_gives_way() {
        let dir = std::fs::File::open("/").unwrap();
        let dir = Facts::from(rustix::fs::fstat(&dir).unwrap());
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let name = b"only_a_stalled_upload_of_the_same_account_gives_way";
        let claim = Claim::of_name(&dir, name, Some(&ann)).unwrap_or_else(|_| panic!("nobody has it"));
        let Err(writer) = Claim::of_name(&dir, name, Some(&ann)) else { panic!("a second writer") };
        claim.moves();
        assert!(!writer.displace(Some(&ann), Duration::from_secs(3600)), "it moves");
        assert!(!writer.displace(Some(&bob), Duration::ZERO), "it is another's");
        assert!(!writer.displace(None, Duration::ZERO), "it is anybody's");
        assert!(writer.displace(Some(&ann), Duration::ZERO));
        claim.is_final();
        assert!(!writer.displace(Some(&ann), Duration::ZERO), "it is being made final");
    }
}
