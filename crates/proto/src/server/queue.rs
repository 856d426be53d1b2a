//! What waits: commands for their turn, outputs for the driver.

use std::collections::VecDeque;

use super::action::Output;
use crate::command::{Command, CommandError};
use crate::verb::{During, Verb};

/// How many bytes of replies may wait to be sent before no more input is taken: a client that sends but does not read
/// makes nothing grow beyond this and one reply.
const MAX_UNSENT: usize = 64 * 1024;

/// The commands that came and were not begun, in their order.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Queued>);

/// A line that waits for its turn.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) command: Result<Command, CommandError>,
    /// The verb, where it is known.
    pub(super) verb: Option<Verb>,
    /// An ABOR, or the end of the connection, came behind it: a transfer is answered without being done.
    pub(super) aborted: bool,
    /// For an ABOR: whether there was a transfer before it to be aborted.
    pub(super) aborts: bool,
}

impl Queue {
    /// Behind all others. `aborts` says of an ABOR whether there is something before it to be aborted.
    pub(super) fn push(&mut self, command: Result<Command, CommandError>, verb: Option<Verb>, aborts: bool) {
        self.0.push_back(Queued { command, verb, aborted: false, aborts });
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        pop(&mut self.0)
    }

    /// The next one, if it may overtake a transfer that runs.
    pub(super) fn pop_overtaking(&mut self) -> Option<Queued> {
        self.0.front()?.may_overtake().then(|| self.pop())?
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The verb of the last one, where there is one and its verb is known.
    pub(super) fn last_verb(&self) -> Option<Verb> {
        self.0.back()?.verb
    }

    pub(super) fn has(&self, verb: Verb) -> bool {
        self.0.iter().any(|queued| queued.verb == Some(verb))
    }

    /// Marks the transfers and their like that are to end; whether there was any.
    pub(super) fn abort(&mut self, ends: impl Fn(Verb) -> bool) -> bool {
        let mut any = false;
        for queued in self.0.iter_mut().filter(|queued| queued.command.is_ok()) {
            if queued.verb.is_some_and(&ends) {
                queued.aborted = true;
                any = true;
            }
        }
        any
    }
}

impl Queued {
    fn may_overtake(&self) -> bool {
        match &self.command {
            // STAT with a path reads a directory: it is a listing, not a question about the transfer.
            Ok(Command::Stat(path)) => path.is_none(),
            Ok(command) => command.verb().facts().during == During::Overtake,
            Err(_) => false,
        }
    }
}

/// Takes the first one. What is empty keeps no room: sessions mostly wait, and there may be many.
fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front()?;
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
    Some(first)
}

/// What was given out and not yet taken by the driver, in its order.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    waiting: VecDeque<Output>,
    /// How many bytes of replies are among them.
    unsent: usize,
}

impl Outputs {
    pub(super) fn push(&mut self, output: Output) {
        self.waiting.push_back(output);
    }

    /// Bytes for the control connection; joined to those right before them.
    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        self.unsent += bytes.len();
        match self.waiting.back_mut() {
            Some(Output::Send(queued)) => queued.extend_from_slice(&bytes),
            _ => self.waiting.push_back(Output::Send(bytes)),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        let output = pop(&mut self.waiting)?;
        if let Output::Send(bytes) = &output {
            self.unsent = self.unsent.saturating_sub(bytes.len());
        }
        Some(output)
    }

    /// Whether so many bytes of replies wait that nothing may be read that would make more.
    pub(super) fn is_full(&self) -> bool {
        self.unsent >= MAX_UNSENT
    }
}
