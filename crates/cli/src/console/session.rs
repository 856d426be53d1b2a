//! Commands that begin and end sessions: open, user, account, close, bye.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use port21_client::{Client, Credentials, LoginStep, Representation, Secret};
use port21_proto::text::Shown;

use super::words::Words;
use super::{Console, Flow, Session, bookmarks};
use crate::args::client::ConnectArgs;
use crate::exit::{Exit, Fault};
use crate::netrc::is_guest;
use crate::netrc::{self, Login};
use crate::place::Place;
use crate::remote::{builder, password_from_environment};
use crate::{prompt, proxy};

/// The macro of ~/.netrc that a login runs.
const INIT: &str = "init";

pub(super) async fn open(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if let Some(session) = &console.session {
        let host = Shown(session.host.as_bytes());
        bail!(Fault::usage(format!("Already connected to {host}, use close first.")));
    }
    let known = match words.list.as_slice() {
        [name] => bookmarks::look_up(name)?,
        _ => None,
    };
    let (place, is_url) = match &known {
        Some(url) => (Place::parse(url)?, true),
        None => place(&words.list)?,
    };
    connect(console, &place, &told(&place, is_url && known.is_none(), words)).await?;
    let logged_in = first_login(console, &place, is_url).await?;
    if logged_in && !place.path().is_empty() {
        console.client()?.cwd(place.path()).await?;
    }
    if logged_in && !console.proxying && console.macros.has(INIT) {
        return console.run_one(&format!("$ {INIT}")).await;
    }
    Ok(Flow::Continue)
}

/// Connects, to the gate where one is to lead on, and takes the settings of the console over.
async fn connect(console: &mut Console, place: &Place, told: &str) -> anyhow::Result<()> {
    let log = console.recording.session();
    log.user(told);
    let (replies, host, events) = (console.replies.clone(), place.target.host.clone(), log.clone());
    let sink = Arc::new(move |event: port21_proto::SessionEvent| {
        events.write(&event);
        replies.take(&host, &event);
    });
    // The protocol begins in ASCII. Who asks for no command of ours keeps that, until `binary`.
    let representation = console.representation.or(place.target.representation);
    let representation =
        representation.unwrap_or(if console.connect.no_probe { Representation::Ascii } else { Representation::Image });
    let args = console.connect_args(place);
    let mut builder = builder(&args, place)?.mode(console.mode).representation(representation).sink(sink, log.clock());
    let gate = console.gate.server();
    if let Some((server, port)) = &gate {
        builder = builder.host(server).port(*port);
    }
    let mut client = builder.connect().await.with_context(|| format!("open {}", place.target.host))?;
    let settings = &console.settings;
    if !settings.extended {
        client.set_extended(false);
    }
    client.set_keeps_returns(!settings.returns);
    client.set_buffers(settings.buffers);
    if let Some((server, _)) = &gate {
        let reply = client.quote(format!("PASSERVE {}", place.target.host)).await?;
        if reply.code().is_error() {
            bail!(Fault::new(Exit::Connect, format!("gate {server}: {reply}")));
        }
        console.out.line(format_args!("Connected via pass-through server {server}"));
    }
    console.representation = Some(representation);
    console.directory = None;
    let host = place.target.host.clone();
    let through_gate = gate.is_some();
    console.session = Some(Session { client, log, host, place: place.clone(), credentials: None, through_gate });
    Ok(())
}

impl Console {
    /// The flags of the command line, with what `set` says of proxies.
    pub(super) fn connect_args(&self, place: &Place) -> ConnectArgs {
        let mut args = self.connect.clone();
        if let Some(url) = self.options.chosen("ftp_proxy") {
            args.proxy = Some(if url.is_empty() { "none".to_owned() } else { url.to_owned() });
        }
        if self.options.chosen("no_proxy").is_some_and(|list| proxy::is_exempt(&place.target.host, list)) {
            args.proxy = Some("none".to_owned());
        }
        args
    }
}

/// The line for a recording: as it was written, unless a password may stand in it.
fn told(place: &Place, is_url: bool, words: &Words) -> String {
    match is_url || place.target.credentials.is_some() {
        true => format!("open {place}"),
        false => format!("open {}", words.list.join(" ")),
    }
}

/// `HOST`, `HOST PORT` or a URL.
fn place(words: &[String]) -> anyhow::Result<(Place, bool)> {
    match words {
        [url] if url.contains("://") => Ok((Place::parse(url)?, true)),
        [host, port @ ..] => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let host = if bare.contains(':') && bare.parse::<std::net::Ipv6Addr>().is_ok() {
                format!("[{bare}]")
            } else {
                host.clone()
            };
            let port = port.first().map(|port| port.parse::<u16>()).transpose();
            let port = port.map_err(|_| Fault::usage("the port is no number from 1 to 65535"))?;
            let place = Place::parse(&format!("ftp://{host}{}/", port.map(|p| format!(":{p}")).unwrap_or_default()))?;
            Ok((place, false))
        }
        [] => bail!(Fault::usage("usage: open HOST [PORT]")),
    }
}

/// The login that belongs to `open`: as the URL, --user or ~/.netrc say; a guest's, for a URL without a name; else the
/// user is asked, or, in a script, left to `user`. Whether somebody is logged in.
async fn first_login(console: &mut Console, place: &Place, is_url: bool) -> anyhow::Result<bool> {
    let known = place.target.credentials.clone();
    let given = known.as_ref().map(|known| known.password.clone()).filter(|password| !password.expose().is_empty());
    let named = known.map(|known| known.user).or_else(|| console.connect.user.clone());
    let host = &place.target.host;
    let entry = netrc::look_up(console.connect.netrc_file.as_deref(), host, named.as_deref())?;
    let entry = entry.unwrap_or_default();
    // As ftp has it: the macros of an entry come with its login, and none with that of a second session.
    if !console.proxying {
        entry.macros.iter().for_each(|(name, lines)| console.macros.define(name.clone(), lines.clone()));
    }
    let user = match named.or_else(|| entry.user.clone()) {
        Some(user) => user,
        None if is_url => Credentials::anonymous().user,
        None if console.interactive => {
            let local = std::env::var("USER").unwrap_or_else(|_| "anonymous".to_owned());
            let answer = prompt::line(&format!("Name ({}:{local}): ", Shown(host.as_bytes())))?;
            if answer.is_empty() { local } else { answer }
        }
        None => return Ok(false),
    };
    login(console, &user, given, None).await.map(|()| true)
}

pub(super) async fn user(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let secret = |at: usize| words.list.get(at).map(|text| Secret::new(text.as_bytes()));
    login(console, words.first(), secret(1), secret(2)).await?;
    Ok(Flow::Continue)
}

/// `account [PASSWORD]`.
pub(super) async fn account(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let account = match words.list.first() {
        Some(text) => Secret::new(text.as_bytes()),
        None if console.interactive => prompt::secret("Account: ")?,
        None => bail!(Fault::usage("usage: account PASSWORD")),
    };
    if let LoginStep::Password(reply) | LoginStep::Account(reply) = console.client()?.account(&account).await? {
        bail!(Fault::new(Exit::Login, format!("the server wants more: {reply}")));
    }
    Ok(Flow::Continue)
}

async fn login(
    console: &mut Console,
    user: &str,
    password: Option<Secret>,
    account: Option<Secret>,
) -> anyhow::Result<()> {
    let entry = entry(console, user)?;
    let account = account.or_else(|| entry.account.clone());
    let mut known = Credentials { user: user.to_owned(), account: account.clone(), ..Credentials::anonymous() };
    console.directory = None;
    let mut step = console.client()?.user(user).await?;
    if let LoginStep::Password(_) = step {
        known.password = match password {
            Some(password) => password,
            None => find_password(console, user, entry)?,
        };
        step = console.client()?.password(&known.password).await?;
    }
    let mut asked = false;
    if let LoginStep::Account(_) = step {
        asked = true;
        let account = match account.clone() {
            Some(account) => account,
            None if console.interactive => prompt::secret("Account: ")?,
            None => bail!(Fault::new(Exit::Login, "the server wants an account: user NAME PASSWORD ACCOUNT")),
        };
        step = console.client()?.account(&account).await?;
        known.account = Some(account);
    }
    match step {
        LoginStep::Done(_) => {}
        LoginStep::Password(reply) | LoginStep::Account(reply) => {
            bail!(Fault::new(Exit::Login, format!("the server asks twice: {reply}")))
        }
    }
    if let Some(session) = &mut console.session {
        session.credentials = Some(known);
    }
    // As ftp has it: who names an account means it, though the server has not asked.
    if let (Some(account), false) = (account, asked) {
        console.client()?.account(&account).await?;
    }
    Ok(())
}

/// What ~/.netrc says of a user of the session's host.
fn entry(console: &Console, user: &str) -> anyhow::Result<Login> {
    let host = console.session.as_ref().map(|session| session.host.as_str()).unwrap_or_default();
    Ok(netrc::look_up(console.connect.netrc_file.as_deref(), host, Some(user))?.unwrap_or_default())
}

fn find_password(console: &Console, user: &str, entry: Login) -> anyhow::Result<Secret> {
    if let Some(password) = password_from_environment().or(entry.password) {
        return Ok(password);
    }
    match console.interactive {
        true => prompt::secret("Password: "),
        false if is_guest(user) => Ok(Secret::new(console.options.get("anonpass"))),
        false => bail!(Fault::new(
            Exit::Login,
            format!("no password for {}: user NAME PASSWORD, PORT21_PASSWORD or ~/.netrc", Shown(user.as_bytes())),
        )),
    }
}

pub(super) async fn close(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    if !console.proxying {
        console.macros.forget_all();
    }
    quit(console).await?;
    Ok(Flow::Continue)
}

pub(super) async fn bye(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    console.wait_for_jobs().await?;
    if let Some(session) = &console.session {
        session.log.user("bye");
    }
    quit(console).await?;
    Ok(Flow::End)
}

async fn quit(console: &mut Console) -> anyhow::Result<()> {
    if let Some(Session { client, .. }) = console.session.take() {
        quit_client(client).await?;
    }
    Ok(())
}

/// A server that is gone already is no failure: the session has ended.
async fn quit_client(client: Client) -> anyhow::Result<()> {
    match client.quit().await {
        Ok(_) => Ok(()),
        Err(error) if error.reply().is_some() => Err(error.into()),
        Err(error) => {
            tracing::debug!("QUIT: {error}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_recorded() {
        for (line, want) in [
            ("open h 2121", "open h 2121"),
            ("open ftp://bob:hunter2@h/pub", "open ftp://bob@h/pub"),
            ("open bob:hunter2@h", "open ftp://bob@h/"),
            ("open bob:hunter2@h 2121", "open ftp://bob@h:2121/"),
        ] {
            let words: Vec<String> = line.split(' ').skip(1).map(str::to_owned).collect();
            let (place, is_url) = place(&words).unwrap();
            assert_eq!(told(&place, is_url, &Words { list: words, ..Words::default() }), want);
        }
    }

    #[test]
    fn places_to_open() {
        let open = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            place(&words).map(|(place, is_url)| (place.target.host.clone(), place.target.port, is_url))
        };
        assert_eq!(open(&["ftp.any-domain.com"]).unwrap(), ("ftp.any-domain.com".to_owned(), 21, false));
        assert_eq!(open(&["h", "10021"]).unwrap(), ("h".to_owned(), 10021, false));
        assert_eq!(open(&["::1", "2121"]).unwrap(), ("::1".to_owned(), 2121, false));
        assert_eq!(open(&["ftp://h:2121/pub/"]).unwrap(), ("h".to_owned(), 2121, true));
        assert!(open(&["h", "x"]).is_err());
    }
}
