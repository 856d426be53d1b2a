//! Commands from a file or standard input, without anybody to ask.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};

use super::{Console, Flow};
use crate::exit::{Exit, Fault, sentence};
use crate::interrupt;

/// The longest line of a script.
const MAX_LINE: usize = 64 * 1024;

/// Runs the lines of a script. The first that fails ends it, so that what follows a failed `cd` is not done in the wrong
/// place; a line that begins with `-` may fail, and with `keep_going` every line: the first failure's code is that of the
/// script then.
pub(super) fn run(
    mut console: Console,
    first: Option<String>,
    file: Option<&Path>,
    keep_going: bool,
) -> anyhow::Result<Exit> {
    interrupt::run_until_interrupted(async move {
        let done = match file.filter(|file| file.as_os_str() != "-") {
            Some(path) => match std::fs::read(path) {
                Ok(text) => lines(&mut console, first, text.as_slice(), keep_going).await,
                Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
            },
            None => lines(&mut console, first, BufReader::new(tokio::io::stdin()), keep_going).await,
        };
        console.end().await;
        done
    })
}

async fn lines(
    console: &mut Console,
    first: Option<String>,
    mut input: impl AsyncBufRead + Unpin,
    keep_going: bool,
) -> anyhow::Result<Exit> {
    if let Some(line) = first {
        console.run_line(&line).await?;
    }
    let mut exit = Exit::Done;
    let mut number = 0u64;
    while let Some(line) = next_line(&mut input).await? {
        number += 1;
        let line = line.trim_end_matches(['\r', '\n']);
        let (line, may_fail) = match line.trim_start().strip_prefix('-') {
            Some(line) if !console.is_defining() => (line, true),
            _ => (line, false),
        };
        match console.run_line(line).await {
            Ok(Flow::Continue) => {}
            Ok(Flow::End) => return Ok(exit),
            Err(error) if may_fail => tracing::warn!("line {number}: {}", sentence(&error)),
            Err(error) => {
                // The command alone: its arguments may hold a password.
                let command = line.split_whitespace().next().unwrap_or_default().to_owned();
                let error = error.context(format!("line {number}: {command}"));
                if !keep_going {
                    return Err(error);
                }
                tracing::warn!("{}", sentence(&error));
                if exit == Exit::Done {
                    exit = Exit::of(&error);
                }
            }
        }
    }
    console.wait_for_jobs().await.context("a job")?;
    Ok(exit)
}

async fn next_line(input: &mut (impl AsyncBufRead + Unpin)) -> anyhow::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let chunk = match input.fill_buf().await {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read standard input"),
        };
        if chunk.is_empty() && line.is_empty() {
            return Ok(None);
        }
        let end = chunk.iter().position(|&b| b == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
        let done = end.is_some() || chunk.is_empty();
        input.consume(taken);
        if line.len() > MAX_LINE {
            bail!(Fault::usage(format!("a line of the script is longer than {MAX_LINE} bytes")));
        }
        if done {
            let text = String::from_utf8(line).map_err(|_| Fault::usage("the script is not UTF-8"))?;
            return Ok(Some(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_with_and_without_an_end() {
        let mut input = &b"open h\r\n\nbye"[..];
        assert_eq!(next_line(&mut input).await.unwrap().as_deref(), Some("open h\r\n"));
        assert_eq!(next_line(&mut input).await.unwrap().as_deref(), Some("\n"));
        assert_eq!(next_line(&mut input).await.unwrap().as_deref(), Some("bye"));
        assert_eq!(next_line(&mut input).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_endless_line_is_refused() {
        let long = vec![b'x'; MAX_LINE + 2];
        assert!(next_line(&mut long.as_slice()).await.is_err());
    }
}
