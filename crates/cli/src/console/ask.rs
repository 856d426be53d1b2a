//! Commands that send one line, and show what the server answers: quote, site, features, system and their like.

use anyhow::bail;
use port21_client::Reply;

use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};

pub(super) async fn quote(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &words.rest).await
}

pub(super) async fn site(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &format!("SITE {}", words.rest)).await
}

pub(super) async fn features(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    line(console, "FEAT").await
}

pub(super) async fn system(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    line(console, "SYST").await
}

/// `rhelp [COMMAND]`.
pub(super) async fn rhelp(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("HELP", &words.list)).await
}

/// `rstatus [PATH]`.
pub(super) async fn rstatus(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("STAT", &words.list)).await
}

pub(super) async fn mlst(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("MLST", &words.list)).await
}

/// `remopts COMMAND [OPTIONS]`.
pub(super) async fn remopts(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("OPTS", &words.list)).await
}

/// `chmod MODE PATH`.
pub(super) async fn chmod(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("SITE CHMOD", &words.list)).await
}

/// `idle [SECONDS]`.
pub(super) async fn idle(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("SITE IDLE", &words.list)).await
}

/// `umask [MASK]`.
pub(super) async fn umask(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    line(console, &with("SITE UMASK", &words.list)).await
}

/// `reset`: what is left of earlier replies is taken in, and the next one is that of the next command.
pub(super) async fn reset(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    let client = console.client()?;
    client.ready().await?;
    client.noop().await?;
    Ok(Flow::Continue)
}

/// Sends a line and shows the reply.
pub(super) async fn line(console: &mut Console, line: &str) -> anyhow::Result<Flow> {
    let reply = console.client()?.quote(line).await?;
    answered(console, &reply)
}

fn with(verb: &str, arguments: &[String]) -> String {
    std::iter::once(verb).chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// Shows a reply that was asked for, where it has not been shown, and fails where it is a refusal.
fn answered(console: &mut Console, reply: &Reply) -> anyhow::Result<Flow> {
    if reply.code().is_error() {
        console.told = console.replies.is_on();
        bail!(Fault::new(Exit::Refused, reply.to_string()));
    }
    if !console.replies.is_on() {
        console.out.reply("", reply.code(), reply.lines());
    }
    Ok(Flow::Continue)
}
