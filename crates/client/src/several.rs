//! Many directories made, many files removed: as many commands at once as the server takes.
//!
//! There are servers that do several commands side by side and answer each as it is done. The replies to such a run are alike, so
//! that nothing tells which of them has failed. So where some of a run are refused and their words do not name them, each is looked
//! after alone.

use port21_proto::client::{Answer, Phase, Request};
use port21_proto::command::Command;
use port21_proto::path::PathArg;
use port21_proto::reply::Reply;

use crate::client::{Client, reply};
use crate::error::Error;

/// How each of several went.
pub(crate) type Each = Vec<Result<(), Error>>;

impl Client {
    /// Makes these directories (MKD). Those that are refused, and all where the server lost its place among the commands, are
    /// made one by one, as by [`Client::make_directories`], which is content with what is there.
    ///
    /// # Errors
    /// Where the session is lost; those of single directories are their own.
    pub(crate) async fn make_several(&mut self, paths: &[Vec<u8>]) -> Result<Each, Error> {
        let each = self.several(paths, Command::Mkd, "MKD").await?;
        let in_doubt = is_in_doubt(paths, &each);
        let mut done = Each::new();
        for (path, result) in paths.iter().zip(each) {
            done.push(match result {
                Ok(_) if !in_doubt => Ok(()),
                Ok(_) | Err(Error::Refused { .. } | Error::OutOfStep { .. }) => {
                    own(self.make_directories(path).await.map(drop))?
                }
                Err(error) => Err(error),
            });
        }
        Ok(done)
    }

    /// Removes these files (DELE), or directories (RMD). `again`: it was tried before, and is not known how it went; what is not
    /// there any more is removed then.
    ///
    /// # Errors
    /// As [`Client::make_several`].
    pub(crate) async fn remove_several(
        &mut self,
        paths: &[Vec<u8>],
        directories: bool,
        again: bool,
    ) -> Result<Each, Error> {
        let (command, verb): (fn(PathArg) -> Command, _) = match directories {
            false => (Command::Dele, "DELE"),
            true => (Command::Rmd, "RMD"),
        };
        let each = self.several(paths, command, verb).await?;
        let in_doubt = is_in_doubt(paths, &each);
        let mut done = Each::new();
        let mut strays = false;
        for (path, result) in paths.iter().zip(each) {
            let told = result.is_ok();
            let doubted = in_doubt && matches!(result, Ok(_) | Err(Error::Refused { .. }));
            let lost = doubted || matches!(result, Err(Error::OutOfStep { .. }));
            let mut result = result.map(drop);
            if lost {
                let path = self.path(path).await?;
                let answer = self.run(Request::Command(command(path), None)).await;
                result = own(answer.and_then(reply).map(drop))?;
            }
            // Which of them were done before that nobody knows.
            if (lost || again)
                && let Err(Error::Refused { .. }) = result
                && !self.is_there(path, directories).await?
            {
                result = Ok(());
            }
            strays |= doubted && told != result.is_ok();
            done.push(result);
        }
        if strays {
            self.link.lose_order();
        }
        Ok(done)
    }

    /// Sends the command for each of the paths. Where the server lost its place, each that was sent has that error.
    async fn several(
        &mut self,
        paths: &[Vec<u8>],
        command: fn(PathArg) -> Command,
        verb: &'static str,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        let (mut each, mut commands) = (Vec::new(), Vec::new());
        for path in paths {
            each.push(match self.path(path).await {
                Ok(path) => {
                    commands.push(command(path));
                    None
                }
                Err(error @ (Error::Name(_) | Error::Usage(_))) => Some(error),
                Err(error) => return Err(error),
            });
        }
        self.ready().await?;
        let mut replies = match self.link.run(Request::Batch(commands, None)).await {
            Ok(Answer::Replies(replies)) => Some(replies.into_iter()),
            Err(Error::OutOfStep { .. }) => {
                self.reconnect().await?;
                None
            }
            Ok(_) => return Err(Error::Usage("the call was answered by another")),
            Err(error) => return Err(error),
        };
        let phase = Phase::Command;
        let mut next = || match replies.as_mut().map(Iterator::next) {
            Some(Some(reply)) if reply.code().is_completion() => Ok(reply),
            Some(Some(reply)) => Err(Error::Refused { phase, verb, reply: Box::new(reply) }),
            _ => Err(Error::OutOfStep { phase, why: format!("{verb} was sent ahead") }),
        };
        let each = each.into_iter().map(|error| error.map_or_else(&mut next, Err));
        Ok(each.collect())
    }

    async fn is_there(&mut self, path: &[u8], directory: bool) -> Result<bool, Error> {
        if directory {
            return self.enters(path).await;
        }
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { .. } | Error::Protocol { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the replies to a run may be in another order than its commands, and that would matter: some are refusals and some are
/// not, or differ, and do not name what they refuse.
fn is_in_doubt(paths: &[Vec<u8>], each: &[Result<Reply, Error>]) -> bool {
    let refusals = || each.iter().filter_map(|result| result.as_ref().err()).filter_map(Error::reply);
    let done = each.iter().any(Result::is_ok);
    let differ = refusals().zip(refusals().skip(1)).any(|(one, next)| one != next);
    if paths.len() < 2 || refusals().next().is_none() || !(done || differ) {
        return false;
    }
    let named = |(path, result): (&Vec<u8>, &Result<Reply, Error>)| match result {
        Err(Error::Refused { reply, .. }) => names(reply, path),
        _ => true,
    };
    !paths.iter().zip(each).all(named)
}

/// Whether a reply's words hold the path, and more of it than might stand there by chance.
fn names(reply: &Reply, path: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-'))
    };
    let text = reply.text();
    let stands_at = |at: usize| {
        let (before, behind) = (text.get(..at).unwrap_or_default(), text.get(at + path.len()..).unwrap_or_default());
        // A sentence may end behind it.
        let behind = behind.strip_prefix(b".").filter(|rest| !is_word(rest.first())).unwrap_or(behind);
        !is_word(before.last()) && !is_word(behind.first())
    };
    path.len() >= 4
        && (0..text.len()).any(|at| text.get(at..).is_some_and(|rest| rest.starts_with(path)) && stands_at(at))
}

/// An error of one of several; one that the others would have as well ends all.
fn own(result: Result<(), Error>) -> Result<Result<(), Error>, Error> {
    match result {
        Err(error @ (Error::Refused { .. } | Error::Protocol { .. } | Error::Name(_) | Error::Usage(_))) => {
            Ok(Err(error))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Ok(())),
    }
}

#[cfg(test)]
mod tests {
    use port21_proto::reply::Code;

    use super::*;

    #[test]
    fn refusals_that_do_not_say_whose_they_are() {
        let paths = |paths: &[&str]| paths.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>();
        let each = |texts: &[&str]| {
            let result = |text: &&str| {
                let (code, text) = text.split_once(' ').unwrap();
                let reply = Reply::new(Code::new(code.parse().unwrap()).unwrap(), text.as_bytes().to_vec());
                let (phase, verb) = (Phase::Command, "DELE");
                let done = reply.code().is_completion();
                if done { Ok(reply) } else { Err(Error::Refused { phase, verb, reply: Box::new(reply) }) }
            };
            texts.iter().map(result).collect::<Vec<_>>()
        };
        for (names, texts, in_doubt) in [
            (&["some", "more"][..], &["250 ok", "250 ok"][..], false),
            (&["some", "more"], &["250 ok", "550 no"], true),
            (&["some"], &["550 no"], false),
            (&["some", "more"], &["550 no", "550 no"], false),
            (&["some", "more"], &["550 no", "550 never"], true),
            (&["some", "more"], &["250 ok", "550 more: no"], false),
            (&["some", "more"], &["250 ok", "550 cannot remove more."], false),
            (&["some", "more"], &["250 ok", "550 some: no"], true),
            (&["some", "more"], &["250 ok", "550 one/more: no"], true),
            (&["some", "more"], &["250 ok", "550 more.txt: no"], true),
            (&["some", "a"], &["250 ok", "550 a directory"], true),
        ] {
            assert_eq!(is_in_doubt(&paths(names), &each(texts)), in_doubt, "{names:?} {texts:?}");
        }
    }
}
