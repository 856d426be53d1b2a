//! The server's end of the helper.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream as Blocking;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::message::{self, Answer, Done, Reader, Request, Task};

/// So many tasks may be under way; what comes beyond fails at once. Hooks and logins have narrower limits of their own.
const MAX_UNDER_WAY: usize = 1024;

/// The helper, for as long as it lives.
pub(super) struct Connection {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
    next: AtomicU64,
    /// The server ends, and does not need it for long.
    ending: Arc<AtomicBool>,
}

/// Who waits for an answer. Nothing once the helper is gone.
type Waiting = Option<HashMap<u64, oneshot::Sender<io::Result<Done>>>>;

impl Connection {
    pub(super) fn new(stream: Blocking) -> io::Result<Connection> {
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        // Not more than is under way: a request each, and at most one that takes it back.
        let (sender, lines) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(send(write, lines));
        let ending = Arc::new(AtomicBool::new(false));
        tokio::spawn(receive(read, Arc::downgrade(&waiting), ending.clone()));
        Ok(Connection { sender, waiting, next: AtomicU64::new(0), ending })
    }

    /// That it goes is no fault from now on.
    pub(super) fn ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether there is nobody to ask any more.
    pub(super) fn is_gone(&self) -> bool {
        self.sender.is_closed() || lock(&self.waiting).is_none()
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
        let line = message::write(&Request { id, task })?;
        let (sender, answer) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        let waiting = waiting.as_mut().ok_or_else(gone)?;
        if waiting.len() >= MAX_UNDER_WAY {
            return Err(io::Error::other("the helper process has too much to do"));
        }
        self.sender.send(line).map_err(|_| gone())?;
        waiting.insert(id, sender);
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
        let waited = lock(&self.connection.waiting).as_mut().and_then(|waiting| waiting.remove(&self.id));
        if waited.is_some()
            && let Ok(line) = message::write(&Request { id: self.id, task: Task::Cancel(self.id) })
        {
            // Where the helper is gone, so is what it did.
            let _ = self.connection.sender.send(line);
        }
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

async fn receive(from: OwnedReadHalf, waiting: Weak<Mutex<Waiting>>, ending: Arc<AtomicBool>) {
    let mut from = Reader::new(from);
    let why = loop {
        match from.next::<Answer>().await {
            Ok(Some(Answer { id, result })) => {
                let Some(waiting) = waiting.upgrade() else { return };
                let asker = lock(&waiting).as_mut().and_then(|waiting| waiting.remove(&id));
                // They may have given up.
                asker.map(|asker| asker.send(result.map_err(io::Error::from)).ok());
            }
            Ok(None) => break "it has ended".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    // It ends when the server does not need it any more.
    let Some(waiting) = waiting.upgrade() else { return };
    // All who wait are told by this, and nobody waits from now on.
    lock(&waiting).take();
    if ending.load(Ordering::Relaxed) {
        return tracing::debug!(why, "the helper process is gone");
    }
    tracing::error!(
        why,
        "the helper process is gone: until the server is started anew nobody logs in by a file of accounts or an external \
         authenticator, hooks run no program, certificates are not renewed and reloads fail"
    );
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the helper process is gone: start the server anew")
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
