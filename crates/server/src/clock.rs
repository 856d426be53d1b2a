//! The server's one clock: the wall clock, read once, and what a monotonic clock has measured since.

use std::time::{Duration, SystemTime};

use port21_proto::Time;
use tokio::time::{Instant, sleep};

/// What a wait in turns is cut into: not much more than the grain of timers.
const TURN: Duration = Duration::from_millis(2);

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

    /// Waits until `time`, and longer where the machine is busy; not at all where it has passed.
    ///
    /// It goes to sleep and is woken many times over. On an idle machine that is as one sleep; where processes wait for
    /// their turn each waking takes as long as theirs does, so that what others have still to do gets time to be done.
    pub(crate) async fn reach_in_turns(&self, time: Time) {
        for _ in 0..time.since(self.now()).as_nanos().div_ceil(TURN.as_nanos()) {
            sleep(TURN).await;
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
    use std::path::Path;

    use super::*;

    #[test]
    fn a_moment_becomes_the_same_instant() {
        let clock = Clock::start();
        let instant = clock.instant(clock.wall + Duration::from_secs(5)).unwrap();
        assert_eq!(instant - clock.start, Duration::from_secs(5));
        assert_eq!(clock.instant(Time::MAX), None);
    }

    /// A clock that is set forward by a day ends no session: nothing in this crate looks at it twice, but for the ages of
    /// files, which are told by it.
    #[test]
    fn the_wall_clock_is_read_once() {
        fn look(directory: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("tests") {
                    continue;
                } else if path.is_dir() {
                    look(&path, found);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]").next().unwrap();
                    if ["SystemTime::now", "Timestamp::now", "Zoned::now"].iter().any(|now| code.contains(now)) {
                        found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                    }
                }
            }
        }
        let mut found = Vec::new();
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.sort();
        assert_eq!(found, ["aside.rs", "clock.rs"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_reached_and_one_that_has_passed_not_waited_for() {
        let clock = Clock::start();
        let moment = clock.now() + Duration::from_millis(25);
        clock.reach_in_turns(moment).await;
        assert!(clock.now() >= moment && clock.now() < moment + 2 * TURN);
        let now = clock.now();
        clock.reach_in_turns(clock.wall).await;
        assert_eq!(clock.now(), now);
    }
}
