//! `--record DIR`: a recording a session. Sessions hand their events to a thread that writes them: no session waits for
//! the disk.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use port21_proto::SessionEvent;
use port21_proto::event::EventKind;
use port21_server::{EventSink, NewSession};
use port21_trace::recording::{Header, Recorder as By, Writer};

use super::budget::Budget;
use super::shelf::{Counted, Shelf};
use crate::config::Record;

/// How many events may wait for the disk; what comes beyond is lost to the recording, never to the session.
const WAITING: usize = 65_536;

/// And how many bytes of them: strangers choose how long a command is.
const WAITING_BYTES: usize = 32 << 20;

/// The most bytes of one recording, whatever there is room for.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// How long the end of the server waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that writes; dropped, it ends when all is written.
pub(super) struct Recorder {
    sender: SyncSender<Message>,
    room: Budget,
    unsaid: Unsaid,
    ended: Mutex<Receiver<()>>,
    dir: Arc<Path>,
}

/// Sessions whose end found no room in the channel: their files are closed once what waits there is written.
type Unsaid = Arc<Mutex<Vec<u64>>>;

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
    pub(super) fn start(dir: &Path, settings: &Record) -> anyhow::Result<Recorder> {
        use std::os::unix::fs::DirBuilderExt as _;
        // Recordings name files and users: they are for the operator.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("cannot make {}", dir.display()))?;
        let (sender, messages) = sync_channel(WAITING);
        let (tell, ended) = sync_channel(1);
        let unsaid = Unsaid::default();
        let room = Budget::new(WAITING_BYTES);
        let (of_thread, of_room) = (unsaid.clone(), room.clone());
        let thread = std::thread::Builder::new().name("recorder".to_owned());
        let (shelf, most, age) = (dir.to_owned(), settings.max_size, settings.keep);
        let run = move || {
            write(&messages, &of_room, &of_thread, Shelf::new(shelf, most, age));
            // Nobody may be waiting any more.
            let _ = tell.send(());
        };
        thread.spawn(run).context("cannot start a thread")?;
        Ok(Recorder { sender, room, unsaid, ended: Mutex::new(ended), dir: Arc::from(dir) })
    }

    /// What gives each session its sink.
    pub(super) fn sinks(&self) -> impl Fn(&NewSession) -> Option<EventSink> + Send + Sync + use<> {
        let (sender, room, unsaid, dir) =
            (self.sender.clone(), self.room.clone(), self.unsaid.clone(), self.dir.clone());
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
            let (sender, room, unsaid) = (sender.clone(), room.clone(), unsaid.clone());
            let end = Arc::new(End { sender, room, unsaid, number, lost: AtomicBool::new(false) });
            Some(Arc::new(move |event| end.event(event)))
        }
    }
}

impl Drop for Recorder {
    /// A session that was cut off may still hold its end of the channel, on a thread that waits for a file system: the
    /// recorder does not wait for that.
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.sender.try_send(Message::Stop).is_err() || ended.recv_timeout(PATIENCE).is_err() {
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
    room: Budget,
    unsaid: Unsaid,
    number: u64,
    lost: AtomicBool,
}

impl End {
    fn event(&self, event: SessionEvent) {
        let bytes = weight(&event);
        let full = if self.room.take(bytes) {
            let sent = self.sender.try_send(Message::Event(self.number, event));
            if sent.is_err() {
                self.room.give_back(bytes);
            }
            matches!(sent, Err(TrySendError::Full(_)))
        } else {
            true
        };
        if full && !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(session = self.number, "the disk is too slow for the recording: events are lost");
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Where the channel is closed, so are the files.
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::End(self.number)) {
            lock(&self.unsaid).push(self.number);
        }
    }
}

/// What an event holds, in bytes, beside its own place in the channel.
fn weight(event: &SessionEvent) -> usize {
    match &event.kind {
        EventKind::User { text } | EventKind::Note { text, .. } => text.len(),
        EventKind::DnsQuery { name, record, .. } => name.len() + record.len(),
        EventKind::DnsAnswer { name, record, code, answers, .. } => {
            let answers: usize = answers.iter().map(|answer| size_of::<String>() + answer.len()).sum();
            name.len() + record.len() + code.len() + answers
        }
        EventKind::OpenFailed { why, .. } => why.len(),
        EventKind::TlsFailed { text, .. } => text.len(),
        EventKind::Command { verb, argument, .. } => verb.len() + argument.len(),
        EventKind::Reply { lines, .. } => lines.iter().map(|line| size_of_val(line) + line.len()).sum(),
        EventKind::Malformed { head, why, .. } => head.len() + why.len(),
        // The others hold numbers.
        _ => 0,
    }
}

fn write(messages: &Receiver<Message>, room: &Budget, unsaid: &Unsaid, shelf: Shelf) {
    let mut files = Files::new(shelf);
    loop {
        files.tidy();
        let message = match messages.try_recv() {
            Err(TryRecvError::Empty) if files.close_ended(unsaid) => continue,
            Err(TryRecvError::Empty) => match messages.recv_timeout(files.shelf.rest()) {
                Err(RecvTimeoutError::Timeout) => continue,
                message => message.ok(),
            },
            message => message.ok(),
        };
        match message {
            None | Some(Message::Stop) => break,
            Some(Message::Event(number, event)) => {
                room.give_back(weight(&event));
                files.take(Message::Event(number, event));
            }
            Some(message) => files.take(message),
        }
    }
}

/// The recordings that are being written.
struct Files {
    open: HashMap<u64, Open>,
    shelf: Shelf,
    /// Sessions that have ended, of which something may still be on its way.
    ending: Vec<u64>,
}

struct Open {
    path: PathBuf,
    writer: Writer<Counted>,
}

impl Files {
    fn new(shelf: Shelf) -> Files {
        Files { open: HashMap::new(), shelf, ending: Vec::new() }
    }

    /// Makes room, where it is time to.
    fn tidy(&mut self) {
        if !self.shelf.is_due() {
            return;
        }
        let open = &self.open;
        let ended = self.shelf.tidy(SystemTime::now(), |path| open.values().any(|file| file.path == path));
        let is_ended = |_: &u64, file: &mut Open| ended.contains(&file.path);
        for (session, _) in self.open.extract_if(is_ended) {
            tracing::warn!(session, "the recording ends here, to make room for others: see `max-size` of [record]");
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Begin(number, path, header) => match begin(&path, &header, &self.shelf) {
                Ok(writer) => drop(self.open.insert(number, Open { path, writer })),
                Err(error) => tracing::warn!("cannot record into {}: {error}", path.display()),
            },
            Message::Event(number, event) => {
                if let Some(file) = self.open.get_mut(&number)
                    && let Err(error) = file.writer.write(&event)
                {
                    tracing::warn!(session = number, "the recording ends here: {error}");
                    self.open.remove(&number);
                }
            }
            Message::End(number) => drop(self.open.remove(&number)),
            Message::Stop => {}
        }
    }

    /// Nothing is on its way at this moment: closes the files of sessions that were known to have ended, for all that
    /// they have said is written, and takes note of further ones. Whether there were any: then it is to be asked again.
    fn close_ended(&mut self, unsaid: &Unsaid) -> bool {
        self.ending.drain(..).for_each(|number| drop(self.open.remove(&number)));
        self.ending.append(&mut lock(unsaid));
        !self.ending.is_empty()
    }
}

/// A list of numbers stays true whatever panicked while it was held.
fn lock(unsaid: &Unsaid) -> MutexGuard<'_, Vec<u64>> {
    unsaid.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Never over a file that is there: the number begins anew with each start of the server.
fn begin(path: &Path, header: &Header, shelf: &Shelf) -> io::Result<Writer<Counted>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Writer::with_limit(shelf.counted(file), header, MAX_FILE.min(shelf.most_of_one()))
}

#[cfg(test)]
mod tests {
    use port21_proto::Time;

    use super::*;

    #[test]
    fn a_file_is_closed_though_its_end_found_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1");
        let (sender, messages) = sync_channel(2);
        let unsaid = Unsaid::default();
        let room = Budget::new(100);
        let end = End { sender: sender.clone(), room, unsaid: unsaid.clone(), number: 1, lost: AtomicBool::new(false) };
        // What has no room is not there, and takes none.
        end.event(SessionEvent { at: Time::ZERO, kind: EventKind::User { text: "x".repeat(101) } });
        sender.send(Message::Begin(1, path.clone(), Header::new(By::Server, Time::ZERO))).unwrap();
        end.event(SessionEvent { at: Time::ZERO, kind: EventKind::User { text: "last words".to_owned() } });
        // The channel is full.
        drop(end);
        let mut files = Files::new(Shelf::new(dir.path().to_owned(), 1 << 20, Duration::from_secs(3600)));
        // It was empty before all this, when the thread looked.
        assert!(files.close_ended(&unsaid));
        messages.try_iter().for_each(|message| files.take(message));
        assert_eq!(files.open.len(), 1);
        assert!(!files.close_ended(&unsaid));
        assert!(files.open.is_empty());
        assert!(std::fs::read_to_string(path).unwrap().contains("last words"));
    }
}
