//! What an account's files take up, counted and kept true.
//!
//! The tree is counted when the account is first used, and again every six hours; in between the storage tells what it
//! writes, replaces and removes. What others do to the same files is found by the next count. Bytes are taken before
//! they are written, so that neither many uploads at a time nor one without an end, nor one that unpacks to more than
//! was sent, gets beyond the limits.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use port21_proto::server::StorageError;
use tokio::sync::watch;

use super::{LocalFs, Quota};

/// How much an account may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QuotaLimits {
    /// Bytes in files, as listings tell them (not the blocks of a disk); nothing: as much as the disk has.
    pub bytes: Option<u64>,
    /// Files and directories; nothing: as many as the file system has. Without a limit an account can use up the file
    /// system's inodes with empty files.
    pub files: Option<u64>,
}

impl QuotaLimits {
    /// Whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.bytes.is_some() || self.files.is_some()
    }
}

/// What there is in a tree of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Used {
    /// Bytes in regular files.
    pub bytes: u64,
    /// Regular files and directories.
    pub files: u64,
}

/// After this time a tree is counted again when its account is used: what others do to the files is not told. Counting
/// costs about a second for 200,000 files that are in the kernel's caches.
const RECOUNT: Duration = Duration::from_secs(6 * 3600);

/// How often a count is done again at once because something has changed meanwhile; then it is taken as it is.
const TRIES: usize = 3;

/// The [`Quota`] of an account: its limits, and the count of its root. Accounts that share a root share its count, each
/// with limits of its own; where the root of one is below that of another, the outer one learns of changes by the inner
/// one from its next count.
///
/// Until the first count is done only what was written since counts.
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: QuotaLimits,
    books: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    state: Mutex<State>,
    counted: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    used: Used,
    /// Bytes that uploads have announced and not written yet: no count of the disk finds them.
    reserved: u64,
    /// How often it has changed.
    changes: u64,
    counted_at: Option<Instant>,
    is_counting: bool,
}

/// The books of all roots, by file system and inode.
type ByRoot = HashMap<(u64, u64), Weak<Books>>;

/// One root has one set of books in the whole process, whoever opens it.
static BOOKS: LazyLock<Mutex<ByRoot>> = LazyLock::new(Mutex::default);

impl Ledger {
    /// The count of a directory, under these limits. Nothing is counted before [`Ledger::count`].
    ///
    /// # Errors
    /// Where the directory cannot be found.
    pub fn open(root: impl AsRef<Path>, limits: QuotaLimits) -> io::Result<Ledger> {
        let facts = std::fs::metadata(root)?;
        let root = (facts.dev(), facts.ino());
        let mut all = lock(&BOOKS);
        let known = all.get(&root).and_then(Weak::upgrade);
        let books = known.unwrap_or_else(|| {
            all.retain(|_, books| books.strong_count() > 0);
            let books = Arc::new(Books { state: Mutex::default(), counted: watch::Sender::new(false) });
            all.insert(root, Arc::downgrade(&books));
            books
        });
        Ok(Ledger { limits, books })
    }

    /// What there is, as far as it is known; whether it was ever counted.
    pub fn used(&self) -> (Used, bool) {
        let state = self.lock();
        (state.used, state.counted_at.is_some())
    }

    /// The limits.
    pub fn limits(&self) -> QuotaLimits {
        self.limits
    }

    /// Counts these files, of the ledger's root, on the pool of blocking threads, where that was never done or long ago.
    /// Returns at once; call it within a tokio runtime.
    pub fn count(&self, files: &Arc<LocalFs>) {
        let files = Arc::downgrade(files);
        self.count_by(move || match files.upgrade() {
            // Where it is ours alone nobody uses the account any more.
            Some(files) => files.count(|| Arc::strong_count(&files) > 1),
            None => Err(StorageError::Cancelled),
        });
    }

    /// Waits until the first count is done or has failed.
    pub async fn counted(&self) {
        let mut counted = self.books.counted.subscribe();
        // The sender lives as long as the books.
        let _ = counted.wait_for(|counted| *counted).await;
    }

    fn count_by(&self, count: impl Fn() -> Result<Used, StorageError> + Send + 'static) {
        if !self.lock().begins_count() {
            return;
        }
        let books = Arc::clone(&self.books);
        tokio::task::spawn_blocking(move || {
            let _counting = Counting(&books);
            for attempt in 1..=TRIES {
                let before = lock(&books.state).changes;
                match count() {
                    Ok(used) => {
                        let mut state = lock(&books.state);
                        if state.changes == before || attempt == TRIES {
                            state.used = used;
                            state.counted_at = Some(Instant::now());
                            return;
                        }
                    }
                    Err(StorageError::Cancelled) => return,
                    Err(error) => {
                        tracing::warn!(%error, "cannot count what an account holds: its quota knows of new files alone");
                        return;
                    }
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.books.state)
    }
}

impl Quota for Ledger {
    fn take(&self, bytes: u64, files: u64) -> Result<(), StorageError> {
        let mut state = self.lock();
        state.check(&self.limits, bytes, files)?;
        state.used.bytes = state.used.bytes.saturating_add(bytes);
        state.used.files = state.used.files.saturating_add(files);
        state.changes += 1;
        Ok(())
    }

    fn give(&self, bytes: u64, files: u64) {
        let mut state = self.lock();
        state.used.bytes = state.used.bytes.saturating_sub(bytes);
        state.used.files = state.used.files.saturating_sub(files);
        state.changes += 1;
    }

    fn reserve(&self, bytes: u64) -> Result<(), StorageError> {
        let mut state = self.lock();
        state.check(&self.limits, bytes, 0)?;
        state.reserved = state.reserved.saturating_add(bytes);
        Ok(())
    }

    fn take_reserved(&self, bytes: u64) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(bytes);
        state.used.bytes = state.used.bytes.saturating_add(bytes);
        state.changes += 1;
    }

    fn release(&self, bytes: u64) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(bytes);
    }

    fn room(&self) -> Option<u64> {
        let state = self.lock();
        self.limits.bytes.map(|most| most.saturating_sub(state.used.bytes).saturating_sub(state.reserved))
    }
}

impl State {
    /// Whether there may be so much more.
    fn check(&self, limits: &QuotaLimits, bytes: u64, files: u64) -> Result<(), StorageError> {
        let is_over = |limit: Option<u64>, now: u64, more: u64| {
            more > 0 && limit.is_some_and(|most| now.saturating_add(more) > most)
        };
        let now = self.used.bytes.saturating_add(self.reserved);
        if is_over(limits.bytes, now, bytes) || is_over(limits.files, self.used.files, files) {
            return Err(StorageError::OverQuota);
        }
        Ok(())
    }

    fn begins_count(&mut self) -> bool {
        let is_due = self.counted_at.is_none_or(|at| at.elapsed() >= RECOUNT);
        is_due && !std::mem::replace(&mut self.is_counting, true)
    }
}

/// Counting goes on; dropped, it has ended, well or not.
struct Counting<'a>(&'a Books);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).is_counting = false;
        // Where it failed nobody waits for it any longer either: the next login begins another.
        self.0.counted.send_replace(true);
    }
}

/// Books stay true whatever panicked while they were held.
fn lock<T>(books: &Mutex<T>) -> MutexGuard<'_, T> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalSettings;

    fn limits(bytes: u64, files: u64) -> QuotaLimits {
        QuotaLimits { bytes: Some(bytes), files: Some(files) }
    }

    #[test]
    fn no_more_is_taken_than_there_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), limits(100, 2)).unwrap();
        ledger.take(60, 1).unwrap();
        assert_eq!((ledger.take(41, 0), ledger.room()), (Err(StorageError::OverQuota), Some(40)));
        ledger.take(40, 1).unwrap();
        assert_eq!(ledger.take(0, 1), Err(StorageError::OverQuota));
        assert_eq!(ledger.take(u64::MAX, 0), Err(StorageError::OverQuota));
        ledger.give(70, 1);
        ledger.take(70, 1).unwrap();
        ledger.give(1000, 1000);
        assert_eq!(ledger.used(), (Used::default(), false));
    }

    #[test]
    fn what_is_over_a_limit_already_may_shrink_and_grows_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (small, large) =
            (Ledger::open(dir.path(), limits(10, 1)).unwrap(), Ledger::open(dir.path(), limits(100, 9)).unwrap());
        // A root has one count, and each account its limits.
        large.take(50, 3).unwrap();
        assert_eq!(small.used(), large.used());
        assert_eq!(small.take(1, 0), Err(StorageError::OverQuota));
        small.take(0, 0).unwrap();
        small.give(45, 0);
        small.take(5, 0).unwrap();
    }

    #[tokio::test]
    async fn the_tree_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "12345").unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        std::fs::write(dir.path().join("dir/.hidden"), "123").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let files = Arc::new(LocalFs::open(dir.path(), LocalSettings::default()).unwrap());
        let ledger = Ledger::open(dir.path(), limits(10, 10)).unwrap();
        ledger.count(&files);
        ledger.counted().await;
        assert_eq!(ledger.used(), (Used { bytes: 8, files: 3 }, true));
        // Not again so soon.
        ledger.count_by(|| Ok(Used::default()));
        assert_eq!(ledger.used().0.bytes, 8);
    }

    #[tokio::test]
    async fn what_was_announced_is_not_lost_in_a_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "12345").unwrap();
        let files = Arc::new(LocalFs::open(dir.path(), LocalSettings::default()).unwrap());
        let ledger = Ledger::open(dir.path(), limits(100, 10)).unwrap();
        ledger.reserve(80).unwrap();
        assert_eq!((ledger.reserve(21), ledger.room()), (Err(StorageError::OverQuota), Some(20)));
        // Nothing of it is on the disk, so nothing of it is counted.
        ledger.lock().used = files.count(|| true).unwrap();
        assert_eq!((ledger.take(16, 0), ledger.room()), (Err(StorageError::OverQuota), Some(15)));
        ledger.take_reserved(30);
        ledger.release(50);
        assert_eq!((ledger.used().0.bytes, ledger.room()), (35, Some(65)));
    }

    #[tokio::test]
    async fn a_count_that_was_disturbed_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), limits(100, 10)).unwrap();
        let (own, tries) = (ledger.clone(), Arc::new(Mutex::new(0)));
        let counter = Arc::clone(&tries);
        ledger.count_by(move || {
            *lock(&counter) += 1;
            if *lock(&counter) == 1 {
                own.take(1, 0)?;
            }
            Ok(Used { bytes: 42, files: 3 })
        });
        ledger.counted().await;
        assert_eq!((ledger.used(), *lock(&tries)), ((Used { bytes: 42, files: 3 }, true), 2));
    }
}
