//! Places that have a name: `bookmarks add NAME URL`, `open NAME`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use port21_proto::text::Shown;

use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};
use crate::place::Place;

/// `bookmarks [add NAME [URL] | remove NAME]`.
pub(super) async fn bookmarks(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let file = file()?;
    let mut all = read(&file)?;
    match words.list.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            for (name, url) in &all {
                console.out.line(format_args!("{:<16} {}", Shown(name.as_bytes()).to_string(), Shown(url.as_bytes())));
            }
            return Ok(Flow::Continue);
        }
        ["add", name] => {
            let url = current(console).await?;
            add(&mut all, name, url)?;
        }
        ["add", name, url] => {
            // A password is not for a file that is not made to hold one: ~/.netrc is.
            if Place::parse(url)?.target.credentials.is_some_and(|who| !who.password.expose().is_empty()) {
                bail!(Fault::usage("a bookmark holds no password: put it into ~/.netrc"));
            }
            add(&mut all, name, (*url).to_owned())?;
        }
        ["remove", name] => {
            let before = all.len();
            all.retain(|(other, _)| other != name);
            if all.len() == before {
                bail!(Fault::usage(format!("there is no bookmark {name}")));
            }
        }
        _ => bail!(Fault::usage("usage: bookmarks [add NAME [URL] | remove NAME]")),
    }
    write(&file, &all)?;
    Ok(Flow::Continue)
}

/// What a name stands for, if it is a bookmark's.
pub(super) fn look_up(name: &str) -> anyhow::Result<Option<String>> {
    let Ok(file) = file() else { return Ok(None) };
    Ok(read(&file)?.into_iter().find(|(other, _)| other == name).map(|(_, url)| url))
}

/// The names, for completion.
pub(super) fn names() -> Vec<String> {
    let all = file().and_then(|file| read(&file)).unwrap_or_default();
    all.into_iter().map(|(name, _)| name).collect()
}

/// The URL of the working directory.
async fn current(console: &mut Console) -> anyhow::Result<String> {
    let path = console.client()?.pwd().await?;
    let Some(session) = &console.session else { bail!(Fault::usage("Not connected.")) };
    let place = &session.place;
    let user = session.credentials.as_ref().map(|credentials| credentials.user.clone());
    let path = path.iter().map(|&b| match b {
        b'/' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    });
    // The first / of a URL is not the path's own: `%2F` is.
    let path = path.collect::<String>();
    let path = path.strip_prefix('/').map_or(path.clone(), |rest| format!("%2F{rest}"));
    Ok(place.url_for(user.as_deref(), &path))
}

fn add(all: &mut Vec<(String, String)>, name: &str, url: String) -> Result<(), Fault> {
    let bad = name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || "/:@#".contains(c));
    if bad || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Fault::usage(
            "neither the name nor the URL of a bookmark has blanks; a name has no / : @ # either",
        ));
    }
    all.retain(|(other, _)| other != name);
    all.push((name.to_owned(), url));
    all.sort();
    Ok(())
}

/// `$XDG_CONFIG_HOME/port21/bookmarks`.
fn file() -> anyhow::Result<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    Ok(config.context("there is no home directory")?.join("port21/bookmarks"))
}

/// A name and a URL on each line.
fn read(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let pair =
        |line: &str| line.split_once(char::is_whitespace).map(|(name, url)| (name.to_owned(), url.trim().to_owned()));
    Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(pair).collect())
}

/// Writes them aside first: a full disk costs nobody his bookmarks.
fn write(file: &Path, all: &[(String, String)]) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", file.display());
    let directory = file.parent().context("no directory")?;
    std::fs::create_dir_all(directory).with_context(failed)?;
    let mut new = tempfile::NamedTempFile::new_in(directory).with_context(failed)?;
    let text: String = all.iter().map(|(name, url)| format!("{name} {url}\n")).collect();
    std::io::Write::write_all(&mut new, text.as_bytes()).with_context(failed)?;
    new.persist(file).map_err(|error| Fault::new(Exit::Local, format!("{}: {}", failed(), error.error)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_are_kept_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("port21/bookmarks");
        assert!(read(&file).unwrap().is_empty());
        let mut all = Vec::new();
        add(&mut all, "b", "ftp://h/b".to_owned()).unwrap();
        add(&mut all, "a", "ftp://h/a".to_owned()).unwrap();
        add(&mut all, "b", "ftp://h/c".to_owned()).unwrap();
        write(&file, &all).unwrap();
        assert_eq!(
            read(&file).unwrap(),
            [("a".to_owned(), "ftp://h/a".to_owned()), ("b".to_owned(), "ftp://h/c".to_owned())]
        );
        for bad in ["", "a b", "a/b", "u@h"] {
            assert!(add(&mut all, bad, "ftp://h/".to_owned()).is_err(), "{bad}");
        }
    }
}
