//! `port21 rm`: files, and trees.

use anyhow::{Context as _, bail};
use port21_client::{Client, Error, Listed};
use port21_proto::listing::EntryKind;
use port21_proto::text::Shown;

use super::{Outcome, places, remote};
use crate::args::client::RmArgs;
use crate::exit::{Exit, Fault};
use crate::place::join;

/// The most names that are held at a time: a server that lists without end runs nobody out of memory.
const MAX_NAMES: usize = 10_000_000;

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
    Directory(Vec<u8>),
    /// All that was in it has been removed.
    Emptied(Vec<u8>),
}

/// Removes a file, or a directory and all that is in it. A symbolic link is removed like a file and never followed; no
/// name from a listing leads out of the directory that it was listed in.
async fn remove_all(client: &mut Client, path: &[u8]) -> anyhow::Result<()> {
    let mut steps = vec![Step::Named(path.to_vec())];
    while let Some(step) = steps.pop() {
        match step {
            Step::Named(path) => match client.remove(&path).await {
                Ok(_) => {}
                Err(refused @ Error::Refused { .. }) if !is_directory(client, &path).await? => {
                    return Err(refused.into());
                }
                Err(Error::Refused { .. }) => steps.push(Step::Directory(path)),
                Err(error) => return Err(error.into()),
            },
            Step::File(path) => drop(client.remove(&path).await.with_context(|| Shown(&path).to_string())?),
            Step::Directory(path) => {
                let within = names(client, &path).await?;
                steps.push(Step::Emptied(path));
                steps.extend(within);
            }
            Step::Emptied(path) => drop(client.rmdir(&path).await.with_context(|| Shown(&path).to_string())?),
        }
        if steps.len() > MAX_NAMES {
            bail!("more than {MAX_NAMES} names to remove");
        }
    }
    Ok(())
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

async fn names(client: &mut Client, path: &[u8]) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
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
                steps.push(if entry.is_directory() { Step::Directory(path) } else { Step::File(path) });
            }
            Listed::Unreadable(line) => {
                let line = Shown(&line);
                bail!(Fault::new(Exit::Refused, format!("a line of the listing cannot be read: {line}")));
            }
        }
        if steps.len() > MAX_NAMES {
            bail!("more than {MAX_NAMES} names to remove");
        }
    }
    Ok(steps)
}
