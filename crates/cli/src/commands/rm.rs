//! `port21 rm`: files, and trees.

use std::collections::HashSet;

use anyhow::{Context as _, bail};
use port21_client::{Client, Error, Listed, MAX_DEPTH, MAX_DIRECTORIES};
use port21_proto::listing::EntryKind;
use port21_proto::text::Shown;

use super::{Outcome, places, remote};
use crate::args::client::RmArgs;
use crate::exit::{Exit, Fault};
use crate::place::join;

/// So many directories that are too deep are told one by one.
const TOLD: usize = 20;

pub(super) async fn run(args: &RmArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    for place in &places {
        if place.file_name().is_none() {
            bail!(Fault::usage(format!("{place} names nothing that can be removed")));
        }
    }
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for place in &places {
        let done = async {
            let client = remote.session(place, &format!("rm {place}")).await?;
            let done = match args.recursive {
                true => remove_all(client, place.path()).await,
                false => client.remove(place.path()).await.map(drop).map_err(Into::into),
            };
            done.with_context(|| place.to_string())
        };
        outcome.add(done.await);
    }
    remote.end().await;
    Ok(outcome.0)
}

enum Step {
    /// The name that the user gave: a file, a link, or a directory.
    Named(Vec<u8>),
    /// A file, or a link, as a listing says.
    File(Vec<u8>),
    Directory {
        path: Vec<u8>,
        /// How many directories of the tree it lies in.
        depth: usize,
    },
    /// All that was in it has been removed.
    Emptied(Vec<u8>),
}

/// Removes a file, or a directory and all that is in it. A symbolic link is removed like a file and never followed; no
/// name from a listing leads out of the directory that it was listed in. What lies too deep stays, with what it lies in.
async fn remove_all(client: &mut Client, path: &[u8]) -> anyhow::Result<()> {
    let mut held = Held::new(client.settings().max_entries_of());
    held.push(Step::Named(path.to_vec()))?;
    let mut entered = 0;
    let mut too_deep = TooDeep::default();
    while let Some(step) = held.pop() {
        match step {
            Step::Named(path) => match client.remove(&path).await {
                Ok(_) => {}
                Err(refused @ Error::Refused { .. }) if !is_directory(client, &path).await? => {
                    return Err(refused.into());
                }
                Err(Error::Refused { .. }) => held.push(Step::Directory { path, depth: 0 })?,
                Err(error) => return Err(error.into()),
            },
            Step::File(path) => drop(client.remove(&path).await.with_context(|| Shown(&path).to_string())?),
            Step::Directory { path, depth } if depth > MAX_DEPTH => too_deep.keep(path),
            Step::Directory { path, depth } => {
                entered += 1;
                if entered > MAX_DIRECTORIES {
                    let why = format!("a tree of more than {MAX_DIRECTORIES} directories: it may have no end");
                    bail!(Fault::new(Exit::Refused, why));
                }
                held.push(Step::Emptied(path.clone()))?;
                names(client, &path, depth + 1, &mut held).await?;
            }
            Step::Emptied(path) if too_deep.above.remove(&path) => {}
            Step::Emptied(path) => drop(client.rmdir(&path).await.with_context(|| Shown(&path).to_string())?),
        }
    }
    too_deep.end()
}

/// Steps that are still to be done, and no more than memory is meant for.
struct Held {
    steps: Vec<Step>,
    bytes: usize,
    most: usize,
}

impl Held {
    fn new(most: usize) -> Held {
        Held { steps: Vec::new(), bytes: 0, most }
    }

    fn push(&mut self, step: Step) -> anyhow::Result<()> {
        self.bytes = self.bytes.saturating_add(step.path().len());
        self.steps.push(step);
        if self.steps.len() > self.most.saturating_mul(4) || self.bytes > self.most.saturating_mul(1024) {
            let why = format!("too many names to remove at once: --max-entries N takes more than {}", self.most);
            bail!(Fault::new(Exit::Refused, why));
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<Step> {
        let step = self.steps.pop()?;
        self.bytes = self.bytes.saturating_sub(step.path().len());
        Some(step)
    }
}

impl Step {
    fn path(&self) -> &[u8] {
        match self {
            Step::Named(path) | Step::File(path) | Step::Emptied(path) | Step::Directory { path, .. } => path,
        }
    }
}

/// What was not removed, for it lies too deep.
#[derive(Default)]
struct TooDeep {
    texts: Vec<String>,
    more: u64,
    /// The directories that it lies in, which are not empty therefore.
    above: HashSet<Vec<u8>>,
}

impl TooDeep {
    fn keep(&mut self, path: Vec<u8>) {
        if self.texts.len() < TOLD {
            let shown = Shown(&path);
            let why =
                format!("more than {MAX_DEPTH} directories deep: it may lead back to one above, and is not removed");
            self.texts.push(format!("{shown}: {why}"));
        } else {
            self.more += 1;
        }
        let mut at = path.as_slice();
        while let Some(slash) = at.iter().rposition(|&b| b == b'/') {
            at = at.get(..slash).unwrap_or_default();
            if !self.above.insert(at.to_vec()) {
                break;
            }
        }
    }

    fn end(mut self) -> anyhow::Result<()> {
        if self.more > 0 {
            self.texts.push(format!("... and {} more like it", self.more));
        }
        if self.texts.is_empty() { Ok(()) } else { bail!(Fault::each(Exit::Refused, self.texts)) }
    }
}

/// Whether the path is a directory itself, and no link to one, as the listing of the directory above says: to enter it, or
/// to ask for its facts, would follow a link.
async fn is_directory(client: &mut Client, path: &[u8]) -> anyhow::Result<bool> {
    let at = path.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = path.split_at(at);
    let mut entries = client.list(above).await?;
    let mut found = false;
    while let Some(listed) = entries.next().await {
        if let Listed::Entry(entry) = listed? {
            found |= entry.name == name && entry.kind == EntryKind::Directory;
        }
    }
    Ok(found)
}

/// Takes up what is in a directory.
async fn names(client: &mut Client, path: &[u8], depth: usize, held: &mut Held) -> anyhow::Result<()> {
    let mut entries = client.list(path).await?;
    while let Some(listed) = entries.next().await {
        match listed? {
            Listed::Entry(entry) if matches!(entry.kind, EntryKind::CurrentDirectory | EntryKind::ParentDirectory) => {}
            Listed::Entry(entry) => {
                let Some(name) = entry.safe_name() else {
                    let name = Shown(&entry.name);
                    bail!(Fault::new(Exit::Refused, format!("the server lists a name that is none: {name}")));
                };
                let path = join(path, name);
                held.push(if entry.is_directory() { Step::Directory { path, depth } } else { Step::File(path) })?;
            }
            Listed::Unreadable(line) => {
                let line = Shown(&line);
                bail!(Fault::new(Exit::Refused, format!("a line of the listing cannot be read: {line}")));
            }
        }
    }
    Ok(())
}
