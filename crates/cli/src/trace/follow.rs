//! `port21 trace --follow`: a recording drawn while it is written.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use port21_trace::findings::Severity;
use port21_trace::follow::Follower;
use port21_trace::ladder;
use port21_trace::render::TextOptions;
use tokio::time::{Instant, sleep_until};

use super::tail::{self, Told};
use crate::exit::Exit;
use crate::interrupt;
use crate::print;

/// What came together is drawn together: PORT and the RETR behind it are one section.
const QUIET: Duration = Duration::from_millis(150);

/// So long drawing waits for that at most.
const PATIENCE: Duration = Duration::from_millis(600);

/// So many events are drawn at once, at most: less than a [`Follower`] keeps.
const TOGETHER: usize = 1_000;

/// So long after the end of its control connection a session may still have something to tell.
const LINGERS: Duration = Duration::from_secs(1);

/// What is drawn: the terminal's end of a [`Follower`].
pub(super) struct Screen {
    pub(super) follower: Follower,
    /// The sessions whose end was seen, and when.
    ended: HashMap<String, Instant>,
    /// What is waited for before what is new is drawn.
    quiet: Option<Instant>,
    patience: Option<Instant>,
    pending: usize,
    pub(super) worst: Option<Severity>,
    /// The sessions that all was said of, since somebody asked.
    pub(super) parted: Vec<String>,
}

impl Screen {
    pub(super) fn new(ladder: ladder::Options, text: TextOptions) -> Screen {
        let follower = Follower::new(ladder, text);
        Screen {
            follower,
            ended: HashMap::new(),
            quiet: None,
            patience: None,
            pending: 0,
            worst: None,
            parted: Vec::new(),
        }
    }

    /// Something came, and is to be drawn.
    pub(super) fn awaits(&mut self) {
        let now = Instant::now();
        self.quiet = Some(now + QUIET);
        self.patience.get_or_insert(now + PATIENCE);
    }

    /// An event came.
    fn touched(&mut self) -> anyhow::Result<()> {
        self.awaits();
        self.pending += 1;
        if self.pending >= TOGETHER { self.draw() } else { Ok(()) }
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        let draws = self.quiet.into_iter().chain(self.patience).min();
        draws.into_iter().chain(self.ended.values().map(|at| *at + LINGERS)).min()
    }

    /// Does what is due.
    fn tick(&mut self) -> anyhow::Result<()> {
        if self.quiet.into_iter().chain(self.patience).any(|at| at <= Instant::now()) {
            self.draw()?;
        }
        self.part_due()
    }

    /// Draws what is new, and parts from sessions that have ended.
    pub(super) fn draw_due(&mut self) -> anyhow::Result<()> {
        self.draw()?;
        self.part_due()
    }

    fn part_due(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let over = self.ended.iter().filter(|(_, at)| **at + LINGERS <= now).map(|(key, _)| key.clone());
        for key in over.collect::<Vec<_>>() {
            self.part(&key)?;
        }
        Ok(())
    }

    /// Draws what is new.
    pub(super) fn draw(&mut self) -> anyhow::Result<()> {
        (self.quiet, self.patience, self.pending) = (None, None, 0);
        print(&self.follower.draw())?;
        let now = Instant::now();
        for (key, ended) in self.follower.endings() {
            if ended.is_some() {
                self.ended.entry(key.to_owned()).or_insert(now);
            }
        }
        Ok(())
    }

    /// Whether sessions have been seen, and all of them have ended.
    pub(super) fn is_over(&self) -> bool {
        self.follower.count() > 0 && self.follower.endings().next().is_none()
    }

    /// Says how a session ended, and what was wrong with it.
    fn part(&mut self, key: &str) -> anyhow::Result<()> {
        let verdict = self.follower.verdict(key);
        self.worst = self.worst.max(verdict.worst);
        self.ended.remove(key);
        self.follower.forget(key);
        self.parted.push(key.to_owned());
        print(&verdict.text)?;
        Ok(())
    }

    /// Says it of all that are left.
    pub(super) fn close(&mut self) -> anyhow::Result<()> {
        self.draw()?;
        let keys: Vec<String> = self.follower.endings().map(|(key, _)| key.to_owned()).collect();
        keys.iter().try_for_each(|key| self.part(key))
    }
}

/// Draws a recording and what is added to it, until its sessions have ended or the user has seen enough.
pub(super) fn run(
    path: &Path,
    session: Option<&str>,
    ladder: ladder::Options,
    text: TextOptions,
    fail_on: Option<Severity>,
) -> anyhow::Result<Exit> {
    let mut events = tail::read(path)?;
    let mut screen = Screen::new(ladder, text);
    let mut chosen = Chosen::new(session);
    let runtime = interrupt::runtime()?;
    let done = runtime.block_on(async {
        let interrupted = interrupt::interrupted();
        tokio::pin!(interrupted);
        loop {
            let due = screen.due();
            tokio::select! {
                what = &mut interrupted => {
                    screen.close()?;
                    tracing::info!("{}: the recording may go on", what?);
                    return Ok(());
                }
                told = events.recv() => match told {
                    Some(Told::Event(header, record)) => {
                        let key = format!("{}/{}", record.recording, record.session.as_deref().unwrap_or_default());
                        if chosen.takes(&key, record.session.as_deref()) {
                            screen.follower.push(&key, &header, record.event);
                            screen.touched()?;
                        }
                    }
                    Some(Told::Note(note)) => tracing::warn!("{note}"),
                    Some(Told::Failed(error)) => {
                        screen.close()?;
                        return Err(error).with_context(|| path.display().to_string());
                    }
                    None => return screen.close(),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    screen.tick()?;
                    screen.parted.clear();
                    if screen.is_over() {
                        return Ok(());
                    }
                }
            }
        }
    });
    runtime.shutdown_background();
    done?;
    Ok(super::judged(screen.worst, fail_on))
}

/// Which sessions of the recording are drawn.
pub(super) struct Chosen {
    /// The name or number asked for; all without one.
    asked: Option<String>,
    /// Those that are not meant, as far as they were met: their number is what is counted.
    met: Vec<(String, bool)>,
}

/// The most sessions that are told apart by their number.
const COUNTED: usize = 10_000;

impl Chosen {
    pub(super) fn new(asked: Option<&str>) -> Chosen {
        Chosen { asked: asked.filter(|asked| *asked != "all").map(str::to_owned), met: Vec::new() }
    }

    pub(super) fn takes(&mut self, key: &str, name: Option<&str>) -> bool {
        let Some(asked) = &self.asked else { return true };
        if let Some((_, takes)) = self.met.iter().find(|(met, _)| met == key) {
            return *takes;
        }
        let takes = name == Some(asked) || *asked == (self.met.len() + 1).to_string();
        if self.met.len() < COUNTED {
            self.met.push((key.to_owned(), takes));
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_chosen_by_name_and_number() {
        let mut all = Chosen::new(Some("all"));
        assert!(all.takes("0/", None) && all.takes("0/2", Some("2")));
        let mut second = Chosen::new(Some("2"));
        assert!(!second.takes("0/a", Some("a")) && second.takes("0/b", Some("b")) && second.takes("0/b", Some("b")));
        let mut named = Chosen::new(Some("b"));
        assert!(!named.takes("0/a", Some("a")) && named.takes("0/b", Some("b")) && !named.takes("0/", None));
    }
}
