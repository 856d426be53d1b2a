//! How fast bytes may go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many bytes a second may go, over all the transfers that share it: clones do.
#[derive(Clone, Debug)]
pub struct Rate {
    bytes_per_second: Arc<AtomicU64>,
    /// When what has gone so far will have been paid for.
    paid_until: Arc<Mutex<Option<Instant>>>,
}

/// How much may go ahead of the pace: a burst that smooths the waits and is hardly noticed on the wire.
const BURST: Duration = Duration::from_millis(100);

impl Rate {
    /// So many bytes a second; at least one.
    pub fn new(bytes_per_second: u64) -> Rate {
        Rate { bytes_per_second: Arc::new(AtomicU64::new(bytes_per_second.max(1))), paid_until: Arc::default() }
    }

    /// Sets another pace, for all that share it, at once; at least one byte a second.
    pub fn set(&self, bytes_per_second: u64) {
        self.bytes_per_second.store(bytes_per_second.max(1), Ordering::Relaxed);
    }

    /// How many bytes a second it is.
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second.load(Ordering::Relaxed)
    }

    /// The most bytes that should go at once, to keep an even pace.
    pub(crate) fn at_once(&self) -> usize {
        usize::try_from(self.bytes_per_second() / 10).unwrap_or(usize::MAX).clamp(512, 256 * 1024)
    }

    /// Waits until so many bytes may have gone: for those who read or write a stream themselves.
    pub async fn pay(&self, bytes: usize) {
        let wait = self.charge(Instant::now(), bytes);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn charge(&self, now: Instant, bytes: usize) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second() as f64);
        let mut paid = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paid.map_or(now, |paid| paid.max(now)) + cost;
        *paid = Some(until);
        until.saturating_duration_since(now).saturating_sub(BURST)
    }
}

/// Waits where there is a limit.
pub(crate) async fn pay(rate: Option<&Rate>, bytes: usize) {
    if let Some(rate) = rate {
        rate.pay(bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn transfers_share_a_rate() {
        let rate = Rate::new(1000);
        let begun = Instant::now();
        for _ in 0..10 {
            rate.pay(100).await;
            rate.clone().pay(100).await;
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(1900) && took <= Duration::from_secs(2), "{took:?}");
        // What was not used is lost: nobody saves up a flood.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        rate.pay(2000).await;
        assert!(begun.elapsed() >= Duration::from_millis(1900));
        // A clone's pace is its own pace.
        rate.clone().set(1_000_000);
        assert_eq!(
            (rate.bytes_per_second(), rate.charge(Instant::now() + Duration::from_secs(9), 1000).is_zero()),
            (1_000_000, true)
        );
    }
}
