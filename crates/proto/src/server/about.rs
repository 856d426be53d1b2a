//! Questions about the session and the server, and its options: STAT, OPTS.

use super::action::DataChannel;
use super::login::Login;
use super::session::{DEFAULT_LEVEL, ServerSession};
use super::wording::{self, say};
use crate::command::Opts;
use crate::listing::FactSet;
use crate::parameters::{Mode, Representation};
use crate::reply::Reply;

impl ServerSession {
    pub(super) fn status(&self) -> Reply {
        let user = match &self.login {
            Login::In { user, .. } => crate::text::Shown(user).to_string(),
            Login::Out { .. } => "nobody".into(),
        };
        let mut all = vec![
            format!("Status of {}:", self.settings.host),
            format!("Connected from {}", self.peer.ip()),
            format!("Logged in as {user}"),
            format!(
                "TYPE {}, STRU F, MODE {}",
                if self.representation == Representation::Ascii { "A" } else { "I" },
                if self.mode == Mode::Stream { "S" } else { "Z" },
            ),
            self.tls_status(),
        ];
        all.push(match (self.transfer_status(), self.data) {
            (Some(transfer), _) => transfer,
            (None, Some(DataChannel::Passive(_))) => "Passive port open, no transfer".into(),
            (None, Some(DataChannel::Active(addr))) => format!("Data will go to {addr}, no transfer"),
            (None, None) => "No data connection".into(),
        });
        all.push("End of status.".into());
        wording::lines(211, all)
    }

    pub(super) fn features(&self) -> Reply {
        wording::features(self.facts, self.algorithm, |verb| self.offers(verb))
    }

    /// RFC 2389 section 4: 200, or 501 for what cannot be.
    pub(super) fn opts(&mut self, opts: Opts) -> Reply {
        match opts {
            Opts::Utf8(true) => say(200, "UTF8 is on."),
            // RFC 2640 section 2.2: names are bytes here, and nothing is converted that could be switched off.
            Opts::Utf8(false) => say(501, "UTF8 stays on: names are never converted."),
            Opts::Mlst(facts) => {
                self.facts = FactSet::choose(&facts);
                say(200, format!("MLST OPTS {}", self.facts).trim_end().to_owned())
            }
            Opts::Hash(algorithm) => {
                self.algorithm = algorithm.unwrap_or(self.algorithm);
                say(200, self.algorithm.name())
            }
            Opts::ModeZ(level) => {
                self.level = level.unwrap_or(DEFAULT_LEVEL);
                say(200, format!("MODE Z LEVEL set to {}.", self.level))
            }
        }
    }
}
