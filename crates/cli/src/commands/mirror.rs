//! `port21 mirror`: a directory here that is what one of a server is, or the other way round.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use port21_client::{Choose, Filter, Links, Mirror, MirrorOptions, Summary};
use serde_json::json;

use super::ls::write_line;
use super::teller::Teller;
use super::{batch_options, remote};
use crate::args::client::{LinksAs, MirrorArgs, TreeArgs};
use crate::exit::{Exit, Fault};
use crate::place::Place;
use crate::units::show_size;

pub(super) async fn run(args: &MirrorArgs) -> anyhow::Result<Exit> {
    let way = Way::of(args)?;
    let mut remote = remote(&args.connect)?;
    let place = &way.place;
    let settings = remote.settings(place, &format!("mirror {} {}", args.from, args.to)).await?;
    let mut batch = batch_options(&args.transfer, &args.connect, args.parallel, remote.is_recorded())?;
    batch.aside = !args.direct;
    batch.max_size = args.tree.max_size.map(|size| size.0);
    let teller = Arc::new(Teller::new(place, args.transfer.json, way.up, args.tree.dry_run));
    let mirror = Mirror::new(settings, batch, options(&args.tree)?, teller.clone());
    let summary = match way.up {
        true => mirror.up(Path::new(way.local), place.path()).await,
        false => mirror.down(place.path(), Path::new(way.local)).await,
    };
    let summary = summary.with_context(|| place.to_string())?;
    let told = tell(&summary, args);
    match (teller.exit(), &summary.not_removed) {
        (Exit::Done, Some(_)) => Ok(Exit::Refused),
        (Exit::Done, None) => told.map(|()| Exit::Done),
        (exit, _) => Ok(exit),
    }
}

/// What a mirror does, as the flags say.
pub(crate) fn options(args: &TreeArgs) -> anyhow::Result<MirrorOptions> {
    let wrong = |error: port21_client::PatternError| Fault::usage(error.to_string());
    Ok(MirrorOptions {
        delete: args.delete,
        dry_run: args.dry_run,
        filter: Filter::new(&args.include, &args.exclude).map_err(wrong)?,
        choose: match (args.newer, args.checksum) {
            (true, _) => Choose::Newer,
            (_, true) => Choose::Checksum,
            _ => Choose::Changed,
        },
        links: match args.links {
            LinksAs::Skip => Links::Skip,
            LinksAs::Keep => Links::Keep,
            LinksAs::Follow => Links::Follow,
        },
    })
}

struct Way<'a> {
    place: Place,
    local: &'a str,
    up: bool,
}

impl Way<'_> {
    fn of(args: &MirrorArgs) -> anyhow::Result<Way<'_>> {
        let is_url = |text: &str| text.contains("://");
        let (url, local, up) = match (is_url(&args.from), is_url(&args.to)) {
            (true, false) => (&args.from, &args.to, args.reverse),
            (false, true) => (&args.to, &args.from, true),
            (true, true) => bail!(Fault::usage("one of the two must be a directory here, without ://")),
            (false, false) => bail!(Fault::usage("one of the two must be a URL, such as ftp://user@host/directory")),
        };
        if local.is_empty() {
            bail!(Fault::usage("the directory here has no name"));
        }
        Ok(Way { place: Place::parse(url)?, local, up })
    }
}

fn tell(summary: &Summary, args: &MirrorArgs) -> anyhow::Result<()> {
    let seconds = summary.took.as_secs_f64();
    if args.transfer.json {
        return write_line(json!({
            "event": "summary", "dry_run": args.tree.dry_run, "transferred": summary.transferred, "bytes": summary.bytes,
            "unchanged": summary.unchanged, "directories": summary.directories, "links": summary.links,
            "removed": summary.removed, "skipped": summary.skipped, "failed": summary.failed, "seconds": seconds,
        }));
    }
    match tracing::enabled!(tracing::Level::WARN) {
        true => write_line(self::summary(summary, args.tree.dry_run)),
        false => Ok(()),
    }
}

/// What a mirror has done, in a line.
pub(crate) fn summary(summary: &Summary, dry_run: bool) -> String {
    let mut parts = vec![
        format!("{} transferred ({})", files(summary.transferred), show_size(summary.bytes)),
        format!("{} unchanged", summary.unchanged),
    ];
    let rest = [
        (summary.directories, "directory made", "directories made"),
        (summary.links, "link made", "links made"),
        (summary.removed, "removed", "removed"),
        (summary.skipped, "left out", "left out"),
        (summary.failed, "failed", "failed"),
    ];
    parts.extend(rest.iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| {
        let what = if *count == 1 { one } else { many };
        format!("{count} {what}")
    }));
    let would = if dry_run { "would be: " } else { "" };
    format!("{would}{}, in {:.1} s", parts.join(", "), summary.took.as_secs_f64())
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn which_way_it_goes() {
        let way = |line: &str| {
            let words = ["port21", "mirror"].into_iter().chain(line.split(' '));
            let Command::Mirror(args) = Args::parse_from(words).command else { panic!("{line}") };
            Way::of(&args).map(|way| (way.place.path().to_vec(), way.local.to_owned(), way.up)).ok()
        };
        let wanted = |up| Some((b"pub".to_vec(), "here".to_owned(), up));
        assert_eq!(way("ftp://h/pub here"), wanted(false));
        assert_eq!(way("here ftp://h/pub/"), wanted(true));
        assert_eq!(way("-R ftp://h/pub here"), wanted(true));
        assert_eq!(way("--reverse here ftp://h/pub"), wanted(true));
        assert_eq!((way("a b"), way("ftp://h/ ftp://h/")), (None, None));
    }
}
