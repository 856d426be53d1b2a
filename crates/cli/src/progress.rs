//! How far a transfer has come, on a terminal only.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use port21_client::Progress;
use port21_proto::text::Shown;

/// Transfers that are over sooner show nothing.
const PATIENCE: Duration = Duration::from_millis(300);

/// A bar on standard error for one transfer; nothing where that is no terminal.
pub(crate) struct Meter {
    name: String,
    begun: Instant,
    shown: Option<ProgressBar>,
    wanted: bool,
}

impl Meter {
    /// The meter of a transfer of this name.
    pub(crate) fn new(name: &[u8]) -> Meter {
        let wanted = std::io::stderr().is_terminal() && tracing::enabled!(tracing::Level::WARN);
        Meter { name: Shown(name).to_string(), begun: Instant::now(), shown: None, wanted }
    }

    /// Shows how far the transfer is.
    pub(crate) fn update(&mut self, progress: Progress) {
        if !self.wanted || (self.shown.is_none() && self.begun.elapsed() < PATIENCE) {
            return;
        }
        let bar = self.shown.get_or_insert_with(|| bar(&self.name, progress));
        if let Some(total) = progress.total {
            bar.set_length(total.max(progress.done));
        }
        bar.set_position(progress.done);
    }
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
        Some(_) => "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{prefix} {spinner} {bytes} {bytes_per_sec}",
    };
    let bar = ProgressBar::new(progress.total.unwrap_or(0));
    // Where the transfer was resumed, the speed is that of what came since.
    bar.set_position(progress.done);
    bar.reset_eta();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(name.to_owned())
}
