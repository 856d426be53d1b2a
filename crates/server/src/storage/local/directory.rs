//! Making new names last: the sync of a directory, shared by all who wait for one at the same time.
//!
//! A sync of a directory makes every name last that it has when the sync begins. So whoever comes while one is under way
//! waits for the next, and that one is for all who came meanwhile: of a hundred uploads to one directory that end
//! together, each waits for two syncs of it at most.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fd::AsFd;
use rustix::fs::fstat;
use rustix::io::Errno;

use super::facts::Facts;

/// Makes all names of a directory last that it has now. `sync` does it, for this one and for others.
pub(super) fn sync(dir: impl AsFd, sync: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let facts = Facts::from(fstat(dir)?);
    Queue::of((facts.device, facts.inode)).join(sync)
}

/// Directories that somebody syncs now, by file system and file.
static QUEUES: LazyLock<Mutex<HashMap<Key, Arc<Queue>>>> = LazyLock::new(Mutex::default);

type Key = (u64, u64);

/// Those who wait for one directory.
struct Queue {
    key: Key,
    state: Mutex<State>,
    /// A sync has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// A sync is under way. It may have begun before the names of those who come now.
    busy: bool,
    /// The sync after that.
    next: Arc<Batch>,
    /// How many are in [`Queue::join`].
    members: usize,
}

/// One sync and what came of it.
type Batch = OnceLock<Result<(), Errno>>;

impl Queue {
    /// The queue of a directory, of which the caller is a member now.
    fn of(key: Key) -> Arc<Queue> {
        let mut queues = lock(&QUEUES);
        let queue = queues
            .entry(key)
            .or_insert_with(|| Arc::new(Queue { key, state: Mutex::default(), ended: Condvar::new() }));
        lock(&queue.state).members += 1;
        Arc::clone(queue)
    }

    fn join(&self, sync: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let _member = Member(self);
        let mut state = lock(&self.state);
        let batch = Arc::clone(&state.next);
        loop {
            if let Some(result) = batch.get() {
                return *result;
            }
            if !state.busy {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // The first of its batch to see that nobody syncs does it for all of them.
        state.busy = true;
        state.next = Arc::default();
        drop(state);
        let result = *batch.get_or_init(sync);
        lock(&self.state).busy = false;
        self.ended.notify_all();
        result
    }
}

/// Gives the queue up when the last one leaves.
struct Member<'a>(&'a Queue);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&QUEUES);
        let mut state = lock(&self.0.state);
        state.members -= 1;
        if state.members == 0 {
            queues.remove(&self.0.key);
        }
    }
}

/// Nothing panics while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_who_come_during_a_sync_share_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(dir.path()).unwrap();
        let syncs = AtomicUsize::new(0);
        let (began, has_begun) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let facts = Facts::from(fstat(&dir).unwrap());
        std::thread::scope(|threads| {
            let first = threads.spawn(|| {
                sync(&dir, move || {
                    began.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    Ok(())
                })
            });
            has_begun.recv().unwrap();
            let others: Vec<_> = (0..10)
                .map(|_| {
                    threads.spawn(|| {
                        sync(&dir, || {
                            syncs.fetch_add(1, Ordering::Relaxed);
                            Err(Errno::IO)
                        })
                    })
                })
                .collect();
            // All of them wait for the next, before the first has ended.
            let queue = Arc::clone(&lock(&QUEUES)[&(facts.device, facts.inode)]);
            while Arc::strong_count(&lock(&queue.state).next) < 11 {
                std::thread::yield_now();
            }
            go_on.send(()).unwrap();
            assert_eq!(first.join().unwrap(), Ok(()));
            // What went wrong is told to all whom it was done for.
            for other in others {
                assert_eq!(other.join().unwrap(), Err(Errno::IO));
            }
        });
        assert_eq!(syncs.load(Ordering::Relaxed), 1);
        assert!(!lock(&QUEUES).contains_key(&(facts.device, facts.inode)), "nobody is left");
    }
}
