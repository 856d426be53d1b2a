//! Commands that transfer many files: mget, mreget, fget, mput.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, bail};
use port21_client::{Client, Pattern, Place, Upload, is_pattern};
use port21_proto::text::Shown;

use super::asking::{Answer, Asking};
use super::names::unique;
use super::sink::{first_path, local_paths};
use super::transfer::{Load, OneFile, base_name, file_name, plain_file, send};
use super::words::Words;
use super::{Console, Flow, between};
use crate::exit::{Exit, Fault};

/// The longest list of names that `fget` reads.
const LONGEST_LIST: u64 = 64 << 20;

pub(super) async fn mget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if console.proxying {
        return between::mget(console, words).await;
    }
    let found = expanded(console, &words.list).await?;
    fetch(console, found, "mget", false, words).await
}

pub(super) async fn mreget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let found = expanded(console, &words.list).await?;
    fetch(console, found, "mreget", true, words).await
}

/// `fget LIST`: the files that a local file names, one on each line.
pub(super) async fn fget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let path = first_path(console, words.first())?;
    let named = || path.display().to_string();
    if path.metadata().with_context(named)?.len() > LONGEST_LIST {
        bail!(Fault::new(Exit::Local, format!("{}: too long for a list of names", named())));
    }
    let list = std::fs::read(&path).with_context(named)?;
    let lines = list.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let found = lines.filter(|line| !line.is_empty()).map(|line| (line.to_vec(), None)).collect();
    fetch(console, found, "fget", false, words).await
}

/// The files that words mean, each with its size where a listing has told it.
type Found = Vec<(Vec<u8>, Option<u64>)>;

async fn expanded(console: &mut Console, list: &[String]) -> anyhow::Result<Found> {
    let glob = console.settings.glob;
    matches(console.client()?, list, glob).await
}

/// The names on the server that the words mean: a pattern stands for the files that match it, any other word for itself. A
/// pattern that matches nothing is an error.
pub(super) async fn matches(client: &mut Client, list: &[String], glob: bool) -> anyhow::Result<Found> {
    let mut found = Vec::new();
    for word in list {
        if !glob || !is_pattern(word.as_bytes()) {
            found.push((word.clone().into_bytes(), None));
            continue;
        }
        let pattern = Pattern::new(word).map_err(|error| Fault::usage(error.to_string()))?;
        let before = found.len();
        let matches = client.matches(&pattern).await?;
        matches.gaps.iter().for_each(|(directory, gap)| tracing::warn!("{}: {gap}", Place::Remote(directory.clone())));
        let files = matches.found.into_iter().filter(|(_, entry)| !entry.is_directory());
        found.extend(files.map(|(path, entry)| (path, entry.size)));
        if found.len() == before {
            bail!(Fault::new(Exit::Refused, format!("{word}: no file of the server matches")));
        }
    }
    Ok(found)
}

async fn fetch(
    console: &mut Console,
    found: Found,
    command: &'static str,
    resume: bool,
    words: &Words,
) -> anyhow::Result<Flow> {
    let mut taken = HashSet::new();
    let mut many = Many::new(command, false, resume);
    for (remote, size) in found {
        let name = console.settings.names.here(base_name(&remote)?)?;
        let mut local = console.local.join(OsStr::from_bytes(&name));
        if console.settings.unique_here && !resume {
            local = unique(local, &taken)?;
        }
        if !taken.insert(local.clone()) {
            let (remote, local) = (Shown(&remote), local.display());
            many.note(
                Fault::new(Exit::Local, format!("{remote}: another file was to become {local} already")).into(),
                false,
            );
            continue;
        }
        if !many.take(console, OneFile { remote, local, size }, words).await? {
            break;
        }
    }
    many.end(console, words).await
}

pub(super) async fn mput(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if console.proxying {
        return between::mput(console, words).await;
    }
    let mut paths = Vec::new();
    for word in &words.list {
        paths.extend(local_paths(console, word)?);
    }
    if console.settings.unique_there && words.background {
        bail!(Fault::usage("sunique is for the foreground"));
    }
    let mut many = Many::new("mput", true, false);
    for local in paths {
        if let Err(fault) = plain_file(&local) {
            many.note(fault.into(), false);
            continue;
        }
        let remote = console.settings.names.there(file_name(&local)?)?;
        if !many.take(console, OneFile { remote, local, size: None }, words).await? {
            break;
        }
    }
    many.end(console, words).await
}

/// Files of one command, which go in one batch from where on nobody has to be asked. One that is refused does not keep back the
/// others.
struct Many {
    asking: Asking,
    load: Load,
    /// The last failure, and whether the user has been told of it.
    last: Option<anyhow::Error>,
    told: bool,
}

impl Many {
    fn new(command: &'static str, upload: bool, resume: bool) -> Many {
        let load = Load { upload, resume, files: Vec::new() };
        Many { asking: Asking::new(command), load, last: None, told: false }
    }

    /// Takes a file; whether there may be more.
    async fn take(&mut self, console: &mut Console, file: OneFile, words: &Words) -> anyhow::Result<bool> {
        let asked = self.asking.is_on(console);
        match self.asking.about(console, if self.load.upload { &file.remote } else { base_name(&file.remote)? })? {
            Answer::Stop => return Ok(false),
            Answer::No => return Ok(true),
            Answer::Yes => {}
        }
        self.load.files.push(file);
        if asked && !words.background {
            self.go(console, words).await?;
        }
        Ok(true)
    }

    async fn go(&mut self, console: &mut Console, words: &Words) -> anyhow::Result<()> {
        let files = std::mem::take(&mut self.load.files);
        if files.is_empty() {
            return Ok(());
        }
        let done = if self.load.upload && console.settings.unique_there {
            self.one_by_one(console, files).await
        } else {
            console.carry(Load { files, ..self.load.clone() }, words).await.map(drop)
        };
        match done {
            // The connection is lost, or something else that holds for the rest too.
            Err(error) if error.downcast_ref::<Fault>().is_none() => Err(error),
            Err(error) => {
                self.note(error, console.told);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// `sunique`: the server makes the names up.
    async fn one_by_one(&mut self, console: &mut Console, files: Vec<OneFile>) -> anyhow::Result<()> {
        for file in files {
            match send(console, &file, Upload::Unique).await {
                Err(error) if Exit::of(&error) == Exit::Refused => self.note(error, false),
                done => drop(done?),
            }
        }
        Ok(())
    }

    /// Keeps a failure for the end, and tells the one before it.
    fn note(&mut self, error: anyhow::Error, told: bool) {
        if let Some(earlier) = self.last.replace(error)
            && !self.told
        {
            tracing::warn!("{earlier:#}");
        }
        self.told = told;
    }

    async fn end(mut self, console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
        self.go(console, words).await?;
        console.told = self.told;
        self.last.map_or(Ok(Flow::Continue), Err)
    }
}
