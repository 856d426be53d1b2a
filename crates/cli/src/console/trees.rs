//! `mirror` and `pget`: what takes more than one session, by the machinery of the commands of the same names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Parser;
use port21_client::{Batch, BatchOptions, Mirror, Parallel};

use super::reporter::Reporter;
use super::sink::first_path;
use super::transfer::{Load, OneFile, base_name, fill, name_here};
use super::words::Words;
use super::{Console, Flow};
use crate::args::client::{TreeArgs, parse_parallel};
use crate::commands::mirror::{options, summary};
use crate::exit::{Exit, Fault};
use crate::units::show_size;

/// Make a local directory what one of the server is, or with -R the other way round.
#[derive(Debug, Parser)]
#[command(name = "mirror", no_binary_name = true, disable_help_subcommand = true)]
struct MirrorLine {
    /// The source: a directory of the server; with -R one of here.
    source: String,
    /// The target on the other side. Default: the source's last part.
    target: Option<String>,
    /// From here to the server.
    #[arg(short = 'R', long)]
    reverse: bool,
    #[command(flatten)]
    tree: TreeArgs,
    /// Transfer so many files at once, over a connection each.
    #[arg(long, value_name = "N|auto", value_parser = parse_parallel, default_value = "auto")]
    parallel: Parallel,
}

/// Download a file in segments, over a connection each.
#[derive(Debug, Parser)]
#[command(name = "pget", no_binary_name = true, disable_help_subcommand = true)]
struct PgetLine {
    /// The file.
    remote: String,
    /// Its name here.
    local: Option<String>,
    /// Fetch it in so many segments, over a connection each.
    #[arg(short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    n: u8,
}

/// `mirror [OPTIONS] SOURCE [TARGET]`.
pub(super) async fn mirror(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let Some(line) = parsed::<MirrorLine>(console, words)? else { return Ok(Flow::Continue) };
    let own = console.own_sessions(&words.line).await?;
    let (remote, local) = sides(console, &line)?;
    let remote = own.path(&remote);
    let load = Load { upload: line.reverse, resume: false, files: Vec::new() };
    let parallel = if console.is_recorded() { Parallel::Sessions(1) } else { line.parallel };
    let max_size = line.tree.max_size.map(|size| size.0);
    let batch = BatchOptions { parallel, keep_time: true, aside: true, max_size, ..console.batch_options(&load) };
    let dry_run = line.tree.dry_run;
    let reporter = Arc::new(match words.background {
        true => Reporter::silent(console, line.reverse),
        false => Reporter::of_tree(console, line.reverse, dry_run),
    });
    let mirror = Mirror::new(own.settings, batch, options(&line.tree)?, reporter.clone());
    let (up, watch) = (line.reverse, reporter.clone());
    let work = async move {
        let done = match up {
            true => mirror.up(&local, &remote).await,
            false => mirror.down(&remote, &local).await,
        }?;
        if let Some(why) = &done.not_removed {
            watch.failed(Exit::Refused, format!("nothing was removed: {why}"), false);
        }
        watch.end()?;
        Ok(summary(&done, dry_run))
    };
    if words.background {
        return console.start(words, reporter, work);
    }
    let done = work.await;
    console.told = done.as_ref().is_err_and(|error| error.is::<Fault>()) && reporter.has_told();
    console.out.line(done?);
    Ok(Flow::Continue)
}

/// Both sides of a mirror: the server's, and that of here.
fn sides(console: &Console, line: &MirrorLine) -> anyhow::Result<(Vec<u8>, PathBuf)> {
    let base = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let is_here = |name: &str| matches!(name, "" | "." | "..");
    if line.reverse {
        let local = first_path(console, &line.source)?;
        let remote = match &line.target {
            Some(target) => target.clone(),
            None => local.file_name().and_then(OsStr::to_str).map(str::to_owned).unwrap_or_default(),
        };
        let remote = if remote == "." { String::new() } else { remote };
        return Ok((remote.into_bytes(), local));
    }
    let local = match &line.target {
        Some(target) => first_path(console, target)?,
        None if is_here(&base(&line.source)) => console.local.clone(),
        None => console.local.join(base(&line.source)),
    };
    let remote = if line.source == "." { "" } else { line.source.as_str() };
    Ok((remote.as_bytes().to_vec(), local))
}

/// `pget [-n N] REMOTE [LOCAL]`.
pub(super) async fn pget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let Some(line) = parsed::<PgetLine>(console, words)? else { return Ok(Flow::Continue) };
    let remote = line.remote.into_bytes();
    let local = match &line.local {
        Some(local) => {
            let local = first_path(console, local)?;
            if local.is_dir() { local.join(OsStr::from_bytes(base_name(&remote)?)) } else { local }
        }
        None => name_here(console, &console.local, &remote)?,
    };
    let load = Load { upload: false, resume: false, files: vec![OneFile { remote, local, size: None }] };
    let segments = if console.is_recorded() { 1 } else { line.n.into() };
    if words.background {
        return console.carry_behind(load, words, segments).await;
    }
    let own = console.own_sessions(&words.line).await?;
    let files = load.files.into_iter().map(|file| OneFile { remote: own.path(&file.remote), ..file }).collect();
    let load = Load { files, ..load };
    let options = BatchOptions { segments, ..console.batch_options(&load) };
    let reporter = Arc::new(Reporter::of_own_sessions(console, false));
    let mut batch = Batch::new(own.settings, options, reporter.clone());
    fill(&mut batch, &load);
    batch.run().await?;
    console.told = reporter.has_told();
    reporter.end()?;
    Ok(Flow::Continue)
}

/// What a job has transferred, in words.
pub(super) fn sum(reporter: &Reporter) -> String {
    let total = reporter.total();
    let files = if total.ended == 1 { "1 file".to_owned() } else { format!("{} files", total.ended) };
    format!("{files}, {}", show_size(total.done))
}

/// Reads arguments with options; nothing where help was asked for and shown.
fn parsed<T: Parser>(console: &Console, words: &Words) -> anyhow::Result<Option<T>> {
    match T::try_parse_from(&words.list) {
        Ok(line) => Ok(Some(line)),
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            console.out.line(error.render());
            Ok(None)
        }
        Err(error) => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            bail!(Fault::usage(first.strip_prefix("error: ").unwrap_or(first)))
        }
    }
}
