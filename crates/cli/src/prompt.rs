//! Questions to the user on the terminal itself, so that pipes on standard input and output are left alone.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, bail};
use port21_proto::Secret;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::exit::{Exit, Fault};

/// Whether somebody can be asked.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line that may be seen.
pub(crate) fn line(question: &str) -> anyhow::Result<String> {
    let mut tty = terminal()?;
    tty.write_all(question.as_bytes())?;
    let mut answer = String::new();
    if BufReader::new(&tty).read_line(&mut answer)? == 0 {
        bail!(Fault::new(Exit::Interrupted, "no answer"));
    }
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a secret: what is typed is not shown.
pub(crate) fn secret(question: &str) -> anyhow::Result<Secret> {
    let mut tty = terminal()?;
    tty.write_all(question.as_bytes())?;
    let quiet = Quiet::begin(&tty)?;
    let answer = read_secret(&tty);
    drop(quiet);
    tty.write_all(b"\n")?;
    answer
}

fn terminal() -> anyhow::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty").context("there is no terminal to ask on")
}

/// Reads up to the end of the line, one byte at a time: the signals of the terminal are off, so that ^C cannot leave it
/// without echo.
fn read_secret(mut tty: &File) -> anyhow::Result<Secret> {
    let mut answer = Vec::new();
    let mut byte = [0u8];
    loop {
        if tty.read(&mut byte)? == 0 {
            bail!(Fault::new(Exit::Interrupted, "no answer"));
        }
        match byte {
            [b'\r' | b'\n'] => return Ok(Secret::new(answer)),
            [3 | 4] => bail!(Fault::new(Exit::Interrupted, "no answer")),
            [0x08 | 0x7f] => {
                // Back over a whole character of UTF-8.
                while answer.pop().is_some_and(|b: u8| b & 0xc0 == 0x80) {}
            }
            [0x15] => answer.clear(),
            [b] if answer.len() < 4096 => answer.push(b),
            _ => {}
        }
    }
}

/// The terminal without echo, line editing and signals, for as long as this lives.
struct Quiet<'a> {
    tty: &'a File,
    before: Termios,
}

impl Quiet<'_> {
    fn begin(tty: &File) -> io::Result<Quiet<'_>> {
        let before = tcgetattr(tty)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(tty, OptionalActions::Flush, &quiet)?;
        Ok(Quiet { tty, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // Nothing better can be done about a failure than to go on.
        let _ = tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}
