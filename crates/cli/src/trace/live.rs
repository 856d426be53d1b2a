//! `port21 trace --live`: the sessions of an interface, drawn while they go on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use port21_proto::Time;
use port21_trace::capture::Live;
use port21_trace::follow::MAX_SESSIONS;
use port21_trace::ladder;
use port21_trace::render::TextOptions;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::follow::Screen;
use super::packets::Packets;
use super::shelf::Shelf;
use crate::args::trace::TraceArgs;
use crate::exit::Exit;
use crate::interrupt;
use crate::print;

/// What the time alone may change (a SYN stays without an answer, data stalls) is looked at this often, for so long behind the
/// last packet that mattered.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: Duration = Duration::from_secs(10);

/// A capture: filled by a thread of its own.
#[derive(Debug)]
pub(super) struct Capture {
    live: Mutex<Taken>,
    /// A packet mattered.
    pub(super) news: Notify,
}

/// Tells of the end of a capture, however it came.
struct Ends(Arc<Capture>);

impl Drop for Ends {
    fn drop(&mut self) {
        let why = || "nothing more is captured: this is a fault of port21".to_owned();
        self.0.taken().failed.get_or_insert_with(why);
        self.0.news.notify_one();
    }
}

/// What was captured.
#[derive(Debug)]
struct Taken {
    live: Live,
    shelf: Option<Shelf>,
    packets: u64,
    dropped: u32,
    /// Why nothing more comes.
    failed: Option<String>,
}

impl Capture {
    /// Begins to capture.
    pub(super) fn start(args: &TraceArgs, interface: &str) -> anyhow::Result<Arc<Capture>> {
        let mut packets = Packets::of(interface)?;
        let link = packets.link;
        let shelf = args.write.as_deref().map(|path| Shelf::begin(path, args.max_size.0, interface, link));
        let shelf = shelf.transpose()?;
        let live = Live::new(args.port.clone());
        let taken = Taken { live, shelf, packets: 0, dropped: 0, failed: None };
        let capture = Arc::new(Capture { live: Mutex::new(taken), news: Notify::new() });
        let to = Ends(Arc::clone(&capture));
        let listen = move || {
            if let Err(error) = to.0.listen(&mut packets) {
                to.0.taken().failed = Some(format!("{error:#}"));
            }
        };
        std::thread::Builder::new().name("packets".to_owned()).spawn(listen).context("cannot start a thread")?;
        Ok(capture)
    }

    /// Takes packets for as long as somebody looks at them.
    fn listen(self: &Arc<Capture>, packets: &mut Packets) -> anyhow::Result<()> {
        let link = packets.link;
        while Arc::strong_count(self) > 1 {
            if !packets.wait().context("the interface cannot be listened to any more")? {
                self.taken().flush()?;
                continue;
            }
            let (at, bytes) = packets.next().context("the interface cannot be listened to any more")?;
            let mut taken = self.taken();
            taken.packets += 1;
            if let Some(shelf) = &mut taken.shelf {
                shelf.packet(at, bytes)?;
            }
            let matters = taken.live.packet(at, link, bytes);
            taken.dropped = packets.dropped;
            drop(taken);
            if matters {
                self.news.notify_one();
            }
        }
        Ok(())
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions that go on, or ended a moment ago.
    pub(super) fn sessions(&self, growing: bool) -> Vec<(String, port21_trace::recording::RecordedSession)> {
        self.taken().live.sessions(now(), growing)
    }

    /// Why nothing more comes.
    pub(super) fn failed(&self) -> Option<String> {
        self.taken().failed.clone()
    }

    /// Ends the file, and says how much there was.
    pub(super) fn finish(&self) -> anyhow::Result<String> {
        let mut taken = self.taken();
        taken.flush()?;
        let lost = match taken.dropped {
            0 => String::new(),
            n => format!(", {n} were lost: there was no time for them"),
        };
        Ok(format!("{} packets were looked at{lost}", taken.packets))
    }
}

impl Taken {
    fn flush(&mut self) -> anyhow::Result<()> {
        self.shelf.as_mut().map_or(Ok(()), Shelf::flush)
    }
}

/// Draws the sessions of an interface until the user has seen enough.
pub(super) fn run(
    args: &TraceArgs,
    interface: &str,
    ladder: ladder::Options,
    text: TextOptions,
) -> anyhow::Result<Exit> {
    let capture = Capture::start(args, interface)?;
    print(&format!(" Listening to {interface}. ^C ends it.\n"))?;
    let mut screen = Screen::new(ladder, text);
    let mut seen = Seen::default();
    let runtime = interrupt::runtime()?;
    let done = runtime.block_on(async {
        let interrupted = interrupt::interrupted();
        tokio::pin!(interrupted);
        let mut looks = Instant::now();
        loop {
            let next = Instant::now() + LOOK;
            let look = (next < looks).then_some(next);
            let due = screen.due().into_iter().chain(look).min();
            tokio::select! {
                what = &mut interrupted => {
                    what?;
                    seen.take(&capture, &mut screen);
                    screen.close()?;
                    return Ok(());
                }
                () = capture.news.notified() => {
                    looks = Instant::now() + LOOKS;
                    if let Some(why) = capture.failed() {
                        seen.take(&capture, &mut screen);
                        screen.close()?;
                        anyhow::bail!(why);
                    }
                    screen.awaits();
                }
                () = sleep_until(due.unwrap_or(looks)), if due.is_some() => {
                    seen.take(&capture, &mut screen);
                    screen.draw_due()?;
                }
            }
        }
    });
    runtime.shutdown_background();
    let told = capture.finish();
    done?;
    print(&format!("\n {}.\n", told?))?;
    Ok(super::judged(screen.worst, args.fail_on))
}

/// Which sessions have been drawn to their end.
#[derive(Default)]
struct Seen {
    over: HashSet<String>,
    warned: bool,
}

impl Seen {
    /// Gives the screen what is known.
    fn take(&mut self, capture: &Capture, screen: &mut Screen) {
        let sessions = capture.sessions(false);
        // What the capture has forgotten need not be remembered here.
        self.over.retain(|key| sessions.iter().any(|(name, _)| name == key));
        self.over.extend(screen.parted.drain(..));
        for (name, session) in sessions {
            let known = screen.follower.has(&name);
            if self.over.contains(&name) {
                continue;
            }
            if !known && screen.follower.endings().count() >= MAX_SESSIONS {
                if !std::mem::replace(&mut self.warned, true) {
                    tracing::warn!(
                        "more than {MAX_SESSIONS} sessions at a time: further ones are not drawn; -w keeps all"
                    );
                }
                continue;
            }
            screen.follower.replace(&name, &session.header, session.events);
        }
    }
}

fn now() -> Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_unix_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}
