//! Commands about this side: the local directory, local files, the shell.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::sink::{first_path, shell};
use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};

pub(super) async fn lcd(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let path = match words.list.first() {
        Some(path) => first_path(console, path)?,
        None => std::env::home_dir().context("there is no home directory")?,
    };
    let path: PathBuf = path.canonicalize().with_context(|| path.display().to_string())?;
    if !path.is_dir() {
        bail!(Fault::new(Exit::Local, format!("{}: not a directory", path.display())));
    }
    console.local = path;
    console.out.line(format_args!("Local directory now {}", console.local.display()));
    Ok(Flow::Continue)
}

pub(super) async fn lpwd(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.out.line(format_args!("Local directory: {}", console.local.display()));
    Ok(Flow::Continue)
}

/// `lpage FILE`: a file of here through the pager.
pub(super) async fn lpage(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let path = first_path(console, words.first())?;
    if !path.exists() {
        bail!(Fault::new(Exit::Local, format!("{}: no such file", path.display())));
    }
    // For the shell, whatever is in the name.
    let name = path.display().to_string().replace('\'', r"'\''");
    wait(console, &format!("{} '{name}'", console.pager())).await
}

/// `! [COMMAND]`: a command of the shell, in the console's local directory; a shell, where none is given.
pub(super) async fn command(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if !words.rest.trim().is_empty() {
        return wait(console, &words.rest).await;
    }
    if !console.owns_input {
        bail!(Fault::usage("a shell would read the rest of the script: ! COMMAND"));
    }
    let program = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut process = Command::new(program);
    let child = process.current_dir(&console.local).spawn().context("cannot run a shell")?;
    console.readers.put(child);
    // How it ended is its own affair.
    console.readers.wait().await.context("the shell")?;
    Ok(Flow::Continue)
}

async fn wait(console: &Console, command: &str) -> anyhow::Result<Flow> {
    let child = shell(&console.here(), command).spawn().context("cannot run a shell")?;
    console.readers.put(child);
    match console.readers.wait().await.context("the shell")? {
        Some(status) if !status.success() => bail!(Fault::new(Exit::Local, format!("!{}: {status}", command.trim()))),
        _ => Ok(Flow::Continue),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;

    #[tokio::test]
    async fn the_local_directory_is_the_consoles_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a b")).unwrap();
        let (mut console, memory) = console();
        console.run_line(&format!("lcd {}", dir.path().display())).await.unwrap();
        console.run_line("lcd \"a b\"").await.unwrap();
        assert!(console.local.ends_with("a b"));
        assert!(console.run_line("lcd nowhere").await.is_err());
        console.run_line("!touch here").await.unwrap();
        assert!(dir.path().join("a b/here").exists());
        assert!(console.run_line("! exit 3").await.is_err());
        assert!(console.run_line("!").await.is_err());
        console.run_line("lpwd").await.unwrap();
        assert!(memory.text().ends_with("a b\n"));
    }

    #[tokio::test]
    async fn local_files_through_the_pager() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("it's"), "text").unwrap();
        let (mut console, _) = console();
        console.local = dir.path().to_owned();
        console.run_line("set pager \"cat >copy\"").await.unwrap();
        console.run_line("lpage it's").await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("copy")).unwrap(), b"text");
        assert!(console.run_line("lpage nothing").await.is_err());
    }
}
