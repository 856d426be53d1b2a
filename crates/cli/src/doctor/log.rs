//! What happens on the wire meanwhile: for the causes, and for the drawing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use port21_client::Builder;
use port21_proto::event::{EventKind, Purpose};
use port21_proto::text::Shown;
use port21_proto::{SessionEvent, Verb};
use port21_trace::drawing::{Drawing, Format, Which};
use port21_trace::recording;

use crate::record::{Recording, SessionLog};
use crate::trace::{format_of, save};

/// So many events are kept to look for causes in.
const MAX_EVENTS: usize = 20_000;

/// A recording of more than this ends: the server says too much.
const MAX_BYTES: usize = 64 << 20;

/// Where a drawing of the attempt goes, and as what.
pub(super) struct Output {
    path: PathBuf,
    format: Format,
}

/// All sessions of the attempt, recorded in memory.
pub(super) struct Log {
    recording: Recording,
    bytes: Buffer,
    /// The session that the steps are tried in.
    main: SessionLog,
    events: Arc<Mutex<Vec<SessionEvent>>>,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub(super) fn read(path: &Path) -> anyhow::Result<Output> {
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            None if path.as_os_str() == "-" => Format::Text,
            _ => format_of(path)?,
        };
        Ok(Output { path: path.to_owned(), format })
    }

    /// The recording as it is.
    pub(super) fn recording(path: PathBuf) -> Output {
        Output { path, format: Format::Recording }
    }

    pub(super) fn is_standard_output(&self) -> bool {
        self.path.as_os_str() == "-"
    }
}

impl Log {
    pub(super) fn begin(title: &str) -> anyhow::Result<Log> {
        let bytes = Buffer::default();
        let recording = Recording::into_writer(Box::new(bytes.clone()), recording::Recorder::Client, Some(title))?;
        let main = recording.session();
        main.user(title);
        Ok(Log { recording, bytes, main, events: Arc::default() })
    }

    /// The settings of the session that the steps are tried in.
    pub(super) fn main(&self, settings: &Builder) -> Builder {
        let (log, events) = (self.main.clone(), self.events.clone());
        let clock = log.clock();
        let sink = move |event: SessionEvent| {
            log.write(&event);
            let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
            if events.len() < MAX_EVENTS {
                events.push(event);
            }
        };
        settings.clone().sink(Arc::new(sink), clock)
    }

    /// The settings of a session beside that one.
    pub(super) fn beside(&self, settings: &Builder) -> Builder {
        let log = self.recording.session();
        let clock = log.clock();
        settings.clone().sink(Arc::new(move |event: SessionEvent| log.write(&event)), clock)
    }

    /// The server's first words, and how long it took to say them.
    pub(super) fn greeting(&self) -> Option<(Duration, String)> {
        let events = self.events();
        let stands =
            |event: &&SessionEvent| matches!(&event.kind, EventKind::Opened(c) if c.purpose == Purpose::Control);
        let opened = events.iter().find(stands)?.at;
        events.iter().find_map(|event| match &event.kind {
            EventKind::Reply { code, lines, .. } => {
                let line = lines.last().map(|line| Shown(line).to_string()).unwrap_or_default();
                Some((event.at.since(opened), format!("{code} {line}")))
            }
            _ => None,
        })
    }

    /// The argument of the last PORT or EPRT.
    pub(super) fn last_port(&self) -> Option<Vec<u8>> {
        self.events().iter().rev().find_map(|event| match &event.kind {
            EventKind::Command { argument, .. } if matches!(event.kind.verb(), Some(Verb::Port | Verb::Eprt)) => {
                Some(argument.clone())
            }
            _ => None,
        })
    }

    /// A name that no file there is likely to have.
    pub(super) fn file_name(&self) -> String {
        format!("port21-doctor-{:x}.tmp", self.main.clock().now().unix_nanos())
    }

    /// Draws all of it.
    pub(super) fn draw(&self, outputs: &[Output]) -> anyhow::Result<()> {
        let bytes = self.bytes.lock().clone();
        let read = recording::Recording::read(bytes.as_slice()).context("the recording of the attempt")?;
        for Output { path, format } in outputs {
            // A picture holds one session: the first is the attempt.
            let which = if format.holds_several() { Which::All } else { Which::At(0) };
            let drawing = Drawing { format: *format, which, ..Drawing::default() };
            if path.as_os_str() == "-" {
                let drawn = drawing.file(&read)?;
                io::stdout().write_all(&drawn).context("cannot write to standard output")?;
            } else {
                save(path, &drawing, &read)?;
            }
        }
        Ok(())
    }

    fn events(&self) -> MutexGuard<'_, Vec<SessionEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.lock();
        if all.len() >= MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the recording is full"));
        }
        all.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
