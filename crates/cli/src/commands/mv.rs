//! `port21 mv`: another name, or another directory of the same server.

use anyhow::{Context as _, bail};

use super::remote;
use crate::args::client::MvArgs;
use crate::exit::{Exit, Fault};
use crate::place::{Place, join};

pub(super) async fn run(args: &MvArgs) -> anyhow::Result<Exit> {
    let from = Place::parse(&args.from)?;
    let to = new_name(&from, &args.to)?;
    let mut remote = remote(&args.connect)?;
    let client = remote.session(&from, &format!("mv {from} {}", args.to)).await?;
    client.rename(from.path(), to).await.with_context(|| from.to_string())?;
    remote.end().await;
    Ok(Exit::Done)
}

fn new_name(from: &Place, to: &str) -> anyhow::Result<Vec<u8>> {
    let Some(name) = from.file_name() else {
        bail!(Fault::usage(format!("{from} names nothing that can be moved")));
    };
    let (path, into_directory) = if to.contains("://") {
        let to = Place::parse(to)?;
        if (&to.target.host, to.target.port) != (&from.target.host, from.target.port) {
            bail!(Fault::usage(format!("{to} is on another server: FTP moves files within one")));
        }
        (to.path().to_vec(), to.target.directory || to.path().is_empty())
    } else {
        let directory = from.path().strip_suffix(name).unwrap_or_default();
        let path = if to.starts_with('/') { to.as_bytes().to_vec() } else { [directory, to.as_bytes()].concat() };
        (path, to.ends_with('/'))
    };
    if path.is_empty() && !into_directory {
        bail!(Fault::usage("the new name is empty"));
    }
    Ok(if into_directory { join(&path, name) } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(from: &str, to: &str) -> String {
        String::from_utf8(new_name(&Place::parse(from).unwrap(), to).unwrap()).unwrap()
    }

    #[test]
    fn names_are_relative_to_the_file_and_urls_are_not() {
        assert_eq!(name("h/pub/a.txt", "b.txt"), "pub/b.txt");
        assert_eq!(name("h/pub/a.txt", "old/"), "pub/old/a.txt");
        assert_eq!(name("h/pub/a.txt", "/b.txt"), "/b.txt");
        assert_eq!(name("h/a.txt", "b.txt"), "b.txt");
        assert_eq!(name("h/pub/a.txt", "ftp://h/b%20c"), "b c");
        assert_eq!(name("h/pub/a.txt", "ftp://h/x/"), "x/a.txt");
        assert_eq!(name("h/pub/a.txt", "ftp://h/"), "a.txt");
    }

    #[test]
    fn what_cannot_be_moved() {
        let from = Place::parse("h/a").unwrap();
        assert!(new_name(&from, "ftp://other/a").is_err());
        assert!(new_name(&from, "").is_err());
        assert!(new_name(&Place::parse("h/").unwrap(), "b").is_err());
    }
}
