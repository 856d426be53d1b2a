//! How far a transfer has come, on a terminal only.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use port21_client::{Item, Progress};
use port21_proto::text::Shown;

use crate::units::show_size;

/// Transfers that are over sooner show nothing.
const PATIENCE: Duration = Duration::from_millis(300);

/// Bars on standard error for many transfers, and one for all of them; nothing where that is no terminal.
pub(crate) struct Board {
    begun: Instant,
    wanted: bool,
    bars: MultiProgress,
    shown: HashMap<u64, ProgressBar>,
    all: Option<ProgressBar>,
    /// How far each of those that run has come, and how much of it was there before.
    running: HashMap<u64, (Progress, u64)>,
    /// Bytes that were there before, of all of them.
    before: u64,
    total: Total,
}

/// How far all transfers have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// Files that were found, and those that have ended.
    pub(crate) files: u64,
    pub(crate) ended: u64,
    /// Their bytes, as far as is known.
    pub(crate) bytes: u64,
    /// Bytes that are there.
    pub(crate) done: u64,
}

/// At most so many files have a bar of their own.
const MOST_BARS: usize = 8;

impl Board {
    /// A board; `quiet` is for programs.
    pub(crate) fn new(quiet: bool) -> Board {
        let wanted = !quiet && std::io::stderr().is_terminal() && tracing::enabled!(tracing::Level::WARN);
        Board {
            begun: Instant::now(),
            wanted,
            bars: MultiProgress::new(),
            shown: HashMap::new(),
            all: None,
            running: HashMap::new(),
            before: 0,
            total: Total::default(),
        }
    }

    /// A file is to be transferred.
    pub(crate) fn found(&mut self, item: &Item) {
        self.total.files += 1;
        self.total.bytes += item.size.unwrap_or(0);
        self.draw();
    }

    /// A file has come so far.
    pub(crate) fn moved(&mut self, item: &Item, progress: Progress) {
        let before = self.running.get(&item.id).map_or(0, |(before, _)| before.done);
        let first = self.running.get(&item.id).map(|(_, first)| *first).unwrap_or_else(|| {
            self.before += progress.done;
            progress.done
        });
        self.running.insert(item.id, (progress, first));
        self.total.done = (self.total.done + progress.done).saturating_sub(before);
        if !self.wanted || self.begun.elapsed() < PATIENCE {
            return;
        }
        if !self.shown.contains_key(&item.id) && self.shown.len() < MOST_BARS {
            let bar = bar(&Shown(item.local.as_os_str().as_encoded_bytes()).to_string(), progress);
            self.shown.insert(item.id, self.bars.insert(0, bar));
        }
        if let Some(bar) = self.shown.get(&item.id) {
            bar.set_length(progress.total.unwrap_or(progress.done).max(progress.done));
            bar.set_message(pace(progress, first, bar.elapsed()));
            bar.set_position(progress.done);
        }
        self.draw();
    }

    /// A file has ended, one way or the other.
    pub(crate) fn ended(&mut self, item: &Item) {
        self.total.ended += 1;
        self.running.remove(&item.id);
        if let Some(bar) = self.shown.remove(&item.id) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.draw();
    }

    /// Its bars: what is written to the terminal meanwhile has to go above them.
    pub(crate) fn bars(&self) -> MultiProgress {
        self.bars.clone()
    }

    /// How far all of it has come.
    pub(crate) fn total(&self) -> Total {
        self.total
    }

    /// How many bytes have moved, and in what time.
    pub(crate) fn so_far(&self) -> (u64, Duration) {
        (self.total.done.saturating_sub(self.before), self.begun.elapsed())
    }

    /// Says something, above the bars.
    pub(crate) fn say(&self, print: impl FnOnce()) {
        self.bars.suspend(print);
    }

    fn draw(&mut self) {
        let Total { files, ended, bytes, done } = self.total;
        if !self.wanted || files < 2 || self.begun.elapsed() < PATIENCE {
            return;
        }
        let progress = Progress { done, total: Some(bytes.max(done)) };
        let all = self.all.get_or_insert_with(|| self.bars.add(bar("", progress)));
        all.set_prefix(format!("{ended} of {files} files"));
        all.set_length(bytes.max(done));
        all.set_message(pace(progress, 0, self.begun.elapsed()));
        all.set_position(done);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.shown.values().chain(&self.all).for_each(ProgressBar::finish_and_clear);
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
    fn the_total_of_many() {
        let item = |id, size| Item { id, remote: Vec::new(), local: "f".into(), size };
        let mut board = Board::new(true);
        let (one, two) = (item(1, Some(10)), item(2, None));
        board.found(&one);
        board.found(&two);
        board.moved(&one, Progress { done: 4, total: Some(10) });
        board.moved(&two, Progress { done: 7, total: None });
        board.moved(&one, Progress { done: 10, total: Some(10) });
        board.ended(&one);
        assert_eq!(board.total(), Total { files: 2, ended: 1, bytes: 10, done: 17 });
        // What the first word of each told was there before.
        assert_eq!(board.so_far().0, 6);
        // It begins anew.
        board.moved(&two, Progress { done: 0, total: None });
        assert_eq!(board.total().done, 10);
    }

    #[test]
    fn the_pace_is_that_of_what_came_now() {
        let progress = |done, total| Progress { done, total };
        let ten = Duration::from_secs(10);
        assert_eq!(pace(progress(3 << 20, Some(23 << 20)), 1 << 20, ten), "204.8 KiB/s 1:40");
        assert_eq!(pace(progress(10, None), 10, ten), "0 B/s");
        assert_eq!(pace(progress(10, Some(20)), 10, ten), "0 B/s");
    }
}
