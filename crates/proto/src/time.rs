//! The one clock type of the protocol: an argument everywhere, never read here.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A moment: nanoseconds since the Unix epoch, as told by a clock that never goes back.
///
/// A live driver reads the wall clock once, when it starts, and adds what a monotonic clock
/// has measured since: setting the machine's clock therefore neither ends a session nor
/// keeps one alive. A capture's stamps fit as they are. The range ends in the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The Unix epoch: where a virtual clock may start.
    pub const ZERO: Time = Time(0);
    /// The last moment that can be told; what a deadline saturates to.
    pub const MAX: Time = Time(u64::MAX);

    /// A moment from nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// A moment from whole seconds since the Unix epoch.
    pub const fn from_unix_secs(secs: u64) -> Time {
        Time(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn unix_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The time from `earlier` to this moment; zero where `earlier` is the later one.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment as a calendar stamp in UTC.
    pub fn timestamp(self) -> jiff::Timestamp {
        // A u64 of nanoseconds ends in 2554, well inside jiff's range: the fallback is never taken.
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::MAX`], so that "no limit" can be a very long duration.
    fn add(self, rhs: Duration) -> Time {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_and_sums_saturate() {
        let t = Time::from_unix_secs(5);
        assert_eq!(t.since(Time::from_unix_secs(2)), Duration::from_secs(3));
        assert_eq!(t.since(Time::from_unix_secs(9)), Duration::ZERO);
        assert_eq!(t + Duration::MAX, Time::MAX);
    }

    #[test]
    fn a_stamp_reads_as_a_date() {
        let t = Time::from_unix_secs(1_115_068_020);
        assert_eq!(t.to_string(), "2005-05-02T21:07:00Z");
    }
}
