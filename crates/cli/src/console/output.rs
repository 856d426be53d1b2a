//! Where a console writes: a terminal, a pipe, or a test's memory; and the server's replies as they come.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::MultiProgress;
use port21_proto::event::{Closing, ConnectionId, End, EventKind, Purpose};
use port21_proto::reply::Text;
use port21_proto::text::Shown;
use port21_proto::{Code, SessionEvent};

/// The output of a console. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Out {
    to: Arc<Mutex<dyn Write + Send>>,
    failed: Arc<AtomicBool>,
    /// Hash marks stand at the end, on a line that has no end yet.
    marked: Arc<AtomicBool>,
    /// Bars on the terminal, which what is written has to go above of.
    bars: Arc<Mutex<Option<MultiProgress>>>,
}

impl Out {
    /// Writes to `to`.
    pub(crate) fn new(to: impl Write + Send + 'static) -> Out {
        Out { to: Arc::new(Mutex::new(to)), failed: Arc::default(), marked: Arc::default(), bars: Arc::default() }
    }

    /// Writes a line; behind hash marks it begins one of its own.
    pub(crate) fn line(&self, line: impl fmt::Display) {
        self.end_marks();
        self.write(format_args!("{line}\n"));
    }

    /// Writes a text that ends no line.
    pub(crate) fn write(&self, text: fmt::Arguments<'_>) {
        self.bytes(text.to_string().as_bytes());
    }

    /// Writes this many hash marks, which the next line or [`Out::end_marks`] ends.
    pub(crate) fn marks(&self, count: usize) {
        self.write(format_args!("{}", "#".repeat(count)));
        self.marked.store(true, Ordering::Relaxed);
    }

    /// Ends the line of hash marks, where there is one.
    pub(crate) fn end_marks(&self) {
        if self.marked.swap(false, Ordering::Relaxed) {
            self.write(format_args!("\n"));
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let write = || {
            let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
            to.write_all(bytes).and_then(|()| to.flush())
        };
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if bars.map_or_else(write, |bars| bars.suspend(write)).is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    /// Writes a line to standard error: what is asked for in between is no part of the output.
    pub(crate) fn aside(&self, line: impl fmt::Display) {
        // Whoever has closed it does not want to know.
        let write = || drop(writeln!(io::stderr(), "{line}"));
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bars.map_or_else(write, |bars| bars.suspend(write));
    }

    /// There are bars on the terminal from now on, or none any more.
    pub(crate) fn set_bars(&self, bars: Option<MultiProgress>) {
        *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = bars;
    }

    /// Writes a reply as it was on the wire, escapes shown and not obeyed; `of` stands before each of its lines.
    pub(crate) fn reply(&self, of: &str, code: Code, lines: &[Text]) {
        let last = lines.len().saturating_sub(1);
        for (at, line) in lines.iter().enumerate() {
            let line = Shown(line);
            match at {
                at if at == last => self.line(format_args!("{of}{code} {line}")),
                0 => self.line(format_args!("{of}{code}-{line}")),
                _ => self.line(format_args!("{of}{line}")),
            }
        }
    }

    /// An error where something could not be written.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.failed.load(Ordering::Relaxed) {
            true => Err(io::Error::new(io::ErrorKind::BrokenPipe, "cannot write to standard output")),
            false => Ok(()),
        }
    }
}

/// Shows the server's replies on a console, as they come.
#[derive(Clone)]
pub(crate) struct Replies {
    out: Out,
    verbose: Arc<AtomicBool>,
    debug: Arc<AtomicU32>,
    tracing: Arc<AtomicBool>,
    /// There are two sessions: each reply has its host before it.
    named: Arc<AtomicBool>,
}

impl Replies {
    /// Shows replies on `out` while this is switched on.
    pub(crate) fn new(out: Out, verbose: bool) -> Replies {
        let verbose = Arc::new(AtomicBool::new(verbose));
        Replies { out, verbose, debug: Arc::default(), tracing: Arc::default(), named: Arc::default() }
    }

    /// Whether replies are shown.
    pub(crate) fn is_on(&self) -> bool {
        self.verbose.load(Ordering::Relaxed)
    }

    /// Shows replies, or does not; gives what was before.
    pub(crate) fn set(&self, on: bool) -> bool {
        self.verbose.swap(on, Ordering::Relaxed)
    }

    /// Above 0 the commands are shown that are sent.
    pub(crate) fn debug_level(&self) -> u32 {
        self.debug.load(Ordering::Relaxed)
    }

    pub(crate) fn set_debug(&self, level: u32) {
        self.debug.store(level, Ordering::Relaxed);
    }

    /// Whether connections are shown as they come and go.
    pub(crate) fn is_tracing(&self) -> bool {
        self.tracing.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tracing(&self, on: bool) {
        self.tracing.store(on, Ordering::Relaxed);
    }

    /// Tells whose each reply is, or does not.
    pub(crate) fn set_named(&self, on: bool) {
        self.named.store(on, Ordering::Relaxed);
    }

    /// Takes an event of the session. `host` is what the user calls the server.
    pub(crate) fn take(&self, host: &str, event: &SessionEvent) {
        if self.debug_level() > 0
            && let EventKind::Command { verb, argument, .. } = &event.kind
        {
            self.out.line(format!("---> {verb} {}", Shown(argument)).trim_end());
        }
        if self.is_tracing()
            && let Some(line) = traced(&event.kind)
        {
            self.out.line(line);
        }
        if !self.is_on() {
            return;
        }
        match &event.kind {
            EventKind::Opened(connection) if connection.purpose == Purpose::Control => {
                self.out.line(format_args!("Connected to {}.", Shown(host.as_bytes())));
            }
            EventKind::Reply { code, lines, .. } => {
                let of = match self.named.load(Ordering::Relaxed) {
                    true => format!("{}: ", Shown(host.as_bytes())),
                    false => String::new(),
                };
                self.out.reply(&of, *code, lines);
            }
            EventKind::Note { text, .. } => self.out.line(format_args!("({text})")),
            _ => {}
        }
    }
}

/// What happens to a connection, in a line.
fn traced(kind: &EventKind) -> Option<String> {
    let number = |id: &ConnectionId| match id.0 {
        0 => "control connection".to_owned(),
        number => format!("connection {number}"),
    };
    let who = |end: &End| if *end == End::Server { "the server" } else { "this side" };
    Some(match kind {
        EventKind::Opening(connection) => format!("* {}: {} opens it", number(&connection.id), who(&connection.opener)),
        EventKind::Opened(connection) => {
            let address = |address: Option<std::net::SocketAddr>| {
                address.map_or_else(|| "an address that is not known".to_owned(), |address| address.to_string())
            };
            format!("* {}: {} to {}", number(&connection.id), address(connection.client), address(connection.server))
        }
        EventKind::OpenFailed { connection, why } => format!("* {}: {why}", number(connection)),
        EventKind::Closed { connection, by, how } => {
            let how = if *how == Closing::Fin { "ends" } else { "resets" };
            format!("* {}: {} {how} it", number(connection), who(by))
        }
        EventKind::Data { connection, from, bytes, .. } => {
            format!("* {}: {bytes} bytes from {}", number(connection), who(from))
        }
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use port21_proto::Time;

    use super::*;

    /// A console's output in memory.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn reply(lines: &[&'static str]) -> SessionEvent {
        let lines = lines.iter().map(|line| line.as_bytes().into()).collect();
        let kind = EventKind::Reply { connection: ConnectionId::CONTROL, code: Code::new(230).unwrap(), lines };
        SessionEvent { at: Time::ZERO, kind }
    }

    #[test]
    fn replies_are_shown_as_on_the_wire_and_escapes_not_obeyed() {
        let memory = Memory::default();
        let replies = Replies::new(Out::new(memory.clone()), true);
        replies.take("h", &reply(&["one"]));
        replies.take("h", &reply(&["Welcome", "\x1b]0;owned\x07", "done"]));
        assert!(replies.set(false));
        replies.take("h", &reply(&["silent"]));
        assert_eq!(memory.text(), "230 one\n230-Welcome\n\\x1b]0;owned\\x07\n230 done\n");
        replies.set(true);
        replies.set_named(true);
        let before = memory.text().len();
        replies.take("h", &reply(&["Welcome", "done"]));
        assert_eq!(memory.text()[before..], *"h: 230-Welcome\nh: 230 done\n");
    }
}
