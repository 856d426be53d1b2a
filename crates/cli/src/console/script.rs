//! Commands from standard input, without anybody to ask.

use std::io;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{Console, Flow};
use crate::exit::{Exit, Fault, sentence};
use crate::interrupt;

/// The longest line of a script.
const MAX_LINE: usize = 64 * 1024;

/// Runs the lines of standard input. The first that fails ends the script, so that what follows a failed `cd` is not done
/// in the wrong place; a line that begins with `-` may fail.
pub(super) fn run(mut console: Console, first: Option<String>) -> anyhow::Result<Exit> {
    interrupt::run_until_interrupted(async move {
        let done = lines(&mut console, first).await;
        console.end().await;
        done
    })
}

async fn lines(console: &mut Console, first: Option<String>) -> anyhow::Result<Exit> {
    if let Some(line) = first {
        console.run_line(&line).await?;
    }
    let mut input = BufReader::new(tokio::io::stdin());
    let mut number = 0u64;
    while let Some(line) = next_line(&mut input).await? {
        number += 1;
        let line = line.trim();
        let (line, may_fail) = line.strip_prefix('-').map_or((line, false), |line| (line, true));
        match console.run_line(line).await {
            Ok(Flow::Continue) => {}
            Ok(Flow::End) => break,
            Err(error) if may_fail => tracing::warn!("line {number}: {}", sentence(&error)),
            Err(error) => {
                // The command alone: its arguments may hold a password.
                let command = line.split_whitespace().next().unwrap_or_default().to_owned();
                return Err(error).with_context(|| format!("line {number}: {command}"));
            }
        }
    }
    Ok(Exit::Done)
}

async fn next_line(input: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> anyhow::Result<Option<String>> {
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
