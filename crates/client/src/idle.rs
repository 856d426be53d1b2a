//! A session that nobody uses for a while.

use std::time::Duration;

use port21_proto::client::Request;
use port21_proto::command::Command;

use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Keeps the session alive while nobody uses it, for as long as the future lives; gives why it has ended. For consoles and
    /// pools, which wait for something else beside it and drop it then.
    ///
    /// Each time `every` has passed the server is sent a command that changes nothing: NOOP, and in turn with it PWD, because
    /// some servers do not take NOOP for a sign of life. They are sent in between only, never while another call runs: there
    /// are servers that lose a transfer over a NOOP. A minute suits most; most servers end a session after five or more, and
    /// some take commands that come much more often for an attack. A server that refuses them is left alone from then on.
    /// What it says meanwhile, such as that it ends the session, is heard at once.
    ///
    /// Cancel safety: it may be dropped at any time; the reply to what was sent last is taken in by the next call.
    pub async fn idle(&mut self, every: Duration) -> Error {
        let mut commands = [Command::Noop, Command::Pwd].into_iter().cycle();
        let mut welcome = true;
        loop {
            if let Err(error) = self.ready().await {
                return error;
            }
            match tokio::time::timeout(every, self.link.ended()).await {
                Ok(error) => return error,
                Err(_) if !welcome => continue,
                Err(_) => {}
            }
            let Some(command) = commands.next() else { continue };
            match self.link.run(Request::Command(command, None)).await {
                Err(Error::Refused { .. }) => welcome = false,
                Err(error) => return error,
                Ok(_) => {}
            }
        }
    }
}
