//! What an operator is told of a server that starts, or would: where, what, for whom, and with which safeguards.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use port21_server::tls::Certificates;
use port21_server::{ListenError, TlsMode};
use rustix::fs::{Access, FileType, access};

use super::exposure::{NO_FILE, exposure};
use super::running::plain_builder;
use super::systemd::Passed;
use super::tls;
use crate::args::serve::ListenAddr;
use crate::config::Config;
use crate::config::home::below;
use crate::config::sandbox::Mode;
use crate::exit::{Exit, Fault, sentences};
use crate::helper::Helper;
use crate::sandbox::{Sandbox, required, unknown_user};
use crate::users::watched::Watches;

/// Says on standard output what is served, where, and for whom; what else is worth knowing goes to the log.
pub(super) fn announce(
    config: &Config,
    bound: &[(SocketAddr, TlsMode)],
    certificates: Option<&Certificates>,
) -> anyhow::Result<()> {
    let at: Vec<String> = bound.iter().map(|(addr, tls)| address(*addr, *tls)).collect();
    let mut lines = format!("Serving {} at {} for {}.\n", root(config), at.join(" and "), audience(config));
    for site in config.sites().skip(1) {
        lines.push_str(&format!("Host {}: {} for {}.\n", site.site.names.join(", "), root(&site), audience(&site)));
    }
    lines.extend(certificates.map(|certificates| tls::shown(config, certificates, false)));
    print(&lines)?;
    for file in config.sites().filter(|site| !site.accounts.is_kept()).filter_map(|site| site.accounts.file) {
        tracing::info!("the accounts in {}: {NO_FILE}", file.display());
    }
    if bound.iter().all(|(addr, _)| !ListenAddr(*addr).is_beyond_loopback()) {
        tracing::info!("only this machine can connect: for all others, add a place to listen, such as --listen :2121");
        return Ok(());
    }
    let ports: Vec<String> = bound.iter().map(|(addr, _)| addr.port().to_string()).collect();
    tracing::info!("a firewall has to let in: {}", firewall(config, &ports));
    let beyond = |mode| bound.iter().any(|(addr, tls)| ListenAddr(*addr).is_beyond_loopback() && *tls == mode);
    if beyond(TlsMode::Off) {
        tracing::info!("FTP sends names, passwords and files in clear: --tls require protects them");
    } else if beyond(TlsMode::Offer) {
        tracing::info!("clients that do not ask for TLS send names, passwords and files in clear");
    }
    Ok(())
}

fn address(addr: SocketAddr, tls: TlsMode) -> String {
    match tls {
        TlsMode::Off => format!("ftp://{addr}/"),
        TlsMode::Offer => format!("ftp://{addr}/ (TLS offered)"),
        TlsMode::Require => format!("ftp://{addr}/ (TLS required)"),
        TlsMode::Implicit => format!("ftps://{addr}/"),
    }
}

/// `serve --check`: says what would be exposed and with which safeguards, and tries all that a start needs. It makes nothing.
///
/// # Errors
/// All that stands against a start.
pub(super) async fn check(config: &Config) -> anyhow::Result<Exit> {
    print(&exposure(config))?;
    let mut faults = Vec::new();
    if let Err(error) = config.check_accounts() {
        faults.extend(sentences(&error));
    }
    match (unknown_user(config), safeguards(config)) {
        (Some(mistake), _) => faults.push(config.tell(mistake)),
        (None, Ok(lines)) => print(&lines)?,
        (None, Err(error)) => faults.extend(sentences(&error)),
    }
    let builder = match tls::expect(config) {
        Ok(expected) => {
            if let Some(tls::Expected { settings, to_be_made }) = &expected {
                print(&tls::shown(config, &settings.certificates, to_be_made.is_some()))?;
                tls::warn_of_overdue(config, &settings.certificates);
                let dir = to_be_made.as_ref().filter(|dir| !is_made_easily(dir));
                faults.extend(
                    dir.map(|dir| format!("`tls.self-signed`: no certificate can be made in {}", dir.display())),
                );
            }
            let tls = expected.map(|expected| expected.settings);
            plain_builder(config, tls, (&Helper::default(), &Watches::default()), None).await
        }
        Err(error) => Err(error),
    };
    match builder {
        Ok(_) => faults.extend(try_to_listen(config)),
        Err(error) => faults.extend(sentences(&error)),
    }
    faults.extend(what_is_missing(config));
    if faults.is_empty() {
        print("The server would start.\n")?;
        return Ok(Exit::Done);
    }
    Err(Fault::each(Exit::Local, faults).into())
}

/// What of the sandbox there would be. What `require` lacks is a fault.
fn safeguards(config: &Config) -> anyhow::Result<String> {
    let bound: Vec<SocketAddr> = config.listen.iter().map(|place| place.address.0).collect();
    let safeguards = Sandbox::expect(config, &bound)?;
    let mut out = String::new();
    safeguards.has.iter().for_each(|what| out.push_str(&format!("{:<15} {what}\n", "sandbox")));
    safeguards.lacks.iter().for_each(|what| out.push_str(&format!("{:<15} not: {what}\n", "sandbox")));
    if config.sandbox.mode == Mode::Require && !safeguards.lacks.is_empty() {
        return Err(Fault::each(Exit::Local, safeguards.lacks.into_iter().map(required).collect()).into());
    }
    Ok(out)
}

fn try_to_listen(config: &Config) -> Vec<String> {
    let running =
        config.control.socket.as_ref().is_some_and(|path| std::os::unix::net::UnixStream::connect(path).is_ok());
    let mut passed = Passed::from_environment().unwrap_or_default();
    let mut faults = Vec::new();
    for place in config.listen.iter().filter(|place| passed.take(place).is_none()) {
        match port21_server::listen_ahead(&[config.place(place)], config.settings().backlog) {
            Ok(_) => {}
            // By that very server, most likely.
            Err(ListenError::Taken(_)) if running => tracing::warn!("a server runs already: {}", place.address.0),
            Err(error) => faults.push(error.to_string()),
        }
    }
    faults
}

fn what_is_missing(config: &Config) -> Vec<String> {
    let mut missing = Vec::new();
    for (key, file) in [
        ("control.socket", &config.control.socket),
        ("log.file", &config.log.file),
        ("log.xferlog", &config.log.xferlog),
        ("logins.keep-bans", &config.logins.keep_bans),
    ] {
        if let Some(dir) = file.as_deref().and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty())
            && !dir.is_dir()
            && !can_be_made(config, dir)
        {
            missing.push(format!("`{key}`: {} is no directory: make it, for the user of the server", dir.display()));
        }
    }
    for file in config.hooks.iter().filter_map(|hook| hook.ca.as_deref()).filter(|file| !file.is_file()) {
        missing.push(format!("`hook.ca`: {} is no file", file.display()));
    }
    missing.extend(programs_that_do_not_run(config, mode_of));
    missing
}

/// The programs of hooks and authenticators that cannot be run. `mode` tells the mode of a file, with its type.
pub(super) fn programs_that_do_not_run(config: &Config, mode: impl Fn(&Path) -> io::Result<u32>) -> Vec<String> {
    let mut missing = Vec::new();
    let hooks = config.hooks.iter().map(|hook| ("hook", &hook.program));
    let authenticators: Vec<_> = config.sites().filter_map(|site| site.authenticator).collect();
    let authenticators = authenticators.iter().map(|authenticator| ("authenticator", &authenticator.program));
    for (section, program) in hooks.chain(authenticators).filter_map(|(section, all)| Some((section, all.first()?))) {
        let runs = |mode| FileType::from_raw_mode(mode).is_file() && mode & 0o111 != 0;
        if !mode(Path::new(program)).is_ok_and(runs) {
            missing.push(format!("`{section}.program`: {program} is no program that can be run"));
        }
    }
    missing
}

/// Directories for guests to drop files into that are none: nobody makes them, so each upload there would fail.
pub(super) fn drops_that_are_none(config: &Config, mode: impl Fn(&Path) -> io::Result<u32>) -> Vec<String> {
    let guests = config.sites().filter(|site| site.anonymous.enabled);
    let told = guests.flat_map(|site| {
        let home = below(&site.root(), site.anonymous.home.as_deref()).unwrap_or_else(|_| site.root());
        // One without its home is told, or made, in its own place.
        let home = home.is_dir().then_some(home);
        let places = site.anonymous.drop.iter().filter_map(|place| place.0.literal());
        let places = places.filter_map(|place| Some(home.as_ref()?.join(OsStr::from_bytes(place.relative()))));
        let is_none = |place: &PathBuf| !mode(place).is_ok_and(|mode| FileType::from_raw_mode(mode).is_dir());
        places.filter(is_none).collect::<Vec<_>>()
    });
    told.map(|place| {
        format!("`anonymous.drop`: {} is no directory: make it, for guests to drop files into", place.display())
    })
    .collect()
}

/// The mode of a file, with its type, as this process sees it.
pub(super) fn mode_of(file: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(file)?.mode())
}

/// Whether the server makes this directory for itself when it starts, which it does before it gives its rights up.
fn can_be_made(config: &Config, dir: &Path) -> bool {
    config.sandbox.mode != Mode::Off && is_made_easily(dir)
}

/// Whether it is there, or can be, and this user can make something in it.
fn is_made_easily(dir: &Path) -> bool {
    let there = dir.ancestors().find(|dir| dir.exists() || dir.as_os_str().is_empty());
    let there = there.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    there.is_some_and(|there| there.is_dir() && access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok())
}

/// The directory of a site, as it is.
pub(super) fn root(config: &Config) -> String {
    let root = config.root();
    root.canonicalize().unwrap_or(root).display().to_string()
}

/// A rule that lets in what a client needs.
pub(super) fn firewall(config: &Config, ports: &[String]) -> String {
    let (first, last) = (config.passive.ports.start(), config.passive.ports.end());
    format!("nft add rule inet filter input tcp dport {{ {}, {first}-{last} }} accept", ports.join(", "))
}

/// `anybody (read-only) and alice (read and write)`.
fn audience(config: &Config) -> String {
    let mut who = Vec::new();
    if config.anonymous.enabled {
        let drop = drops(config).map(|at| format!(", but they drop new files into {at}")).unwrap_or_default();
        who.push(format!("anybody (read-only{drop})"));
    }
    for user in &config.users {
        let may = if user.write.unwrap_or(config.accounts.write) { "read and write" } else { "read-only" };
        who.push(format!("{} ({may})", user.name));
    }
    if let Some(file) = config.accounts.file.as_ref().filter(|file| file.exists()) {
        who.push(format!("the accounts in {}", file.display()));
    }
    if let Some(program) = config.authenticator.as_ref().and_then(|authenticator| authenticator.program.first()) {
        who.push(format!("whom {program} lets in"));
    }
    match who.as_slice() {
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} more", rest.len()),
        who => who.join(" and "),
    }
}

/// Where guests may leave files, if anywhere.
fn drops(site: &Config) -> Option<String> {
    let places: Vec<String> = site.anonymous.drop.iter().map(|place| place.0.to_string()).collect();
    (!places.is_empty()).then(|| places.join(", "))
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use port21_proto::Secret;

    use super::*;
    use crate::config::{Accounts, Anonymous, User};

    #[test]
    fn for_whom() {
        let user = |name: &str, write| User {
            name: name.to_owned(),
            password: Secret::new("x"),
            home: None,
            write,
            umask: None,
        };
        let users = vec![user("alice", None), user("bob", Some(false))];
        let config = Config {
            anonymous: Anonymous { enabled: true, ..Anonymous::default() },
            accounts: Accounts { write: true, file: None },
            users,
            ..Config::default()
        };
        assert_eq!(audience(&config), "anybody (read-only) and alice (read and write) and bob (read-only)");
        let anonymous = Anonymous { enabled: true, drop: vec!["/in".parse().unwrap()], ..Anonymous::default() };
        let config = Config { anonymous, ..Config::default() };
        assert_eq!(audience(&config), "anybody (read-only, but they drop new files into /in)");
    }
}
