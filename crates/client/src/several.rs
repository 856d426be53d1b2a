//! Many directories made, many files removed: as many commands at once as the server takes.

use port21_proto::client::{Answer, Phase, Request};
use port21_proto::command::Command;
use port21_proto::path::PathArg;

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
        let mut each = self.several(paths, Command::Mkd, "MKD").await?;
        for (path, result) in paths.iter().zip(&mut each) {
            if matches!(result, Err(Error::Refused { .. } | Error::OutOfStep { .. })) {
                *result = own(self.make_directories(path).await.map(drop))?;
            }
        }
        Ok(each)
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
        let mut each = self.several(paths, command, verb).await?;
        for (path, result) in paths.iter().zip(&mut each) {
            let lost = matches!(result, Err(Error::OutOfStep { .. }));
            if lost {
                let path = self.path(path).await?;
                let answer = self.run(Request::Command(command(path), None)).await;
                *result = own(answer.and_then(reply).map(drop))?;
            }
            // Which of them were done before that nobody knows.
            if (lost || again)
                && let Err(Error::Refused { .. }) = result
                && !self.is_there(path, directories).await?
            {
                *result = Ok(());
            }
        }
        Ok(each)
    }

    /// Sends the command for each of the paths. Where the server lost its place, each that was sent has that error.
    async fn several(
        &mut self,
        paths: &[Vec<u8>],
        command: fn(PathArg) -> Command,
        verb: &'static str,
    ) -> Result<Each, Error> {
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
            Some(Some(reply)) if reply.code().is_completion() => Ok(()),
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
