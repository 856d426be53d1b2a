//! From a line to a command.

use super::words;
use super::{Command, CommandError, Epsv, Listing, Mechanism, Text};
use crate::addr::{self, AddrError};
use crate::listing::ListOptions;
use crate::parameters::{Mode, Protection, Representation};
use crate::path::PathArg;
use crate::secret::Secret;
use crate::stamp;
use crate::verb::{Takes, Verb};

impl Command {
    /// Parses a line without its end. The verb may be in any case; blanks before it are passed over.
    ///
    /// # Errors
    /// [`CommandError`] with a text that can be the reply's.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        let line = line.trim_ascii_start();
        let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(end).unwrap_or((line, b""));
        let verb = Verb::from_name(name).ok_or(CommandError::Unknown)?;
        // Only one space parts verb and argument: a name may begin with more.
        let arg = rest.strip_prefix(b" ").unwrap_or(rest);
        if verb.facts().takes == Takes::Required && arg.trim_ascii().is_empty() {
            return Err(CommandError::Missing(verb));
        }
        parse_argument(verb, arg)
    }
}

fn parse_argument(verb: Verb, arg: &[u8]) -> Result<Command, CommandError> {
    let word = arg.trim_ascii();
    let bad = || CommandError::Argument(verb);
    let path = || name(verb, arg);
    let maybe_path = || if word.is_empty() { Ok(None) } else { name(verb, arg).map(Some) };
    let maybe_text = || if word.is_empty() { Ok(None) } else { text(verb, word).map(Some) };
    let text = || text(verb, word);
    Ok(match verb {
        Verb::User => Command::User(text()?),
        Verb::Pass => Command::Pass(Secret::new(arg)),
        Verb::Acct => Command::Acct(Secret::new(arg)),
        Verb::Host => Command::Host(words::parse_host(word).ok_or_else(bad)?),
        Verb::Rein => Command::Rein,
        Verb::Quit => Command::Quit,
        Verb::Cwd => Command::Cwd(path()?),
        Verb::Cdup => Command::Cdup,
        Verb::Pwd => Command::Pwd,
        Verb::Type => Command::Type(parse_type(word)?),
        Verb::Stru => match word.to_ascii_uppercase().as_slice() {
            b"F" => Command::Stru,
            b"R" | b"P" => return Err(CommandError::Parameter(verb)),
            _ => return Err(bad()),
        },
        Verb::Mode => match word.to_ascii_uppercase().as_slice() {
            b"S" => Command::Mode(Mode::Stream),
            b"Z" => Command::Mode(Mode::Deflate),
            b"B" | b"C" => return Err(CommandError::Parameter(verb)),
            _ => return Err(bad()),
        },
        Verb::Port => Command::Port(addr::parse_port(word).map_err(|e| address(verb, e))?),
        Verb::Pasv => Command::Pasv,
        Verb::Eprt => Command::Eprt(addr::parse_eprt(word).map_err(|e| address(verb, e))?),
        Verb::Epsv => Command::Epsv(match word.to_ascii_uppercase().as_slice() {
            b"" => Epsv::Same,
            b"1" => Epsv::V4,
            b"2" => Epsv::V6,
            b"ALL" => Epsv::All,
            other if other.iter().all(u8::is_ascii_digit) => return Err(CommandError::Protocol(verb)),
            _ => return Err(bad()),
        }),
        Verb::Retr => Command::Retr(path()?),
        Verb::Stor => Command::Stor(path()?),
        Verb::Stou => Command::Stou(maybe_path()?),
        Verb::Appe => Command::Appe(path()?),
        Verb::Rest => Command::Rest(number(word).ok_or_else(bad)?),
        Verb::Rang => Command::Rang(words::parse_range(word).ok_or_else(bad)?),
        Verb::Allo => {
            let mut words = word.split(|&b| b == b' ').filter(|w| !w.is_empty());
            let bytes = words.next().and_then(number).ok_or_else(bad)?;
            match (words.next(), words.next().map(number), words.next()) {
                (None, None, None) => Command::Allo(bytes),
                (Some(r), Some(Some(_)), None) if r.eq_ignore_ascii_case(b"R") => Command::Allo(bytes),
                _ => return Err(bad()),
            }
        }
        Verb::Abor => Command::Abor,
        Verb::List => Command::List(Listing::parse(verb, arg)?),
        Verb::Nlst => Command::Nlst(Listing::parse(verb, arg)?),
        Verb::Mlsd => Command::Mlsd(maybe_path()?),
        Verb::Mlst => Command::Mlst(maybe_path()?),
        Verb::Size => Command::Size(path()?),
        Verb::Mdtm => match words::parse_timed(arg) {
            Some(timed) => Command::SetMdtm(timed),
            None => Command::Mdtm(path()?),
        },
        Verb::Mfmt | Verb::Mfct => {
            let (time, file) = first_word(arg).ok_or_else(bad)?;
            let (at, file) = (stamp::parse(time).ok_or_else(bad)?, name(verb, file)?);
            if verb == Verb::Mfmt { Command::Mfmt(at, file) } else { Command::Mfct(at, file) }
        }
        Verb::Mff => {
            let (facts, file) = first_word(arg).ok_or_else(bad)?;
            Command::Mff(words::parse_facts(facts)?, name(verb, file)?)
        }
        Verb::Rnfr => Command::Rnfr(path()?),
        Verb::Rnto => Command::Rnto(path()?),
        Verb::Dele => Command::Dele(path()?),
        Verb::Rmd => Command::Rmd(path()?),
        Verb::Mkd => Command::Mkd(path()?),
        Verb::Rmda => Command::Rmda(path()?),
        Verb::Comb => words::parse_comb(arg)?,
        Verb::Dsiz => Command::Dsiz(maybe_path()?),
        Verb::Avbl => Command::Avbl(maybe_path()?),
        Verb::Hash => Command::Hash(path()?),
        Verb::Md5 => Command::Digest(super::Digest { verb, path: path()?, from: 0, to: None }),
        Verb::Xcrc | Verb::Xmd5 | Verb::Xsha | Verb::Xsha1 | Verb::Xsha256 | Verb::Xsha512 => {
            Command::Digest(words::parse_digest(verb, arg)?)
        }
        Verb::Site => Command::Site(words::parse_site(arg)?),
        Verb::Syst => Command::Syst,
        Verb::Stat if word.is_empty() => Command::Stat(None),
        Verb::Stat => Command::Stat(Some(Listing::parse(verb, arg)?)),
        Verb::Help => Command::Help(maybe_text()?),
        Verb::Noop => Command::Noop,
        Verb::Feat => Command::Feat,
        Verb::Opts => Command::Opts(words::parse_opts(arg)?),
        Verb::Lang => Command::Lang(maybe_text()?),
        Verb::Csid => Command::Csid(maybe_text()?),
        Verb::Auth => Command::Auth(match word.to_ascii_uppercase().as_slice() {
            b"TLS" | b"TLS-C" => Mechanism::Tls,
            b"SSL" | b"TLS-P" => Mechanism::Ssl,
            _ => return Err(CommandError::Parameter(verb)),
        }),
        Verb::Pbsz => Command::Pbsz(number(word).and_then(|n| n.try_into().ok()).ok_or_else(bad)?),
        Verb::Prot => Command::Prot(match word.to_ascii_uppercase().as_slice() {
            b"C" => Protection::Clear,
            b"P" => Protection::Private,
            // Safe and confidential are levels of other mechanisms (RFC 4217 section 9).
            b"S" | b"E" => return Err(CommandError::Level(verb)),
            _ => return Err(CommandError::Parameter(verb)),
        }),
        Verb::Ccc => Command::Ccc,
        Verb::Clnt => Command::Clnt(text()?),
    })
}

/// RFC 959 section 3.1.1; `A T` and `A C` (vertical format), `E` (EBCDIC) and byte sizes other than 8 are known, but
/// are not done by any server in use.
fn parse_type(word: &[u8]) -> Result<Representation, CommandError> {
    let word = word.to_ascii_uppercase();
    let mut words = word.split(|&b| b == b' ').filter(|w| !w.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(b"A"), None | Some(b"N"), None) => Ok(Representation::Ascii),
        (Some(b"I"), None, None) | (Some(b"L"), Some(b"8"), None) | (Some(b"L8"), None, None) => {
            Ok(Representation::Image)
        }
        (Some(b"A" | b"E"), None | Some(b"T" | b"C" | b"N"), None) => Err(CommandError::Parameter(Verb::Type)),
        (Some(b"L"), Some(size), None) if number(size).is_some() => Err(CommandError::Parameter(Verb::Type)),
        _ => Err(CommandError::Argument(Verb::Type)),
    }
}

/// The first word and all that stands behind the one space after it.
pub(super) fn first_word(arg: &[u8]) -> Option<(&[u8], &[u8])> {
    let arg = arg.trim_ascii_start();
    let end = arg.iter().position(|&b| b == b' ')?;
    let (word, rest) = arg.split_at_checked(end)?;
    Some((word, rest.get(1..)?))
}

pub(super) fn name(verb: Verb, bytes: &[u8]) -> Result<PathArg, CommandError> {
    PathArg::new(bytes).map_err(|e| CommandError::Name(verb, e))
}

fn text(verb: Verb, word: &[u8]) -> Result<Text, CommandError> {
    Text::new(word).map_err(|e| CommandError::Name(verb, e))
}

fn address(verb: Verb, e: AddrError) -> CommandError {
    match e {
        AddrError::Protocol => CommandError::Protocol(verb),
        AddrError::Form(_) | AddrError::Range => CommandError::Argument(verb),
    }
}

/// A decimal that fits in 63 bits: file offsets are signed below us.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok().filter(|n| i64::try_from(*n).is_ok())
}

impl Listing {
    /// Options are words that begin with `-`, before the path; `--` ends them, for a path that begins with `-`.
    fn parse(verb: Verb, arg: &[u8]) -> Result<Listing, CommandError> {
        let mut options = ListOptions::default();
        let mut rest = arg;
        loop {
            let start = rest.trim_ascii_start();
            let Some(word) = start.strip_prefix(b"-") else { break };
            let end = word.iter().position(|&b| b == b' ').unwrap_or(word.len());
            let (word, tail) = word.split_at_checked(end).unwrap_or((word, b""));
            rest = tail.strip_prefix(b" ").unwrap_or(tail);
            if word == b"-" {
                break;
            }
            options.read(word);
        }
        let path = if rest.trim_ascii().is_empty() { None } else { Some(name(verb, rest)?) };
        Ok(Listing { options, path })
    }
}
