//! Recordings that clients and servers make of their sessions, for `port21 trace`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use port21_client::Clock;
use port21_proto::SessionEvent;
use port21_proto::event::EventKind;
use port21_trace::recording::{Header, Recorder, Writer};

/// The file of `--trace`, or none. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recording {
    clock: Clock,
    file: Option<Arc<Mutex<Lines>>>,
    sessions: Arc<AtomicU32>,
}

/// What one session writes into the recording.
#[derive(Clone)]
pub(crate) struct SessionLog {
    clock: Clock,
    file: Option<Arc<Mutex<Lines>>>,
    /// The first session has no name: most recordings hold just one.
    name: Option<String>,
}

struct Lines {
    writer: Writer<Box<dyn Write + Send>>,
    failed: bool,
}

impl Recording {
    /// Begins the file that was asked for, if one was. A file of that name is replaced.
    pub(crate) fn begin(path: Option<&Path>, by: Recorder) -> anyhow::Result<Recording> {
        Recording::begin_titled(path, by, None)
    }

    /// As [`Recording::begin`], with what its drawings are to be called.
    pub(crate) fn begin_titled(path: Option<&Path>, by: Recorder, title: Option<&str>) -> anyhow::Result<Recording> {
        let Some(path) = path else {
            return Ok(Recording { clock: Clock::start(), file: None, sessions: Arc::default() });
        };
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Recording::into_writer(Box::new(file), by, title).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Begins a recording that is written to anything.
    pub(crate) fn into_writer(
        to: Box<dyn Write + Send>,
        by: Recorder,
        title: Option<&str>,
    ) -> anyhow::Result<Recording> {
        let clock = Clock::start();
        let header = Header { title: title.map(str::to_owned), ..Header::new(by, clock.now()) };
        let lines = Lines { writer: Writer::new(to, &header)?, failed: false };
        Ok(Recording { clock, file: Some(Arc::new(Mutex::new(lines))), sessions: Arc::default() })
    }

    /// The log of a further session.
    pub(crate) fn session(&self) -> SessionLog {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let name = (number > 0).then(|| (number + 1).to_string());
        SessionLog { clock: self.clock, file: self.file.clone(), name }
    }
}

impl SessionLog {
    /// The clock of its events.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Whether anything is written.
    pub(crate) fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Writes an event. A full disk ends the recording, not the session.
    pub(crate) fn write(&self, event: &SessionEvent) {
        let Some(file) = &self.file else { return };
        let mut lines = file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match &self.name {
            Some(name) => lines.writer.write_of(name, event),
            None => lines.writer.write(event),
        };
        if let Err(error) = written
            && !std::mem::replace(&mut lines.failed, true)
        {
            tracing::warn!("the recording ends here: {error}");
        }
    }

    /// Writes what the user did: a text without secrets.
    pub(crate) fn user(&self, text: &str) {
        if self.is_on() {
            self.write(&SessionEvent { at: self.clock.now(), kind: EventKind::User { text: text.to_owned() } });
        }
    }
}
