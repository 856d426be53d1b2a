//! What a server of a configuration would expose, and with which safeguards: a line each, for people.

use std::path::Path;

use port21_proto::text::Shown;
use port21_proto::verb::Permissions;
use port21_server::storage::CommitMode;
use port21_server::storage::rules::permission_names;
use port21_server::{Network, TlsMode};

use super::report::{drops_that_are_none, firewall, mode_of, root};
use crate::config::accounts::entry::Entry;
use crate::config::accounts::file::UserFile;
use crate::config::tls::{ClientCertificates, Minimum, SessionReuse};
use crate::config::uploads::Eof;
use crate::config::{Anonymous, Config};
use crate::exit::sentence;
use crate::text::Text;
use crate::units::{Size, show_duration, show_size};
use crate::users::overlap::overlaps;

/// The whole text: where, what, for whom, and what holds against abuse.
pub(super) fn exposure(config: &Config) -> String {
    let mut out = String::new();
    let mut say = |what: &str, how: String| out.push_str(&format!("{what:<15} {how}\n"));
    listening(config).into_iter().for_each(|place| say("listening", place));
    if config.listen.iter().any(|place| config.tls_at(place) != TlsMode::Off) {
        say("TLS", tls(config));
    }
    if !config.proxy.trusted.is_empty() {
        say("proxies", format!("{} are believed who a client is (PROXY protocol)", list(&config.proxy.trusted)));
    }
    for site in config.sites() {
        if site.is_host {
            say("host", site.site.names.join(", "));
        }
        say("serving", format!("{}, and nothing outside of it (kept in by the kernel: openat2)", root(&site)));
        may_log_in(&site).into_iter().for_each(|who| say("may log in", who));
    }
    let within_reach = overlaps(config, |file| std::fs::read_to_string(file));
    within_reach.into_iter().for_each(|what| say("WARNING", what));
    drops_that_are_none(config, mode_of).into_iter().for_each(|what| say("WARNING", what));
    logins(config).into_iter().for_each(|line| say("logins", line));
    uploads(config).into_iter().for_each(|line| say("uploads", line));
    let passive = &config.passive;
    let beyond = passive.advertise.as_ref().map(|host| format!("; beyond the local networks PASV tells {host}"));
    let (first, last) = (passive.ports.start(), passive.ports.end());
    say("passive ports", format!("{first}-{last}, for the client's address alone{}", beyond.unwrap_or_default()));
    let ports: Vec<String> = config.listen.iter().map(|place| place.address.0.port().to_string()).collect();
    say("firewall", firewall(config, &ports));
    limits(config).into_iter().for_each(|line| say("limits", line));
    watchers(config).into_iter().for_each(|(what, how)| say(what, how));
    out
}

fn listening(config: &Config) -> Vec<String> {
    let line = |place| {
        let tls = match config.tls_at(place) {
            TlsMode::Off => "in clear: names, passwords and files can be read on the way",
            TlsMode::Offer => "TLS for those who ask for it: others send names, passwords and files in clear",
            TlsMode::Require => "TLS required before a login",
            TlsMode::Implicit => "TLS from the first byte",
        };
        let reach =
            if place.address.is_beyond_loopback() { "every network that reaches it" } else { "this machine only" };
        format!("{}: {reach}; {tls}", place.address.0)
    };
    config.listen.iter().map(line).collect()
}

fn tls(config: &Config) -> String {
    let tls = &config.tls;
    let minimum = match tls.minimum {
        Minimum::Tls12 => "versions 1.2 and 1.3",
        Minimum::Tls13 => "version 1.3",
    };
    let reuse = match tls.session_reuse {
        SessionReuse::Require => "data connections must resume the session of their control connection",
        SessionReuse::Prefer => {
            "data connections need not resume the session of their control connection (it is logged)"
        }
        SessionReuse::Off => "data connections need not resume the session of their control connection",
    };
    let clients = match tls.client_certificates {
        ClientCertificates::None => "no client certificates",
        ClientCertificates::Request => "client certificates are asked for",
        ClientCertificates::Require => "client certificates are demanded",
    };
    let ccc = if tls.ccc { "; CCC may end the protection of commands" } else { "" };
    format!("{minimum}; {reuse}; {clients}{ccc}")
}

/// Who may log in at a site, and for what: a line each.
fn may_log_in(site: &Config) -> Vec<String> {
    let mut who = Vec::new();
    if site.anonymous.enabled {
        who.push(guests(&site.anonymous));
    }
    for user in &site.users {
        let may = if user.write.unwrap_or(site.accounts.write) { "read and write" } else { "read only" };
        let home = user.home.as_deref().map(|home| format!(" in {home}")).unwrap_or_default();
        who.push(format!("{} ({may}){home}; no quota; the password is in the configuration, in clear", user.name));
    }
    if let Some(file) = &site.accounts.file {
        who.extend(kept(site, file));
    }
    if let Some(authenticator) = &site.authenticator {
        let program = authenticator.program.first().map(String::as_str).unwrap_or_default();
        let (at_once, time) = (authenticator.at_once, show_duration(authenticator.timeout));
        who.push(format!(
            "whoever {program} lets in: it is told passwords in clear; {at_once} at a time, {time} each, then nobody"
        ));
    }
    who
}

fn guests(guests: &Anonymous) -> String {
    let home = guests.home.as_deref().map(|home| format!(" in {home}")).unwrap_or_default();
    let mut line = format!("anybody, to read everything{home}, without a password; ");
    if guests.drop.is_empty() {
        line.push_str("never to write");
    } else {
        let paths: Vec<String> = guests.drop.iter().map(|path| path.0.to_string()).collect();
        let quota = quota(guests.quota, guests.quota_files);
        line.push_str(&format!(
            "to write at {}, without reading or replacing anything there; {quota}",
            paths.join(", ")
        ));
    }
    let rates = rates([guests.rate_down, guests.rate_up, guests.session_rate_down, guests.session_rate_up]);
    line + &sessions(guests.max_sessions) + &rates
}

/// What is said of a file of accounts that is named and not there.
pub(super) const NO_FILE: &str = "there is no such file: nobody of it can log in";

/// Those of a file, each.
fn kept(site: &Config, path: &Path) -> Vec<String> {
    if !site.accounts.is_kept() {
        return vec![format!("the accounts in {}: {NO_FILE}", path.display())];
    }
    let mut lines = vec![format!("the accounts in {0}: port21 user list --users {0}", path.display())];
    match UserFile::read(path) {
        Ok(file) => lines.extend(file.users.iter().map(|entry| account(site, entry))),
        Err(error) => lines.push(format!("whoever is in that file, which cannot be read: {}", sentence(&error))),
    }
    lines
}

fn account(site: &Config, entry: &Entry) -> String {
    let all = if site.accounts.write { Permissions::ALL } else { Permissions::READ_ONLY };
    let may = permission_names(entry.permissions.map_or(all, |allowed| allowed.0));
    let home = entry.home.as_deref().map(|home| format!(" in {home}")).unwrap_or_default();
    let mut line = format!("{} ({may}){home}; {}", entry.name, quota(entry.quota, entry.quota_files));
    for rule in &entry.paths {
        line.push_str(&format!("; {} at {}", permission_names(rule.permissions.0), rule.path.0));
    }
    line.push_str(&sessions(entry.max_sessions));
    line.push_str(&rates([entry.rate_down, entry.rate_up, entry.session_rate_down, entry.session_rate_up]));
    if !entry.networks.is_empty() {
        let networks: Vec<Network> = entry.networks.iter().map(|network| network.0).collect();
        line.push_str(&format!("; from {}", list(&networks)));
    }
    for (is_so, what) in [
        (entry.tls_required, "TLS required"),
        (!entry.certificates.is_empty() && !entry.certificate_alone, "with a client certificate"),
        (entry.certificate_alone, "a client certificate is enough"),
        (entry.upload_eof == Some(Eof::Lenient), "uploads that were cut off may pass for whole"),
        (entry.password.is_none(), "no password is right"),
        (entry.disabled, "disabled: nobody for now"),
    ] {
        if is_so {
            line.push_str(&format!("; {what}"));
        }
    }
    // A name or path may hold what a terminal would obey.
    Shown(line.as_bytes()).to_string()
}

fn quota(bytes: Option<Text<Size>>, files: Option<u64>) -> String {
    match (bytes, files) {
        (Some(bytes), Some(files)) => format!("{} and {files} files at most", bytes.0),
        (Some(bytes), None) => format!("{} at most", bytes.0),
        (None, Some(files)) => format!("{files} files at most"),
        (None, None) => "no quota".to_owned(),
    }
}

fn sessions(most: Option<usize>) -> String {
    most.map(|most| format!("; {most} sessions at most")).unwrap_or_default()
}

/// Down and up of all sessions together, and of each.
fn rates(rates: [Option<Text<Size>>; 4]) -> String {
    let names = ["down", "up", "down in each session", "up in each session"];
    let each = rates.iter().zip(names).filter_map(|(rate, name)| Some(format!("; {}/s {name}", rate.as_ref()?.0)));
    each.collect()
}

fn logins(config: &Config) -> Vec<String> {
    let logins = &config.logins;
    let (window, ban) = (show_duration(logins.window), show_duration(logins.ban));
    let mut lines = vec![format!(
        "{} tries a connection, each answered later than the last, up to {}; the same answer for unknown names and wrong \
         passwords",
        logins.tries,
        show_duration(logins.max_delay)
    )];
    lines.push(match logins.address_failures {
        0 => "no address is ever banned".to_owned(),
        most => format!("an address is banned for {ban} after {most} failures within {window}"),
    });
    lines.push(match logins.account_failures {
        0 => "an account that many addresses guess at is like any other".to_owned(),
        most => format!(
            "an account with {most} failures within {window} is under attack: who fails there once is refused for {ban}, \
             but for those who have logged in from where they are"
        ),
    });
    lines.push(match logins.bans_file() {
        Some(file) => format!("bans are kept in {}", file.display()),
        None => "bans are forgotten when the server ends".to_owned(),
    });
    if !logins.exempt.is_empty() {
        lines.push(format!("{} may guess without end", list(&logins.exempt)));
    }
    lines
}

fn uploads(config: &Config) -> Vec<String> {
    let uploads = &config.uploads;
    let mut lines = vec![commit(uploads.commit).to_owned()];
    for (mode, paths) in [
        (CommitMode::Durable, &uploads.durable_paths),
        (CommitMode::Atomic, &uploads.atomic_paths),
        (CommitMode::Direct, &uploads.direct_paths),
    ] {
        if !paths.is_empty() {
            lines.push(format!("at {}: {}", list(paths), commit(mode)));
        }
    }
    if uploads.eof == Eof::Lenient {
        lines.push("those that were cut off may pass for whole (`eof` is lenient)".to_owned());
    }
    lines.push(match uploads.keep_parts.is_zero() {
        true => "nothing is kept of those that break off".to_owned(),
        false => format!("what comes of those that break off is kept {}, hidden", show_duration(uploads.keep_parts)),
    });
    lines
}

fn commit(mode: CommitMode) -> &'static str {
    match mode {
        CommitMode::Durable => "whole or not there; on the disk before they are acknowledged",
        CommitMode::Atomic => "whole or not there; a power cut may lose what was acknowledged a moment ago",
        CommitMode::Direct => "under their own names from the first byte: others see half files",
    }
}

fn limits(config: &Config) -> Vec<String> {
    let (limits, timeouts) = (&config.limits, &config.timeouts);
    let recount = match limits.quota_recount.is_zero() {
        true => "counted once".to_owned(),
        false => format!("counted anew every {}", show_duration(limits.quota_recount)),
    };
    vec![
        format!(
            "{} connections, {} from one address; {} to log in, {} between commands, {} for a transfer that stands still",
            limits.connections,
            limits.connections_per_address,
            show_duration(timeouts.login),
            show_duration(timeouts.idle),
            show_duration(timeouts.stall)
        ),
        format!(
            "{} commands a second; transfers below {} in {} are ended; quotas are {recount}",
            if limits.commands_per_second == 0 { "any".to_owned() } else { limits.commands_per_second.to_string() },
            show_size(limits.minimum_rate),
            show_duration(limits.minimum_rate_window)
        ),
    ]
}

/// Who else learns what is done.
fn watchers(config: &Config) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let shown = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    if let Some(socket) = shown(&config.control.socket) {
        lines.push(("control", format!("{socket}, for root and the user of the server")));
    }
    if let Some(addr) = config.metrics.listen {
        lines.push(("metrics", format!("http://{addr}/metrics, without a password")));
    }
    lines.push(("log", shown(&config.log.file).unwrap_or_else(|| "standard error".to_owned())));
    lines.extend(shown(&config.log.xferlog).map(|path| ("transfers", path)));
    let (size, age) = (show_size(config.record.max_size), show_duration(config.record.keep));
    let kept = |path| ("recordings", format!("{path}: at most {size}, each for at most {age}"));
    lines.extend(shown(&config.record.directory).map(kept));
    for hook in &config.hooks {
        let to = hook.url.as_ref().map(ToString::to_string).or_else(|| hook.program.first().cloned());
        let on: Vec<&str> = hook.on.iter().map(|occasion| occasion.name()).collect();
        let (tries, time) = (hook.tries, show_duration(hook.timeout));
        lines.push(("hook", format!("{} on {}; {tries} tries of {time}", to.unwrap_or_default(), on.join(", "))));
    }
    lines
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_of_every_site_with_what_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let users = dir.path().join("users.toml");
        let entry = "[[user]]\nname = \"ann\"\nhome = \"/a\"\npermissions = [\"list\", \"read\"]\nquota = \"10GiB\"\n\
                     networks = [\"192.0.2.0/24\"]\ntls-required = true\nrate-up = \"1MiB\"\nmax-sessions = 2\n\
                     [[user]]\nname = \"old\"\ndisabled = true\n";
        std::fs::write(&users, entry).unwrap();
        let text = format!(
            "proxy.trusted = [\"10.0.0.1\"]\ntls.mode = \"require\"\nanonymous.enabled = true\nanonymous.drop = [\"/in\"]\n\
             anonymous.quota = \"1GiB\"\nlogins.exempt = [\"10.0.0.0/8\"]\nuploads.direct-paths = [\"/logs\"]\n\
             [[host]]\nnames = [\"a.example\"]\nroot = \"/\"\naccounts.file = {users:?}\n\
             authenticator = {{ program = [\"/bin/who\"] }}\n[[hook]]\non = [\"rename\"]\nprogram = [\"/bin/true\"]\n"
        );
        let mut config: Config = toml::from_str(&text).unwrap();
        config.site.root = Some(dir.path().to_owned());
        let told = exposure(&config);
        // Nobody makes the directory that guests are to drop files into.
        let warned = "WARNING         `anonymous.drop`: ";
        assert!(told.contains(warned) && told.contains("in is no directory: make it"), "{told}");
        std::fs::create_dir(dir.path().join("in")).unwrap();
        assert!(!exposure(&config).contains(warned));
        for line in [
            "proxies         10.0.0.1/32 are believed",
            "TLS             versions 1.2 and 1.3; data connections must resume",
            "to write at /in, without reading or replacing anything there; 1GiB at most",
            "host            a.example",
            "may log in      ann (list,read) in /a; 10GiB at most; 2 sessions at most; 1MiB/s up; from 192.0.2.0/24; TLS required",
            "disabled: nobody for now",
            "may log in      whoever /bin/who lets in",
            "logins          an address is banned for 1h 0m after 10 failures within 10m 0s",
            "logins          10.0.0.0/8 may guess without end",
            "uploads         at /logs: under their own names",
            "limits          10000 commands a second; transfers below 1 B in 10m 0s are ended; quotas are counted anew every 1h 0m",
            "hook            /bin/true on rename; 3 tries of 30s",
        ] {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }
}
