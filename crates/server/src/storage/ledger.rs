//! What an account's files take up, counted and kept true.
//!
//! The tree is counted when the account is first used, and again and again while it is; in between the storage tells what
//! it writes, replaces and removes. What others do to the same files is found by the next count. Bytes are taken before
//! they are written, so that neither many uploads at a time nor one without an end, nor one that unpacks to more than
//! was sent, gets beyond the limits. Whatever grows waits a while for the first count, so that a quota holds from the start.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use port21_proto::server::StorageError;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout_at;

use super::{BoxFuture, LocalFs, Quota};

/// How much an account may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QuotaLimits {
    /// Bytes in files, as listings tell them (not the blocks of a disk); nothing: as much as the disk has.
    pub bytes: Option<u64>,
    /// Files, directories and symbolic links; nothing: as many as the file system has. Without a limit an account can use up the
    /// file system's inodes with empty files.
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
    /// Regular files, directories and symbolic links.
    pub files: u64,
}

impl Used {
    fn and(self, more: Used) -> Used {
        Used { bytes: self.bytes.saturating_add(more.bytes), files: self.files.saturating_add(more.files) }
    }

    fn less(self, less: Used) -> Used {
        Used { bytes: self.bytes.saturating_sub(less.bytes), files: self.files.saturating_sub(less.files) }
    }
}

/// How long uploads wait for the first count of a tree, all together: about two million files that are in the kernel's
/// caches. A tree that takes longer is not held against its user: what it holds is known when it has been counted.
const FIRST_COUNT: Duration = Duration::from_secs(10);

/// How many trees are counted at a time, but for those that an upload waits for: a count keeps a disk busy.
static TURNS: Semaphore = Semaphore::const_new(2);

/// How often a count is done again at once because something has changed meanwhile; then what is certain of it is enough.
const TRIES: usize = 3;

/// The [`Quota`] of an account: its limits, and the count of its root. Accounts that share a root share its count, each
/// with limits of its own; where the root of one is below that of another, the outer one learns of changes by the inner
/// one from its next count.
///
/// Until the first count is done only what was written since counts: see [`Quota::ready`].
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: QuotaLimits,
    books: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    state: Mutex<State>,
    /// Whether the first count is done, or has failed.
    counted: watch::Sender<bool>,
    /// An upload waits for the first count.
    wanted: Notify,
    /// Whoever keeps the books is to look at them: they are to be counted at other times, or are no more.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    used: Used,
    /// Bytes that uploads have announced and not written yet: no count of the disk finds them.
    reserved: u64,
    /// All that was ever taken, and given back.
    changes: Changes,
    counted_at: Option<Instant>,
    /// The files, as each account has them open that shares them.
    files: Vec<Weak<LocalFs>>,
    /// How long after a count the next one is due; zero: never.
    every: Duration,
    /// Whether there is a task that counts.
    is_kept: bool,
    /// Until when uploads wait for the first count.
    wait_until: Option<Instant>,
}

/// What was taken and what was given back, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    taken: Used,
    given: Used,
}

/// The books of all roots, by file system and inode.
type ByRoot = HashMap<(u64, u64), Weak<Books>>;

/// One root has one set of books in the whole process, whoever opens it.
static BOOKS: LazyLock<Mutex<ByRoot>> = LazyLock::new(Mutex::default);

impl Ledger {
    /// The count of a directory, under these limits. Nothing is counted before [`Ledger::keep`].
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
            let books = Arc::new(Books {
                state: Mutex::default(),
                counted: watch::Sender::new(false),
                wanted: Notify::new(),
                changed: Arc::default(),
            });
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

    /// Counts these files, of the ledger's root, now where nobody does so yet, and then `every` so long (zero: never
    /// again), on the pool of blocking threads, for as long as somebody else holds them: one task for a root, whoever
    /// asks. Where accounts that share a root ask for different times, the last one has its way. Returns at once; call it
    /// within a tokio runtime.
    pub fn keep(&self, files: &Arc<LocalFs>, every: Duration) {
        let mut state = self.lock();
        state.files.retain(|files| files.strong_count() > 0);
        state.files.push(Arc::downgrade(files));
        if std::mem::replace(&mut state.every, every) != every {
            self.books.changed.notify_one();
        }
        if !std::mem::replace(&mut state.is_kept, true) {
            tokio::spawn(keep(Arc::downgrade(&self.books), Arc::clone(&self.books.changed)));
        }
    }

    /// Waits until the first count is done or has failed.
    pub async fn counted(&self) {
        let mut counted = self.books.counted.subscribe();
        // The sender lives as long as the books.
        let _ = counted.wait_for(|counted| *counted).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.books.state)
    }
}

impl Quota for Ledger {
    fn take(&self, bytes: u64, files: u64) -> Result<(), StorageError> {
        let mut state = self.lock();
        state.check(&self.limits, bytes, files)?;
        state.take(Used { bytes, files });
        Ok(())
    }

    fn give(&self, bytes: u64, files: u64) {
        let (mut state, given) = (self.lock(), Used { bytes, files });
        state.used = state.used.less(given);
        state.changes.given = state.changes.given.and(given);
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
        state.take(Used { bytes, files: 0 });
    }

    fn release(&self, bytes: u64) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(bytes);
    }

    fn room(&self) -> Option<u64> {
        let state = self.lock();
        self.limits.bytes.map(|most| most.saturating_sub(state.used.bytes).saturating_sub(state.reserved))
    }

    /// The first count, for ten seconds at most from the first of those that ask.
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let until = {
                let mut state = self.lock();
                if !state.is_kept || *self.books.counted.borrow() {
                    return;
                }
                *state.wait_until.get_or_insert_with(|| Instant::now() + FIRST_COUNT)
            };
            self.books.wanted.notify_one();
            // In the end it is not known what there is: nobody is kept from their work by that.
            let _ = timeout_at(until.into(), self.counted()).await;
        })
    }
}

impl State {
    fn take(&mut self, more: Used) {
        self.used = self.used.and(more);
        self.changes.taken = self.changes.taken.and(more);
    }

    /// Takes a count for what there is, that began when there were these changes. It may have seen all of what came since
    /// that was taken and nothing of what was given back, or the other way round, and what there is now lies between what either
    /// would mean. The books have followed each change: where they are within that, they stay as they are; and where they are
    /// not, since others have put files there or taken them away, they go as far as is certain.
    fn counted(&mut self, counted: Used, before: Changes) {
        let Changes { taken, given } = self.changes;
        let (least, most) = (counted.less(given.less(before.given)), counted.and(taken.less(before.taken)));
        self.used = Used {
            bytes: self.used.bytes.clamp(least.bytes, most.bytes),
            files: self.used.files.clamp(least.files, most.files),
        };
    }

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
}

impl Books {
    /// What there is to count, and `None` where nobody uses it any more: then somebody else is to keep the books who does.
    fn files(&self) -> Option<Arc<LocalFs>> {
        let mut state = lock(&self.state);
        let files = state.files.iter().find_map(Weak::upgrade);
        state.is_kept = files.is_some();
        files
    }

    /// How long until the next count; nothing: there is none.
    fn due_in(&self) -> Option<Duration> {
        let state = lock(&self.state);
        let since = state.counted_at.map(|at| at.elapsed());
        (!state.every.is_zero()).then(|| since.map_or(state.every, |since| state.every.saturating_sub(since)))
    }

    /// Sets what there is; whether that was not given up.
    fn count(&self, count: impl Fn() -> Result<Used, StorageError>) -> bool {
        for attempt in 1..=TRIES {
            let before = lock(&self.state).changes;
            match count() {
                Ok(used) => {
                    let mut state = lock(&self.state);
                    if state.counted_at.is_none() && attempt == 1 {
                        // The books know of nothing that was there before them.
                        state.used = Used { bytes: u64::MAX, files: u64::MAX };
                    }
                    state.counted(used, before);
                    if state.changes == before || attempt == TRIES {
                        state.counted_at = Some(Instant::now());
                        break;
                    }
                }
                Err(StorageError::Cancelled) => return false,
                Err(error) => {
                    tracing::warn!(%error, "cannot count what an account holds: its quota knows of new files alone");
                    break;
                }
            }
        }
        true
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Counts when it is due, until nobody uses the files any more.
async fn keep(books: Weak<Books>, changed: Arc<Notify>) {
    loop {
        let mut due = {
            let Some(books) = books.upgrade() else { return };
            let Some(files) = books.files() else { return };
            if !count(&books, files).await {
                continue;
            }
            books.due_in()
        };
        loop {
            let pause = async {
                match due {
                    Some(due) => tokio::time::sleep(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => break,
                () = changed.notified() => {}
            }
            let Some(books) = books.upgrade() else { return };
            due = books.due_in();
        }
    }
}

/// Counts in its turn, or at once where an upload waits. Whether it was done or has failed: else those whose files these
/// were have gone.
async fn count(books: &Arc<Books>, files: Arc<LocalFs>) -> bool {
    let turn = tokio::select! {
        // It is never closed.
        turn = TURNS.acquire() => turn.ok(),
        () = books.wanted.notified() => None,
    };
    let own = Arc::clone(books);
    let counting = move || own.count(|| files.count(|| Arc::strong_count(&files) > 1));
    // Where it has panicked, that was told. Where it failed nobody waits for it any longer either: it is tried again.
    let done = tokio::task::spawn_blocking(counting).await.unwrap_or(true);
    drop(turn);
    if done {
        books.counted.send_replace(true);
    }
    done
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
        ledger.keep(&files, Duration::ZERO);
        ledger.counted().await;
        assert_eq!(ledger.used(), (Used { bytes: 8, files: 4 }, true));
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

    #[test]
    fn a_count_that_was_disturbed_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), limits(100, 10)).unwrap();
        let tries = Mutex::new(0);
        ledger.books.count(|| {
            *lock(&tries) += 1;
            if *lock(&tries) == 1 {
                ledger.take(1, 0)?;
            }
            Ok(Used { bytes: 42, files: 3 })
        });
        assert_eq!((ledger.used(), *lock(&tries)), ((Used { bytes: 42, files: 3 }, true), 2));
    }

    #[test]
    fn what_is_taken_and_given_while_a_busy_tree_is_counted_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), QuotaLimits::default()).unwrap();
        ledger.books.count(|| Ok(Used { bytes: 1000, files: 10 }));
        let bytes = || ledger.used().0.bytes;
        // What others have put there, and whether the count sees the changes that are made meanwhile.
        for (others, sees_taken, sees_given) in [
            (0, false, false),
            (0, false, true),
            (0, true, false),
            (0, true, true),
            (5000, true, false),
            (0, true, true),
        ] {
            let mut there = bytes() + others;
            let truth = Mutex::new(&mut there);
            ledger.books.count(|| {
                let mut there = lock(&truth);
                let before = **there;
                ledger.take(70, 1).unwrap();
                ledger.give(30, 1);
                **there += 40;
                Ok(Used {
                    bytes: before + if sees_taken { 70 } else { 0 } - if sees_given { 30 } else { 0 },
                    files: 10,
                })
            });
            assert_eq!(ledger.used().0.files, 10);
            // As exact as it was; what others did is known but for what changed meanwhile.
            let tolerance = if others == 0 { 0 } else { 100 };
            assert!(bytes().abs_diff(there) <= tolerance, "{} and {there}: {others}", bytes());
            ledger.books.count(|| Ok(Used { bytes: there, files: 10 }));
        }
        // One that is disturbed from the first on errs on the side of the limit, and by no more than changed in one try.
        let other = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(other.path(), QuotaLimits::default()).unwrap();
        let there = Mutex::new(1000);
        ledger.books.count(|| {
            ledger.take(70, 0).unwrap();
            *lock(&there) += 70;
            Ok(Used { bytes: *lock(&there), files: 10 })
        });
        assert!((1210..=1280).contains(&ledger.used().0.bytes), "{:?}", ledger.used());
    }

    /// Waits, on a clock that goes by itself, until so many bytes are counted.
    async fn until_counted(ledger: &Ledger, bytes: u64) {
        for _ in 0..1000 {
            if ledger.used().0.bytes == bytes {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{:?}", ledger.used());
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_put_there_is_found_by_the_next_count() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Arc::new(LocalFs::open(dir.path(), LocalSettings::default()).unwrap());
        let (first, second) = (open(), open());
        let ledger = Ledger::open(dir.path(), limits(10, 10)).unwrap();
        ledger.keep(&first, Duration::from_millis(1));
        ledger.keep(&second, Duration::from_millis(1));
        ledger.counted().await;
        std::fs::write(dir.path().join("file"), "12345").unwrap();
        until_counted(&ledger, 5).await;
        // Another account has the same files, and goes on with them.
        drop(first);
        std::fs::write(dir.path().join("file"), "1234567").unwrap();
        until_counted(&ledger, 7).await;
        // Once nobody has them there is no task, until somebody has them again.
        drop(second);
        while ledger.lock().is_kept {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::fs::write(dir.path().join("file"), "123").unwrap();
        let third = open();
        ledger.keep(&third, Duration::from_secs(3600));
        until_counted(&ledger, 3).await;
        // A new time is taken at once, not at the next count.
        std::fs::write(dir.path().join("file"), "1").unwrap();
        ledger.keep(&third, Duration::from_millis(1));
        until_counted(&ledger, 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_count_is_waited_for_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "12345").unwrap();
        let files = Arc::new(LocalFs::open(dir.path(), LocalSettings::default()).unwrap());
        let ledger = Ledger::open(dir.path(), limits(10, 10)).unwrap();
        // Nobody counts: there is nothing to wait for.
        ledger.ready().await;
        // No turn is free: whoever waits goes before.
        let turns = TURNS.acquire_many(2).await.unwrap();
        ledger.keep(&files, Duration::ZERO);
        ledger.ready().await;
        assert_eq!(ledger.used(), (Used { bytes: 5, files: 1 }, true));
        drop(turns);
        // A count that does not end.
        let endless = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(endless.path(), limits(10, 10)).unwrap();
        ledger.lock().is_kept = true;
        let began = tokio::time::Instant::now();
        ledger.ready().await;
        ledger.ready().await;
        assert!(began.elapsed() >= FIRST_COUNT - Duration::from_secs(1) && !ledger.used().1);
    }
}
