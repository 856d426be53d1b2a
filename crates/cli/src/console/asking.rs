//! Questions before what a command does: whether this file is meant.

use port21_proto::text::Shown;

use super::Console;
use crate::prompt;

/// Asks before each file of a command, while `prompt` is on.
pub(super) struct Asking {
    command: &'static str,
    /// All that follows is meant.
    all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    Stop,
}

impl Asking {
    pub(super) fn new(command: &'static str) -> Asking {
        Asking { command, all: false }
    }

    /// Whether there will be a question.
    pub(super) fn is_on(&self, console: &Console) -> bool {
        console.settings.prompting && console.interactive && !self.all
    }

    /// What is to be done with a file.
    pub(super) fn about(&mut self, console: &mut Console, name: &[u8]) -> anyhow::Result<Answer> {
        if !self.is_on(console) {
            return Ok(Answer::Yes);
        }
        loop {
            let answer = prompt::line(&format!("{} {} [anpqy?]? ", self.command, Shown(name)))?;
            match answer.trim().chars().next().map(|c| c.to_ascii_lowercase()) {
                Some('a') => {
                    self.all = true;
                    console.out.line(format_args!("Prompting off for duration of {}.", self.command));
                    return Ok(Answer::Yes);
                }
                Some('p') => {
                    console.settings.prompting = false;
                    console.out.line("Interactive mode: off.");
                    return Ok(Answer::Yes);
                }
                Some('n') => return Ok(Answer::No),
                Some('q') => return Ok(Answer::Stop),
                Some('?') => console.out.line(
                    "  a  yes, and to all that follow\n  n  no\n  p  yes, and no questions from now on\n  q  end the \
                     command\n  y  yes\n  ?  this",
                ),
                _ => return Ok(Answer::Yes),
            }
        }
    }
}

/// Whether a listing may go into a local file, as `prompt` has it asked.
pub(super) fn may_write(console: &mut Console, file: &str) -> anyhow::Result<bool> {
    let mut asking = Asking::new("output to local-file:");
    Ok(asking.about(console, file.as_bytes())? == Answer::Yes)
}
