//! How fast a transfer may be: rate limits of a session and of an account.
//!
//! Each limit is a bucket that fills at its rate; a transfer takes from all of its own. It moves a twentieth of a second's
//! worth at a time and then waits, so that the rate is smooth, on both ways of a download: the buffers and sendfile.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What was not used for so long may be made up for: timers wake late, and a rate would be missed by that.
const CATCH_UP: Duration = Duration::from_millis(20);

/// The least that is moved at a time, in bytes.
const LEAST: u64 = 64;

/// The most that is moved at a time.
const MOST: u64 = 256 * 1024;

/// One limit, for all who share it.
#[derive(Debug)]
pub(crate) struct Bucket(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Bytes a second.
    rate: NonZeroU64,
    /// When all that was moved will have had its time.
    due: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: NonZeroU64) -> Bucket {
        Bucket(Mutex::new(State { rate, due: Instant::now() }))
    }

    /// Another rate, from now on, for all who share it.
    pub(crate) fn set(&self, rate: NonZeroU64) {
        self.lock().rate = rate;
    }

    fn spend(&self, bytes: u64, now: Instant) {
        let mut state = self.lock();
        let begin = now.checked_sub(CATCH_UP).map_or(now, |earliest| state.due.max(earliest));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(state.rate.get());
        let took = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        state.due = begin.checked_add(took).unwrap_or(begin);
    }

    /// What may be moved at a time.
    fn slice(&self) -> u64 {
        (self.lock().rate.get() / 20).clamp(LEAST, MOST)
    }

    fn due(&self) -> Instant {
        self.lock().due
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No step leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits of one transfer; none by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace(Vec<Arc<Bucket>>);

impl Pace {
    pub(crate) fn new(buckets: impl IntoIterator<Item = Arc<Bucket>>) -> Pace {
        Pace(buckets.into_iter().collect())
    }

    /// How many bytes may be moved at a time, at most `wanted`.
    pub(crate) fn slice(&self, wanted: usize) -> usize {
        let most = self.0.iter().map(|bucket| bucket.slice()).min();
        most.and_then(|most| usize::try_from(most).ok()).map_or(wanted, |most| wanted.min(most))
    }

    /// So many were moved.
    pub(crate) fn spend(&self, bytes: u64) {
        if !self.0.is_empty() {
            let now = Instant::now();
            self.0.iter().for_each(|bucket| bucket.spend(bytes, now));
        }
    }

    /// Whether something may be moved now.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.is_empty() || self.due().is_none_or(|due| due <= Instant::now())
    }

    /// Waits until something may be moved.
    pub(crate) async fn ready(&self) {
        // Whoever shares a bucket may have taken from it meanwhile.
        while !self.is_ready() {
            if let Some(due) = self.due() {
                sleep_until(due).await;
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.0.iter().map(|bucket| bucket.due()).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: u64) -> Arc<Bucket> {
        Arc::new(Bucket::new(NonZeroU64::new(rate).unwrap()))
    }

    /// How long it takes to move so many bytes, and the longest wait in between.
    async fn time(pace: &Pace, bytes: usize) -> (Duration, Duration) {
        let (begin, mut left, mut longest) = (Instant::now(), bytes, Duration::ZERO);
        while left > 0 {
            let waited = Instant::now();
            pace.ready().await;
            longest = longest.max(waited.elapsed());
            let now = pace.slice(left);
            pace.spend(now as u64);
            left -= now;
        }
        pace.ready().await;
        (begin.elapsed(), longest)
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_smooth() {
        for rate in [1_000, 100_000, 3_000_000] {
            let (took, longest) = time(&Pace::new([bucket(rate)]), rate as usize * 10).await;
            assert!(took >= Duration::from_millis(9_900) && took <= Duration::from_millis(10_200), "{rate}: {took:?}");
            assert!(longest <= Duration::from_millis(100), "{rate}: {longest:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_narrowest_limit_rules_and_is_shared() {
        let (account, wide) = (bucket(10_000), bucket(1_000_000));
        let first = Pace::new([account.clone(), wide]);
        let second = Pace::new([account.clone()]);
        let (first, second) = tokio::join!(time(&first, 50_000), time(&second, 50_000));
        assert!(
            first.0 >= Duration::from_millis(9_000) && second.0 >= Duration::from_millis(9_000),
            "{first:?} {second:?}"
        );
        account.set(NonZeroU64::new(100_000).unwrap());
        assert!(time(&Pace::new([account]), 100_000).await.0 <= Duration::from_millis(1_100));
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_costs_nothing() {
        let pace = Pace::default();
        pace.spend(u64::MAX);
        assert!(pace.is_ready());
        assert_eq!(pace.slice(usize::MAX), usize::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_was_not_used_is_not_saved_up() {
        let pace = Pace::new([bucket(1_000)]);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(time(&pace, 10_000).await.0 >= Duration::from_millis(9_900));
    }
}
