//! Logging in, at once or step by step, and again.

use port21_proto::Secret;
use port21_proto::client::{Answer, DataMode, LoginStep, Request};
use port21_proto::command::Text;
use port21_proto::event::ConnectionId;
use port21_proto::parameters::Representation;
use port21_proto::path::PathError;
use port21_proto::reply::Reply;

use crate::builder::Builder;
use crate::client::Client;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::link::{Known, Link};
use crate::order::Trail;
use crate::sink::Recorder;

/// How the user has logged in: it is done again where the session is begun anew.
#[derive(Default)]
pub(crate) struct Login {
    pub(crate) done: bool,
    pub(crate) user: Option<Text>,
    password: Option<Secret>,
    account: Option<Secret>,
}

impl Client {
    /// Connects, and logs in with the credentials of the settings.
    pub(crate) async fn log_in_at_once(
        settings: Builder,
        recorder: Recorder,
        id: ConnectionId,
        known: Known,
        transfers: bool,
    ) -> Result<Client, Error> {
        let credentials = settings.credentials.clone();
        let mut client = Client::begin(settings, recorder, id, known).await?;
        if known.asks_password && client.link.sends_ahead() {
            client.log_in_ahead(&credentials, transfers).await?;
        } else {
            client.login(&credentials).await?;
        }
        if client.login.was_asked() {
            client.link.asked_password();
        }
        Ok(client)
    }

    /// Logs in with the name, the password and the type sent as one, to a server that has asked for this password before;
    /// and with what a transfer needs, where one follows.
    async fn log_in_ahead(&mut self, credentials: &Credentials, transfers: bool) -> Result<(), Error> {
        let (name, password) = (Text::new(credentials.user.as_bytes())?, credentials.password.clone());
        check(password.expose())?;
        self.login = Login { user: Some(name.clone()), password: Some(password.clone()), ..Login::default() };
        let typed = Some(self.settings.representation).filter(|wanted| *wanted != Representation::Ascii);
        let passive = transfers && self.settings.mode == DataMode::Passive;
        let request = Request::Login { user: name, password, representation: typed, passive };
        let step = login_step(self.run(request).await?)?;
        match step {
            LoginStep::Done(_) => {}
            // It asks for more this time.
            _ => return self.login(credentials).await.map(drop),
        }
        self.login.done = true;
        Ok(())
    }

    /// Logs in: USER, and PASS and ACCT where the server asks for them.
    ///
    /// # Errors
    /// [`Error::Refused`] in the phase login; another login may be tried. [`Error::Usage`] where the server asks for an
    /// account and the credentials have none.
    pub async fn login(&mut self, credentials: &Credentials) -> Result<Reply, Error> {
        let mut step = self.user(&credentials.user).await?;
        if let LoginStep::Password(_) = step {
            step = self.password(&credentials.password).await?;
        }
        if let (LoginStep::Account(_), Some(account)) = (&step, &credentials.account) {
            step = self.account(account).await?;
        }
        match step {
            LoginStep::Done(reply) => Ok(reply),
            _ => Err(Error::Usage("the server asks for an account, and none was given")),
        }
    }

    /// The first step of a login by hand (USER): for a console, which asks its user for a password only when the server
    /// does.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn user(&mut self, name: impl AsRef<[u8]>) -> Result<LoginStep, Error> {
        let name = Text::new(name.as_ref())?;
        self.altered |= self.login.done;
        self.login = Login { user: Some(name.clone()), ..Login::default() };
        self.trail = Trail::default();
        self.log_in(Request::User(name)).await
    }

    /// The second step of a login by hand (PASS).
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn password(&mut self, password: &Secret) -> Result<LoginStep, Error> {
        check(password.expose())?;
        self.login.password = Some(password.clone());
        self.log_in(Request::Pass(password.clone())).await
    }

    /// The third step of a login by hand (ACCT).
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn account(&mut self, account: &Secret) -> Result<LoginStep, Error> {
        check(account.expose())?;
        self.login.account = Some(account.clone());
        self.log_in(Request::Acct(account.clone())).await
    }

    async fn log_in(&mut self, request: Request) -> Result<LoginStep, Error> {
        let step = login_step(self.run(request).await?)?;
        self.login.done = matches!(step, LoginStep::Done(_));
        Ok(step)
    }
}

impl Login {
    /// Whether the server has asked for a password, and for no more.
    fn was_asked(&self) -> bool {
        self.done && self.password.is_some() && self.account.is_none()
    }

    /// Logs in as before, on another connection.
    pub(crate) async fn again(&self, link: &mut Link, user: &Text) -> Result<(), Error> {
        if let (Some(password), true) = (&self.password, self.was_asked() && link.sends_ahead()) {
            let (user, password) = (user.clone(), password.clone());
            let request = Request::Login { user, password, representation: None, passive: false };
            return match link.run(request).await {
                Ok(Answer::Login(LoginStep::Done(_))) => Ok(()),
                Ok(_) => Err(Error::Usage("the server asks for more than it did at the first login")),
                Err(error) => Err(error),
            };
        }
        let mut step = login_step(link.run(Request::User(user.clone())).await?)?;
        if let (LoginStep::Password(_), Some(password)) = (&step, &self.password) {
            step = login_step(link.run(Request::Pass(password.clone())).await?)?;
        }
        if let (LoginStep::Account(_), Some(account)) = (&step, &self.account) {
            step = login_step(link.run(Request::Acct(account.clone())).await?)?;
        }
        if !matches!(step, LoginStep::Done(_)) {
            return Err(Error::Usage("the server asks for more than it did at the first login"));
        }
        Ok(())
    }
}

fn check(secret: &[u8]) -> Result<(), Error> {
    if secret.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) { Err(PathError::Forbidden.into()) } else { Ok(()) }
}

fn login_step(answer: Answer) -> Result<LoginStep, Error> {
    match answer {
        Answer::Login(step) => Ok(step),
        _ => Err(Error::Usage("the call was answered by another")),
    }
}
