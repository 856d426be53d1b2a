//! `port21 stat`: what the server tells of a file.

use std::io::Write as _;

use anyhow::Context as _;
use port21_proto::listing::Entry;
use port21_proto::text::Shown;

use super::{Outcome, ls, places, remote};
use crate::args::client::StatArgs;
use crate::exit::Exit;
use crate::place::Place;
use crate::units::show_size;

pub(super) async fn run(args: &StatArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for place in &places {
        let done = async {
            let client = remote.session(place, &format!("stat {place}")).await?;
            let entry = client.stat(place.path()).await.with_context(|| place.to_string())?;
            let text = if args.json { format!("{}\n", ls::json(&entry)) } else { describe(place, &entry) };
            std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
        };
        outcome.add(done.await);
    }
    remote.end().await;
    Ok(outcome.0)
}

/// What is known, a fact a line.
fn describe(place: &Place, entry: &Entry) -> String {
    let mut out = format!("{place}\n");
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            out += &format!("  {name:<9} {value}\n");
        }
    };
    let kind = ls::json(entry).get("type").and_then(|kind| kind.as_str().map(str::to_owned));
    let shown = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| Shown(bytes).to_string());
    fact("type", kind);
    fact("size", entry.size.map(|size| format!("{size} ({})", show_size(size))));
    fact(
        "modified",
        entry.modified.map(|m| if m.utc { m.at.to_string() } else { format!("{} (server's time)", m.at) }),
    );
    fact("mode", entry.mode.map(|mode| format!("{mode:04o}")));
    fact("owner", shown(&entry.owner));
    fact("group", shown(&entry.group));
    fact("target", shown(&entry.target));
    fact("may", shown(&entry.perm));
    out
}
