//! Lines of the log that strangers can cause as often as they like.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many lines of a kind are written in a [`WINDOW`].
const LINES: u32 = 10;

/// How long that counts. What comes later tells how many lines were left out.
const WINDOW: Duration = Duration::from_secs(60);

/// What a flood must not fill the disk with: one for each kind of line.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    /// Connections beyond a limit.
    pub(crate) refused: Throttle,
    /// Proxies that send no header.
    pub(crate) proxy: Throttle,
    /// Strangers at data ports.
    pub(crate) stranger: Throttle,
    /// No passive port is free.
    pub(crate) no_port: Throttle,
    /// An address holds its share of the passive ports.
    pub(crate) ports_of_address: Throttle,
    /// Data connections that do not resume the TLS session of their control connection, where that is let pass.
    pub(crate) not_resumed: Throttle,
    /// Connections that were closed before their login to make room for another.
    pub(crate) turned_out: Throttle,
    /// Transfers, and other commands, that were refused.
    pub(crate) denied: Throttle,
    /// Those that were because of the disk.
    pub(crate) disk: Throttle,
    /// Handshakes of control connections that failed.
    pub(crate) tls: Throttle,
    /// Accepting failed.
    pub(crate) accept: Throttle,
}

/// Lets a few lines pass in a window of time.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written now: with how many like it were left out since the last one.
    pub(crate) fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            state.since = Some(now);
            state.written = 0;
        }
        if state.written >= LINES {
            state.left_out += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_few_lines_and_a_count() {
        let throttle = Throttle::default();
        let written = (0..10_000).filter_map(|_| throttle.pass()).collect::<Vec<_>>();
        assert_eq!(written, [0; LINES as usize]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(throttle.pass(), Some(10_000 - u64::from(LINES)));
        assert_eq!(throttle.pass(), Some(0));
    }
}
