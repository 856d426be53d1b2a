//! `port21 get`: files from a server, whole or not at all; several at once, in segments, or trees of them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use port21_client::{Batch, Choose, Client, Error, Mirror, MirrorOptions, Pattern};
use port21_proto::listing::Precision;

use super::cat::to_stdout;
use super::ls::all_read;
use super::teller::Teller;
use super::{Outcome, batch_options, places, remote};
use crate::args::client::GetArgs;
use crate::exit::{Exit, Fault};
use crate::place::Place;
use crate::remote::Remote;

pub(super) async fn run(args: &GetArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    if args.output.as_ref().is_some_and(|output| output.as_os_str() == "-") {
        for place in &places {
            named(place)?;
        }
        for place in &places {
            outcome.add(write_out(&mut remote, place).await);
        }
        remote.end().await;
        return Ok(outcome.0);
    }
    let several = places.len() > 1 || places.iter().any(|place| pattern(place, args).is_some());
    for place in &places {
        if !args.recursive {
            named(place)?;
        }
    }
    refuse_one_name_for_many(&places, args, several)?;
    if let Some(output) = args.output.as_ref().filter(|output| output.as_os_str().as_bytes().ends_with(b"/")) {
        std::fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
    }
    // Neighbours that are of one session are fetched in one go.
    for group in places.chunk_by(|a, b| a.is_same_session(b)) {
        outcome.add_exit(fetch(&mut remote, group, several, args).await);
    }
    remote.end().await;
    Ok(outcome.0)
}

async fn write_out(remote: &mut Remote<'_>, place: &Place) -> anyhow::Result<()> {
    let client = remote.session(place, &format!("get {place}")).await?;
    to_stdout(client, place).await.with_context(|| place.to_string()).map(drop)
}

/// Several files may have one name here only in a directory, and only where they are not called the same.
fn refuse_one_name_for_many(places: &[Place], args: &GetArgs, several: bool) -> anyhow::Result<()> {
    let mut taken = HashSet::new();
    for place in places.iter().filter(|place| pattern(place, args).is_none()) {
        let target = local_name(args, place.file_name().unwrap_or_default(), false);
        if !taken.insert(target.clone()) {
            let to = target.display();
            bail!(Fault::usage(format!("several files would all become {to}: name a directory with -o DIR/")));
        }
    }
    if let Some(output) = args.output.as_ref().filter(|output| several && !is_directory(output) && taken.is_empty()) {
        let to = output.display();
        bail!(Fault::usage(format!("several files would all become {to}: name a directory with -o DIR/")));
    }
    Ok(())
}

/// Fetches what is of one session.
async fn fetch(remote: &mut Remote<'_>, group: &[Place], several: bool, args: &GetArgs) -> anyhow::Result<Exit> {
    let Some(first) = group.first() else { return Ok(Exit::Done) };
    let urls: Vec<String> = group.iter().map(Place::to_string).collect();
    let mut found = Vec::new();
    let mut outcome = Outcome::new();
    for place in group {
        match pattern(place, args) {
            None if !args.recursive => found.push(Found::file(place.path())),
            pattern => {
                let client = remote.session(place, &format!("get {place}")).await?;
                let mut unreadable = 0;
                match look(client, place, pattern, args, &mut unreadable).await.with_context(|| place.to_string()) {
                    Ok(all) => found.extend(all),
                    Err(error) => outcome.add(Err(error)),
                }
                outcome.add(all_read(unreadable).with_context(|| place.to_string()));
            }
        }
    }
    if found.is_empty() {
        return Ok(outcome.0);
    }
    let settings = remote.settings(first, &format!("get {}", urls.join(" "))).await?;
    let teller = Arc::new(Teller::new(first, args.transfer.json, false, false));
    let mut options = batch_options(&args.transfer, &args.connect, args.parallel, remote.is_recorded())?;
    options.resume = args.resume;
    options.max_size = args.max_size.map(|size| size.0);
    options.segments = if remote.is_recorded() { 1 } else { args.segments.into() };
    let mut batch = Batch::new(settings.clone(), options.clone(), teller.clone());
    let mut taken = HashSet::new();
    let (files, directories): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|found| !found.is_directory);
    for file in files {
        let local = local_name(args, &file.name, false);
        if args.no_clobber && local.symlink_metadata().is_ok() {
            tracing::warn!("{} is there already", local.display());
        } else if taken.insert(local.clone()) {
            batch.get_dated(file.path, local, file.size, file.modified);
        } else {
            let url = first.url_of(&file.path);
            let text = format!("{url}: another file was to become {} already", local.display());
            outcome.add(Err(Fault::usage(text).into()));
        }
    }
    if !batch.is_empty() {
        batch.run().await.with_context(|| first.to_string())?;
    }
    let choose = if args.resume { Choose::Changed } else { Choose::All };
    for directory in directories {
        let into = local_name(args, &directory.name, several || args.output.as_ref().is_none_or(|o| is_directory(o)));
        let mirror_options = MirrorOptions { choose, ..MirrorOptions::default() };
        let mirror = Mirror::new(settings.clone(), options.clone(), mirror_options, teller.clone());
        outcome.add(mirror.down(&directory.path, &into).await.map(drop).with_context(|| first.url_of(&directory.path)));
    }
    outcome.add_exit(Ok(teller.exit()));
    Ok(outcome.0)
}

/// Something on the server that is to be fetched.
struct Found {
    path: Vec<u8>,
    name: Vec<u8>,
    size: Option<u64>,
    /// When it was changed, where a listing has told that in UTC and to the second.
    modified: Option<Timestamp>,
    is_directory: bool,
}

impl Found {
    fn file(path: &[u8]) -> Found {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default().to_vec();
        Found { path: path.to_vec(), name, size: None, modified: None, is_directory: false }
    }
}

/// What a pattern stands for, and how many lines of the listings could not be read; or, with -r, whether it is a file or a
/// directory.
async fn look(
    client: &mut Client,
    place: &Place,
    pattern: Option<Pattern>,
    args: &GetArgs,
    unreadable: &mut u64,
) -> anyhow::Result<Vec<Found>> {
    if let Some(pattern) = pattern {
        let mut found = Vec::new();
        let matches = client.matches(&pattern).await?;
        for (directory, gap) in &matches.gaps {
            tracing::warn!("{}: {gap}", place.url_of(directory));
        }
        *unreadable = matches.unreadable;
        for (path, entry) in matches.found {
            let is_directory = entry.is_directory();
            if is_directory && !args.recursive {
                tracing::warn!("{}: a directory: -r fetches it", place.url_of(&path));
                continue;
            }
            let exact = entry.modified.filter(|m| m.utc && m.precision >= Precision::Second);
            let modified = exact.map(|modified| modified.at);
            found.push(Found { size: entry.size, modified, is_directory, ..Found::file(&path) });
        }
        if !found.is_empty() {
            return Ok(found);
        }
        // A name may look like a pattern.
        return match client.size(place.path()).await {
            Ok(_) => Ok(vec![Found::file(place.path())]),
            Err(Error::Refused { .. }) => bail!(Fault::new(Exit::Refused, "no file of the server matches")),
            Err(error) => Err(error.into()),
        };
    }
    let is_directory =
        place.path().is_empty() || place.target.directory || is_remote_directory(client, place.path()).await?;
    Ok(vec![Found { is_directory, ..Found::file(place.path()) }])
}

/// Whether it is a directory: by MLST, or by going there. The session is of no use for relative paths afterwards.
async fn is_remote_directory(client: &mut Client, path: &[u8]) -> anyhow::Result<bool> {
    if client.features().await?.has("MLST") {
        return Ok(client.stat(path).await?.is_directory());
    }
    match client.size(path).await {
        Ok(_) => return Ok(false),
        Err(Error::Refused { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let back = client.pwd().await?;
    match client.cwd(path).await {
        Ok(_) => {
            client.cwd(back).await?;
            Ok(true)
        }
        Err(Error::Refused { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn pattern(place: &Place, args: &GetArgs) -> Option<Pattern> {
    place.pattern.as_ref().filter(|_| !args.no_glob).and_then(|pattern| Pattern::new(pattern).ok())
}

fn named(place: &Place) -> anyhow::Result<()> {
    if place.target.directory {
        bail!(Fault::usage(format!("{place} names a directory: get -r fetches it, ls lists it")));
    }
    if place.file_name().is_none() {
        bail!(Fault::usage(format!("{place} names no file")));
    }
    Ok(())
}

/// Where a file goes, or a directory where it is to go `into` the output.
fn local_name(args: &GetArgs, name: &[u8], into: bool) -> PathBuf {
    let name = Path::new(OsStr::from_bytes(name));
    match &args.output {
        None if name.as_os_str().is_empty() => PathBuf::from("."),
        None => name.to_owned(),
        Some(output) if name.as_os_str().is_empty() => output.clone(),
        Some(output) if into || is_directory(output) => output.join(name),
        Some(output) => output.clone(),
    }
}

fn is_directory(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/")
}
