//! Questions to the user on the terminal itself, so that pipes on standard input and output are left alone.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, bail};
use port21_proto::Secret;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::exit::{Exit, Fault};

/// Whether somebody can be asked.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line that may be seen.
pub(crate) fn line(question: &str) -> anyhow::Result<String> {
    text(ask(question, Echo::On)?)
}

/// As [`line()`]; nothing where the user ends his input (^D).
pub(crate) fn line_or_end(question: &str) -> anyhow::Result<Option<String>> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").context("there is no terminal to ask on")?;
    let mut tty = Asking::begin(tty, Echo::On)?;
    tty.terminal.write_all(question.as_bytes())?;
    match read_line(&mut tty.terminal) {
        Ok(Some(answer)) => text(answer).map(Some),
        other => {
            tty.terminal.write_all(b"\n")?;
            other.map(|_| None)
        }
    }
}

fn text(answer: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(answer).map_err(|_| Fault::usage("the answer is not UTF-8").into())
}

/// Asks for a secret: what is typed is not shown.
pub(crate) fn secret(question: &str) -> anyhow::Result<Secret> {
    ask(question, Echo::Off).map(Secret::new)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    On,
    Off,
}

fn ask(question: &str, echo: Echo) -> anyhow::Result<Vec<u8>> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").context("there is no terminal to ask on")?;
    let mut tty = Asking::begin(tty, echo)?;
    tty.terminal.write_all(question.as_bytes())?;
    let answer = read_line(&mut tty.terminal)
        .and_then(|answer| answer.ok_or_else(|| Fault::new(Exit::Interrupted, "no answer").into()));
    if echo == Echo::Off || answer.is_err() {
        tty.terminal.write_all(b"\n")?;
    }
    answer
}

/// Reads up to the end of the line; nothing at the end of the input. ^C is an error.
fn read_line(tty: &mut File) -> anyhow::Result<Option<Vec<u8>>> {
    let mut answer = Vec::new();
    let mut chunk = [0; 256];
    loop {
        let n = tty.read(&mut chunk)?;
        answer.extend_from_slice(chunk.get(..n).unwrap_or_default());
        chunk.fill(0);
        if n == 0 && answer.is_empty() {
            return Ok(None);
        }
        if n == 0 || answer.contains(&INTERRUPT) {
            bail!(Fault::new(Exit::Interrupted, "no answer"));
        }
        if answer.last() == Some(&b'\n') {
            answer.pop();
            return Ok(Some(answer));
        }
    }
}

const INTERRUPT: u8 = 3;

/// The terminal while something is asked: ^C ends the line instead of the process, so that it cannot leave the terminal
/// without echo. Dropped, it is as it was.
struct Asking {
    terminal: File,
    before: Termios,
}

impl Asking {
    fn begin(terminal: File, echo: Echo) -> io::Result<Asking> {
        let before = tcgetattr(&terminal)?;
        let mut asking = before.clone();
        asking.local_modes -= LocalModes::ISIG;
        if echo == Echo::Off {
            asking.local_modes -= LocalModes::ECHO;
        }
        asking.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(&terminal, OptionalActions::Drain, &asking)?;
        Ok(Asking { terminal, before })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // Nothing better can be done about a failure than to go on.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
