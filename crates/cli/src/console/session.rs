//! Commands that begin and end sessions: open, user, close, bye, quote, site.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use port21_client::{Client, Credentials, LoginStep, Representation, Secret};
use port21_proto::Reply;
use port21_proto::text::Shown;

use super::words::Words;
use super::{Console, Flow, Session};
use crate::exit::{Exit, Fault};
use crate::remote::{Place, builder, is_guest, password_from_environment};
use crate::{netrc, prompt};

pub(super) async fn open(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    if let Some(session) = &console.session {
        let host = Shown(session.host.as_bytes());
        bail!(Fault::usage(format!("Already connected to {host}, use close first.")));
    }
    let (place, is_url) = place(&words.list)?;
    let log = console.recording.session();
    log.user(&told(&place, is_url, words));
    let (replies, host, events) = (console.replies.clone(), place.target.host.clone(), log.clone());
    let sink = Arc::new(move |event: port21_proto::SessionEvent| {
        events.write(&event);
        replies.take(&host, &event);
    });
    // The protocol begins in ASCII. Who asks for no command of ours keeps that, until `binary`.
    let representation = console.representation.or(place.target.representation);
    let representation =
        representation.unwrap_or(if console.connect.no_probe { Representation::Ascii } else { Representation::Image });
    let builder =
        builder(&console.connect, &place)?.mode(console.mode).representation(representation).sink(sink, log.clock());
    let client = builder.connect().await.with_context(|| format!("open {}", place.target.host))?;
    console.representation = Some(representation);
    console.session = Some(Session { client, log, host: place.target.host.clone() });
    let logged_in = first_login(console, &place, is_url).await?;
    if logged_in && !place.path().is_empty() {
        console.client()?.cwd(place.path()).await?;
    }
    Ok(Flow::Continue)
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
    let user = match named.or_else(|| entry.and_then(|entry| entry.user)) {
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
    let [name, rest @ ..] = words.list.as_slice() else { bail!(Fault::usage("usage: user NAME")) };
    let secret = |at: usize| rest.get(at).map(|text| Secret::new(text.as_bytes()));
    login(console, name, secret(0), secret(1)).await?;
    Ok(Flow::Continue)
}

async fn login(
    console: &mut Console,
    user: &str,
    password: Option<Secret>,
    account: Option<Secret>,
) -> anyhow::Result<()> {
    let mut step = console.client()?.user(user).await?;
    if let LoginStep::Password(_) = step {
        let password = match password {
            Some(password) => password,
            None => find_password(console, user)?,
        };
        step = console.client()?.password(&password).await?;
    }
    if let LoginStep::Account(_) = step {
        let account = match account {
            Some(account) => account,
            None if console.interactive => prompt::secret("Account: ")?,
            None => bail!(Fault::new(Exit::Login, "the server wants an account: user NAME PASSWORD ACCOUNT")),
        };
        step = console.client()?.account(&account).await?;
    }
    match step {
        LoginStep::Done(_) => Ok(()),
        LoginStep::Password(reply) | LoginStep::Account(reply) => {
            bail!(Fault::new(Exit::Login, format!("the server asks twice: {reply}")))
        }
    }
}

fn find_password(console: &Console, user: &str) -> anyhow::Result<Secret> {
    let host = console.session.as_ref().map(|session| session.host.as_str()).unwrap_or_default();
    let entry = netrc::look_up(console.connect.netrc_file.as_deref(), host, Some(user))?;
    if let Some(password) = password_from_environment().or_else(|| entry.and_then(|entry| entry.password)) {
        return Ok(password);
    }
    match console.interactive {
        true => prompt::secret("Password: "),
        false if is_guest(user) => Ok(Credentials::anonymous().password),
        false => bail!(Fault::new(
            Exit::Login,
            format!("no password for {}: user NAME PASSWORD, PORT21_PASSWORD or ~/.netrc", Shown(user.as_bytes())),
        )),
    }
}

pub(super) async fn close(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
    quit(console).await?;
    Ok(Flow::Continue)
}

pub(super) async fn bye(console: &mut Console, _: &Words) -> anyhow::Result<Flow> {
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

pub(super) async fn quote(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let reply = console.client()?.quote(&words.rest).await?;
    answered(console, &reply)
}

pub(super) async fn site(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let reply = console.client()?.quote(format!("SITE {}", words.rest)).await?;
    answered(console, &reply)
}

/// Shows a reply that was asked for, where it has not been shown, and fails where it is a refusal.
fn answered(console: &Console, reply: &Reply) -> anyhow::Result<Flow> {
    if reply.code().is_error() {
        bail!(Fault::new(Exit::Refused, reply.to_string()));
    }
    if !console.replies.is_on() {
        console.out.reply(reply.code(), reply.lines());
    }
    Ok(Flow::Continue)
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
            assert_eq!(told(&place, is_url, &Words { list: words, rest: String::new() }), want);
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
