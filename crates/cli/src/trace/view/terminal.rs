//! The terminal: keys to the view, frames from it. Whatever happens, it is left as it was found.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::app::{Effect, Saved, View};
use super::feed::Feed;
use super::frames::Finder;
use crate::interrupt;

/// So often, at most, what goes on is drawn anew.
const PACE: Duration = Duration::from_millis(150);

/// How soon the thread that reads keys notices that nobody wants them any more.
const LISTENS: Duration = Duration::from_millis(50);

/// The wheel of a mouse as keys (xterm's alternate scroll mode): text can still be selected, as it could not if the mouse were
/// listened to.
const WHEEL_ON: &str = "\x1b[?1007h";
const WHEEL_OFF: &str = "\x1b[?1007l";

/// Shows the view until the user has seen enough.
pub(super) fn run(view: &mut View, feed: &mut Feed, finder: Finder) -> anyhow::Result<()> {
    let runtime = interrupt::runtime()?;
    let done = runtime.block_on(shown(view, feed, finder));
    runtime.shutdown_background();
    done
}

async fn shown(view: &mut View, feed: &mut Feed, mut finder: Finder) -> anyhow::Result<()> {
    // Signals are waited for before the terminal is taken: from then on none may end this without giving it back.
    let mut interrupted = tokio::spawn(interrupt::interrupted());
    tokio::task::yield_now().await;
    let _screen = Screen::enter()?;
    let mut terminal = whole()?;
    let (mut keys, _listener) = listen()?;
    let mut next = Instant::now();
    let mut grown = false;
    loop {
        let draw = |frame: &mut ratatui::Frame<'_>| {
            let area = frame.area();
            view.draw(frame.buffer_mut(), area);
        };
        terminal.draw(draw).context("cannot draw on the terminal")?;
        tokio::select! {
            biased;
            what = &mut interrupted => return what?.map(drop),
            event = keys.recv() => {
                let mut event = event.context("the terminal is gone")?;
                loop {
                    for key in typed(&event) {
                        match view.key(key) {
                            None => {}
                            Some(Effect::Quit) => return Ok(()),
                            Some(Effect::Suspend) => {
                                suspend()?;
                                terminal = whole()?;
                            }
                            Some(Effect::Save { name, bytes, replace }) => {
                                view.saved(&name, save(&name, &bytes, replace));
                            }
                            Some(Effect::Frames { key, event }) => {
                                let session = view.session(&key);
                                if let Some(answer) = session.and_then(|of| finder.ask(key.clone(), event, of)) {
                                    view.framed(&key, event, answer);
                                }
                            }
                        }
                    }
                    // What was typed together is drawn together.
                    match keys.try_recv() {
                        Ok(further) => event = further,
                        Err(_) => break,
                    }
                }
            }
            done = finder.done(), if finder.is_busy() => {
                done?;
                if let Some((key, event)) = finder.wanted()
                    && let Some(answer) = view.session(&key).and_then(|session| finder.go_on(session))
                {
                    view.framed(&key, event, answer);
                }
            }
            changed = feed.changed(view), if view.takes() && !grown => {
                changed?;
                grown = true;
            }
            () = sleep_until(next), if grown => {
                let begun = Instant::now();
                view.grown();
                grown = false;
                // A session that takes long to draw leaves time for keys.
                next = Instant::now() + PACE.max(4 * begun.elapsed());
            }
        }
    }
}

/// A screen of which nothing has been drawn yet.
fn whole() -> anyhow::Result<Terminal<CrosstermBackend<io::Stdout>>> {
    Terminal::new(CrosstermBackend::new(io::stdout())).context("cannot draw on the terminal")
}

/// The keys of an event. Escape with another key behind it comes as that key with Alt.
fn typed(event: &Event) -> impl Iterator<Item = KeyEvent> + use<> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(*key),
        _ => None,
    };
    let escape = key.filter(|key| key.modifiers.contains(KeyModifiers::ALT)).map(|_| KeyCode::Esc.into());
    let plain = key.map(|key| KeyEvent { modifiers: key.modifiers.difference(KeyModifiers::ALT), ..key });
    escape.into_iter().chain(plain)
}

/// Gives the terminal back to the shell until this is continued there.
fn suspend() -> anyhow::Result<()> {
    leave();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP).context("cannot stop")?;
    take()
}

/// Writes a file; one that is there only where it may be replaced.
fn save(name: &str, bytes: &[u8], replace: bool) -> Saved {
    let path = Path::new(name);
    if !replace && path.symlink_metadata().is_ok() {
        return Saved::Exists;
    }
    crate::trace::save::write(path, bytes, false).map_or_else(|error| Saved::Failed(error.to_string()), |()| Saved::Yes)
}

/// The terminal in the state that the view needs. When it is dropped the terminal is as it was.
struct Screen;

impl Screen {
    fn enter() -> anyhow::Result<Screen> {
        // A panic tells of itself on the screen that stays.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |what| {
            leave();
            before(what);
        }));
        let screen = Screen;
        take()?;
        Ok(screen)
    }
}

fn take() -> anyhow::Result<()> {
    let take = || {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Print(WHEEL_ON), Hide)
    };
    take().context("cannot use the terminal")
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// There is nobody to tell where this does not work.
fn leave() {
    let _ = execute!(io::stdout(), Print(WHEEL_OFF), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// Reads keys on a thread of its own.
fn listen() -> anyhow::Result<(mpsc::Receiver<Event>, Listener)> {
    let (to, from) = mpsc::channel(64);
    let ends = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ends);
    let listen = move || {
        while !seen.load(Ordering::Relaxed) {
            match event::poll(LISTENS) {
                Ok(false) => {}
                Ok(true) => match event::read().map(|event| to.blocking_send(event)) {
                    Ok(Ok(())) => {}
                    _ => return,
                },
                Err(_) => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(listen).context("cannot start a thread")?;
    Ok((from, Listener { ends, thread: Some(thread) }))
}

/// Ends the reading of keys: what is typed then is for others.
struct Listener {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_only_where_they_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.txt");
        let name = path.to_str().unwrap();
        assert_eq!(save(name, b"one", false), Saved::Yes);
        assert_eq!(save(name, b"two", false), Saved::Exists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(save(name, b"two", true), Saved::Yes);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(matches!(save("/nowhere/x.txt", b"", false), Saved::Failed(_)));
    }
}
