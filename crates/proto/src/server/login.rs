//! Who the client is, and at which site: USER, PASS, ACCT, HOST, REIN.

use std::sync::Arc;

use super::action::{Action, Grant, SiteId};
use super::error::LoginError;
use super::outcome::Pending;
use super::session::{DEFAULT_LEVEL, ServerSession};
use super::settings::SessionSettings;
use super::wording::{self, say};
use crate::listing::FactSet;
use crate::parameters::{Algorithm, Mode, Representation};
use crate::path::FtpPath;
use crate::reply::Reply;
use crate::secret::Secret;
use crate::time::Time;

/// Who the session is.
#[derive(Debug)]
pub(super) enum Login {
    /// Nobody, or somebody of whom only the name is known; since when.
    Out { user: Option<Vec<u8>>, since: Time },
    /// Somebody.
    In {
        user: Vec<u8>,
        grant: Grant,
        /// No password was asked for.
        by_certificate: bool,
    },
}

impl ServerSession {
    /// Whoever shows a certificate may need no password (RFC 2228 section 4).
    pub(super) fn user(&mut self, now: Time, name: &[u8]) -> Option<Reply> {
        self.log_out(now, Some(name.to_vec()));
        if self.has_certificate() {
            let (site, user) = (self.site, name.to_vec());
            return self.single(Action::Recognise { site, user: user.clone() }, Pending::Recognise { user });
        }
        Some(self.password_wanted(name))
    }

    fn password_wanted(&self, name: &[u8]) -> Reply {
        wording::password_wanted(self.settings.anonymous && is_guest(name))
    }

    /// For whom the certificate is not enough it is as if it had not been asked for.
    pub(super) fn recognised(&mut self, user: Vec<u8>, result: Result<Grant, LoginError>) -> Reply {
        match result {
            Ok(grant) => {
                self.cwd = grant.home.clone();
                let reply = wording::recognised(&user);
                self.login = Login::In { user, grant, by_certificate: true };
                reply
            }
            Err(_) => self.password_wanted(&user),
        }
    }

    pub(super) fn pass(&mut self, password: Secret) -> Option<Reply> {
        match &mut self.login {
            // Many clients send it whatever USER was answered with.
            Login::In { by_certificate: true, .. } => Some(say(202, "No password is needed.")),
            Login::In { .. } => Some(say(503, "You are logged in already; USER begins a new login.")),
            Login::Out { user, .. } => match user.take() {
                None => Some(say(503, "Give USER first.")),
                Some(user) => {
                    let site = self.site;
                    self.single(Action::Authenticate { site, user: user.clone(), password }, Pending::Login { user })
                }
            },
        }
    }

    /// RFC 959 section 5.4: 202 says that it is superfluous; RFC 1123 section 4.1.2 wants it understood all the same.
    pub(super) fn account(&self) -> Reply {
        match self.login {
            Login::In { .. } => say(202, "No account is needed."),
            Login::Out { .. } => say(503, "Give USER and PASS; no account is needed."),
        }
    }

    /// RFC 7151 section 3: before USER alone. What was asked for is looked up among the sites of the server.
    pub(super) fn host(&mut self, name: &[u8]) -> Option<Reply> {
        match self.login {
            Login::Out { user: None, .. } => self.single(Action::FindSite(name.to_vec()), Pending::Site),
            _ => Some(say(503, "HOST comes before USER; REIN or a new connection begins anew.")),
        }
    }

    /// The site that HOST has named: its settings from here on, and its greeting.
    pub(super) fn enter_site(&mut self, found: Option<(SiteId, Arc<SessionSettings>)>) -> Reply {
        match found {
            Some((site, settings)) => {
                (self.site, self.settings) = (site, settings);
                wording::greeting(&self.settings)
            }
            None => say(504, "There is no such host here."),
        }
    }

    /// RFC 7151 section 3.3: REIN takes HOST back too. AUTH does not: the name has chosen the certificate.
    pub(super) fn leave_site(&mut self) {
        (self.site, self.settings) = self.first_site.clone();
    }

    /// The client has named this site in its TLS handshake (SNI). To be called before the outcome of
    /// [`Action::StartTls`] is handed in. It is then the site to begin with; a site that HOST has chosen stays chosen (RFC
    /// 7151 section 4: HOST behind AUTH may still choose another).
    pub fn handle_site(&mut self, site: SiteId, settings: Arc<SessionSettings>) {
        let undecided = self.site == self.first_site.0;
        self.first_site = (site, settings);
        if undecided {
            self.leave_site();
        }
    }

    /// Forgets all that the client has said, but for the site.
    pub(super) fn reinitialise(&mut self, now: Time) {
        self.log_out(now, None);
        (self.representation, self.mode, self.level) = (Representation::default(), Mode::default(), DEFAULT_LEVEL);
        (self.facts, self.algorithm) = (FactSet::default(), Algorithm::Sha256);
        self.epsv_all = false;
    }

    /// Ends a login and begins the next. TYPE and its like stay as they are (RFC 959 section 4.1.1, USER); a data channel
    /// does not, which is the old user's. Who was not logged in gets no more time by asking anew.
    fn log_out(&mut self, now: Time, user: Option<Vec<u8>>) {
        let since = match self.login {
            Login::Out { since, .. } => since,
            Login::In { .. } => now,
        };
        if matches!(std::mem::replace(&mut self.login, Login::Out { user, since }), Login::In { .. }) {
            self.tell_logout();
        }
        self.drop_data_channel();
        self.cwd = FtpPath::root();
        (self.restart, self.range, self.announced) = (0, None, None);
        self.sizes_told.clear();
    }
}

/// The names that a guest may give (RFC 1635 section 3).
fn is_guest(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"anonymous") || name.eq_ignore_ascii_case(b"ftp")
}
