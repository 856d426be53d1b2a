//! The text of replies: what clients parse, exactly; what people read, helpfully.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use super::action::Digested;
use super::error::{DataError, StorageError, TlsError, TransferError};
use super::settings::{Receipt, SessionSettings};
use crate::addr;
use crate::command::{CommandError, SiteVerb};
use crate::listing::FactSet;
use crate::parameters::{Algorithm, Representation};
use crate::path::FtpPath;
use crate::reply::{Code, Reply, Text};
use crate::verb::{Takes, VERBS, Verb};

/// A reply of one line.
pub(super) fn say(code: u16, text: impl Into<Say>) -> Reply {
    Reply::new(Code::known(code), text.into().0)
}

/// A text from a literal, a string or bytes.
pub(super) struct Say(Text);

impl From<&'static str> for Say {
    fn from(text: &'static str) -> Say {
        Say(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Say {
    fn from(text: String) -> Say {
        Say(Cow::Owned(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Say {
    fn from(text: Vec<u8>) -> Say {
        Say(Cow::Owned(text))
    }
}

pub(super) fn lines(code: u16, lines: impl IntoIterator<Item = String>) -> Reply {
    Reply::with_lines(Code::known(code), lines.into_iter().map(|l| Cow::Owned(l.into_bytes())).collect())
}

pub(super) fn greeting(settings: &SessionSettings) -> Reply {
    say(220, settings.greeting.clone())
}

/// The same for every name but a guest's, so that it does not tell which accounts there are.
pub(super) fn password_wanted(guest: bool) -> Reply {
    if guest {
        say(331, "Anonymous access allowed, send identity (e-mail name) as password.")
    } else {
        say(331, "Password required")
    }
}

pub(super) fn welcome(settings: &SessionSettings, user: &[u8], anonymous: bool) -> Reply {
    let who = if anonymous { b"Anonymous user logged in.".to_vec() } else { [b"User ", user, b" logged in."].concat() };
    let first = format!("Welcome to {}", settings.host).into_bytes();
    Reply::with_lines(Code::known(230), vec![Cow::Owned(first), Cow::Owned(who)])
}

/// RFC 2228 section 4: who they are is known by what TLS has told.
pub(super) fn recognised(user: &[u8]) -> Reply {
    say(232, [b"User ", user, b" logged in by certificate."].concat())
}

pub(super) fn farewell(settings: &SessionSettings) -> Reply {
    say(221, format!("Thank you for visiting {}.", settings.host))
}

pub(super) fn login_timeout(settings: &SessionSettings) -> Reply {
    say(421, format!("No login within {}; closing.", seconds(settings.login_timeout)))
}

pub(super) fn idle_timeout(settings: &SessionSettings) -> Reply {
    say(421, format!("No command for {}; closing.", seconds(settings.idle_timeout)))
}

pub(super) fn shutting_down() -> Reply {
    say(421, "The server is shutting down.")
}

pub(super) fn account_changed() -> Reply {
    say(421, "This account was changed; log in again.")
}

/// 500 would say that the line is no command, 502 that it is one which is not there: an unknown verb is the latter, and
/// clients that probe for extensions expect it.
pub(super) fn command_error(error: &CommandError) -> Reply {
    let code = match error {
        CommandError::TooLong => 500,
        CommandError::Unknown => 502,
        CommandError::Missing(_) | CommandError::Argument(_) | CommandError::SiteArgument(_) => 501,
        CommandError::Name(..) => 501,
        CommandError::Parameter(_) => 504,
        CommandError::Level(_) => 536,
        CommandError::Protocol(_) => 522,
    };
    say(code, error.to_string())
}

/// RFC 959 section 4.2.1 gives `150 File status okay; about to open data connection`. The wording here is that of BSD's
/// server, from which clients read the size: curl, tnftp and others look for `(N bytes)`. The ASCII form without the
/// blank is that of the reference session.
pub(super) fn opening(representation: Representation, name: &[u8], size: Option<u64>) -> Reply {
    let mut text = format!("Opening {} mode data connection for ", mode(representation)).into_bytes();
    text.extend_from_slice(name);
    match (size, representation) {
        (Some(size), Representation::Image) => text.extend_from_slice(format!(" ({size} bytes)").as_bytes()),
        (Some(size), Representation::Ascii) => text.extend_from_slice(format!("({size} bytes)").as_bytes()),
        (None, _) => {}
    }
    text.push(b'.');
    say(150, text)
}

/// RFC 1123 section 4.1.2.9: `150 FILE: pppp`, exactly.
pub(super) fn opening_unique(name: &FtpPath) -> Reply {
    say(150, [b"FILE: ", name.as_bytes()].concat())
}

/// Clients find the six numbers by their parentheses.
pub(super) fn passive(addr: SocketAddrV4) -> Reply {
    say(227, format!("Entering Passive Mode ({}).", addr::write_port(addr)))
}

pub(super) fn extended_passive(port: u16) -> Reply {
    say(229, format!("Entering Extended Passive Mode (|||{port}|)"))
}

/// RFC 2428 section 2: the protocols that could be used stand in parentheses.
pub(super) fn wrong_protocol(ipv6: bool) -> Reply {
    say(522, if ipv6 { "Network protocol not supported, use (2)" } else { "Network protocol not supported, use (1)" })
}

/// RFC 2577 section 3: no connection to third hosts, and none to ports of well-known services.
pub(super) fn refused_target(verb: Verb, target: SocketAddr, peer: IpAddr) -> Reply {
    if target.ip().to_canonical() == peer {
        say(504, format!("{verb} refused: ports below 1024 are not connected to."))
    } else {
        say(
            504,
            format!("{verb} refused: data goes only to {peer}, where you come from; behind NAT, use EPSV or PASV."),
        )
    }
}

pub(super) fn path_reply(code: u16, path: &FtpPath, text: &str) -> Reply {
    let mut line = path.quoted();
    line.push(b' ');
    line.extend_from_slice(text.as_bytes());
    say(code, line)
}

pub(super) fn done(verb: Verb) -> Reply {
    say(250, format!("{verb} command successful."))
}

/// The one table from storage errors to replies. `name` is what the client wrote.
pub(super) fn storage_error(error: &StorageError, name: &[u8]) -> Reply {
    let code = match error {
        StorageError::NotFound
        | StorageError::Denied
        | StorageError::Forbidden(_)
        | StorageError::ReadOnly
        | StorageError::Exists
        | StorageError::NotADirectory
        | StorageError::IsADirectory
        | StorageError::NotARegularFile
        | StorageError::NotEmpty
        | StorageError::TooCostly => 550,
        StorageError::BadName | StorageError::SameFile => 553,
        StorageError::BadOffset | StorageError::WrongLength | StorageError::NoResume => 554,
        // draft-bryan-ftpext-hash-02 section 3.5: by the server's policy.
        StorageError::TooLarge => 556,
        StorageError::NoSpace => 452,
        StorageError::OverQuota => 552,
        StorageError::Busy => 450,
        StorageError::Unsupported => 504,
        StorageError::Cancelled => 426,
        StorageError::TooMany | StorageError::Io(_) => 451,
    };
    let reason = error.to_string();
    if name.is_empty() {
        return say(code, format!("{reason}."));
    }
    say(code, [name, b": ", reason.as_bytes(), b"."].concat())
}

/// A transfer that failed in itself; time-outs and aborts have their own words.
pub(super) fn transfer_error(error: &TransferError, name: &[u8], verb: Verb) -> Reply {
    match error {
        TransferError::Data(error) => data_error(error),
        TransferError::Broken(why) => say(426, format!("The data connection broke: {why}.")),
        TransferError::Tls(error) => tls_error(error),
        TransferError::Storage(error) => storage_error(error, name),
        TransferError::Garbled(why) => say(426, format!("Transfer ended: the data is not as MODE Z has it: {why}.")),
        TransferError::Cancelled => aborted(verb),
        TransferError::Displaced => say(426, format!("Transfer ended: {error}.")),
    }
}

/// RFC 4217 section 10.2: 522 where the server does not like how TLS on the data connection was agreed on.
fn tls_error(error: &TlsError) -> Reply {
    match error {
        TlsError::Handshake(_) | TlsError::TimedOut(_) | TlsError::OtherClient => {
            say(522, format!("No data connection: {error}."))
        }
        TlsError::NotResumed => say(
            522,
            "No data connection: its TLS session must resume the control connection's (session-reuse = \"require\" here).",
        ),
        TlsError::Truncated => {
            say(426, "The data connection ended without TLS close_notify: part of the file may be missing.")
        }
        TlsError::Broken(_) => say(426, format!("The data connection broke: {error}.")),
    }
}

/// RFC 4217 section 10.1 lets a server deny USER in clear and names no code. Of the replies that RFC 959 section 5.4 has
/// for USER, 530 is the one that says "not like this": clients take it for a login that was refused. 533 and 534 (RFC 2228
/// section 4) are for commands that are protected and for AUTH.
pub(super) fn needs_tls() -> Reply {
    say(530, "This server takes logins over TLS only: send AUTH TLS first.")
}

pub(super) fn data_error(error: &DataError) -> Reply {
    match error {
        DataError::Family => say(425, "PASV needs IPv4 and you have come by IPv6; use EPSV."),
        DataError::NoPort => say(425, "No data connection: no passive port is free, try again."),
        DataError::Unused(after) => {
            let within = seconds(*after);
            say(
                425,
                format!(
                    "No data connection: the port was given up, as nobody used it within {within}; ask for a new one."
                ),
            )
        }
        DataError::Refused(addr) => say(425, format!("No data connection: {addr} refused it.")),
        DataError::Unreachable(addr, why) => say(425, format!("No data connection: {addr} cannot be reached ({why}).")),
    }
}

pub(super) fn nobody_came(timeout: Duration, active: Option<SocketAddr>) -> Reply {
    let within = seconds(timeout);
    match active {
        None => say(425, format!("No data connection: nobody connected to the passive port within {within}.")),
        Some(addr) => say(425, format!("No data connection: {addr} did not answer within {within}.")),
    }
}

pub(super) fn stalled(timeout: Duration) -> Reply {
    say(426, format!("Transfer ended: the data connection carried nothing for {}.", seconds(timeout)))
}

pub(super) fn too_slow(settings: &SessionSettings) -> Reply {
    let SessionSettings { min_rate, min_rate_window, .. } = settings;
    let over = seconds(*min_rate_window);
    say(426, format!("Transfer ended: the data connection carried less than {min_rate} B/s for {over}."))
}

pub(super) fn nonsense() -> Reply {
    say(421, "Too many lines that are no commands; closing.")
}

pub(super) fn aborted(verb: Verb) -> Reply {
    match verb.moves() {
        Some(_) => say(426, "Transfer aborted; data connection closed."),
        None => say(426, format!("{verb} aborted.")),
    }
}

/// The plain one is that of the reference session. `digest` is a SHA-256.
pub(super) fn complete(receipt: Receipt, bytes: u64, digest: Option<&[u8; 32]>) -> Reply {
    match (receipt, digest) {
        (Receipt::Plain, _) => say(226, "Transfer complete."),
        (Receipt::Digest, Some(digest)) => {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            say(226, format!("Transfer complete ({bytes} bytes, SHA-256 {hex})."))
        }
        (Receipt::Bytes | Receipt::Digest, _) => say(226, format!("Transfer complete ({bytes} bytes).")),
    }
}

/// RFC 2389 section 3.2: each feature on a line of its own, after one space; which [`Reply::encode`] puts there.
/// Of the verbs only those that are offered.
pub(super) fn features(facts: FactSet, current: Algorithm, is_offered: impl Fn(Verb) -> bool) -> Reply {
    let own = VERBS.iter().filter(|f| is_offered(f.verb)).filter_map(|f| f.feature).map(str::to_owned);
    // draft-bryan-ftpext-hash-02 section 3.1: all algorithms, the one that HASH uses now with an asterisk.
    let mark = |a: Algorithm| if a == current { format!("{a}*") } else { a.to_string() };
    let hash = format!("HASH {}", Algorithm::ALL.map(mark).join(";"));
    let others = [facts.feature(), hash, "MODE Z".into(), "TVFS".into(), "UTF8".into()];
    let mut all: Vec<String> = own.chain(others).collect();
    all.sort_unstable();
    all.insert(0, "Features:".into());
    all.push("End".into());
    lines(211, all)
}

pub(super) fn help(is_offered: impl Fn(Verb) -> bool) -> Reply {
    let names: Vec<String> = VERBS.iter().filter(|f| is_offered(f.verb)).map(|f| format!("{:<7}", f.name)).collect();
    let rows = names.chunks(10).map(|row| row.join(" ").trim_end().to_owned());
    let all = std::iter::once("The commands of this server (HELP VERB tells more):".to_owned());
    lines(214, all.chain(rows).chain(["End of help.".to_owned()]))
}

/// HELP with words behind it: a verb, SITE, which has commands of its own, or one of those.
pub(super) fn help_on(words: &[u8], is_offered: impl Fn(Verb) -> bool, may: impl Fn(SiteVerb) -> bool) -> Reply {
    let mut words = words.split(|&b| b == b' ').filter(|word| !word.is_empty());
    let verb = words.next().and_then(Verb::from_name).filter(|verb| is_offered(*verb));
    let unknown = || say(501, "No help on that: not a command of this server.");
    let verb = match (verb, words.next()) {
        (None, _) => return unknown(),
        (Some(Verb::Site), None) => return site_help(may),
        (Some(Verb::Site), Some(name)) => {
            return SiteVerb::from_name(name).map_or_else(unknown, |verb| {
                say(214, format!("SITE {}: {}", verb.facts().usage(), verb.facts().help))
            });
        }
        (Some(verb), _) => verb,
    };
    let facts = verb.facts();
    let syntax = match facts.takes {
        Takes::Nothing => String::new(),
        Takes::Required | Takes::Optional => format!(" {}", facts.syntax),
    };
    say(214, format!("{}{syntax}: {} ({})", facts.name, facts.help, facts.source))
}

/// What is refused to a session is not listed to it.
pub(super) fn site_help(may: impl Fn(SiteVerb) -> bool) -> Reply {
    let each = SiteVerb::ALL.into_iter().filter(|verb| may(*verb));
    let each = each.map(|verb| format!("{}: {}", verb.facts().usage(), verb.facts().help));
    let all = std::iter::once("Commands behind SITE:".to_owned());
    lines(214, all.chain(each).chain(["End of help.".to_owned()]))
}

pub(super) fn denied() -> Reply {
    say(550, "Permission denied.")
}

/// RFC 2640 section 4: there is one language; asked for without a name it is the default, which it is too.
pub(super) fn language(tag: Option<&[u8]>) -> Reply {
    match tag.map(|tag| tag.split(|&b| b == b'-').next().unwrap_or_default().to_ascii_uppercase()) {
        None => say(200, "Replies are in English."),
        Some(primary) if primary == b"EN" => say(200, "Replies are in English."),
        Some(_) => say(504, "Replies are in English alone."),
    }
}

/// `213 NAME FIRST-LAST DIGEST PATH` for HASH, the last byte counted (draft-bryan-ftpext-hash-02 section 3); `251 PATH
/// DIGEST` for MD5 (draft-twine-ftpmd5-00); the digest alone for the others, which no draft describes.
pub(super) fn digest(verb: Verb, algorithm: Algorithm, digested: &Digested, name: &[u8]) -> Reply {
    let hex: String = digested.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match verb {
        Verb::Hash => {
            let (first, last) = (digested.from, digested.to.saturating_sub(1).max(digested.from));
            say(213, [format!("{algorithm} {first}-{last} {hex} ").as_bytes(), name].concat())
        }
        Verb::Md5 => say(251, [name, b" ", hex.as_bytes()].concat()),
        _ => say(250, hex),
    }
}

pub(super) fn who(sessions: Vec<Text>) -> Reply {
    let mut all: Vec<Text> = vec![Cow::Borrowed(b"Logged in:")];
    all.extend(sessions);
    all.push(Cow::Borrowed(b"End of list."));
    Reply::with_lines(Code::known(200), all)
}

pub(super) fn mode(representation: Representation) -> &'static str {
    match representation {
        Representation::Ascii => "ASCII",
        Representation::Image => "BINARY",
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}
