//! How far a transfer has come, on a terminal only.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use port21_client::Progress;
use port21_proto::text::Shown;

use crate::units::show_size;

/// Transfers that are over sooner show nothing.
const PATIENCE: Duration = Duration::from_millis(300);

/// A bar on standard error for one transfer; nothing where that is no terminal.
pub(crate) struct Meter {
    name: String,
    begun: Instant,
    /// What was there when the transfer began: it has no part in its speed.
    first: Option<u64>,
    shown: Option<ProgressBar>,
    wanted: bool,
}

impl Meter {
    /// The meter of a transfer of this name.
    pub(crate) fn new(name: &[u8]) -> Meter {
        let wanted = std::io::stderr().is_terminal() && tracing::enabled!(tracing::Level::WARN);
        Meter { name: Shown(name).to_string(), begun: Instant::now(), first: None, shown: None, wanted }
    }

    /// Shows how far the transfer is.
    pub(crate) fn update(&mut self, progress: Progress) {
        let first = *self.first.get_or_insert(progress.done);
        let elapsed = self.begun.elapsed();
        if !self.wanted || (self.shown.is_none() && elapsed < PATIENCE) {
            return;
        }
        let bar = self.shown.get_or_insert_with(|| bar(&self.name, progress));
        if let Some(total) = progress.total {
            bar.set_length(total.max(progress.done));
        }
        bar.set_message(pace(progress, first, elapsed));
        bar.set_position(progress.done);
    }
}

/// `12.3 MiB/s 0:42`: how fast it was, and how long it will take at that.
fn pace(progress: Progress, first: u64, elapsed: Duration) -> String {
    let speed = progress.done.saturating_sub(first) as f64 / elapsed.as_secs_f64().max(1e-3);
    let mut text = format!("{}/s", show_size(speed as u64));
    if let Some(total) = progress.total
        && speed >= 1.0
    {
        let seconds = (total.saturating_sub(progress.done) as f64 / speed) as u64;
        text += &format!(" {}:{:02}", seconds / 60, seconds % 60);
    }
    text
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(name: &str, progress: Progress) -> ProgressBar {
    let template = match progress.total {
        Some(_) => "{prefix} {wide_bar} {bytes}/{total_bytes} {msg}",
        None => "{prefix} {spinner} {bytes} {msg}",
    };
    // Nothing is drawn before the style is set.
    let bar = ProgressBar::new(progress.total.unwrap_or(0)).with_prefix(name.to_owned());
    let bar = match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.with_position(progress.done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_what_came_now() {
        let progress = |done, total| Progress { done, total };
        let ten = Duration::from_secs(10);
        assert_eq!(pace(progress(3 << 20, Some(23 << 20)), 1 << 20, ten), "204.8 KiB/s 1:40");
        assert_eq!(pace(progress(10, None), 10, ten), "0 B/s");
        assert_eq!(pace(progress(10, Some(20)), 10, ten), "0 B/s");
    }
}
