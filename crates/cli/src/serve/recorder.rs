//! `--record DIR`: a recording a session. Sessions hand their events to a thread that writes them: no session waits for
//! the disk.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use port21_proto::SessionEvent;
use port21_server::{EventSink, NewSession};
use port21_trace::recording::{Header, Recorder as By, Writer};

/// How many events may wait for the disk; what comes beyond is lost to the recording, never to the session.
const WAITING: usize = 65_536;

/// The most bytes of one recording.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// How long the end of the server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that writes; dropped, it ends when all is written.
pub(super) struct Recorder {
    sender: SyncSender<Message>,
    ended: Receiver<()>,
    dir: Arc<Path>,
}

enum Message {
    Begin(u64, PathBuf, Header),
    Event(u64, SessionEvent),
    End(u64),
    Stop,
}

impl Recorder {
    /// Starts the thread. The directory is made where it is not there.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn start(dir: &Path) -> anyhow::Result<Recorder> {
        use std::os::unix::fs::DirBuilderExt as _;
        // Recordings name files and users: they are for the operator.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("cannot make {}", dir.display()))?;
        let (sender, messages) = sync_channel(WAITING);
        let (tell, ended) = sync_channel(1);
        let thread = std::thread::Builder::new().name("recorder".to_owned());
        let run = move || {
            write(&messages);
            // Nobody may be waiting any more.
            let _ = tell.send(());
        };
        thread.spawn(run).context("cannot start a thread")?;
        Ok(Recorder { sender, ended, dir: Arc::from(dir) })
    }

    /// What gives each session its sink.
    pub(super) fn sinks(&self) -> impl Fn(&NewSession) -> Option<EventSink> + Send + Sync + use<> {
        let (sender, dir) = (self.sender.clone(), self.dir.clone());
        move |session| {
            let number = session.number;
            let begin = Message::Begin(number, dir.join(file_name(session)), Header::new(By::Server, session.at));
            if sender.try_send(begin).is_err() {
                tracing::warn!(
                    session = number,
                    "the disk is too slow for the recordings: there is none of this session"
                );
                return None;
            }
            let end = Arc::new(End { sender: sender.clone(), number, lost: AtomicBool::new(false) });
            Some(Arc::new(move |event| end.event(event)))
        }
    }
}

impl Drop for Recorder {
    /// A session that was cut off may still hold its end of the channel, on a thread that waits for a file system: the
    /// recorder does not wait for that.
    fn drop(&mut self) {
        if self.sender.try_send(Message::Stop).is_err() || self.ended.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("the disk is too slow for the recordings: their ends are lost");
        }
    }
}

/// `20050502T210700Z-000017-192.0.2.1.jsonl`: sorts by time.
fn file_name(session: &NewSession) -> String {
    let at = session.at.timestamp().strftime("%Y%m%dT%H%M%SZ");
    let peer = session.peer.ip().to_string().replace(':', "_");
    format!("{at}-{:06}-{peer}.jsonl", session.number)
}

/// One session's end of the channel. It is dropped with the session's sink, and then the file is closed.
struct End {
    sender: SyncSender<Message>,
    number: u64,
    lost: AtomicBool,
}

impl End {
    fn event(&self, event: SessionEvent) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Event(self.number, event))
            && !self.lost.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(session = self.number, "the disk is too slow for the recording: events are lost");
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Where the channel is full or closed, the file is closed with the thread.
        let _ = self.sender.try_send(Message::End(self.number));
    }
}

fn write(messages: &Receiver<Message>) {
    let mut files: HashMap<u64, Writer<File>> = HashMap::new();
    for message in messages {
        match message {
            Message::Begin(number, path, header) => match begin(&path, &header) {
                Ok(file) => drop(files.insert(number, file)),
                Err(error) => tracing::warn!("cannot record into {}: {error}", path.display()),
            },
            Message::Event(number, event) => {
                if let Some(file) = files.get_mut(&number)
                    && let Err(error) = file.write(&event)
                {
                    tracing::warn!(session = number, "the recording ends here: {error}");
                    files.remove(&number);
                }
            }
            Message::End(number) => drop(files.remove(&number)),
            Message::Stop => break,
        }
    }
}

/// Never over a file that is there: the number begins anew with each start of the server.
fn begin(path: &Path, header: &Header) -> io::Result<Writer<File>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Writer::with_limit(file, header, MAX_FILE)
}
