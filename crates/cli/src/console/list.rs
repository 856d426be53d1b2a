//! Listings: dir, ls, nlist, mdir, mls, mlsd and those through the pager.

use anyhow::bail;
use jiff::Timestamp;
use port21_client::{Client, Lines};
use port21_proto::listing::{Entry, EntryKind, ListOptions, parse};
use port21_proto::text::Shown;
use port21_proto::{Command, Verb};

use super::asking::may_write;
use super::sink::{Place, Sink};
use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};

/// Which listing.
#[derive(Clone, Copy)]
enum Kind {
    /// LIST: for people.
    Long(ListOptions),
    /// NLST: names alone.
    Names,
    /// MLSD: for programs.
    Facts,
}

/// `dir [-OPTIONS] [PATH [LOCAL-FILE]]`: the lines as the server writes them.
pub(super) async fn dir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let (options, names): (Vec<&String>, Vec<&String>) = words.list.iter().partition(|word| is_option(word));
    let kind = Kind::Long(list_options(&options)?);
    let (path, place) = match names.as_slice() {
        [] => ("", Place::Standard),
        [path] => (path.as_str(), Place::Standard),
        [path, file] => (path.as_str(), target(console, file)?),
        _ => bail!(Fault::usage("usage: dir [-OPTIONS] [PATH [LOCAL-FILE]]")),
    };
    list(console, kind, path, place).await
}

/// `nlist [PATH [LOCAL-FILE]]`.
pub(super) async fn nlist(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let place = match words.list.get(1) {
        Some(file) => target(console, file)?,
        None => Place::Standard,
    };
    list(console, Kind::Names, words.first(), place).await
}

/// `mdir PATH... LOCAL-FILE`: one behind the other.
pub(super) async fn mdir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let (options, names): (Vec<&String>, Vec<&String>) = words.list.iter().partition(|word| is_option(word));
    several(console, Kind::Long(list_options(&options)?), &names).await
}

/// `mls PATH... LOCAL-FILE`: the names alone, as what mget and mdelete would do with a pattern is tried out.
pub(super) async fn mls(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    several(console, Kind::Names, &words.list.iter().collect::<Vec<_>>()).await
}

async fn several(console: &mut Console, kind: Kind, names: &[&String]) -> anyhow::Result<Flow> {
    let Some((file, paths @ [_, ..])) = names.split_last() else {
        bail!(Fault::usage("usage: PATH... LOCAL-FILE, or - for the screen"))
    };
    let place = target(console, file)?;
    let mut sink = None;
    for path in paths {
        listed(console, kind, path, &place, &mut sink).await?;
    }
    end(sink).await
}

/// `mlsd [PATH]`.
pub(super) async fn mlsd(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    facts_or_fault(console).await?;
    list(console, Kind::Facts, words.first(), Place::Standard).await
}

/// `pdir [-OPTIONS] [PATH]`.
pub(super) async fn pdir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let (options, names): (Vec<&String>, Vec<&String>) = words.list.iter().partition(|word| is_option(word));
    let kind = Kind::Long(list_options(&options)?);
    let pager = Place::Shell(console.pager());
    list(console, kind, names.first().map_or("", |path| path.as_str()), pager).await
}

/// `pmlsd [PATH]`.
pub(super) async fn pmlsd(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    facts_or_fault(console).await?;
    let pager = Place::Shell(console.pager());
    list(console, Kind::Facts, words.first(), pager).await
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

fn list_options(options: &[&String]) -> Result<ListOptions, Fault> {
    let letters = options.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
    match Command::parse(format!("{} {letters}", Verb::List.name()).as_bytes()) {
        Ok(Command::List(listing)) => Ok(listing.options),
        _ => Err(Fault::usage(format!("{letters}: no options of a listing"))),
    }
}

async fn facts_or_fault(console: &mut Console) -> anyhow::Result<()> {
    match console.client()?.features().await?.has("MLST") {
        true => Ok(()),
        false => bail!(Fault::new(Exit::Refused, "MLSD is not supported by the remote server.")),
    }
}

/// Where a listing goes, as the user says and, where that is a file and he is asked, agrees to.
fn target(console: &mut Console, word: &str) -> anyhow::Result<Place> {
    let place = Place::of(console, word)?;
    if let Place::File(path) = &place
        && !may_write(console, &path.display().to_string())?
    {
        bail!(Fault::new(Exit::Interrupted, "nothing was written"));
    }
    Ok(place)
}

async fn list(console: &mut Console, kind: Kind, path: &str, place: Place) -> anyhow::Result<Flow> {
    let mut sink = None;
    listed(console, kind, path, &place, &mut sink).await?;
    end(sink).await
}

async fn end(sink: Option<Sink>) -> anyhow::Result<Flow> {
    if let Some(sink) = sink {
        sink.end().await?;
    }
    Ok(Flow::Continue)
}

/// Lists one directory into the sink, which is opened when the server has agreed.
async fn listed(
    console: &mut Console,
    kind: Kind,
    path: &str,
    place: &Place,
    sink: &mut Option<Sink>,
) -> anyhow::Result<()> {
    let (here, colours) = (console.here(), console.colours);
    let mut lines = begin(console.client()?, kind, path).await?;
    let sink = match sink {
        Some(sink) => sink,
        empty => empty.insert(Sink::open(&here, place.clone(), false)?),
    };
    let colours = colours && sink.is_screen() && matches!(kind, Kind::Long(_));
    while let Some(line) = lines.next().await {
        let line = line?;
        let text = match (sink.is_for_people(), colours) {
            (_, true) => coloured(&line).into_bytes(),
            (true, false) => Shown(&line).to_string().into_bytes(),
            (false, false) => line,
        };
        if !sink.write(&[text.as_slice(), b"\n"].concat()).await? {
            // The pager was left; the next command stops the rest.
            return Ok(());
        }
    }
    Ok(())
}

async fn begin<'a>(client: &'a mut Client, kind: Kind, path: &str) -> Result<Lines<'a>, port21_client::Error> {
    match kind {
        Kind::Long(options) => client.list_lines(path, options).await,
        Kind::Names => client.nlst(path).await,
        Kind::Facts => client.mlsd(path).await,
    }
}

/// A line with the name in the colour of its kind, where it is a line of a listing that is known. It is for the eye alone, so
/// the line is looked at by itself.
fn coloured(line: &[u8]) -> String {
    let plain = || Shown(line).to_string();
    let entries = parse([line], Timestamp::now());
    let Some(Ok(entry)) = entries.first() else { return plain() };
    let Some(colour) = colour(entry) else { return plain() };
    let (whole, name) = (plain(), Shown(&entry.name).to_string());
    let arrow = entry.target.as_ref().and_then(|_| whole.rfind(" -> ")).unwrap_or(whole.len());
    let (head, tail) = whole.split_at(arrow);
    match head.rfind(&name) {
        Some(at) if !name.is_empty() => {
            let (before, from) = head.split_at(at);
            let behind = from.strip_prefix(name.as_str()).unwrap_or_default();
            format!("{before}\x1b[{colour}m{name}\x1b[0m{behind}{tail}")
        }
        _ => whole,
    }
}

/// As `ls --color` has them.
fn colour(entry: &Entry) -> Option<&'static str> {
    match entry.kind {
        EntryKind::Symlink => Some("1;36"),
        _ if entry.is_directory() => Some("1;34"),
        EntryKind::File if entry.mode.is_some_and(|mode| mode & 0o111 != 0) => Some("1;32"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_colour_of_their_kind() {
        let directory = b"drwxr-xr-x   2 root  root  4096 May  2  2005 pub";
        assert!(coloured(directory).ends_with("2005 \x1b[1;34mpub\x1b[0m"));
        let link = b"lrwxrwxrwx   1 root  root     3 May  2  2005 a -> pub";
        assert!(coloured(link).ends_with("\x1b[1;36ma\x1b[0m -> pub"), "{}", coloured(link));
        let file = b"-rwxr-xr-x   1 root  root     3 May  2  2005 run me";
        assert!(coloured(file).ends_with("\x1b[1;32mrun me\x1b[0m"));
        for plain in [&b"-rw-r--r--   1 root  root  3 May  2  2005 x"[..], b"total 12", b"anything"] {
            assert_eq!(coloured(plain), Shown(plain).to_string());
        }
        // What a name holds is shown, not obeyed.
        let hostile = b"drwxr-xr-x   2 root  root  4096 May  2  2005 a\x1b[2Jb";
        assert!(coloured(hostile).ends_with("\x1b[1;34ma\\x1b[2Jb\x1b[0m"), "{}", coloured(hostile));
    }
}
