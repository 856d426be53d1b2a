//! Commands about files and directories of the server that transfer none of them.

use port21_proto::text::Shown;

use super::asking::{Answer, Asking};
use super::many::matches;
use super::words::Words;
use super::{Console, Flow};
use crate::exit::Exit;

pub(super) async fn cd(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.directory = None;
    console.client()?.cwd(words.first()).await?;
    Ok(Flow::Continue)
}

pub(super) async fn cdup(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.directory = None;
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
    console.client()?.remove(words.first()).await?;
    Ok(Flow::Continue)
}

/// `mdelete PATH-OR-PATTERN...`. A file that is refused does not keep back the others; each is told of, and the command has
/// failed.
pub(super) async fn mdelete(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let glob = console.settings.glob;
    let names = matches(console.client()?, &words.list, glob).await?;
    let mut asking = Asking::new("mdelete");
    let mut last: Option<anyhow::Error> = None;
    for (name, _) in names {
        match asking.about(console, &name)? {
            Answer::Yes => {}
            Answer::No => continue,
            Answer::Stop => break,
        }
        match console.client()?.remove(&name).await.map_err(anyhow::Error::from) {
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

pub(super) async fn mkdir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.client()?.mkdir(words.first()).await?;
    Ok(Flow::Continue)
}

pub(super) async fn rmdir(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.client()?.rmdir(words.first()).await?;
    Ok(Flow::Continue)
}

pub(super) async fn rename(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let to = words.list.get(1).map_or("", String::as_str);
    console.client()?.rename(words.first(), to).await?;
    Ok(Flow::Continue)
}

pub(super) async fn size(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let size = console.client()?.size(words.first()).await?;
    console.out.line(format_args!("{}\t{size}", Shown(words.first().as_bytes())));
    Ok(Flow::Continue)
}

/// `modtime PATH`: as RFC 2822 writes times.
pub(super) async fn modtime(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let at = console.client()?.mtime(words.first()).await?;
    let at = jiff::tz::Offset::UTC.to_datetime(at).strftime("%a, %d %b %Y %H:%M:%S +0000");
    console.out.line(format_args!("{}\t{at}", Shown(words.first().as_bytes())));
    Ok(Flow::Continue)
}
