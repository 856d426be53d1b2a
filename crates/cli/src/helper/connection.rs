//! The server's end of the helper.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream as Blocking;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::message::{self, Answer, Done, Reader, Request, Task};

/// So many tasks may be under way; what comes beyond fails at once. Hooks and logins have narrower limits of their own.
const MAX_UNDER_WAY: usize = 1024;

/// How the helper is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers.
    Well,
    /// It is there, and does not answer whatever is asked: it may come to itself.
    Silent,
    /// It has ended.
    Gone,
}

/// How long the helper may take. It is counted in ticks of this process: a machine that stood still has waited for nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) tick: Duration,
    /// It is asked whether it is there once in so many ticks,
    pub(super) every: u32,
    /// and is silent when it has not answered that for so many, or anything that it does at once,
    pub(super) silence: u32,
    /// such as files, for so many;
    pub(super) file: u32,
    /// and names for so many: resolvers ask several servers, some seconds each.
    pub(super) name: u32,
}

impl Default for Patience {
    /// Shorter for silence than for files: that nobody can be asked is known before the first who asks gives up.
    fn default() -> Patience {
        Patience { tick: Duration::from_secs(1), every: 2, silence: 5, file: 10, name: 60 }
    }
}

impl Patience {
    /// For this task, in ticks. Programs take as long as whoever runs them lets them: hooks and authenticators have a `timeout`.
    fn with(&self, task: &Task) -> Option<u32> {
        match task {
            Task::Read(_) | Task::Look(_) | Task::Adopt => Some(self.file),
            Task::Resolve(_) => Some(self.name),
            Task::Run { .. } | Task::Cancel(_) | Task::Ping => None,
        }
    }
}

/// The helper, for as long as it lives.
pub(super) struct Connection {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    line: Arc<Line>,
    patience: Patience,
    next: AtomicU64,
}

/// What those know who send, receive and watch.
struct Line {
    waiting: Mutex<Waiting>,
    health: watch::Sender<Health>,
    /// Of the process, for whoever has to look after it.
    process: Option<u32>,
    /// The server ends, and does not need it for long.
    ending: AtomicBool,
}

/// Who waits for an answer. Nothing once the helper is gone.
type Waiting = Option<HashMap<u64, Asked>>;

struct Asked {
    by: oneshot::Sender<io::Result<Done>>,
    /// So many ticks more; nothing where whoever asks sees to that.
    left: Option<u32>,
}

/// The number of the question whether it is there. All others begin behind it.
const PING: u64 = 0;

impl Connection {
    pub(super) fn new(stream: Blocking, process: Option<u32>, patience: Patience) -> io::Result<Connection> {
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        // Not more than is under way: a request each, and at most one that takes it back.
        let (sender, lines) = mpsc::unbounded_channel();
        let waiting = Mutex::new(Some(HashMap::new()));
        let line = Line { waiting, health: watch::Sender::new(Health::Well), process, ending: AtomicBool::new(false) };
        let line = Arc::new(line);
        let (tell, answered) = watch::channel(());
        tokio::spawn(send(write, lines));
        tokio::spawn(receive(read, Arc::downgrade(&line), tell));
        tokio::spawn(watch(Arc::downgrade(&line), sender.downgrade(), answered, patience));
        Ok(Connection { sender, line, patience, next: AtomicU64::new(PING + 1) })
    }

    /// That it goes is no fault from now on.
    pub(super) fn ending(&self) {
        self.line.ending.store(true, Ordering::Relaxed);
    }

    /// How it is now.
    pub(super) fn health(&self) -> Health {
        if self.sender.is_closed() { Health::Gone } else { *self.line.health.borrow() }
    }

    /// How it is, and comes to be.
    #[cfg(test)]
    pub(super) fn healths(&self) -> watch::Receiver<Health> {
        self.line.health.subscribe()
    }

    /// Asks, and waits for the answer. Dropped, it takes back what it has asked for.
    pub(super) async fn ask(&self, task: Task) -> io::Result<Done> {
        let (id, answer) = self.send(task)?;
        let _taken_back = TakenBack { connection: self, id };
        answer.await.map_err(|_| gone())?
    }

    /// As [`Connection::ask`], on a thread that may wait.
    pub(super) fn ask_and_wait(&self, task: Task) -> io::Result<Done> {
        let (_, answer) = self.send(task)?;
        answer.blocking_recv().map_err(|_| gone())?
    }

    fn send(&self, task: Task) -> io::Result<(u64, oneshot::Receiver<io::Result<Done>>)> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let left = self.patience.with(&task);
        let line = message::write(&Request { id, task })?;
        let (by, answer) = oneshot::channel();
        let mut waiting = self.line.lock();
        let waiting = waiting.as_mut().ok_or_else(gone)?;
        // What is asked for now would be done when nobody needs it any more.
        if *self.line.health.borrow() == Health::Silent {
            return Err(silent());
        }
        if waiting.len() >= MAX_UNDER_WAY {
            return Err(io::Error::other("the helper process has too much to do"));
        }
        self.sender.send(line).map_err(|_| gone())?;
        waiting.insert(id, Asked { by, left });
        Ok((id, answer))
    }
}

/// Whoever waited for this does not any more: the answer has come, or they were dropped.
struct TakenBack<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        let waited = self.connection.line.lock().as_mut().and_then(|waiting| waiting.remove(&self.id));
        if waited.is_some() {
            cancel(&self.connection.sender, self.id);
        }
    }
}

fn cancel(sender: &mpsc::UnboundedSender<Vec<u8>>, id: u64) {
    if let Ok(line) = message::write(&Request { id, task: Task::Cancel(id) }) {
        // Where the helper is gone, so is what it did.
        let _ = sender.send(line);
    }
}

async fn send(mut to: OwnedWriteHalf, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if to.write_all(&line).await.is_err() {
            // The other half sees why.
            return;
        }
    }
}

async fn receive(from: OwnedReadHalf, line: Weak<Line>, answered: watch::Sender<()>) {
    let mut from = Reader::new(from);
    let why = loop {
        match from.next::<Answer>().await {
            Ok(Some(Answer { id, result })) => {
                let Some(line) = line.upgrade() else { return };
                // Whatever it answers, it does.
                answered.send_replace(());
                let asker = line.lock().as_mut().and_then(|waiting| waiting.remove(&id));
                // They may have given up.
                asker.map(|asker| asker.by.send(result.map_err(io::Error::from)).ok());
            }
            Ok(None) => break "it has ended".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    // It ends when the server does not need it any more.
    let Some(line) = line.upgrade() else { return };
    // Before anybody is told: whoever is told asks how it is.
    line.health.send_replace(Health::Gone);
    // All who wait are told by this, and nobody waits from now on.
    line.lock().take();
    if line.ending.load(Ordering::Relaxed) {
        return tracing::debug!(why, "the helper process is gone");
    }
    tracing::error!(
        why,
        "the helper process is gone: until the server is started anew nobody logs in by a file of accounts or an external \
         authenticator, hooks run no program, certificates are not renewed and reloads fail"
    );
}

/// Sees to it that each wait has an end, and asks whether the helper is there.
async fn watch(
    line: Weak<Line>,
    sender: mpsc::WeakUnboundedSender<Vec<u8>>,
    mut answered: watch::Receiver<()>,
    patience: Patience,
) {
    let mut ticks = tokio::time::interval(patience.tick);
    // What this process did not see is not counted.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Ticks since it was asked, until it answers; and since it answered.
    let (mut unanswered, mut quiet) = (None, 0);
    loop {
        tokio::select! {
            changed = answered.changed() => {
                // Its end is told elsewhere.
                if changed.is_err() {
                    return;
                }
                (unanswered, quiet) = (None, 0);
                let Some(line) = line.upgrade() else { return };
                if line.comes_to_be(Health::Silent, Health::Well) {
                    tracing::info!("the helper process answers again");
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        let (Some(line), Some(sender)) = (line.upgrade(), sender.upgrade()) else { return };
        let late = line.take_late();
        match &mut unanswered {
            Some(ticks) => *ticks += 1,
            None => quiet += 1,
        }
        if unanswered.is_none() && quiet >= patience.every {
            if let Ok(ping) = message::write(&Request { id: PING, task: Task::Ping }) {
                // Where the helper is gone that is told elsewhere.
                let _ = sender.send(ping);
            }
            unanswered = Some(0);
        }
        for (id, asked) in late {
            cancel(&sender, id);
            // They may have given up.
            let _ = asked.by.send(Err(too_late()));
        }
        if unanswered.is_some_and(|ticks| ticks >= patience.silence) {
            line.is_silent(&sender);
        }
    }
}

impl Line {
    /// A tick has passed: those who have waited for long enough, who do not any more.
    fn take_late(&self) -> Vec<(u64, Asked)> {
        let mut waiting = self.lock();
        let Some(waiting) = waiting.as_mut() else { return Vec::new() };
        let is_late = |_: &u64, asked: &mut Asked| match &mut asked.left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        waiting.extract_if(is_late).collect()
    }

    /// It does not answer: all who wait are told, and whoever asks from now on. What they have asked for is taken back.
    fn is_silent(&self, sender: &mpsc::UnboundedSender<Vec<u8>>) {
        let mut waiting = self.lock();
        let Some(waiting) = waiting.as_mut() else { return };
        if !self.comes_to_be(Health::Well, Health::Silent) {
            return;
        }
        for (id, asked) in waiting.drain() {
            cancel(sender, id);
            let _ = asked.by.send(Err(silent()));
        }
        if self.ending.load(Ordering::Relaxed) {
            return;
        }
        tracing::error!(
            process = self.process,
            "the helper process does not answer: until it does nobody logs in by a file of accounts or an external \
             authenticator, hooks run no program, certificates are not renewed and reloads fail. It may wait for a file system; \
             where that does not end, start the server anew"
        );
    }

    /// Whether it was the one, and is the other from now on. What is gone stays gone.
    fn comes_to_be(&self, before: Health, now: Health) -> bool {
        self.health.send_if_modified(|health| {
            let was = *health == before;
            if was {
                *health = now;
            }
            was
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the helper process is gone: start the server anew")
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the helper process does not answer")
}

fn too_late() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the helper process has no answer yet: a file system or a name server may hang",
    )
}
