//! The server's one clock: the wall clock, read once, and what a monotonic clock has measured since.

use std::time::{Duration, SystemTime};

use port21_proto::Time;
use tokio::time::{Instant, sleep_until};

/// Tells [`Time`]. Setting the machine's clock neither ends a session nor keeps one alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Time,
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock { wall: Time::ZERO + since_epoch, start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        self.wall + self.start.elapsed()
    }

    /// Waits until `time`; not at all where it has passed.
    pub(crate) async fn reach(&self, time: Time) {
        if time > self.now()
            && let Some(instant) = self.instant(time)
        {
            sleep_until(instant).await;
        }
    }

    /// The same moment for a timer; nothing for [`Time::MAX`] and what is too far away to be waited for.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        if time == Time::MAX {
            return None;
        }
        self.start.checked_add(time.since(self.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_becomes_the_same_instant() {
        let clock = Clock::start();
        let instant = clock.instant(clock.wall + Duration::from_secs(5)).unwrap();
        assert_eq!(instant - clock.start, Duration::from_secs(5));
        assert_eq!(clock.instant(Time::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_reached_and_not_passed_by() {
        let clock = Clock::start();
        let moment = clock.now() + Duration::from_millis(25);
        clock.reach(moment).await;
        assert_eq!(clock.now(), moment);
        clock.reach(clock.wall).await;
        assert_eq!(clock.now(), moment);
    }
}
