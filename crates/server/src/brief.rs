//! Work that takes microseconds, unless it has to wait for a disk.
//!
//! Another thread that does it costs more than the work itself: two threads are woken, and mostly a third one, to look
//! whether there is more to do. So it is done where the session is, as long as whoever waits there harms nobody:
//!
//! - One thread of the runtime is always left that does no such work. It takes over all that the others cannot get to: their
//!   sessions, what comes from the network, and the time.
//! - Once a disk has made somebody wait, all such work is left to the pool of blocking threads for a while.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, spawn_blocking};

/// Who takes longer has waited for a disk, not only for a processor.
const BRIEF: Duration = Duration::from_millis(10);

/// For so long afterwards the pool does it.
const CAUTIOUS: Duration = Duration::from_secs(1);

/// Of all runtimes of this process: of several, this leaves more threads than need be.
static TURNS: Turns = Turns { taken: AtomicUsize::new(0), cautious_until: AtomicU64::new(0) };

/// A moment before all others.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Does it here where that harms nobody, else in the pool.
///
/// # Errors
/// Its panic, in the pool.
pub(crate) async fn brief<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match Turn::take() {
        Some(_turn) => Ok(work()),
        None => spawn_blocking(work).await,
    }
}

/// Leave to do brief work on this thread of the runtime, for as long as it is kept. Not to be kept while something is awaited.
pub(crate) struct Turn {
    turns: &'static Turns,
    since: Instant,
}

impl Turn {
    /// None where it would leave no thread to the others, or disks are slow.
    pub(crate) fn take() -> Option<Turn> {
        let runtime = Handle::try_current().ok()?;
        let threads = match runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => runtime.metrics().num_workers(),
            _ => 1,
        };
        TURNS.take(threads)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.give_back(self.since.elapsed());
    }
}

struct Turns {
    taken: AtomicUsize,
    /// In microseconds since [`BEGIN`].
    cautious_until: AtomicU64,
}

impl Turns {
    fn take(&'static self, threads: usize) -> Option<Turn> {
        let begin = *BEGIN;
        let since = Instant::now();
        if micros(since - begin) < self.cautious_until.load(Ordering::Relaxed) {
            return None;
        }
        let one_more = |taken: usize| (taken + 1 < threads).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Turn { turns: self, since })
    }

    fn give_back(&self, took: Duration) {
        if took > BRIEF {
            self.cautious_until.store(micros(BEGIN.elapsed() + CAUTIOUS), Ordering::Relaxed);
        }
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns() -> &'static Turns {
        Box::leak(Box::new(Turns { taken: AtomicUsize::new(0), cautious_until: AtomicU64::new(0) }))
    }

    #[test]
    fn one_thread_is_always_left() {
        let turns = turns();
        assert!(turns.take(1).is_none());
        let first = turns.take(3).unwrap();
        let second = turns.take(3).unwrap();
        assert!(turns.take(3).is_none());
        drop(first);
        assert!(turns.take(3).is_some());
        drop(second);
    }

    #[test]
    fn who_has_waited_for_a_disk_leaves_it_to_the_pool() {
        let turns = turns();
        turns.take(2).unwrap();
        assert!(turns.take(2).is_some(), "it was brief");
        turns.give_back(BRIEF * 2);
        turns.taken.store(0, Ordering::Relaxed);
        assert!(turns.take(2).is_none());
        turns.cautious_until.store(0, Ordering::Relaxed);
        assert!(turns.take(2).is_some(), "and when that is over, it is tried again");
    }

    #[tokio::test]
    async fn the_only_thread_of_a_runtime_does_not_wait() {
        let here = std::thread::current().id();
        assert_ne!(brief(|| std::thread::current().id()).await.unwrap(), here);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_is_done_wherever_there_is_leave() {
        let answers: Vec<_> = (0..50).map(|n| tokio::spawn(brief(move || n))).collect();
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap().unwrap(), n);
        }
    }
}
