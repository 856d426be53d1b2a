//! `proxy`: a second control connection, and files from the one server to the other.
//!
//! While a command is proxied the two sessions of the console have changed places: what it does on the session it does on the
//! secondary one.

use std::time::{Duration, Instant};

use anyhow::bail;
use port21_client::Upload;
use port21_proto::text::Shown;

use super::asking::{Answer, Asking};
use super::many::matches;
use super::table::find;
use super::transfer::base_name;
use super::words::Words;
use super::{Console, Flow, Session};
use crate::exit::{Exit, Fault};

/// The longest that a file may take from one server to the other: nobody here sees its bytes move.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What can be proxied.
const PROXIED: &[&str] = &[
    "account", "append", "ascii", "binary", "case", "cd", "cdup", "chmod", "close", "delete", "dir", "features",
    "form", "get", "help", "idle", "mdelete", "mdir", "mget", "mkdir", "mls", "mlsd", "mlst", "mode", "modtime",
    "mput", "nlist", "nmap", "ntrans", "open", "page", "pdir", "pmlsd", "put", "pwd", "quote", "remopts", "rename",
    "reset", "rhelp", "rmdir", "rstatus", "runique", "site", "size", "status", "struct", "sunique", "system", "tenex",
    "type", "umask", "usage", "user",
];

/// `proxy COMMAND`.
pub(super) async fn proxy(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if console.proxying {
        bail!(Fault::usage("a proxied command cannot be proxied again"));
    }
    if words.first() == "?" {
        console.out.line(format_args!("Commands that can be proxied: {}", PROXIED.join(" ")));
        return Ok(Flow::Continue);
    }
    let command = find(words.first())?;
    if !PROXIED.contains(&command.name) {
        bail!(Fault::usage("?Invalid proxy command."));
    }
    if command.needs.session() && console.other.is_none() {
        bail!(Fault::usage("No proxy connection."));
    }
    console.swap();
    let done = console.run_one(&words.rest).await;
    console.swap();
    done
}

impl Console {
    fn swap(&mut self) {
        std::mem::swap(&mut self.session, &mut self.other);
        self.proxying = !self.proxying;
        self.directory = None;
        // From now on the user has to be told who says what.
        self.replies.set_named(self.proxying || self.other.is_some());
    }

    /// A proxied command was given up: the sessions are in their places again.
    pub(super) fn unswap(&mut self) {
        if self.proxying {
            self.swap();
        }
    }

    /// The session of the primary connection, and that of the secondary one, of a proxied command.
    fn both(&mut self) -> anyhow::Result<(&mut Session, &mut Session)> {
        match (&mut self.other, &mut self.session) {
            (Some(primary), Some(secondary)) => Ok((primary, secondary)),
            (None, _) => bail!(Fault::usage("Not connected.")),
            (_, None) => bail!(Fault::usage("No proxy connection.")),
        }
    }
}

/// Proxied `get REMOTE [REMOTE]`: from the primary server to the secondary one.
pub(super) async fn get(console: &mut Console, words: &Words, resume: bool) -> anyhow::Result<Flow> {
    if resume {
        bail!(Fault::usage("a file from one server to another cannot be gone on with"));
    }
    let from = words.first().as_bytes().to_vec();
    let to = match words.list.get(1) {
        Some(to) => to.as_bytes().to_vec(),
        None => console.settings.names.here(base_name(&from)?)?,
    };
    transfer(console, Way::ToSecondary, &from, &to, false).await
}

/// Proxied `put REMOTE [REMOTE]` and `append`: from the secondary server to the primary one.
pub(super) async fn put(console: &mut Console, words: &Words, how: Upload) -> anyhow::Result<Flow> {
    let appends = match how {
        Upload::Whole => false,
        Upload::Append => true,
        _ => bail!(Fault::usage("between servers there are only whole files: neither restart nor sunique")),
    };
    let from = words.first().as_bytes().to_vec();
    let to = match words.list.get(1) {
        Some(to) => to.as_bytes().to_vec(),
        None => console.settings.names.there(base_name(&from)?)?,
    };
    transfer(console, Way::ToPrimary, &from, &to, appends).await
}

/// Proxied `mget`: patterns are those of the primary server.
pub(super) async fn mget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    many(console, Way::ToSecondary, words).await
}

/// Proxied `mput`: patterns are those of the secondary server.
pub(super) async fn mput(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    many(console, Way::ToPrimary, words).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToSecondary,
    ToPrimary,
}

async fn many(console: &mut Console, way: Way, words: &Words) -> anyhow::Result<Flow> {
    let glob = console.settings.glob;
    let (primary, secondary) = console.both()?;
    let source = if way == Way::ToSecondary { primary } else { secondary };
    let names = matches(&mut source.client, &words.list, glob).await?;
    let mut asking = Asking::new(if way == Way::ToSecondary { "mget" } else { "mput" });
    let mut last: Option<anyhow::Error> = None;
    for (from, _) in names {
        match asking.about(console, &from)? {
            Answer::Yes => {}
            Answer::No => continue,
            Answer::Stop => break,
        }
        let name = base_name(&from)?;
        let names = &console.settings.names;
        let to = if way == Way::ToSecondary { names.here(name)? } else { names.there(name)? };
        match transfer(console, way, &from, &to, false).await {
            Err(error) if Exit::of(&error) == Exit::Refused => {
                if let Some(earlier) = last.replace(error)
                    && !console.was_shown(&earlier)
                {
                    tracing::warn!("{earlier:#}");
                }
            }
            done => drop(done?),
        }
    }
    last.map_or(Ok(Flow::Continue), Err)
}

async fn transfer(console: &mut Console, way: Way, from: &[u8], to: &[u8], appends: bool) -> anyhow::Result<Flow> {
    if console.replies.is_on() {
        console.out.line(format_args!("local: {} remote: {}", Shown(from), Shown(to)));
    }
    let begun = Instant::now();
    let (primary, secondary) = console.both()?;
    let (source, target) = if way == Way::ToSecondary { (primary, secondary) } else { (secondary, primary) };
    let (source, target) = (&mut source.client, &mut target.client);
    let done = match appends {
        true => source.append_to(from, target, to, LONGEST).await?,
        false => source.send_to(from, target, to, LONGEST).await?,
    };
    if console.replies.is_on() {
        let seconds = begun.elapsed().as_secs_f64();
        let size = done.size.map_or_else(|| "The file".to_owned(), |size| format!("{size} bytes"));
        console.out.line(format_args!("{size} sent from server to server in {seconds:.2} seconds"));
    }
    Ok(Flow::Continue)
}
