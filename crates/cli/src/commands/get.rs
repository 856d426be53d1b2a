//! `port21 get`: files from a server, whole or not at all.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use port21_client::{Error, GetOptions};
use serde_json::json;

use super::cat::to_stdout;
use super::{Outcome, places, remote};
use crate::args::client::GetArgs;
use crate::exit::{Exit, Fault};
use crate::progress::Meter;
use crate::remote::{Place, Remote, pause};
use crate::units::show_size;

pub(super) async fn run(args: &GetArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    let targets = places.iter().map(|place| local_name(place, args)).collect::<anyhow::Result<Vec<_>>>()?;
    if let (Some(Some(to)), true) = (targets.first(), places.len() > 1)
        && targets.iter().flatten().filter(|other| *other == to).count() > 1
    {
        let to = to.display();
        bail!(Fault::usage(format!("several files would all become {to}: name a directory with -o DIR/")));
    }
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for (place, local) in places.iter().zip(&targets) {
        let done = match local {
            Some(local) => get(&mut remote, place, local, args).await,
            None => {
                async {
                    let client = remote.session(place, &format!("get {place}")).await?;
                    to_stdout(client, place).await.with_context(|| place.to_string()).map(drop)
                }
                .await
            }
        };
        outcome.add(done);
    }
    remote.end().await;
    Ok(outcome.0)
}

/// Where a file goes; nothing for standard output.
fn local_name(place: &Place, args: &GetArgs) -> anyhow::Result<Option<PathBuf>> {
    if place.target.directory {
        bail!(Fault::usage(format!("{place} names a directory: get fetches files, ls lists directories")));
    }
    let Some(name) = place.file_name() else {
        bail!(Fault::usage(format!("{place} names no file")));
    };
    let name = Path::new(OsStr::from_bytes(name));
    Ok(match &args.output {
        None => Some(name.to_owned()),
        Some(output) if output.as_os_str() == "-" => None,
        Some(output) if output.is_dir() || output.as_os_str().as_bytes().ends_with(b"/") => Some(output.join(name)),
        Some(output) => Some(output.clone()),
    })
}

async fn get(remote: &mut Remote<'_>, place: &Place, local: &Path, args: &GetArgs) -> anyhow::Result<()> {
    if args.no_clobber && local.symlink_metadata().is_ok() {
        tracing::warn!("{} is there already", local.display());
        return Ok(());
    }
    let begun = Instant::now();
    let mut options = GetOptions { resume: args.resume, keep_time: !args.connect.no_probe };
    for attempt in 0.. {
        let client = remote.session(place, &format!("get {place}")).await?;
        let mut meter = Meter::new(local.as_os_str().as_bytes());
        let done = client.get_file(place.path(), local, &options, &mut |progress| meter.update(progress)).await;
        drop(meter);
        match done {
            Ok(done) => {
                let seconds = begun.elapsed().as_secs_f64();
                if args.json {
                    let result = json!({
                        "url": place.to_string(), "file": local.to_string_lossy(), "bytes": done.bytes,
                        "from": done.from, "seconds": seconds,
                    });
                    writeln!(std::io::stdout(), "{result}").context("cannot write to standard output")?;
                } else {
                    tracing::info!("{}: {} in {seconds:.2} s", local.display(), show_size(done.bytes));
                }
                return Ok(());
            }
            Err(error) if attempt < args.connect.retry && is_worth_a_retry(&error) => {
                // Only what this run has left aside is known to belong to this file.
                options.resume |= matches!(error, Error::Partial { .. });
                pause(attempt, &error.to_string()).await;
            }
            Err(error) => return Err(error).with_context(|| place.to_string()),
        }
    }
    Ok(())
}

/// Whether the network may be to blame, and not the file or the user.
pub(super) fn is_worth_a_retry(error: &Error) -> bool {
    matches!(Exit::of_client(error), Exit::Connect | Exit::Interrupted)
}
