//! The server's one clock: the wall clock, read once, and what a monotonic clock has measured since.

use std::time::{Duration, SystemTime};

use port21_proto::Time;
use tokio::time::Instant;

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
}
