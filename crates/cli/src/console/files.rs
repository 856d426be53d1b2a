//! Commands about files and directories of the server that transfer none of them.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use globset::{Glob, GlobMatcher};
use port21_client::{Client, Listed};
use port21_proto::text::Shown;
use port21_proto::{Command, listing::Entry};

use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};
use crate::prompt;
use crate::remote::join;

/// The most names that a pattern may match.
const MAX_MATCHES: usize = 1_000_000;

/// `dir [-OPTIONS] [PATH [LOCAL-FILE]]`: the lines as the server writes them.
pub(super) async fn dir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let (options, names): (Vec<&String>, Vec<&String>) = words.list.iter().partition(|word| word.starts_with('-'));
    let letters = options.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
    let parsed = Command::parse(format!("LIST {letters}").as_bytes());
    let Ok(Command::List(listing)) = parsed else { bail!(Fault::usage("usage: dir [-OPTIONS] [PATH [LOCAL-FILE]]")) };
    let (path, file) = match names.as_slice() {
        [] => ("", None),
        [path] => (path.as_str(), None),
        [path, file] => (path.as_str(), Some(console.local.join(file.as_str()))),
        _ => bail!(Fault::usage("usage: dir [-OPTIONS] [PATH [LOCAL-FILE]]")),
    };
    let mut file = match file {
        Some(path) => {
            let new = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
            Some((std::io::BufWriter::new(new), path))
        }
        None => None,
    };
    let out = console.out.clone();
    let mut lines = console.client()?.list_lines(path, listing.options).await?;
    while let Some(line) = lines.next().await {
        let line = line?;
        match &mut file {
            Some((file, path)) => {
                let written = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
                written.with_context(|| path.display().to_string())?;
            }
            None => out.line(Shown(&line)),
        }
    }
    if let Some((mut file, path)) = file {
        file.flush().with_context(|| path.display().to_string())?;
    }
    Ok(Flow::Continue)
}

pub(super) async fn cd(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.client()?.cwd(first(words)).await?;
    Ok(Flow::Continue)
}

pub(super) async fn cdup(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.client()?.cdup().await?;
    Ok(Flow::Continue)
}

pub(super) async fn pwd(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    let path = console.client()?.pwd().await?;
    if !console.replies.is_on() {
        console.out.line(format_args!("Remote directory: {}", Shown(&path)));
    }
    Ok(Flow::Continue)
}

pub(super) async fn delete(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.client()?.remove(first(words)).await?;
    Ok(Flow::Continue)
}

pub(super) async fn mdelete(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let names = matches(console.client()?, &words.list).await?;
    let mut asking = Asking::new(console, "mdelete");
    let mut refusals = Refusals::default();
    for name in names {
        match asking.about(&name)? {
            Answer::Yes => refusals.note(console.client()?.remove(&name).await.map(drop).map_err(Into::into))?,
            Answer::No => {}
            Answer::Stop => break,
        }
    }
    refusals.end()
}

/// What the server refused of a command over many files: one of them does not keep back the others. Each is told of, and
/// the command has failed.
#[derive(Default)]
pub(super) struct Refusals {
    last: Option<anyhow::Error>,
}

impl Refusals {
    /// Keeps a refusal for the end; any other error ends the command.
    pub(super) fn note(&mut self, done: anyhow::Result<()>) -> anyhow::Result<()> {
        match done {
            Err(error) if Exit::of(&error) == Exit::Refused => {
                if let Some(earlier) = self.last.replace(error) {
                    tracing::warn!("{earlier:#}");
                }
                Ok(())
            }
            done => done,
        }
    }

    /// The end of the command.
    pub(super) fn end(self) -> anyhow::Result<Flow> {
        self.last.map_or(Ok(Flow::Continue), Err)
    }
}

pub(super) async fn mkdir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.client()?.mkdir(first(words)).await?;
    Ok(Flow::Continue)
}

pub(super) async fn rmdir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.client()?.rmdir(first(words)).await?;
    Ok(Flow::Continue)
}

pub(super) async fn rename(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let [from, to] = words.list.as_slice() else { bail!(Fault::usage("usage: rename FROM TO")) };
    console.client()?.rename(from, to).await?;
    Ok(Flow::Continue)
}

pub(super) async fn size(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let size = console.client()?.size(first(words)).await?;
    console.out.line(format_args!("{}\t{size}", Shown(first(words).as_bytes())));
    Ok(Flow::Continue)
}

pub(super) async fn modtime(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let at = console.client()?.mtime(first(words)).await?;
    let at = jiff::tz::Offset::UTC.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S UTC");
    console.out.line(format_args!("{}\t{at}", Shown(first(words).as_bytes())));
    Ok(Flow::Continue)
}

fn first(words: &Words) -> &str {
    words.list.first().map_or("", String::as_str)
}

/// The names on the server that the words mean: a word with `*`, `?` or `[` is a pattern for the last part of a path, any
/// other is the name itself. A pattern that matches nothing is an error. Only plain names of the listed directory count:
/// no answer of a server leads elsewhere.
pub(super) async fn matches(client: &mut Client, words: &[String]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for word in words {
        if !is_pattern(word) {
            names.push(word.clone().into_bytes());
            continue;
        }
        let at = word.rfind('/').map_or(0, |slash| slash + 1);
        let (directory, pattern) = word.split_at(at);
        if is_pattern(directory) {
            bail!(Fault::usage(format!("{word}: only the last part of a path may be a pattern")));
        }
        let pattern = matcher(pattern)?;
        let before = names.len();
        let mut entries = client.list(directory).await?;
        while let Some(listed) = entries.next().await {
            match listed? {
                Listed::Entry(entry) => {
                    names.extend(matching(&entry, &pattern).map(|name| join(directory.as_bytes(), name)))
                }
                Listed::Unreadable(line) => tracing::warn!("a line of the listing cannot be read: {}", Shown(&line)),
            }
            if names.len() > MAX_MATCHES {
                bail!(Fault::new(Exit::Refused, format!("{word}: more than {MAX_MATCHES} names")));
            }
        }
        if names.len() == before {
            bail!(Fault::new(Exit::Refused, format!("{word}: no file of the server matches")));
        }
    }
    Ok(names)
}

fn matching<'a>(entry: &'a Entry, pattern: &GlobMatcher) -> Option<&'a [u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    let name = entry.safe_name().filter(|_| !entry.is_directory())?;
    // As a shell does it, a name that begins with a dot wants a pattern that does.
    let hidden = name.starts_with(b".") && !pattern.glob().glob().starts_with('.');
    (!hidden && pattern.is_match(std::ffi::OsStr::from_bytes(name))).then_some(name)
}

pub(super) fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '['])
}

/// The matcher of a pattern for one part of a path.
pub(super) fn matcher(pattern: &str) -> Result<GlobMatcher, Fault> {
    Glob::new(pattern).map(|glob| glob.compile_matcher()).map_err(|error| Fault::usage(error.to_string()))
}

/// Asks before each file of mget, mput and mdelete, while `prompt` is on.
pub(super) struct Asking {
    command: &'static str,
    on: bool,
}

pub(super) enum Answer {
    Yes,
    No,
    Stop,
}

impl Asking {
    pub(super) fn new(console: &Console, command: &'static str) -> Asking {
        Asking { command, on: console.prompting && console.interactive }
    }

    /// What is to be done with a file.
    pub(super) fn about(&mut self, name: &[u8]) -> anyhow::Result<Answer> {
        if !self.on {
            return Ok(Answer::Yes);
        }
        let answer = prompt::line(&format!("{} {} [y]es, [n]o, [a]ll, [q]uit? ", self.command, Shown(name)))?;
        Ok(match answer.trim().chars().next().map(|c| c.to_ascii_lowercase()) {
            None | Some('y') => Answer::Yes,
            Some('a') => {
                self.on = false;
                Answer::Yes
            }
            Some('q') => Answer::Stop,
            Some(_) => Answer::No,
        })
    }
}

#[cfg(test)]
mod tests {
    use port21_proto::listing::EntryKind;

    use super::*;

    #[test]
    fn patterns_match_plain_names_of_files() {
        let matches =
            |pattern: &str, kind, name: &str| matching(&Entry::new(kind, name), &matcher(pattern).unwrap()).is_some();
        assert!(matches("*.txt", EntryKind::File, "a.txt"));
        assert!(matches("[ab]?", EntryKind::Symlink, "b1"));
        assert!(!matches("*", EntryKind::Directory, "pub"));
        assert!(!matches("*", EntryKind::File, ".profile"));
        assert!(matches(".*", EntryKind::File, ".profile"));
        for hostile in ["..", "../x", "/etc/passwd", "a/b", ""] {
            assert!(!matches("*", EntryKind::File, hostile) && !matches(".*", EntryKind::File, hostile), "{hostile}");
        }
        assert!(matcher("[").is_err());
    }
}
