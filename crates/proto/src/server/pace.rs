//! How fast a client may be, and how slow: commands that come too fast, lines that are no commands, transfers that crawl.

use std::time::Duration;

use super::settings::SessionSettings;
use crate::time::Time;

/// A client that was too fast is listened to again after this, or after the time of one command where that is longer: a
/// pause for each command would be shorter than timers are fine.
const PAUSE: Duration = Duration::from_millis(100);

/// The pace of a session's commands.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When all commands that were taken would have come at the rate itself: how far this lies ahead is what was taken of
    /// the burst.
    paid: Time,
    /// Nothing is read before this.
    paused: Option<Time>,
    /// Lines in a row that were no commands.
    nonsense: u32,
}

impl Pace {
    /// A command was taken. Too fast, and no more are for a while.
    pub(super) fn command(&mut self, now: Time, settings: &SessionSettings) {
        if settings.command_rate == 0 {
            return;
        }
        let cost = (Duration::from_secs(1) / settings.command_rate).max(Duration::from_nanos(1));
        self.paid = self.paid.max(now) + cost;
        let burst = cost.saturating_mul(settings.command_burst.max(1));
        if self.paid.since(now) >= burst {
            self.paused = Some(now + PAUSE.max(cost));
        }
    }

    /// Whether a line that was no command is one too many.
    pub(super) fn is_nonsense(&mut self, settings: &SessionSettings) -> bool {
        self.nonsense = self.nonsense.saturating_add(1);
        settings.max_nonsense > 0 && self.nonsense >= settings.max_nonsense
    }

    pub(super) fn makes_sense(&mut self) {
        self.nonsense = 0;
    }

    /// Whether commands are taken now.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// When they are taken again, where they are not.
    pub(super) fn deadline(&self) -> Time {
        self.paused.unwrap_or(Time::MAX)
    }

    /// Ends a pause that is over.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.paused.is_some_and(|until| now >= until) {
            self.paused = None;
        }
    }
}

/// Whether a transfer crawls: what it carried in the window of time that runs.
///
/// The limit of a stall ends a connection that carries nothing. One byte a minute is more than nothing, and would hold a
/// session, a port and a file for ever.
#[derive(Debug)]
pub(super) struct Crawl {
    since: Time,
    bytes: u64,
}

impl Crawl {
    /// A window that begins with so many bytes.
    pub(super) fn new(now: Time, bytes: u64) -> Crawl {
        Crawl { since: now, bytes }
    }

    /// When the window ends.
    pub(super) fn deadline(&self, settings: &SessionSettings) -> Time {
        let is_limited = settings.min_rate > 0 && !settings.min_rate_window.is_zero();
        if is_limited { self.since + settings.min_rate_window } else { Time::MAX }
    }

    /// Whether too little was carried in the window that has ended. If it was enough the next one begins.
    pub(super) fn is_too_slow(&mut self, now: Time, bytes: u64, settings: &SessionSettings) -> bool {
        if now < self.deadline(settings) {
            return false;
        }
        let wanted = u128::from(settings.min_rate) * now.since(self.since).as_nanos() / 1_000_000_000;
        if u128::from(bytes.saturating_sub(self.bytes)) < wanted {
            return true;
        }
        *self = Crawl::new(now, bytes);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SessionSettings {
        SessionSettings { command_rate: 10, command_burst: 5, ..SessionSettings::default() }
    }

    #[test]
    fn over_time_no_more_than_the_rate_and_one_burst() {
        let (settings, mut pace) = (settings(), Pace::default());
        let start = Time::from_unix_secs(1);
        let (mut now, mut taken) = (start, 0u32);
        while now < start + Duration::from_secs(60) {
            while !pace.is_paused() {
                pace.command(now, &settings);
                taken += 1;
            }
            now = pace.deadline();
            pace.handle_timeout(now);
        }
        assert!((600..=610).contains(&taken), "{taken}");
    }

    #[test]
    fn who_keeps_to_the_rate_never_waits() {
        let (settings, mut pace) = (settings(), Pace::default());
        for step in 0..1000 {
            pace.command(Time::from_unix_nanos(step * 100_000_000), &settings);
            assert!(!pace.is_paused());
        }
    }

    #[test]
    fn rates_of_any_size_mean_something() {
        for (rate, burst) in [(0, 0), (0, 9), (1, 0), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            let settings = SessionSettings { command_rate: rate, command_burst: burst, ..SessionSettings::default() };
            let mut pace = Pace::default();
            pace.command(Time::ZERO, &settings);
            assert_eq!(pace.is_paused(), (rate, burst) == (1, 0), "{rate} {burst}");
        }
    }

    #[test]
    fn a_window_that_ends_late_wants_more() {
        let settings = SessionSettings { min_rate: 10, min_rate_window: Duration::from_secs(60), ..settings() };
        let mut crawl = Crawl::new(Time::ZERO, 0);
        let at = Time::from_unix_secs;
        assert!(!crawl.is_too_slow(at(59), 0, &settings), "the window has not ended");
        assert!(!crawl.is_too_slow(at(60), 600, &settings));
        assert!(crawl.is_too_slow(at(180), 600 + 1199, &settings));
        assert!(!crawl.is_too_slow(at(180), 600 + 1200, &settings));
        assert_eq!(crawl.deadline(&settings), at(240));
        let unlimited = SessionSettings { min_rate: 0, ..settings };
        assert_eq!(crawl.deadline(&unlimited), Time::MAX, "nobody is woken for nothing");
    }
}
