//! One writer a file: who writes what in this process.
//!
//! Two uploads to one file would end in the bytes of either, or of both; the second one is refused instead. The table is
//! the process's, not an account's: roots of accounts may overlap. Programs outside are not held off (FTP servers never
//! have done so, and locks that others do not ask for hold nobody).
//!
//! **Whatever takes a name** asks for it here too: a rename, a removal, a new directory. A name that an upload is about to
//! get is not given to anything else meanwhile, for one of the two would be gone in the end though both were told that it
//! is stored; and what is being written is not taken away under its writer. Such a change holds its names for a moment
//! only, and so does an upload that is on its way out: who comes upon one of them waits for it.
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

use rustix::fs::fstat;
use tokio::sync::Semaphore;

use super::facts::Facts;
use super::failure::Failure;
use super::tree::Place;

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
    /// When it last carried something, in milliseconds since [`START`]; [`FINAL`] once it is being made final, [`PASSING`]
    /// where it ends in a moment.
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

/// The time of one that ends in a moment.
const PASSING: u64 = u64::MAX - 1;

impl Writer {
    /// Makes it give way to what `owner` wants to do now, where it has carried nothing for so long. Tells whether it does,
    /// or ends in a moment anyway.
    pub(super) fn gives_way(&self, owner: Option<&Arc<str>>, stalled: Duration) -> bool {
        let moved = match self.moved.load(Ordering::Relaxed) {
            PASSING => return true,
            FINAL => return false,
            moved => moved,
        };
        let gives_way = owner.is_some()
            && self.owner.as_ref() == owner
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

/// One of those that have a name in a directory, if any.
pub(super) fn writer_in(directory: &Facts) -> Option<Arc<Writer>> {
    let writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    let of_it = |key: &Key| matches!(key, Key::Name(device, inode, _) if (*device, *inode) == (directory.device, directory.inode));
    writers.iter().find(|(key, _)| of_it(key)).map(|(_, writer)| Arc::clone(writer))
}

/// All files that somebody has, and who: by file system and file.
pub(super) fn written() -> HashMap<(u64, u64), Arc<Writer>> {
    let writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    let files = writers.iter().filter_map(|(key, writer)| match key {
        Key::File(device, inode) => Some(((*device, *inode), Arc::clone(writer))),
        Key::Name(..) => None,
    });
    files.collect()
}

/// The right to write a file. Dropped, it is free for others.
pub(super) struct Claim {
    writer: Arc<Writer>,
    keys: Vec<Key>,
}

impl Claim {
    /// Nothing yet. For an upload of this account.
    pub(super) fn new(owner: Option<&Arc<str>>) -> Claim {
        Claim::since(owner, now())
    }

    /// Nothing yet. For a change that is done in a moment.
    pub(super) fn for_a_moment() -> Claim {
        Claim::since(None, PASSING)
    }

    fn since(owner: Option<&Arc<str>>, moved: u64) -> Claim {
        let writer = Writer {
            owner: owner.cloned(),
            moved: AtomicU64::new(moved),
            displaced: Semaphore::new(0),
            ended: Semaphore::new(0),
        };
        Claim { writer: Arc::new(writer), keys: Vec::with_capacity(2) }
    }

    /// Takes a name in its directory, whatever has it, or nothing.
    ///
    /// # Errors
    /// Who has it.
    pub(super) fn name(&mut self, place: &Place) -> Result<(), Failure> {
        let directory = Facts::from(fstat(&place.dir)?);
        Ok(self.add(Key::Name(directory.device, directory.inode, place.name.clone()))?)
    }

    /// And the file that is there.
    ///
    /// # Errors
    /// Who has it.
    pub(super) fn file(&mut self, file: &Facts) -> Result<(), Failure> {
        Ok(self.add(Key::File(file.device, file.inode))?)
    }

    /// Takes a name, and the file that has it, if one does: a directory, a link, a device is not written. Tells what is
    /// there. From now on nobody else in this process changes that.
    ///
    /// # Errors
    /// Who has it.
    pub(super) fn place(&mut self, place: &Place) -> Result<Option<Facts>, Failure> {
        self.name(place)?;
        let there = place.look()?;
        if let Some(facts) = there.filter(Facts::is_file) {
            self.file(&facts)?;
        }
        Ok(there)
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

    /// It is on its way out: who wants the file waits for that.
    pub(super) fn passes(&self) {
        self.writer.moved.store(PASSING, Ordering::Relaxed);
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
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).min(PASSING - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right to write a file of this name.
    fn claim(name: &str, owner: Option<&Arc<str>>) -> Result<Claim, Arc<Writer>> {
        let place = Place { dir: std::fs::File::open("/").unwrap().into(), name: name.into() };
        let mut claim = Claim::new(owner);
        match claim.name(&place) {
            Ok(()) => Ok(claim),
            Err(Failure::Taken(writer)) => Err(writer),
            Err(_) => panic!("the root can be looked at"),
        }
    }

    #[test]
    fn only_a_stalled_upload_of_the_same_account_gives_way() {
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let name = "only_a_stalled_upload_of_the_same_account_gives_way";
        let Ok(first) = claim(name, Some(&ann)) else { panic!("nobody has it") };
        let Err(writer) = claim(name, Some(&ann)) else { panic!("a second writer") };
        first.moves();
        assert!(!writer.gives_way(Some(&ann), Duration::from_secs(3600)), "it moves");
        assert!(!writer.gives_way(Some(&bob), Duration::ZERO), "it is another's");
        assert!(!writer.gives_way(None, Duration::ZERO), "it is anybody's");
        assert!(writer.gives_way(Some(&ann), Duration::ZERO));
        first.is_final();
        assert!(!writer.gives_way(Some(&ann), Duration::ZERO), "it is being made final");
        first.passes();
        assert!(writer.gives_way(None, Duration::from_secs(3600)), "it is on its way out");
        drop(first);
        assert!(claim(name, None).is_ok());
    }
}
