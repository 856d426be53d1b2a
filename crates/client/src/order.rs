//! A session that is kept in order: repaired after a call that was given up, and begun anew where it was lost.

use port21_proto::client::{Answer, DataMode, JobId, Request, Started, TransferRequest};
use port21_proto::command::Command;
use port21_proto::parameters::Direction;
use port21_proto::path::PathArg;

use crate::client::{Client, reply, told_path};
use crate::error::Error;
use crate::link::{Known, Link};

/// How many changes of the working directory are remembered one by one.
const MAX_TRAIL: usize = 256;

/// The way from the directory of the login to the working directory.
pub(crate) enum Trail {
    Steps(Vec<Command>),
    /// Too many to be remembered.
    Lost,
}

impl Client {
    /// Connects anew with the same settings, logs in as before and returns to the working directory. The old connection
    /// is closed, whatever it was doing.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open), and where the working directory is not there any more.
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        let known = self.link.known();
        self.renew(known).await
    }

    async fn renew(&mut self, known: Known) -> Result<(), Error> {
        self.lost = true;
        self.link.close();
        let recorder = self.link.recorder().clone();
        let id = recorder.name();
        let (mut link, mut greeting) = Link::open(&self.settings, recorder.clone(), id, known).await?;
        let login = &self.login;
        if let (true, Some(user)) = (login.done, &login.user) {
            match login.again(&mut link, user).await {
                Err(Error::OutOfStep { .. }) => {
                    (link, greeting) =
                        Link::open(&self.settings, recorder.clone(), recorder.name(), link.known()).await?;
                    login.again(&mut link, user).await?;
                }
                result => result?,
            }
            let Trail::Steps(steps) = &self.trail else {
                return Err(Error::Usage("the way to the working directory is not known any more"));
            };
            for command in steps {
                link.run(Request::Command(command.clone(), None)).await?;
            }
        }
        self.greeting = reply(greeting)?;
        self.link = link;
        (self.lost, self.strays, self.walking) = (false, false, false);
        Ok(())
    }

    /// Brings the session in order after a call that was given up: what is left of it is waited for or aborted, and a
    /// connection that was lost with it is made anew. Every call begins with this; a console calls it at ^C, so that the
    /// server does not wait for the next command.
    ///
    /// # Errors
    /// Those of [`Client::reconnect`].
    pub async fn ready(&mut self) -> Result<(), Error> {
        self.tidy_up().await;
        if self.lost { self.reconnect().await } else { self.find_out_where().await }
    }

    /// A change of the working directory was given up: whether it was made the server knows.
    async fn find_out_where(&mut self) -> Result<(), Error> {
        if !self.walking {
            return Ok(());
        }
        let told = match self.link.run(Request::Command(Command::Pwd, None)).await {
            Ok(answer) => told_path(&reply(answer)?),
            Err(Error::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        self.trail = match told.and_then(|path| PathArg::new(path).ok()) {
            Some(path) => Trail::Steps(vec![Command::Cwd(path)]),
            None => Trail::Lost,
        };
        self.walking = false;
        Ok(())
    }

    /// As [`Client::ready`], on the connection that there is; whether it still stands.
    pub(crate) async fn is_usable(&mut self) -> bool {
        self.tidy_up().await;
        self.is_connected()
    }

    /// Whether the session is what its settings make of one, in the directory that its login has led to.
    pub(crate) fn is_as_begun(&self) -> bool {
        self.login.done && !(self.altered || self.walking || self.strays) && self.trail.is_empty()
    }

    async fn tidy_up(&mut self) {
        self.lost |= self.strays;
        if !self.lost && !self.link.is_in_order().await {
            self.lost = self.link.abort().await.is_err();
        }
    }

    /// Begins a transfer. Where the server refuses it because its data connection has not resumed the TLS session, and that
    /// can be mended by a new session, it is.
    pub(crate) async fn begin_transfer(
        &mut self,
        request: TransferRequest,
        direction: Direction,
    ) -> Result<(JobId, Result<Started, Answer>), Error> {
        if request.mode == DataMode::Active && self.link.proxy().is_some() {
            return Err(Error::Usage("active mode cannot go through a proxy: the server could not connect back"));
        }
        if let Some(known) = self.link.out_of_sessions(self.settings.tls.only) {
            self.renew(known).await?;
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let refusal = match self.link.transfer(request.clone(), direction).await {
                Ok(begun) => return Ok(begun),
                Err(refusal) => refusal,
            };
            if attempts < 3 && matches!(refusal, Error::OutOfStep { .. }) {
                self.reconnect().await?;
                continue;
            }
            match self.link.learn_from(&refusal, self.settings.tls.only) {
                Some(known) if attempts < 3 => self.renew(known).await?,
                _ => return Err(refusal),
            }
        }
    }

    /// Stops a transfer.
    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        let stopped = self.link.abort().await;
        self.lost = stopped.is_err();
        stopped
    }
}

impl Default for Trail {
    fn default() -> Trail {
        Trail::Steps(Vec::new())
    }
}

impl Trail {
    fn is_empty(&self) -> bool {
        matches!(self, Trail::Steps(steps) if steps.is_empty())
    }

    /// The directory that the last step has led to, as it was named.
    pub(crate) fn directory(&self) -> Option<&PathArg> {
        match self {
            Trail::Steps(steps) => match steps.last() {
                Some(Command::Cwd(path)) => Some(path),
                _ => None,
            },
            Trail::Lost => None,
        }
    }

    pub(crate) fn step(&mut self, command: Command) {
        let Trail::Steps(steps) = self else { return };
        if matches!(&command, Command::Cwd(path) if path.as_bytes().starts_with(b"/")) {
            steps.clear();
        }
        if steps.len() < MAX_TRAIL {
            steps.push(command);
        } else {
            *self = Trail::Lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_working_directory_is_short() {
        let mut trail = Trail::default();
        let cwd = |path: &str| Command::Cwd(PathArg::new(path).unwrap());
        for command in [cwd("a"), Command::Cdup, cwd("/b"), cwd("c")] {
            trail.step(command);
        }
        assert!(matches!(&trail, Trail::Steps(steps) if *steps == [cwd("/b"), cwd("c")]));
        (0..=MAX_TRAIL).for_each(|_| trail.step(cwd("d")));
        assert!(matches!(trail, Trail::Lost));
    }
}
