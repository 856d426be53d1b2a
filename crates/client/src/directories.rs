//! Directories that may be there already.

use port21_proto::client::Request;
use port21_proto::command::Command;
use port21_proto::path::PathArg;

use crate::client::{Client, reply, told_path};
use crate::error::Error;

impl Client {
    /// Makes a directory and those above it that are missing, the topmost first; those that are there stay. Whether the last one
    /// was made.
    ///
    /// Servers do not tell by a code that a directory is there (RFC 959 has 521 for it, most answer 550, and some refuse
    /// whatever lies above the user's own): after a refusal the server is asked, by MLST or by entering it, before the refusal
    /// counts. The working directory stays what it was.
    ///
    /// # Errors
    /// See [`Client`]: the refusal of the last directory, where it is not there. Cancel safety: where the future is dropped while
    /// a directory is tried by entering it, the next call begins the session anew.
    pub async fn make_directories(&mut self, path: impl AsRef<[u8]>) -> Result<bool, Error> {
        let path = path.as_ref();
        let mut part = if path.starts_with(b"/") { b"/".to_vec() } else { Vec::new() };
        let mut refused = None;
        // Of `a//b/` each directory once.
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            if !matches!(part.last(), None | Some(b'/')) {
                part.push(b'/');
            }
            part.extend_from_slice(name);
            refused = match self.mkdir(&part).await {
                Ok(_) => None,
                Err(error @ Error::Refused { .. }) => Some(error),
                Err(error) => return Err(error),
            };
        }
        match refused {
            None => Ok(true),
            Some(refusal) => match self.is_directory(&part, &refusal).await? {
                true => Ok(false),
                false => Err(refusal),
            },
        }
    }

    async fn is_directory(&mut self, path: &[u8], refusal: &Error) -> Result<bool, Error> {
        if refusal.reply().is_some_and(|reply| reply.code() == 521) {
            return Ok(true);
        }
        self.probe().await?;
        if self.link.session().features().is_some_and(|features| features.has("MLST")) {
            match self.stat(path).await {
                Ok(entry) => return Ok(entry.is_directory()),
                Err(Error::Refused { .. } | Error::Protocol { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.enters(path).await
    }

    /// Whether the directory can be entered.
    pub(crate) async fn enters(&mut self, path: &[u8]) -> Result<bool, Error> {
        let path = self.path(path).await?;
        let told = reply(self.run(Request::Command(Command::Pwd, None)).await?)?;
        let Some(back) = told_path(&told).and_then(|back| PathArg::new(back).ok()) else {
            return Ok(false);
        };
        // From here to the way back the session is where nobody wants it.
        self.strays = true;
        let entered = self.link.run(Request::Command(Command::Cwd(path), None)).await;
        let is_there = match entered {
            Ok(_) => true,
            Err(Error::Refused { .. }) => false,
            Err(error) => return Err(error),
        };
        if is_there {
            self.link.run(Request::Command(Command::Cwd(back), None)).await?;
        }
        self.strays = false;
        Ok(is_there)
    }
}
