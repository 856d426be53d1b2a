//! What an account's files take, against its quota.
//!
//! The books are kept by the storage: it counts the tree once, when the account is first used, and from then on what it
//! writes, removes and replaces itself. What others do to the same files is found by counting again now and then. Bytes
//! of an upload are booked before they are written, so that neither many uploads at a time nor one without an end, nor
//! one that unpacks to more than was sent, gets beyond the quota.
//!
//! A quota is of the bytes that are in files (as listings tell them, not the blocks of a disk), and of names: files,
//! directories and links. What an interrupted upload has left counts as any other file does. A file that is replaced
//! makes room for the one that replaces it, although for the time of the upload the disk holds both.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use port21_proto::server::StorageError;
use tokio::sync::watch;

/// How much an account may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quota {
    /// In bytes; nothing: as much as the disk has.
    pub bytes: Option<u64>,
    /// In names of files, directories and links; nothing: no limit. Without one an account can use up the file system's
    /// inodes with empty files.
    pub files: Option<u64>,
}

impl Quota {
    /// Whether there is any limit.
    pub fn is_limited(&self) -> bool {
        self.bytes.is_some() || self.files.is_some()
    }
}

/// What there is in a tree of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Used {
    /// Bytes.
    pub bytes: u64,
    /// Names.
    pub files: u64,
}

/// After this time a tree is counted again when its account is used: what others do to the files is not seen. Counting
/// costs about a second for 200,000 files that are in the kernel's caches.
const RECOUNT: Duration = Duration::from_secs(6 * 3600);

/// How often a count is done again at once because something has changed meanwhile; then it is taken as it is.
const TRIES: usize = 3;

/// How long an upload waits for the first count. One that goes on without is held to the quota by what is known, and by
/// all of it once the count is done.
const PATIENCE: Duration = Duration::from_secs(10);

/// A quota and the books of the tree that it is for. Accounts that share a root share its books, each with its own quota.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    quota: Quota,
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
    /// What running uploads have booked on top.
    booked: Used,
    /// How often `used` has changed.
    changes: u64,
    counted_at: Option<Instant>,
    is_counting: bool,
}

/// One root has one set of books in the whole process, whoever opens it.
static BOOKS: LazyLock<Mutex<HashMap<(u64, u64), Weak<Books>>>> = LazyLock::new(Mutex::default);

impl Ledger {
    /// The books of a root, which is known by its file system and inode.
    pub(crate) fn open(root: (u64, u64), quota: Quota) -> Ledger {
        let mut all = lock(&BOOKS);
        let known = all.get(&root).and_then(Weak::upgrade);
        let books = known.unwrap_or_else(|| {
            all.retain(|_, books| books.strong_count() > 0);
            let books = Arc::new(Books { state: Mutex::default(), counted: watch::Sender::new(false) });
            all.insert(root, Arc::downgrade(&books));
            books
        });
        Ledger { quota, books }
    }

    /// What there is, with what running uploads have booked; and whether it was ever counted.
    pub(crate) fn used(&self) -> (Used, bool) {
        let state = self.lock();
        (state.total(), state.counted_at.is_some())
    }

    /// The quota.
    pub(crate) fn quota(&self) -> Quota {
        self.quota
    }

    /// Counts with `count`, on the pool of blocking threads, where that was never done or long ago. Returns at once.
    pub(crate) fn count(&self, count: impl Fn() -> Result<Used, StorageError> + Send + 'static) {
        if !self.lock().begins_count() {
            return;
        }
        let books = Arc::clone(&self.books);
        tokio::task::spawn_blocking(move || {
            let guard = Counting(&books);
            for attempt in 1..=TRIES {
                let before = lock(&books.state).changes;
                match count() {
                    Ok(used) => {
                        let mut state = lock(&books.state);
                        if state.changes == before || attempt == TRIES {
                            state.used = used;
                            state.counted_at = Some(Instant::now());
                            break;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot count what an account holds; its quota is kept by what is known");
                        break;
                    }
                }
            }
            drop(guard);
        });
    }

    /// Waits for the first count, for as long as may be asked of a client.
    pub(crate) async fn counted(&self) {
        let mut counted = self.books.counted.subscribe();
        // The sender lives as long as the books.
        let _ = tokio::time::timeout(PATIENCE, counted.wait_for(|counted| *counted)).await;
    }

    /// Begins to book an upload.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`] where one more file is too many.
    pub(crate) fn charge(&self, what: Charged) -> Result<Charge, StorageError> {
        let mut state = self.lock();
        if what.new {
            if self.quota.files.is_some_and(|most| state.total().files >= most) {
                return Err(StorageError::OverQuota);
            }
            state.booked.files += 1;
        }
        drop(state);
        Ok(Charge { ledger: self.clone(), what, written: 0, stays: false, is_open: true })
    }

    /// Books a name that is made at once: a directory, a link.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`] where it is one too many.
    pub(crate) fn charge_name(&self) -> Result<Charge, StorageError> {
        self.charge(Charged { credit: 0, new: true })
    }

    /// A name is gone, and so many bytes with it.
    pub(crate) fn removed(&self, bytes: u64) {
        let mut state = self.lock();
        state.used.bytes = state.used.bytes.saturating_sub(bytes);
        state.used.files = state.used.files.saturating_sub(1);
        state.changes += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.books.state)
    }
}

/// What an upload does to the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charged {
    /// Bytes that are there and make room for those of the upload: the file that is replaced, or the part of it behind
    /// the place where the upload begins.
    pub(crate) credit: u64,
    /// Whether there will be one name more.
    pub(crate) new: bool,
}

/// What an upload has booked. Dropped, it is as if it had never been; unless it [stays](Charge::stays) in any case, or
/// was [settled](Charge::settle).
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Ledger,
    what: Charged,
    written: u64,
    stays: bool,
    is_open: bool,
}

impl Charge {
    /// Books bytes that are about to be written.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`]: they must not be.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<(), StorageError> {
        let after = self.written.saturating_add(bytes);
        let more = self.growth(after) - self.growth(self.written);
        let mut state = self.ledger.lock();
        if more > 0 && !self.ledger.has_room(&state, more) {
            return Err(StorageError::OverQuota);
        }
        state.booked.bytes += more;
        drop(state);
        self.written = after;
        Ok(())
    }

    /// Whether so many bytes would fit, now.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`].
    pub(crate) fn fits(&self, bytes: u64) -> Result<(), StorageError> {
        let more = self.growth(self.written.saturating_add(bytes)) - self.growth(self.written);
        if self.ledger.has_room(&self.ledger.lock(), more) { Ok(()) } else { Err(StorageError::OverQuota) }
    }

    /// From now on what is written is there, however the upload ends: it is written in place.
    pub(crate) fn stays(&mut self) {
        self.stays = true;
    }

    /// What was written is there, and what it replaces is gone.
    pub(crate) fn settle(&mut self) {
        self.close(true);
    }

    fn growth(&self, written: u64) -> u64 {
        written.saturating_sub(self.what.credit)
    }

    fn close(&mut self, is_there: bool) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let mut state = self.ledger.lock();
        state.booked.bytes = state.booked.bytes.saturating_sub(self.growth(self.written));
        state.booked.files = state.booked.files.saturating_sub(u64::from(self.what.new));
        if is_there {
            state.used.bytes = state.used.bytes.saturating_add(self.written).saturating_sub(self.what.credit);
            state.used.files += u64::from(self.what.new);
            state.changes += 1;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.close(self.stays);
    }
}

impl Ledger {
    fn has_room(&self, state: &State, bytes: u64) -> bool {
        self.quota.bytes.is_none_or(|most| state.total().bytes.saturating_add(bytes) <= most)
    }
}

impl State {
    fn total(&self) -> Used {
        Used { bytes: self.used.bytes + self.booked.bytes, files: self.used.files + self.booked.files }
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
        // Where it failed nobody waits for it any longer either: the next upload begins another.
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

    /// Roots that no file system has.
    fn ledger(inode: u64, bytes: u64, files: u64) -> Ledger {
        Ledger::open((u64::MAX, inode), Quota { bytes: Some(bytes), files: Some(files) })
    }

    const NEW: Charged = Charged { credit: 0, new: true };

    #[test]
    fn what_is_booked_counts_at_once_and_is_given_back() {
        let ledger = ledger(1, 100, 2);
        let mut first = ledger.charge(NEW).unwrap();
        first.add(60).unwrap();
        let mut second = ledger.charge(NEW).unwrap();
        assert_eq!(second.add(41), Err(StorageError::OverQuota));
        second.add(40).unwrap();
        assert_eq!(second.fits(1), Err(StorageError::OverQuota));
        assert_eq!(ledger.charge(NEW).unwrap_err(), StorageError::OverQuota);
        drop(first);
        second.settle();
        assert_eq!(ledger.used().0, Used { bytes: 40, files: 1 });
        ledger.removed(40);
        assert_eq!(ledger.used().0, Used::default());
    }

    #[test]
    fn what_is_replaced_makes_room() {
        let ledger = ledger(2, 100, 1);
        let mut old = ledger.charge(NEW).unwrap();
        old.add(80).unwrap();
        old.settle();
        let mut new = ledger.charge(Charged { credit: 80, new: false }).unwrap();
        new.add(100).unwrap();
        assert_eq!(new.add(1), Err(StorageError::OverQuota));
        new.settle();
        assert_eq!(ledger.used().0, Used { bytes: 100, files: 1 });
        let mut smaller = ledger.charge(Charged { credit: 100, new: false }).unwrap();
        smaller.add(7).unwrap();
        smaller.settle();
        assert_eq!(ledger.used().0, Used { bytes: 7, files: 1 });
    }

    #[test]
    fn what_is_written_in_place_stays() {
        let ledger = ledger(3, 100, 1);
        let mut upload = ledger.charge(NEW).unwrap();
        upload.stays();
        upload.add(30).unwrap();
        drop(upload);
        assert_eq!(ledger.used().0, Used { bytes: 30, files: 1 });
    }

    #[test]
    fn a_root_has_one_set_of_books_and_each_account_its_quota() {
        let (small, large) = (ledger(4, 10, 1), ledger(4, 100, 2));
        let mut upload = large.charge(NEW).unwrap();
        upload.add(50).unwrap();
        upload.settle();
        assert_eq!(small.used(), large.used());
        assert!(small.charge_name().is_err() && large.charge_name().is_ok());
    }

    #[tokio::test]
    async fn a_count_that_was_disturbed_is_done_again() {
        let ledger = ledger(5, 100, 10);
        let (own, tries) = (ledger.clone(), Arc::new(Mutex::new(0)));
        let counter = Arc::clone(&tries);
        ledger.count(move || {
            *lock(&counter) += 1;
            if *lock(&counter) == 1 {
                own.removed(0);
            }
            Ok(Used { bytes: 42, files: 3 })
        });
        ledger.counted().await;
        assert_eq!((ledger.used(), *lock(&tries)), ((Used { bytes: 42, files: 3 }, true), 2));
        ledger.count(|| Ok(Used::default()));
        assert_eq!(ledger.used().0.bytes, 42);
    }
}
